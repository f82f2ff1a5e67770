"""What `headwater doctor` looks at: each check says what it found and, if that is bad, what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from headwater.model.disk import MB, free_mb
from headwater.model.errors import HeadwaterError
from headwater.model.settings import DoorSettings, Settings, SinkSettings, state_folder
from headwater.stack import catalog, jars, places
from headwater.stack.life import holder
from headwater.stack.ports import PREFERRED, is_free
from headwater.stack.state import State
from headwater.stack.supervise import Supervisor

MEMORY_BYTES = 4 * 2**30
DISK_BYTES = 5 * 2**30
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Check:
    """One finding."""

    name: str
    good: bool
    said: str
    fix: str = ""


def python_check(version: tuple[int, int] = sys.version_info[:2]) -> Check:
    """PyFlink 2.3 runs on 3.11 and 3.12 of those that we support."""
    said = f"Python {version[0]}.{version[1]}"
    return Check(
        "python",
        version in ((3, 11), (3, 12)),
        said,
        "install Python 3.11 or 3.12, delete .venv/, and run `make up` again.",
    )


def jobs_check() -> Check:
    """The environment with PyFlink is there."""
    try:
        return Check("jobs", True, f"PyFlink in {places.jobs_site_packages()}")
    except HeadwaterError as error:
        return Check("jobs", False, str(error), "run `make up`.")


def memory_check(available: int | None = None) -> Check:
    """Room for the whole stack."""
    free = psutil.virtual_memory().available if available is None else available
    return Check(
        "memory",
        free >= MEMORY_BYTES,
        f"{free / 2**30:.1f} GiB available, the stack takes up to {MEMORY_BYTES / 2**30:.0f}",
        "end other programs, or replace a server by one elsewhere (HEADWATER_FLINK, HEADWATER_KAFKA, …).",
    )


def disk_check(free: int | None = None) -> Check:
    """Room for environments, jars and some days of data; below the low-water mark the doors refuse."""
    folder, mark = state_folder(), Settings().low_disk_mb
    left = free_mb(folder) * MB if free is None else free
    if left < mark * MB:
        return Check(
            "disk",
            False,
            f"{left / MB:,.0f} MB free in {folder}, less than HEADWATER_LOW_DISK_MB={mark}: devices are refused",
            "make room, or lower retention (HEADWATER_KEEP_…); doors open again by themselves.",
        )
    return Check(
        "disk",
        left >= DISK_BYTES,
        f"{left / 2**30:.1f} GiB free in {folder}, at least {DISK_BYTES / 2**30:.0f} wanted",
        "make room, or set HEADWATER_STATE to a folder on a larger disk.",
    )


def retention_check(oldest_ms: int | None = None) -> Check:
    """What a door takes must still find its place: rows and raw readings are kept for a day more than it may be old."""
    sinks = SinkSettings()
    oldest = (DoorSettings().oldest_ms if oldest_ms is None else oldest_ms) / DAY_MS
    least = min(sinks.keep_10s_days, sinks.keep_raw_days)
    return Check(
        "retention",
        least >= oldest + 1,
        f"doors take readings up to {oldest:.1f} days old, their rows are kept for {least} days",
        "raise HEADWATER_KEEP_10S_DAYS and HEADWATER_KEEP_RAW_DAYS, or lower HEADWATER_OLDEST_MS.",
    )


def jar_checks(state: State) -> Iterator[Check]:
    """Every locked jar is there, with the right sum."""
    bad = list(jars.broken(state.folder))
    for jar, what in bad:
        path = jars.folder(jar.set, state.folder) / jar.filename
        fix = "run `make up`." if what == "missing" else f"delete {path.resolve()}, then run `make up`."
        yield Check("jar", False, f"{jar.coordinate} of set {jar.set}: {what}", fix)
    if not bad:
        yield Check("jars", True, f"{len(jars.locked())} jars with the right sums")


def port_checks(ports: dict[str, int], host: str = "127.0.0.1") -> Iterator[Check]:
    """Every port is free for us. Ask only while the stack is down."""
    for name, port in ports.items():
        if not is_free(host, port):
            setting = f"HEADWATER_{name.upper().replace('-', '_')}_PORT"
            fix = f"end that program, or choose another port: {setting}=…"
            yield Check("port", False, f"{port} for {name} is taken{holder(port)}", fix)


def all_checks() -> Iterator[Check]:
    """All of them, in an order in which the first bad one is likely the cause of the others."""
    yield python_check()
    yield jobs_check()
    yield disk_check()
    yield retention_check()
    try:
        state = State.load()
    except HeadwaterError:
        yield from port_checks({name: PREFERRED[name] for name in ("api", "mqtt", "kafka", "flink")})
        yield memory_check()
        yield Check("stack", True, "not started yet: `make up`")
        return
    yield from jar_checks(state)
    if Supervisor(state).alive():
        yield from running_checks(state)
    else:
        yield memory_check()
        yield from port_checks(state.ports, state.host)
        yield Check("stack", True, "down: `make up` starts it")


def running_checks(state: State) -> Iterator[Check]:
    """Every program answers."""
    from headwater.stack.status import services

    on_demand = {program.name for program in catalog.programs(state) if program.on_demand}
    for service in services(state):
        if service.state == "stopped" and service.name in on_demand:
            continue
        if service.state not in ("healthy", "external"):
            fix = f"`headwater logs {service.name}`, then `make up`, which starts what does not run."
            yield Check("service", False, f"{service.name} is {service.state}: {service.why or 'see its log'}", fix)
    yield Check("stack", True, f"up, {len(catalog.programs(state))} programs")
