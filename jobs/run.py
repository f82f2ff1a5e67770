"""Submits a job to the cluster and ends: `python -m jobs.run aggregation`, or the same file by `flink run -py`.

    python -m jobs.run aggregation --parallelism 2 -D python.files=headwater.whl
    python -m jobs.run aggregation --savepoint file:///...   # go on from a savepoint or a retained checkpoint
    python -m jobs.run aggregation --start-from-ms 1760000000000   # empty state, from this log time on
    python -m jobs.run aggregation --prefix again- --of "" --span 0:17:4711   # these offsets into topics of its own
    python -m jobs.run aggregation --generation 1760000000000:1000 # rows of panes from there on, by pane (epoch ms)
    flink run -d -py jobs/run.py -pyfs headwater.whl -- aggregation

Settings come from `HEADWATER_*` (see docs/settings.md). The last line printed is `job-id: <hex>`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from urllib.parse import urlsplit

from headwater.model.settings import JobSettings
from jobs.environment import open_tables, options
from jobs.statements import Log
from udfs import letters

CLIENT_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""The client's JVM plans one job and ends: the optimising compiler costs it twice the CPU (16 s against 7 s)."""


def _generation(text: str) -> tuple[int, int]:
    pane, _, generation = text.partition(":")
    return int(pane), int(generation)


def _span(text: str) -> tuple[int, int, int]:
    partition, first, end = map(int, text.split(":"))
    return partition, first, end


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="jobs.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("job", help="a module of `jobs` with a function `build`, such as aggregation")
    parser.add_argument("-D", dest="given", metavar="KEY=VALUE", action="append", default=[], help="a Flink option")
    parser.add_argument("--savepoint", help="savepoint or retained checkpoint to go on from")
    parser.add_argument("--start-from-ms", type=int, help="log time (epoch ms) to start from, with empty state")
    parser.add_argument(
        "--generation", dest="generations", metavar="PANE:GENERATION", action="append", default=[], type=_generation
    )
    parser.add_argument("--prefix", default="", help="what stands before the names of all topics: a replay beside")
    parser.add_argument("--of", help="prefix of the log that is read, where it is another one")
    parser.add_argument("--bounded", action="store_true", help="stop at the end that the log has now")
    parser.add_argument(
        "--span",
        dest="spans",
        metavar="PARTITION:FIRST:END",
        action="append",
        default=[],
        type=_span,
        help="offsets to read, of every partition; then the job ends",
    )
    parser.add_argument("--parallelism", type=int, help="instead of HEADWATER_PARALLELISM")
    parser.add_argument("--local", action="store_true", help="run in this process instead, until stopped")
    given = parser.parse_args(argv)
    if given.savepoint and given.start_from_ms is not None:
        parser.error("expected --savepoint or --start-from-ms, got both: a savepoint holds its own position in the log")
    if bad := [one for one in given.given if "=" not in one]:
        parser.error(f"expected -D key=value, got {bad[0]!r}")
    return given


def target(settings: JobSettings, local: bool) -> dict[str, str]:
    """Where the job goes. `flink run` has decided that already, when it started this."""
    if local:
        return {"execution.target": "local"}
    if "PYFLINK_GATEWAY_PORT" in os.environ:
        return {}
    os.environ.setdefault("JVM_ARGS", CLIENT_JVM)
    address = urlsplit(settings.flink)
    return {
        "execution.target": "remote",
        "execution.attached": "false",
        "rest.address": address.hostname or "127.0.0.1",
        "rest.port": str(address.port or 8081),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Builds the job, hands it over, prints its id."""
    given = arguments(sys.argv[1:] if argv is None else argv)
    settings = JobSettings(**({"parallelism": given.parallelism} if given.parallelism else {}))
    job = import_module(f"jobs.{given.job}")
    chosen = {**options(settings), **target(settings, given.local), "pipeline.name": given.job}
    chosen[letters.OPTION] = letters.parameters(settings.kafka, given.job, given.prefix)
    if given.savepoint:
        chosen["execution.state-recovery.path"] = given.savepoint
    chosen |= dict(one.split("=", 1) for one in given.given)
    tables = getattr(job, "open_tables", open_tables)(chosen)
    result = job.build(
        tables,
        settings,
        Log(
            given.prefix,
            given.start_from_ms,
            given.bounded,
            of=given.of,
            spans=tuple(given.spans),
            generations=tuple(given.generations),
        ),
    ).execute()
    print(f"job-id: {result.get_job_client().get_job_id()}", flush=True)
    if given.local:
        result.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
