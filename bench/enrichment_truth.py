"""Random logs through the real enrichment job, with restarts and kills in between, and every row compared each time.

    python -m bench.enrichment_truth --logs 200 --seed 1

Each log is a tenant of its own (`headwater.truth.enriched_logs`): packs with disorder, copies and pauses, devices that
are edited at any time. Forty go through one job at a time, on one Kafka and one Flink cluster (RocksDB) started for
this. In the middle the job goes on from a savepoint that is older than what it has said, or its TaskManager gets
SIGKILL; which of them is by turns. Rows in must be rows out, once repeats are dropped by their place in the log, each
with all that was measured and all that the registry said of its device: 0 missing, 0 extra, 0 wrong. The control (an
edit of a device that has an effect is kept from the reference) must be found in exactly its packs. Exit code 1 if not.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.job_lab import Under, asked, rounds, small_stack
from headwater.model.topics import DEVICE_REGISTRY, ENRICHED
from headwater.truth.enriched_logs import compare, expected, random_log, without_an_edit

UNDER = Under("enrichment", (DEVICE_REGISTRY,), ENRICHED, packs_first=True)
BATCH = 40


def main() -> int:
    """Command line."""
    given = asked(__doc__)
    good, packs, found_controls = True, 0, 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-enrichment-")))
        lab = stack.enter_context(small_stack(folder, UNDER))
        for played in rounds(lab, given.logs, given.seed, BATCH, random_log):
            log = played.log
            wanted, said = expected(log), lab.said(played.prefix)
            found = compare(wanted, said)
            less, _, harm = without_an_edit(log)
            control = compare(expected(less), said)
            seen = found.none and (control.missing, control.extra, control.wrong) == ([], [], harm)
            good, packs, found_controls = good and seen, packs + len(wanted), found_controls + seen
            report = {
                "logs": len(played.names),
                "how": played.how,
                "records": len(log),
                "packs": len(wanted),
                "rows": len(said),
                "repeats": found.repeats,
                "missing": len(found.missing),
                "extra": len(found.extra),
                "wrong": len(found.wrong),
                "control_found": seen,
                "seconds": round(time.monotonic() - played.begun, 1),
                "examples": [str(one) for one in (*found.missing, *found.extra, *found.wrong)][:4],
            }
            print(json.dumps(report), flush=True)
    print(f"{'good' if good else 'BAD'}: {given.logs} logs, {packs:,} packs; {found_controls} controls found")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
