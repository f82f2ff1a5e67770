"""Random events of alerts, and the episodes that they make by a plain reading of the definition."""

import random
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from headwater.model.alert import AlertEvent, alert_id
from headwater.model.rule import SEVERITIES

T0 = 1_790_000_000_000
HAPPENED = ("raised", "escalated", "deescalated", "cleared")


def tell(rng: random.Random, tenant: str, device: str, start: int, cleared: bool) -> list[AlertEvent]:
    """The events of one alert, in their order: raised, some changes, and at last cleared, or not yet."""
    severity, now, at, events = rng.randrange(3), start, start, []
    for happened in ("raised", *rng.choices(("escalated", "deescalated"), k=rng.randrange(4)), "cleared"):
        if happened == "cleared" and not cleared:
            break
        severity += {"escalated": 1, "deescalated": -1}.get(happened, 0)
        severity = min(max(severity, 0), len(SEVERITIES) - 1)
        # Events of one record have its log time, and each its own reading.
        now, at = now + rng.choice([0, 1, 700]), at + rng.randrange(1, 90)
        events.append(
            AlertEvent(
                v=1,
                alert_id=alert_id(tenant, "hot", device, "m", start),
                tenant=tenant,
                rule="hot",
                version=rng.randrange(1, 3),
                device=device,
                metric="m",
                happened=happened,
                why="reading",
                severity=SEVERITIES[severity],
                event_time=at,
                start=start,
                log_time=now,
                # No two of an alert say the same, so that it shows if one is told twice.
                value={"raised": True, "cleared": None}.get(happened, rng.choice([rng.random(), f"state {at}"])),
                level=rng.choice([None, 1e-7 / 3, 80.0]),
                received=now,
            )
        )
    return events


def story(seed: int, tenants: tuple[str, ...] = ("demo",), alerts: int = 30, begin: int = T0) -> list[AlertEvent]:
    """Events of many alerts that start each second from `begin` on, those of each in their order, as one log."""
    rng = random.Random(seed)
    parts = [
        tell(rng, rng.choice(tenants), f"d{rng.randrange(5)} ü\"'\\", begin + number * 1_000, rng.random() < 0.6)
        for number in range(alerts)
    ]
    log = []
    while parts:
        at = rng.randrange(len(parts))
        log.append(parts[at].pop(0))
        if not parts[at]:
            parts[at] = parts[-1]
            parts.pop()
    return log


def replayed(rng: random.Random, log: list[AlertEvent]) -> list[AlertEvent]:
    """The log as one reads it whose writer was set back some times: each time a piece of it comes again."""
    read, at = [], 0
    while at < len(log):
        step = rng.randrange(1, 12)
        read += log[at : at + step]
        at += step
        if rng.random() < 0.3:
            at = max(0, at - rng.randrange(20))
    return read


def episodes(events: Iterable[AlertEvent]) -> dict[tuple[str, str], dict]:
    """(tenant, alert id) -> the episode as it is shown, from all that is known of it."""
    known: dict[tuple[str, str], list[AlertEvent]] = defaultdict(list)
    for event in events:
        known[event.tenant, event.alert_id].append(event)
    return {key: _episode(of_one) for key, of_one in known.items()}


def active(events: Iterable[AlertEvent], tenant: str = "demo") -> dict[str, dict]:
    """Those of a tenant that are not cleared."""
    found = episodes(events)
    return {alert: one for (of, alert), one in found.items() if of == tenant and one["cleared"] is None}


def _episode(events: list[AlertEvent]) -> dict:
    newest = events[0]
    for event in events:
        before = (newest.log_time, newest.event_time, HAPPENED.index(newest.happened))
        same = before == (event.log_time, event.event_time, HAPPENED.index(event.happened))
        if (event.log_time, event.event_time, HAPPENED.index(event.happened)) > before or (
            same and SEVERITIES.index(event.severity) > SEVERITIES.index(newest.severity)
        ):
            newest = event
    raised = [event.event_time for event in events if event.happened == "raised"]
    cleared = [event.event_time for event in events if event.happened == "cleared"]
    names = ("alert_id", "rule", "version", "device", "metric", "severity", "start", "why", "value", "level")
    said = msgspec.to_builtins(newest)
    return {
        **{name: said.get(name) for name in names},
        "worst": SEVERITIES[max(SEVERITIES.index(event.severity) for event in events)],
        "raised": min(raised) if raised else newest.start,
        "cleared": max(cleared) if cleared else None,
        "changed": newest.log_time,
    }
