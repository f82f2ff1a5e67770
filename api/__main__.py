"""`python -m api`: one process that serves REST, live frames and the page."""

from __future__ import annotations

import logging
import signal
import socket
import sys

import structlog
import uvicorn

from api.app import create_app
from headwater.garbage import collect_rarely
from headwater.logs import configure
from headwater.model.errors import HeadwaterError
from headwater.model.settings import ApiSettings

_SEND_BUFFER = 256 * 1024
_GIVE_UP_MS = 60_000


def main() -> int:
    """Serves until SIGTERM, then drains; 1 if it cannot begin."""
    # uvicorn drains at SIGTERM and then raises it again, which would end the process with an error.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = ApiSettings()
    configure(settings.log_format)
    # It logs at INFO the address of each WebSocket, key and all.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    log = structlog.get_logger("api")
    try:
        app = create_app(settings)
        listener = listen(settings.host, settings.api_port)
    except (HeadwaterError, OSError) as error:
        log.error("the API cannot start", error=str(error))
        return 1
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        # A frame is made once for everybody; to deflate it for each would cost more than all the rest.
        ws_per_message_deflate=False,
        ws_max_size=1_048_576,
        timeout_graceful_shutdown=3,
        # uvicorn would write addresses with the key in them.
        access_log=False,
        log_config=None,
    )
    log.info("serving", address=f"http://{settings.host}:{settings.api_port}")
    collect_rarely()
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections hold little: what lies unsent in the kernel is old by the time it is read.

    A connection whose other end takes nothing for a minute is dropped by the kernel. Raises `OSError` if the port is
    taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GIVE_UP_MS)
    listener.bind((host, port))
    listener.listen(1_024)
    listener.setblocking(False)
    return listener


if __name__ == "__main__":
    sys.exit(main())
