"""Shares of the devices: an audit of very many readings holds those of one share at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """Devices by name, in the order of code points: from `first` on and before `end`; an empty `end` is none."""

    first: str = ""
    end: str = ""

    def has(self, device: str) -> bool:
        """Whether the device is of this share."""
        return self.first <= device and (not self.end or device < self.end)


EVERYTHING = Share()


def shares_of(records: Mapping[str, int], most: int) -> list[Share]:
    """Shares of about `most` records, given how many each device has; a device is never parted."""
    edges, held = [""], 0
    for device in sorted(records):
        if held and held + records[device] > most:
            edges.append(device)
            held = 0
        held += records[device]
    return [Share(first, end) for first, end in zip(edges, [*edges[1:], ""], strict=True)]
