"""The fleet's MQTT connection against a broker of raw bytes, which says what a real one says only when it must."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from types import SimpleNamespace

import pytest

from headwater.workers.fleet_link import QUEUE, Address, Link, Tally

CONNACK, REFUSED = b"\x20\x03\x00\x00\x00", b"\x20\x03\x00\x97\x00"
Talk = Callable[["Side"], Awaitable[None]]


class Side:
    """The broker's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def packet(self) -> tuple[int, bytes]:
        """First byte and body of the next packet."""
        [first] = await self.reader.readexactly(1)
        length = shift = 0
        while True:
            [byte] = await self.reader.readexactly(1)
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return first, await self.reader.readexactly(length)

    async def published(self) -> tuple[bool, int, str, bytes]:
        """The next message: sent once before, packet id, topic, payload."""
        first, body = await self.packet()
        assert first & 0xF6 == 0x32
        end = 2 + int.from_bytes(body[:2], "big")
        assert body[end + 2] == 0
        return bool(first & 8), int.from_bytes(body[end : end + 2], "big"), body[2:end].decode(), body[end + 3 :]

    async def accept(self) -> bytes:
        """Lets in whoever connects; what the CONNECT said."""
        first, body = await self.packet()
        assert first == 0x10
        self.writer.write(CONNACK)
        return body


def played(*talks: Talk, messages: int = 0) -> SimpleNamespace:
    """What a link has counted when the last talk has ended; the first one answers its first connection, and so on."""

    async def play() -> SimpleNamespace:
        over = [asyncio.Event() for _ in talks]
        made = iter(zip(talks, over, strict=True))
        failed: list[Exception] = []
        writers: list[asyncio.StreamWriter] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talk, end = next(made)
            try:
                await asyncio.wait_for(talk(Side(reader, writer)), 60)
            except Exception as error:
                failed.append(error)
            writers.append(writer)
            end.set()
            if end is not over[-1]:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        tally = Tally()
        port = server.sockets[0].getsockname()[1]
        link = Link("t/d", "secret", Address("127.0.0.1", port), tally)
        for number in range(messages):
            link.publish("v1/t/d/telemetry", str(number).encode())
        link.connect()
        await asyncio.wait_for(asyncio.gather(*(one.wait() for one in over)), 120)
        await asyncio.sleep(0.05)
        found = SimpleNamespace(**asdict(tally))
        link.close()
        for writer in writers:
            writer.close()
        server.close()
        await asyncio.sleep(0.01)
        if failed:
            raise failed[0]
        return found

    return asyncio.run(play())


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr("headwater.workers.fleet_link._FIRST_RETRY_S", 0.01)


def test_it_says_who_it_is_and_sends_what_has_waited():
    said = []

    async def talk(side: Side) -> None:
        said.append(await side.accept())
        for number in range(3):
            again, packet_id, topic, payload = await side.published()
            assert (again, topic, payload) == (False, "v1/t/d/telemetry", str(number).encode())
            side.writer.write(b"\x40\x02" + packet_id.to_bytes(2, "big"))

    tally = played(talk, messages=3)
    assert said[0].endswith(b"\0\x09fleet-t/d\0\x03t/d\0\x06secret")
    assert (tally.connected, tally.acknowledged, tally.refused) == (1, 3, 0)


def test_what_was_not_acknowledged_is_sent_again_and_marked():
    async def dies(side: Side) -> None:
        await side.accept()
        await side.published()

    async def lives(side: Side) -> None:
        await side.accept()
        sent = [await side.published() for _ in range(2)]
        assert [again for again, *_ in sent] == [True, True]
        for _, packet_id, *_ in sent:
            side.writer.write(b"\x40\x02" + packet_id.to_bytes(2, "big"))

    tally = played(dies, lives, messages=2)
    assert (tally.connected, tally.acknowledged) == (1, 2)


def test_no_more_than_ten_are_on_their_way():
    async def talk(side: Side) -> None:
        await side.accept()
        ids = [(await side.published())[1] for _ in range(10)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(side.reader.readexactly(1), 0.2)
        side.writer.write(b"\x40\x02" + ids[0].to_bytes(2, "big"))
        assert (await side.published())[3] == b"10"

    assert played(talk, messages=12).acknowledged == 1


def test_packets_in_pieces_and_several_at_once_are_read():
    async def talk(side: Side) -> None:
        await side.packet()
        for byte in CONNACK:
            side.writer.write(bytes([byte]))
            await asyncio.sleep(0.01)
        ids = [(await side.published())[1] for _ in range(2)]
        # The second one is refused: quota exceeded (MQTT 5.0, 3.4.2.1).
        first, second = (one.to_bytes(2, "big") for one in ids)
        side.writer.write(b"\xd0\x00" + b"\x40\x02" + first + b"\x40\x03" + second + b"\x97")

    tally = played(talk, messages=2)
    assert (tally.acknowledged, tally.refused) == (1, 1)


def test_one_that_is_refused_comes_again():
    async def refuse(side: Side) -> None:
        await side.packet()
        side.writer.write(REFUSED)

    async def accept(side: Side) -> None:
        await side.accept()

    tally = played(refuse, accept)
    assert (tally.refused, tally.connected) == (1, 1)


def test_what_does_not_fit_while_the_broker_is_away_is_counted():
    async def accept(side: Side) -> None:
        await side.accept()

    assert played(accept, messages=QUEUE + 7).not_sent == 7
