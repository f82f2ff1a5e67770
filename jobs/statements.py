"""From files in `sql/` to statements: the one place where SQL is completed with settings and generated lists.

Flink has no sum over an array, so the sums of a pack are written out term by term, from the cap of a pack.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

from headwater.model import fleet, topics
from headwater.model.pack import PANE_MS
from headwater.model.settings import JobSettings

COLUMNS_CHECKED = 8
"""Lists of a pack whose lengths are compared one by one; a pack with more of them is compared as text, a bit dearer."""

REGISTRY_BEFORE_MS = 3_600_000
"""How much of the registry is read before the first record of the log: many times what it takes to be whole."""

NEWEST_PANE = 253_402_300_800_000 - PANE_MS
"""The last pane of the year 9999: no store and no client could name a later one, and sums of stamps would wrap."""


@dataclass(frozen=True)
class Log:
    """Which log a job reads, from where, and the generation of its rows.

    `prefix` stands before each topic's name (a replay beside the live topics); `from_ms` starts at the first record
    appended at or after that log time (None: at the oldest); `bounded` stops at the end that the log has at the start.
    `of` is the prefix of the log that is read, where it is not `prefix`; `spans` are (partition, first offset, end) of
    what is read of it, of every partition, instead of `from_ms` and `bounded`.
    `generations` are (pane, generation): rows of panes from `pane` (epoch ms) on have that one; before the first of
    them, and without any, it is HEADWATER_GENERATION.
    `job` names the consumer group, by which positions are told apart.
    """

    prefix: str = ""
    from_ms: int | None = None
    bounded: bool = False
    of: str | None = None
    spans: tuple[tuple[int, int, int], ...] = ()
    generations: tuple[tuple[int, int], ...] = ()
    job: str = "aggregation"

    def generation(self, least: int) -> str:
        """The generation of a row as an expression over its pane; `least` where `generations` say nothing."""
        cases = [
            f"when pane >= {pane} then {generation}" for pane, generation in sorted(self.generations, reverse=True)
        ]
        return f"case {' '.join(cases)} else {least} end" if cases else str(least)

    def first_pane(self, ahead_ms: int) -> int:
        """The first pane of which a job that starts at `from_ms` sees everything, if it is not too late for it.

        Earlier ones were closed before: their rows are whole. Of a part of their packs the job would make rows that may
        be of the same version (the rest came twice) and hold other values, as it takes a later copy for the first.
        """
        if self.from_ms is None:
            return 0
        least = self.from_ms + ahead_ms
        return least + -least % PANE_MS

    def registry_scan(self) -> str:
        """Where the registry starts and stops: an hour before the log does.

        Every device that is registered was published again in each few minutes of it (HEADWATER_REGISTRY_REPUBLISH_MS),
        so what is in force is known at the first record of the log. A job that is to end reads the registry up to the
        end that it has now: versions are chosen by log time.
        """
        options = {"scan.startup.mode": "earliest-offset"}
        if self.from_ms is not None:
            options = _from(max(0, self.from_ms - REGISTRY_BEFORE_MS))
        if self.bounded or self.spans:
            options["scan.bounded.mode"] = "latest-offset"
        return _options(options)

    def scan(self) -> str:
        """Where the source starts and stops, as table options."""
        options = {"scan.startup.mode": "earliest-offset"}
        if self.from_ms is not None:
            options = _from(self.from_ms)
        if self.bounded:
            options["scan.bounded.mode"] = "latest-offset"
        if self.spans:
            first = ";".join(f"partition:{one},offset:{first}" for one, first, _ in self.spans)
            end = ";".join(f"partition:{one},offset:{end}" for one, _, end in self.spans)
            options = {
                "scan.startup.mode": "specific-offsets",
                "scan.startup.specific-offsets": first,
                "scan.bounded.mode": "specific-offsets",
                "scan.bounded.specific-offsets": end,
            }
        return _options(options)


def _from(log_time: int) -> dict[str, str]:
    return {"scan.startup.mode": "timestamp", "scan.startup.timestamp-millis": str(log_time)}


def _options(options: Mapping[str, str]) -> str:
    return "\n    ".join(f"'{name}' = '{value}'," for name, value in options.items())


def statement(name: str, settings: JobSettings, log: Log, **other: str) -> str:
    """The text of `sql/<name>.sql`, complete. A placeholder without a value raises KeyError.

    `other` stands for placeholders in the place of what `values` says.
    """
    text = files("sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")
    return Template(text).substitute({**values(settings, log), **other})


def values(settings: JobSettings, log: Log) -> dict[str, Any]:
    """What stands for each placeholder; a topic's is its own name, with underscores."""
    terms = range(1, settings.pack_cap + 1)
    read = log.prefix if log.of is None else log.of
    return {
        **{
            topic.name.replace("-", "_"): (read if topic.first_append else log.prefix) + topic.name
            for topic in topics.ALL
        },
        "bootstrap": settings.kafka,
        "group": f"{log.prefix}headwater-{log.job}",
        "delay": f"{settings.rules_delay_ms / 1_000:.3f}",
        "scan": log.scan(),
        "registry_scan": log.registry_scan(),
        **{view: view for view in ("masked_stamps", "masked_values", "pieces")},
        "site": fleet.SITE,
        "model": fleet.MODEL,
        "cap": settings.pack_cap,
        "generation": log.generation(settings.generation),
        "late_after": PANE_MS + settings.horizon_ms,
        "newest_pane": NEWEST_PANE,
        "first_pane": log.first_pane(settings.ahead_ms),
        "sum": " + ".join(f"coalesce(w[{i}], 0e0)" for i in terms),
        "sum_sq": " + ".join(f"coalesce(w[{i}] * w[{i}], 0e0)" for i in terms),
        "masked": ",\n            ".join(
            f"case when array_contains(s.new_at, s.`at`[{i}]) then m.vs[{i}] end" for i in terms
        ),
        "ragged": ragged(),
    }


def ragged() -> str:
    """True where a list of a pack is missing, shorter or longer than `at`, or holds what is no number to sum up.

    Flink's arrays have no search for NaN; as text, NULL, NaN, infinities, and values from 1e100 on (whose squares
    would add up to an infinity) are found in one pass over all lists.
    """
    lists, stamps = "map_values(metrics)", "cardinality(`at`)"
    text = f"cast({lists} as string)"
    one = f"concat('[', repeat(',', {stamps} - 1), ']')"
    even = f"concat('[', repeat(concat({one}, ','), cardinality(metrics) - 1), {one}, ']')"
    checks = [f"array_contains({lists}, cast(null as array<double>))"]
    checks += [
        f"(cardinality(metrics) >= {i} and cardinality({lists}[{i}]) <> {stamps})"
        for i in range(1, COLUMNS_CHECKED + 1)
    ]
    checks.append(f"(cardinality(metrics) > {COLUMNS_CHECKED} and regexp_replace({text}, '[^\\[\\],]', '') <> {even})")
    checks.append(f"regexp({text}, '[NI]|E[0-9]{{3}}')")
    return "\n            or ".join(checks)
