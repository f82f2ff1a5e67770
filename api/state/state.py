"""Everything that the doors of the API stand on, put together in one place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from api.state.access import AccessKey
from api.state.alert_feed import AlertFeed
from api.state.clickhouse import ClickHouse
from api.state.dead_letters import DeadLetters
from api.state.desk import Desk
from api.state.feed import Feed
from api.state.lag import LagWatch
from api.state.live import LiveLog
from api.state.meters import Meters
from api.state.postgres import Postgres
from api.state.status import StatusBoard
from api.state.valkey import Valkey
from headwater.model.settings import ApiSettings


@dataclass(frozen=True)
class State:
    """One of each; made by `build`, alive within `running`."""

    settings: ApiSettings
    access: AccessKey
    postgres: Postgres
    valkey: Valkey
    clickhouse: ClickHouse
    live: LiveLog
    feed: Feed
    alerts: AlertFeed
    lag: LagWatch
    dead_letters: DeadLetters
    status: StatusBoard
    meters: Meters
    desk: Desk


def build(settings: ApiSettings) -> State:
    """Puts the parts together; connects to nothing yet. Raises `StackError` without an access key."""
    access = AccessKey(settings.access_key)
    postgres, valkey, meters = Postgres(settings.postgres), Valkey(settings.valkey), Meters()
    clickhouse = ClickHouse(settings.clickhouse)
    live = LiveLog(settings.live_rows, settings.partitions)
    lag, dead_letters = LagWatch(settings.kafka), DeadLetters(settings.kafka)
    feed = Feed(settings, live, valkey.everything)
    alerts = AlertFeed(settings, valkey, meters)
    status = StatusBoard(feed, alerts, lag, dead_letters, postgres, clickhouse, meters, settings)
    feed.on_tick += [status.on_tick, alerts.on_tick]
    return State(
        settings=settings,
        access=access,
        postgres=postgres,
        valkey=valkey,
        clickhouse=clickhouse,
        live=live,
        feed=feed,
        alerts=alerts,
        lag=lag,
        dead_letters=dead_letters,
        status=status,
        meters=meters,
        desk=Desk(settings.postgres),
    )


@asynccontextmanager
async def running(state: State) -> AsyncIterator[None]:
    """Opens the stores and starts the readers of the log; none of them has to be up for that."""
    await state.postgres.open()
    state.lag.start()
    state.dead_letters.start()
    tasks = [asyncio.create_task(each.run()) for each in (state.feed, state.alerts, state.status)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        state.lag.stop()
        state.dead_letters.stop()
        await state.clickhouse.close()
        await state.valkey.close()
        await state.postgres.close()
