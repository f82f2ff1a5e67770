"""A range of the log in a file, with its log times, so that it can be played again elsewhere and years later.

The file is one gzip stream of frames, each a length (4 bytes, big endian) and that many bytes of msgpack. The first
frame is the head, the last one the foot, and each between them is a record: [partition, offset, log time, key, headers,
value]. Nothing of a record is interpreted, so a record that breaks the form of a pack is kept as it is.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # exports are not marked

from headwater.model.errors import HeadwaterError, StackError
from headwater.model.topics import Stamp, Topic
from headwater.truth.span import ASK_S, Entry, Span

FORMAT = "headwater-log"
VERSION = 1
_LENGTH = struct.Struct(">I")
_LARGEST = 64 * 1024 * 1024
_COMPRESSION = 5
_FOOT = b"foot"
_encoder = msgspec.msgpack.Encoder()


class BadLogFile(HeadwaterError):
    """A file that is no saved log, or not a whole one; `good` records before the fault can be read."""

    def __init__(self, message: str, good: int = 0) -> None:
        super().__init__(message)
        self.good = good


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a saved log is of: topic and its id, partitions, offsets (of the span, before any filter), times in ms."""

    format: str
    version: int
    topic: str
    log_id: str
    partitions: int
    first: dict[int, int]
    end: dict[int, int]
    saved_ms: int
    from_ms: int | None = None
    to_ms: int | None = None
    tenant: str | None = None


def head_of(span: Span, saved_ms: int, from_ms: int | None, to_ms: int | None, tenant: str | None) -> Head:
    """The head of a file that holds `span`."""
    return Head(
        format=FORMAT,
        version=VERSION,
        topic=span.topic,
        log_id=span.log_id,
        partitions=len(span.end),
        first=dict(span.first),
        end=dict(span.end),
        saved_ms=saved_ms,
        from_ms=from_ms,
        to_ms=to_ms,
        tenant=tenant,
    )


def write(path: Path, head: Head, entries: Iterable[Entry]) -> int:
    """Writes the file whole or not at all (a file of that name is replaced at the end); returns the records in it."""
    beside = path.with_name(path.name + ".part")
    count = 0
    try:
        with gzip.open(beside, "wb", compresslevel=_COMPRESSION) as file:
            _put(file, _encoder.encode(head))
            for entry in entries:
                _put(file, _encoder.encode(tuple(entry)))
                count += 1
            _put(file, _encoder.encode([_FOOT, count]))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return count


def _put(file: gzip.GzipFile, frame: bytes) -> None:
    file.write(_LENGTH.pack(len(frame)))
    file.write(frame)


def read(path: Path) -> tuple[Head, Iterator[Entry]]:
    """The head, and the records in the order in which they were saved (each partition in its own order).

    Raises `BadLogFile` at once if it is no saved log; the records raise it where the file is cut off or damaged.
    """
    frames = _frames(path)
    first = next(frames, b"")
    try:
        head = msgspec.msgpack.decode(first, type=Head)
    except msgspec.DecodeError as error:
        raise BadLogFile(
            f"{path}: expected a log saved by `headwater log save`, got something else: {error}"
        ) from error
    if head.format != FORMAT or not 1 <= head.version <= VERSION:
        raise BadLogFile(
            f"{path}: expected {FORMAT} of version 1 to {VERSION}, got {head.format} of version {head.version}"
        )
    return head, _entries(path, frames)


def _entries(path: Path, frames: Iterator[bytes]) -> Iterator[Entry]:
    decode = msgspec.msgpack.Decoder(list[Any]).decode
    count = 0
    while True:
        try:
            frame = decode(next(frames))
            if frame[0] == _FOOT:
                if frame[1] != count:
                    raise ValueError(f"the file says {frame[1]} records")
                return
            partition, offset, log_time, key, headers, value = frame
            entry = Entry(partition, offset, log_time, key, tuple((name, held) for name, held in headers), value)
        except StopIteration:
            raise BadLogFile(f"{path}: the file is cut off; {count} records before that are good", count) from None
        except (ValueError, TypeError, IndexError, BadLogFile) as error:
            raise BadLogFile(
                f"{path}: the file is damaged ({error}); {count} records before that are good", count
            ) from error
        yield entry
        count += 1


def _frames(path: Path) -> Iterator[bytes]:
    """Frames until the stream ends, whole or not; raises `BadLogFile` if it is damaged."""
    try:
        with gzip.open(path, "rb") as file:
            while len(length := file.read(_LENGTH.size)) == _LENGTH.size:
                (wanted,) = _LENGTH.unpack(length)
                if wanted > _LARGEST:
                    raise BadLogFile(f"a frame of {wanted} bytes")
                frame = file.read(wanted)
                if len(frame) < wanted:
                    return
                yield frame
    except EOFError:
        return
    except (gzip.BadGzipFile, zlib.error) as error:
        raise BadLogFile(f"{path}: expected a gzip stream, got {error}") from error


def of_tenant(entries: Iterable[Entry], tenant: str, pulse: str) -> Iterator[Entry]:
    """Those that one tenant's doors or the pulse wrote, by their keys; log time must move in a saved log too."""
    wanted = (f"{tenant}/".encode(), f"{pulse}/".encode())
    return (entry for entry in entries if (entry.key or b"").startswith(wanted))


def make_topic(bootstrap: str, name: str, like: Topic, partitions: int) -> None:
    """Makes a topic that takes log times as they are given, and keeps them however old they are.

    Raises `StackError` if the topic is there and is another kind of topic, or holds records already.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
    config = {
        "cleanup.policy": "delete",
        "message.timestamp.type": Stamp.PRODUCER.value,
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "max.message.bytes": str(like.max_bytes),
    }
    try:
        admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(ASK_S)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            raise StackError(
                f"The topic {name} is there already: its order and its log times could not be kept.",
                "choose another prefix with --into, or delete the topic.",
            ) from error
        raise StackError(f"The topic {name} could not be made: {error}.", "see `headwater logs kafka`.") from error


def drop_topics(bootstrap: str, names: list[str]) -> None:
    """Deletes topics; those that are not there are no error. Raises `StackError` if Kafka does not do it."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
    for name, future in admin.delete_topics(names).items():
        try:
            future.result(ASK_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise StackError(f"The topic {name} could not be deleted: {error}.", "delete it by hand.") from error


def append(bootstrap: str, topic: str, entries: Iterable[Entry]) -> int:
    """Appends the records with the log times that they had, each to its partition, in order; returns how many.

    Returns when Kafka has all of them; raises `StackError` if it does not take them.
    """
    producer = Producer(
        {"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 20, "log_level": 3}
    )
    failures: list[KafkaError] = []

    def reported(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error)

    count = 0
    for entry in entries:
        while True:
            try:
                producer.produce(
                    topic,
                    key=entry.key,
                    value=entry.value,
                    partition=entry.partition,
                    timestamp=entry.log_time,
                    headers=list(entry.headers),
                    on_delivery=reported,
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
        count += 1
    left = producer.flush(120)
    if left or failures:
        why = failures[0].str() if failures else "no answer"
        raise StackError(f"Kafka did not take {left + len(failures)} of {count} records: {why}.", "`headwater status`.")
    return count
