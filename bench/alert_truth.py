"""Random logs through the real alerting job, with restarts and kills in between, and the evaluator's alerts each time.

    python -m bench.alert_truth --logs 200 --seed 1

Each log is a tenant of its own (`headwater.truth.alert_logs`): packs with disorder and pauses, rules and devices edited
at any time. Twenty go through one job at a time, on one Kafka and one Flink cluster (RocksDB, Python in thread mode)
started for this. In the middle the job goes on from a savepoint that is older than what it has said, or its TaskManager
gets SIGKILL; which of them is by turns. The alerts must be those of the evaluator over the sorted log: 0 missing, 0
extra. The control (an edit of a rule that has an effect is kept from the evaluator) must be found in exactly its log.
Exit code 1 if not.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from bench.job_lab import Under, asked, end_of, rounds, small_stack
from headwater.model import codec
from headwater.model.alert import AlertEvent
from headwater.model.rule import Rule
from headwater.model.topics import ALERTS
from headwater.truth.alert_logs import CONTROL, Entry, expected, random_log
from headwater.truth.span import Entry as Stored

UNDER = Under("alerting", CONTROL, ALERTS)
BATCH = 20


def events(records: Iterable[Stored]) -> set[AlertEvent]:
    """Every event, a repeat once."""
    return {codec.decode(AlertEvent, record.value or b"") for record in records}


def harmed(log: list[Entry], until: int, delay_ms: int) -> tuple[str, set[AlertEvent]]:
    """The control: the first edit of a rule without which alerts are others; its tenant, and the events that differ.

    Edits without any effect are passed over: no comparison could find that they are missing.
    """
    for edit in log:
        if isinstance(edit.record, Rule) and edit.record.version > 1:
            tenant = edit.record.tenant
            own = [entry for entry in log if entry.record is not None and entry.record.tenant == tenant]
            less = [entry for entry in own if entry is not edit]
            if harm := set(expected(own, until, delay_ms)) ^ set(expected(less, until, delay_ms)):
                return tenant, harm
    raise ValueError("no edit of a rule in this log has an effect")


def main() -> int:
    """Command line."""
    given = asked(__doc__)
    good, total, found_controls = True, 0, 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-alerts-")))
        lab = stack.enter_context(small_stack(folder, UNDER))
        for played in rounds(lab, given.logs, given.seed, BATCH, random_log):
            log = played.log
            until, delay_ms = end_of(log) - 1, lab.settings.rules_delay_ms
            wanted, records = set(expected(log, until, delay_ms)), lab.said(played.prefix)
            said = events(records)
            tenant, harm = harmed(log, until, delay_ms)
            found = {event.tenant for event in (wanted ^ harm) ^ said} == {tenant}
            missing, extra = wanted - said, said - wanted
            good, total = good and not missing and not extra and found, total + len(wanted)
            found_controls += found
            report = {
                "logs": len(played.names),
                "how": played.how,
                "records": len(log),
                "events": len(wanted),
                "repeats": len(records) - len(said),
                "missing": len(missing),
                "extra": len(extra),
                "control_found": found,
                "seconds": round(time.monotonic() - played.begun, 1),
                "examples": [str(one) for one in (*missing, *extra)][:4],
            }
            print(json.dumps(report), flush=True)
    print(f"{'good' if good else 'BAD'}: {given.logs} logs, {total:,} events; {found_controls} controls found")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
