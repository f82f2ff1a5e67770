"""Fleets: the devices of a site or of a model, whose readings of a metric have one row a pane together.

Such a row stands beside the rows of devices, on `processed-data` and in every store, under a name that no device can
have: names of devices neither begin with `_` nor hold `/`. So whatever moves rows of devices moves those of fleets. A
reading belongs to the site and the model that its device had at the reading's log time, for good.
"""

from __future__ import annotations

from typing import NamedTuple

SITE = "_site/"
MODEL = "_model/"


class Place(NamedTuple):
    """What the registry said of a device at some log time; None where it said nothing."""

    site: str | None = None
    model: str | None = None

    @property
    def fleets(self) -> tuple[str, ...]:
        """The names under which the readings have rows, beside the device's own."""
        site = () if self.site is None else (SITE + self.site,)
        model = () if self.model is None else (MODEL + self.model,)
        return (*site, *model)


def is_fleet(device: str) -> bool:
    """Whether a row under this name is that of a fleet."""
    return device.startswith((SITE, MODEL))
