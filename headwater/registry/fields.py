"""What each field of a site, model or device may say, checked one by one: a message names every fault at once."""

from __future__ import annotations

import difflib
import json
import math
import re
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from headwater.model.device import MetricOfModel, Scalar
from headwater.model.errors import BadRequest, Fault
from headwater.registry.names import MAX_NAME, check_name, control

Check = Callable[[object], Any]
"""Gives the value as it is stored. Raises `ValueError`, whose text says what was expected and what to do."""

MAX_TITLE = 200
MAX_TEXT = 1_000
MAX_TAGS = 64
MAX_ATTRIBUTES = 200
MAX_CLIENT_BYTES = 16_384
"""Most bytes (JSON) of what a device says of itself, in a message and in all."""
MAX_METRICS = 256
METRIC_FIELDS = ("unit", "scale", "low", "high", "sensitivity", "title")
_TAG = re.compile(r"[^\s,;+#/\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,64}")


def take(given: Mapping[str, object], checks: Mapping[str, Check], at: str = "") -> tuple[dict[str, Any], list[Fault]]:
    """The fields of `given` as they are stored, and what is wrong with the others. `at` goes before a field's name."""
    taken: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, value in given.items():
        check = checks.get(name)
        if check is None:
            faults.append(unknown(at + name, name, checks))
            continue
        try:
            taken[name] = check(value)
        except FieldFaults as error:
            faults += [Fault(at + name + fault.field, fault.message) for fault in error.faults]
        except (ValueError, BadRequest) as error:
            faults.append(Fault(at + name, f"{error}, got {shown(value)}" if type(error) is ValueError else str(error)))
    return taken, faults


class FieldFaults(ValueError):
    """Several faults within one field; their `field` is the place within it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = faults


def unknown(place: str, name: str, known: Iterable[str]) -> Fault:
    """The fault of a field that does not exist, with the nearest that does."""
    names = list(known)
    near = difflib.get_close_matches(name.lower(), names, 1, 0.4)
    advice = f"nearest: {near[0]}" if near else f"there are {', '.join(names)}"
    return Fault(place, f"expected a known field, got {name!r}; {advice}")


def shown(value: object) -> str:
    """A value as a message names it, cut short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def name_of(kind: str) -> Check:
    """A name of a tenant, device, site or model."""

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"expected a {kind} name as text")
        return check_name(value, kind)

    return check


def optional(check: Check) -> Check:
    """None and empty text mean: none."""
    return lambda value: None if value is None or value == "" else check(value)


def text(most: int = MAX_TEXT) -> Check:
    """Text of at most so many characters, without controls."""

    def check(value: object) -> str:
        if not isinstance(value, str) or len(value) > most or any(control(c) for c in value):
            raise ValueError(f"expected text of at most {most} characters without controls")
        return value

    return check


def zone(value: object) -> str:
    """A time zone by its IANA name."""
    names = zoneinfo.available_timezones()
    if not isinstance(value, str) or value not in names:
        near = difflib.get_close_matches(str(value), sorted(names), 1, 0.6)
        raise ValueError(f"expected a time zone as {near[0] if near else 'Europe/Berlin'}")
    return value


def tags(value: object) -> list[str]:
    """A list of tags, or text with `;` or spaces between them; sorted, each once."""
    words: object = re.split(r"[;\s]+", value.strip()) if isinstance(value, str) else value
    if not isinstance(words, list | tuple):
        raise ValueError("expected a list of tags, or text with ; between them")
    found = sorted({word for word in words if isinstance(word, str) and word})
    wrong = [word for word in words if not isinstance(word, str) or (word and not _TAG.fullmatch(word))]
    if wrong:
        raise ValueError(f"expected tags of 1 to 64 characters without spaces , ; + # /, and {shown(wrong[0])} is none")
    if len(found) > MAX_TAGS:
        raise ValueError(f"expected at most {MAX_TAGS} tags")
    return found


def number(value: object) -> float:
    """A finite number; from a file also as text."""
    try:
        made = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        made = math.nan
    if not math.isfinite(made):
        raise ValueError("expected a number")
    return made


def whole(least: int, most: int) -> Check:
    """A whole number between the two, both included."""

    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"expected a whole number from {least} to {most}")
        return value

    return check


def scale(value: object) -> float:
    """A factor: a number, not 0."""
    made = number(value)
    if made == 0:
        raise ValueError("expected a number that is not 0: a reading times scale is the value in the unit")
    return made


def sensitivity(value: object) -> float:
    """The smallest change that means something: a number above 0."""
    made = number(value)
    if made <= 0:
        raise ValueError("expected a number above 0")
    return made


def facts(value: object) -> dict[str, Scalar]:
    """Attributes of one scope: name -> text, number or boolean."""
    if not isinstance(value, Mapping):
        raise ValueError("expected an object of names and values")
    if len(value) > MAX_ATTRIBUTES:
        raise ValueError(f"expected at most {MAX_ATTRIBUTES} attributes")
    checks = dict.fromkeys(value, scalar)
    wrong = [name for name in value if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or control_in(name)]
    if wrong:
        raise ValueError(
            f"expected names of 1 to {MAX_NAME} characters without controls, and {shown(wrong[0])} is none"
        )
    taken, faults = take(value, checks, ".")
    if faults:
        raise FieldFaults(faults)
    return taken


def control_in(words: str) -> bool:
    """True if there is a control character in it."""
    return any(control(c) for c in words)


def scalar(value: object) -> Scalar:
    """The value of an attribute."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected a finite number")
    if not isinstance(value, str | bool | int | float | None) or (isinstance(value, int) and abs(value) >= 2**63):
        raise ValueError("expected text, a number or a boolean")
    return text()(value) if isinstance(value, str) else value


def metrics(value: object) -> dict[str, MetricOfModel]:
    """The metrics of a model by name."""
    if not isinstance(value, Mapping):
        raise ValueError("expected an object of metrics by name")
    if len(value) > MAX_METRICS:
        raise ValueError(f"expected at most {MAX_METRICS} metrics")
    taken, faults = take(value, dict.fromkeys(value, metric), ".")
    for name in value:
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or control_in(name):
            faults.append(Fault(f".{name}", f"expected a name of 1 to {MAX_NAME} characters without controls"))
    if faults:
        raise FieldFaults(faults)
    return dict(sorted(taken.items()))


def metric(value: object) -> MetricOfModel:
    """What a model says of a metric; None and an empty object say nothing."""
    if not isinstance(value, Mapping | None):
        raise ValueError(f"expected an object of {', '.join(METRIC_FIELDS)}")
    checks = {
        "unit": text(64),
        "scale": scale,
        "low": optional(number),
        "high": optional(number),
        "sensitivity": optional(sensitivity),
        "title": text(MAX_TITLE),
    }
    taken, faults = take(value or {}, checks, ".")
    low, high = taken.get("low"), taken.get("high")
    if low is not None and high is not None and low > high:
        faults.append(Fault(".low", f"expected low not above high, got {low} and {high}"))
    if faults:
        raise FieldFaults(faults)
    return MetricOfModel(**taken)
