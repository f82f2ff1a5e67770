"""The evaluator in Flink: one device a key, rules and devices as broadcast state, log time as the only clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream.functions import KeyedBroadcastProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from headwater.model import codec
from headwater.model.alert import AlertEvent
from headwater.model.errors import BadRecord
from headwater.model.pack import Pack
from headwater.rules.desk import Desk
from headwater.rules.item import Tick, slices
from headwater.rules.state import State
from headwater.rules.step import step

CONTROL = MapStateDescriptor("control", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
"""Broadcast: a place for each record of rules and devices that said something new, numbered in their order.

Bytes, since each checkpoint writes all of it on every subtask, and Flink writes a string character by character.
"""

EVENTS = Types.ROW_NAMED(["record_key", "payload", "log_time"], [Types.STRING(), Types.STRING(), Types.LONG()])

_LOOK_MS = 1_000
"""How often an open episode asks whether an edit has closed it, in log time."""


class Memory(msgspec.Struct, omit_defaults=True):
    """What is kept of a device: the evaluator's state, the timer that is set, and packs that wait for their rules."""

    state: State
    armed: int = 0
    waiting: list[tuple[int, str]] = []


_decoder = msgspec.json.Decoder(Memory)


class JudgeDevices(KeyedBroadcastProcessFunction):  # type: ignore[misc]
    """Packs of a device and records of rules and devices in, events of alerts out.

    A pack is judged when every version that counts at its log time is known. Versions count `delay_ms` after they were
    appended, so that is the case at once unless the job has just started or the control topics are behind; else it
    waits for the watermark, and those after it with it. Silence is judged by event-time timers, which are log time.
    """

    def __init__(self, partitions: int, delay_ms: int) -> None:
        self._partitions, self._delay_ms = partitions, delay_ms

    def open(self, runtime_context: RuntimeContext) -> None:
        """Before the first record."""
        self._memory = runtime_context.get_state(ValueStateDescriptor("memory", Types.STRING()))
        self._desk: Desk | None = None
        self._taken = 0

    def process_broadcast_element(self, value: Row, ctx: Any) -> None:
        """Takes in a record of the control topics."""
        kind, partition, payload, log_time = value[0], value[1], value[2], value[3]
        state = ctx.get_broadcast_state(CONTROL)
        desk = self._known(state)
        if desk.take(kind, log_time, payload.encode()):
            self._taken += 1
            state.put(f"{self._taken:012d}", msgspec.json.encode((kind, log_time, payload)))
        desk.reached(kind, partition, log_time)

    def process_element(self, value: Row, ctx: Any) -> Iterator[Row]:
        """Judges a pack, or lets it wait."""
        key, payload, log_time = value[0], value[1], value[2]
        desk = self._known(ctx.get_broadcast_state(CONTROL))
        before, memory = self._recall()
        if memory.waiting or log_time > desk.known_until:
            memory.waiting.append((log_time, payload))
            ctx.timer_service().register_event_time_timer(log_time)
        else:
            yield from self._judge(desk, memory, key, log_time, payload)
        self._keep(before, memory, ctx)

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Row]:
        """Log time has come to `timestamp`, and all that counts up to it is known."""
        desk = self._known(ctx.get_broadcast_state(CONTROL))
        (before, memory), key = self._recall(), ctx.get_current_key()
        while memory.waiting and memory.waiting[0][0] <= timestamp:
            yield from self._judge(desk, memory, key, *memory.waiting.pop(0))
        if memory.armed and memory.armed <= timestamp:
            memory.armed = 0
        if not memory.state.empty:
            tenant, _, device = key.partition("/")
            events, _ = step(desk.rules(tenant, device), memory.state, Tick(timestamp))
            yield from _rows(key, events)
        self._keep(before, memory, ctx)

    def _judge(self, desk: Desk, memory: Memory, key: str, log_time: int, payload: str) -> Iterator[Row]:
        try:
            pack = codec.decode(Pack, payload.encode())
        except BadRecord:
            return  # the aggregation job has made a dead letter of it
        if not desk.watches(pack.tenant):
            return
        rules = desk.rules(pack.tenant, pack.device)
        for item in slices(pack, log_time):
            events, _ = step(rules, memory.state, item)
            yield from _rows(key, events)

    def _known(self, state: Any) -> Desk:
        """The desk; after a restart from what was broadcast before."""
        if self._desk is None:
            self._desk = Desk(self._partitions, self._delay_ms)
            for place, packed in sorted(state.items()):
                kind, log_time, payload = msgspec.json.decode(packed)
                self._desk.take(kind, log_time, payload.encode())
                self._taken = int(place)
        return self._desk

    def _recall(self) -> tuple[str, Memory]:
        """What is kept, as text and as it is used."""
        text = self._memory.value() or ""
        return text, _decoder.decode(text) if text else Memory(State())

    def _keep(self, before: str, memory: Memory, ctx: Any) -> None:
        """Writes what has changed, with a timer for what log time alone may bring; nothing is kept of nothing."""
        wakes = [] if memory.state.wake is None else [memory.state.wake]
        if memory.state.open:
            wakes.append(memory.state.at + _LOOK_MS)
        if wakes and not 0 < memory.armed <= min(wakes):
            memory.armed = min(wakes)
            ctx.timer_service().register_event_time_timer(memory.armed)
        nothing = memory.state.empty and not memory.waiting
        after = "" if nothing else msgspec.json.encode(memory).decode()
        if after == before:
            return
        if nothing:
            self._memory.clear()
        else:
            self._memory.update(after)


def _rows(key: str, events: list[AlertEvent]) -> Iterator[Row]:
    for event in events:
        yield Row(key, codec.encode(event).decode(), event.log_time)
