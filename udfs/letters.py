"""Failures of functions of SQL as dead letters, at most one a second for each function of a process.

    letters = letters_to("127.0.0.1:9092", "dead-letter", "metric power")
    letters.failed("dew_point", error, [20.0, "wet"])   # returns at once, raises nothing

A thread sends them. It and its producer live only while there is something to tell: a function that never fails costs
nothing, and a stream waits for no letter. While Kafka is away failures are counted, and told when it is back; only what
a process that ends meanwhile has counted is lost, and stands in its log.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from headwater.clock import now_ms
from headwater.model import codec
from headwater.model.pack import DeadLetter
from headwater.model.topics import DEAD_LETTER
from udfs.results import shortened

REASON = "udf-failed"
EVERY_S = 1.0
PATIENCE_MS = 5_000
"""After that a letter that Kafka has not taken counts as lost; its failures stand in the next one."""
SETTLE_S = 2.0

OPTION = "pipeline.global-job-parameters"
"""The option of Flink that carries `parameters` to the functions of a job, wherever they run."""
PARAMETERS = _KAFKA, _TOPIC, _JOB = "headwater.kafka", "headwater.dead-letter", "headwater.job"

_log = logging.getLogger(__name__)


def parameters(kafka: str, job: str, prefix: str = "") -> str:
    """The value of `OPTION` for a job: where its letters go, and its name; `prefix` is that of its topics."""
    return json.dumps({_KAFKA: kafka, _TOPIC: prefix + DEAD_LETTER.name, _JOB: job})


def letters_of(given: Mapping[str, str]) -> Letters:
    """The letters of a job by its `parameters`; of one without them by the `HEADWATER_KAFKA` of its process."""
    kafka = given.get(_KAFKA) or os.environ.get("HEADWATER_KAFKA", "")
    return letters_to(kafka, given.get(_TOPIC) or DEAD_LETTER.name, given.get(_JOB) or "udfs")


@cache
def letters_to(kafka: str, topic: str, job: str) -> Letters:
    """One for all functions of a job in this process; `kafka` empty: only this process's log tells of failures."""
    return Letters(kafka, topic, job)


@dataclass
class _Due:
    """What is to be told of one function: its first failure since the last letter, and how many there were."""

    why: str
    arguments: list[str]
    failures: int = 0
    lost: int = 0
    """Letters that Kafka did not take."""

    def detail(self, function: str) -> str:
        """For people, in a line."""
        told = f"{function}({', '.join(self.arguments)}) gave null: {self.why}"
        told += f"; {self.failures} failures since the last letter, this is the first" if self.failures > 1 else ""
        return told + (f"; {self.lost} letters before this one did not reach Kafka" if self.lost else "")


class Letters:
    """Tells of failures on `topic`, in the name of `job`. For any number of threads."""

    def __init__(self, kafka: str, topic: str, job: str) -> None:
        self.to = kafka, topic
        self._job = job
        self._changed = threading.Condition()
        self._due: dict[str, _Due] = {}
        self._thread: threading.Thread | None = None
        self._hurry = False

    @property
    def running(self) -> bool:
        """Whether there is something to tell, or was within the last second."""
        return self._thread is not None

    def failed(self, function: str, error: BaseException, arguments: Sequence[Any]) -> None:
        """Takes a failure in. Raises nothing: the row is null, and its job goes on."""
        with self._changed:
            due = self._due.get(function)
            if due is None:
                due = self._due[function] = _Due(_told(error), [shortened(each) for each in arguments])
            due.failures += 1
            if self._thread is None:
                thread = threading.Thread(target=self._tell, name="function-letters", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return  # no room for a thread: it is counted, and the next failure tries again
                self._thread = thread

    def settle(self, seconds: float = SETTLE_S) -> None:
        """Sends what is due now, before the process may end; waits so long at most."""
        with self._changed:
            self._hurry = self._thread is not None
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._thread is None, seconds):
                counts = {name: due.failures for name, due in self._due.items()}
                _log.warning("failures of functions of %s that no letter tells of yet: %s", self._job, counts)
            self._hurry = False

    def _tell(self) -> None:
        producer: Any = None
        while True:
            with self._changed:
                due, self._due = self._due, {}
                if not due:
                    self._thread = None
                    self._changed.notify_all()
                    return
            try:
                producer = producer or self._producer()
            except Exception as error:
                _log.warning("no producer for letters of functions of %s: %r", self._job, error)
                for function, one in due.items():
                    self._back(function, one)
            else:
                self._send(producer, due)
            with self._changed:
                self._changed.wait_for(lambda: self._hurry, EVERY_S)

    def _producer(self) -> Any:
        if not self.to[0]:
            return None
        from confluent_kafka import Producer  # a process in which nothing fails does without

        return Producer({"bootstrap.servers": self.to[0], "acks": "all", "message.timeout.ms": PATIENCE_MS})

    def _send(self, producer: Any, due: Mapping[str, _Due]) -> None:
        for function, one in due.items():
            _log.warning("%s: %s", self._job, one.detail(function))
            if producer is not None:
                reported = partial(self._reported, function, one)
                try:
                    producer.produce(self.to[1], codec.encode(self._letter(function, one)), b"", on_delivery=reported)
                except Exception as error:
                    reported(error, None)
        if producer is not None:
            producer.flush(PATIENCE_MS / 1_000 + 1)

    def _letter(self, function: str, one: _Due) -> DeadLetter:
        given = json.dumps({"function": function, "arguments": one.arguments, "failures": one.failures})
        return DeadLetter(
            v=codec.VERSION,
            reason=REASON,
            detail=one.detail(function),
            topic="",
            tenant="",
            device="",
            door=self._job,
            received=now_ms(),
            payload=base64.b64encode(given.encode()).decode(),
        )

    def _reported(self, function: str, one: _Due, error: Any, _message: Any) -> None:
        if error is not None:
            _log.warning("a letter of %s of %s did not reach Kafka: %s", function, self._job, error)
            self._back(function, one)

    def _back(self, function: str, one: _Due) -> None:
        """Puts what was not told back in front of what has failed since."""
        with self._changed:
            since = self._due.get(function)
            failures, lost = (since.failures, since.lost) if since is not None else (0, 0)
            self._due[function] = _Due(one.why, one.arguments, one.failures + failures, one.lost + lost + 1)


def _told(error: BaseException) -> str:
    try:
        said = " ".join(str(error).split())[:200].encode(errors="backslashreplace").decode()
    except Exception:
        said = ""  # it cannot even say what it is
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
