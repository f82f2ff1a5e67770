"""What alerts are judged by: the rules of every tenant and what the registry says of devices, as records come in."""

from __future__ import annotations

from headwater.model import codec
from headwater.model.device import DeviceRecord
from headwater.model.errors import BadRecord
from headwater.model.pack import PULSE_TENANT
from headwater.model.rule import Rule, Subject
from headwater.rules.book import Book, Rules

RULE, DEVICE = "rule", "device"
"""Kinds of records."""
_NEVER = -(1 << 62)


class Desk:
    """Records are taken in the order of each (kind, partition); what they say counts `delay_ms` after their log time.

    `partitions` is how many each kind has: of each one something must have come before anything is known.
    """

    def __init__(self, partitions: int, delay_ms: int) -> None:
        self._delay_ms = delay_ms
        self._books: dict[str, Book] = {}
        self._devices: dict[tuple[str, str], list[tuple[int, Subject]]] = {}
        self._rules: dict[tuple[str, str], Rules] = {}
        self._come = {(kind, number): _NEVER for kind in (RULE, DEVICE) for number in range(partitions)}

    @property
    def known_until(self) -> int:
        """The log time (epoch ms) up to which all that counts is known. Records of one stamp may still follow."""
        return min(self._come.values()) + self._delay_ms - 1

    def reached(self, kind: str, partition: int, log_time: int) -> None:
        """A record of a partition has this log time, whatever it says."""
        self._come[kind, partition] = max(log_time, self._come.get((kind, partition), _NEVER))

    def take(self, kind: str, log_time: int, payload: bytes) -> bool:
        """Takes in what a record says. False if that was known, or nobody understands it."""
        try:
            if kind == RULE:
                rule = codec.decode(Rule, payload)
                return rule.tenant != PULSE_TENANT and self._book(rule.tenant).add(rule, log_time)
            return self._device(codec.decode(DeviceRecord, payload), log_time)
        except BadRecord:
            return False

    def watches(self, tenant: str) -> bool:
        """Whether a tenant has, or had, any rule."""
        return tenant in self._books

    def rules(self, tenant: str, device: str) -> Rules:
        """The rules of a device's tenant, as it is meant by them."""
        found = self._rules.get((tenant, device))
        if found is None:
            history = [subject for _, subject in self._devices.get((tenant, device), ())]
            found = self._rules[tenant, device] = Rules(self._book(tenant), tenant, device, history)
        return found

    def _book(self, tenant: str) -> Book:
        return self._books.setdefault(tenant, Book(self._delay_ms))

    def _device(self, record: DeviceRecord, log_time: int) -> bool:
        key = (record.tenant, record.device)
        versions = self._devices.setdefault(key, [])
        if versions and record.version <= versions[-1][0]:
            return False
        since = log_time + self._delay_ms
        if versions:
            since = max(since, versions[-1][1].since)
        versions.append((record.version, subject_of(record, since)))
        self._rules.pop(key, None)
        return True


def subject_of(record: DeviceRecord, since: int) -> Subject:
    """A device as scopes see it, from log time `since` (epoch ms) on."""
    return Subject(
        device=record.device,
        site=record.site or "",
        model=record.model or "",
        tags=tuple(record.tags),
        since=since,
        gone=record.deleted,
    )
