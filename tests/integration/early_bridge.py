"""A bridge that does what ours must never do: it acknowledges a message before Kafka has reported its records."""

from concurrent.futures import Future

from connectors.doors import mqtt
from connectors.doors.core import Door, Outcome


class EarlyDoor(Door):
    """Says that a message is done as soon as it is handed over."""

    def accept(self, topic: str, payload: bytes, received_ms: int, promised: bool = True) -> "Future[Outcome]":
        super().accept(topic, payload, received_ms, promised)
        return self._done()

    def accept_event(self, payload: bytes, received_ms: int) -> "Future[Outcome]":
        super().accept_event(payload, received_ms)
        return self._done()

    def accept_attributes(self, topic: str, payload: bytes, received_ms: int) -> "Future[Outcome]":
        super().accept_attributes(topic, payload, received_ms)
        return self._done()

    @staticmethod
    def _done() -> "Future[Outcome]":
        done: Future[Outcome] = Future()
        done.set_result(Outcome("", "", 0, []))
        return done


if __name__ == "__main__":
    mqtt.Door = EarlyDoor  # type: ignore[misc]
    mqtt.main()
