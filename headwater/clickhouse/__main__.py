"""The process of the embedded ClickHouse: `python -m headwater.clickhouse`.

Address, user, password and database are those of `HEADWATER_CLICKHOUSE`; the data lie in the state folder.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import structlog
import uvicorn

from headwater.clickhouse.engine import Engine
from headwater.clickhouse.server import Login, create_app
from headwater.logs import configure
from headwater.model.settings import ClickHouseSettings, state_folder
from headwater.stopping import stop_event

_log = structlog.get_logger(__name__)


def _emptied(folder: Path) -> Path:
    """The folder of bodies; those of a killed process are not needed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def main() -> None:
    """Serve until SIGTERM; what runs is ended first."""
    stop_event()  # uvicorn drains at a signal and then raises it again, for whoever had it before
    settings = ClickHouseSettings()
    configure(settings.log_format)
    url = urlsplit(settings.clickhouse.get_secret_value())
    login = Login(unquote(url.username or "default"), unquote(url.password or ""))
    folder = state_folder() / "clickhouse"
    engine = Engine(folder, unquote(url.path.strip("/")) or "default", settings.clickhouse_memory_mb)
    app = create_app(engine, login, _emptied(folder / "incoming"))
    _log.info("clickhouse.start", host=settings.host, port=url.port, memory_mb=settings.clickhouse_memory_mb)
    try:
        uvicorn.run(
            app,
            host=settings.host,
            port=url.port or 8123,
            http="httptools",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=10,
        )
    finally:
        engine.close()
    _log.info("clickhouse.stopped")


if __name__ == "__main__":
    main()
