"""A wire to a server that tests can cut and mend."""

import socket
import threading
from contextlib import suppress

from headwater.stack.ports import free_port


class Wire:
    """A TCP proxy that can be cut: the server behind it is away, and comes back."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._open: set[socket.socket] = set()
        self._turn = threading.Lock()
        self._listener: socket.socket | None = None
        self.port = free_port()
        self.mend()

    def cut(self) -> None:
        """Closes the listener and every connection."""
        with self._turn:
            assert self._listener is not None
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)  # the pumps close them
            self._open.clear()

    def mend(self) -> None:
        """Listens (again)."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection(self._target, 30)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                with self._turn:
                    if self._listener is not listener:  # cut while it was being connected
                        near.close()
                        far.close()
                        return
                    self._open |= {near, far}
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
