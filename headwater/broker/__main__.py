"""Runs the broker until SIGTERM: `python -m headwater.broker`."""

from __future__ import annotations

import os
import sys
import threading

import structlog
from prometheus_client import start_http_server

from headwater.broker.access import Access
from headwater.broker.connect import Code, Connect, Verdict
from headwater.broker.devices import DeviceTable, Used
from headwater.broker.engine import Engine, start_jvm
from headwater.broker.files import Folders
from headwater.broker.gate import Gate
from headwater.broker.provisioning import Provisioning
from headwater.broker.shared import SharedAttributes, is_shared
from headwater.broker.watch import Watch
from headwater.garbage import collect_unasked
from headwater.logs import configure
from headwater.model.errors import HeadwaterError, StackError
from headwater.model.settings import BrokerSettings
from headwater.stopping import stop_event

_log = structlog.get_logger()


def serve(settings: BrokerSettings, stopping: threading.Event) -> None:
    """Starts everything in order, waits for `stopping`, and stops in the opposite order."""
    if not settings.bridge_password.get_secret_value():
        raise StackError("HEADWATER_BRIDGE_PASSWORD is empty.", "set it to a random secret, the same for the bridge.")
    folders = Folders.of_state()
    folders.prepare(settings)
    start_jvm(settings, folders)
    gate = Gate(settings.broker_queue_limit, settings.broker_bridge_away_ms, settings.low_disk_mb)

    def send_away(withdrawn: set[Used]) -> None:
        for client in access.clients_of(withdrawn):
            engine.send_away(client, "NOT_AUTHORIZED", "the token was revoked or has expired")

    devices = DeviceTable(settings.postgres.get_secret_value(), folders.devices, send_away)
    provisioning = Provisioning(settings, devices.healthy)
    access = Access(settings, devices, provisioning, gate, lambda client: engine.session(client))

    def judge(connect: Connect) -> Verdict:
        # Whoever is sent away at the end would be back before it.
        return Verdict(Code.SERVER_UNAVAILABLE, "the broker stops") if stopping.is_set() else access.judge(connect)

    engine = Engine(folders, judge, provisioning, settings.bridge_session)
    watch = Watch(settings, engine, gate)
    postgres = settings.postgres.get_secret_value()
    shared = SharedAttributes(postgres, lambda *told: engine.retain(*told), lambda: engine.retained(is_shared))
    engine.start()
    devices.start()
    watch.start()
    shared.start()
    collect_unasked()
    _log.info("listening", host=settings.host, port=settings.broker_port)
    stopping.wait()
    watch.stop()
    shared.stop()
    devices.stop()
    engine.stop()
    provisioning.close()
    _log.info("stopped")


def main() -> None:
    """The process. Ends with 0 after SIGTERM, with 1 if it cannot run."""
    settings = BrokerSettings()
    configure(settings.log_format)
    stopping = stop_event()
    if settings.broker_metrics_port:
        start_http_server(settings.broker_metrics_port, addr=settings.host)
    code = 0
    try:
        serve(settings, stopping)
    except HeadwaterError as error:
        _log.critical("cannot run", error=str(error))
        code = 1
    except Exception:
        _log.exception("cannot run")
        code = 1
    sys.stdout.flush()
    # The JVM keeps threads that would hold the process; everything that matters is closed by now.
    os._exit(code)


if __name__ == "__main__":
    main()
