"""`headwater replay`: plays a range of the log again and compares the rows with the live ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import psycopg
import typer
from rich.markup import escape

from headwater.cli.audit import MOST_SHOWN, outages
from headwater.cli.show import console, told
from headwater.cli.when import moment, shown
from headwater.model.errors import BadRequest, StackError
from headwater.model.settings import JobSettings, project_folder
from headwater.model.topics import RAW
from headwater.stack import flink, jvm, places, probes, submit
from headwater.stack.cluster import Cluster
from headwater.stack.state import State
from headwater.truth.messages import JOB
from headwater.truth.replay import Replay, Report, Wanted
from headwater.truth.span import Reader, Span

PLACES = ("auto", "cluster", "local")
_PATIENCE_S = 3_600


def replay(
    from_: Annotated[str, typer.Option("--from", help="log time: 2026-11-24T12:00:00Z, epoch ms, or -15m")],
    into: Annotated[str, typer.Option(help="what stands before the names of the replay's own topics, such as again-")],
    to: Annotated[str, typer.Option("--to", help="log time, not included; as --from")] = "now",
    of: Annotated[str, typer.Option(help="prefix of a log that was loaded (`headwater log load --into`)")] = "",
    on: Annotated[
        str, typer.Option(help="where the job runs: auto, cluster, or local (a process of its own)")
    ] = "auto",
    keep: Annotated[bool, typer.Option("--keep", help="leave the topics and the table of the replay")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="for scripts")] = False,
) -> None:
    """Play a range of the log through the same job again; exit code 1 if a row differs from the live one."""
    with told(), outages(), terminated():
        settings, state = JobSettings(), State.load()
        if on not in PLACES:
            raise BadRequest(f"expected --on {', '.join(PLACES)}, got {on!r}", "on")
        given = Wanted(moment(from_), moment(to), into, settings.horizon_ms, settings.ahead_ms, of)
        url = settings.postgres.get_secret_value()
        with Reader(settings.kafka) as reader, psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            one = Replay(settings.kafka, reader, connection, given)
            try:
                report = one.run(Runner(state, settings, on).run)
            finally:
                if not keep:
                    one.close()
    if as_json:
        typer.echo(json.dumps({**report.__dict__, "differences": [each._asdict() for each in report.differences]}))
    else:
        _show(report, given)
    raise typer.Exit(1 if report.differences else 0)


@contextmanager
def terminated() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that what was made is taken away."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Runner:
    """Runs the job over a span to its end: on the cluster where it has slots to spare, else in a process of its own.

    The cluster is better: the job runs as the live one does, with its state on RocksDB, and costs no second JVM of a
    gigabyte. It shares the TaskManager's memory and processors with the live job, though; `--on local` keeps away.
    """

    def __init__(self, state: State, settings: JobSettings, on: str) -> None:
        self._state, self._settings, self._on = state, settings, on
        self._cluster = Cluster(settings.flink)

    def run(self, into: str, span: Span) -> None:
        """Returns when the job has ended well. Raises `StackError` if it has not; whatever happens, it ends."""
        of = span.topic.removesuffix(RAW.name)
        spans = [f"--span={one}:{span.first[one]}:{span.end[one]}" for one in sorted(span.end)]
        options = ["--prefix", into, "--of", of, *spans, "-D", f"pipeline.name=replay {into}"]
        if self._on == "cluster" or (self._on == "auto" and self._free_slots() >= self._settings.parallelism):
            self._on_the_cluster(options)
        else:
            self._local(options)

    def _free_slots(self) -> int:
        try:
            return int(probes.http_json(f"{self._cluster.url}/overview", timeout_s=5)["slots-available"])
        except OSError:
            return 0

    def _on_the_cluster(self, options: list[str]) -> None:
        # It is played from its beginning if it fails: no checkpoints, nothing to clean up.
        options += ["-D", "execution.checkpointing.interval=365 d", "--parallelism", str(self._settings.parallelism)]
        job = submit.submit(self._state, JOB, *options)
        try:
            until = time.monotonic() + _PATIENCE_S
            while time.monotonic() < until:
                found = [one for one in self._cluster.jobs() if one.id == job]
                if found and found[0].state == "FINISHED":
                    return
                if found and not found[0].live:
                    raise StackError(f"The replay ended as {found[0].state}: {self._cluster.why_failed(job)[:500]}")
                time.sleep(0.5)
            raise StackError(f"The replay did not end within {_PATIENCE_S} s.", "choose a shorter range.")
        finally:
            if any(one.id == job and one.live for one in self._cluster.jobs()):
                self._cluster.cancel(job)

    def _local(self, options: list[str]) -> None:
        environment = {
            **os.environ,
            **flink.environment(self._state),
            "HEADWATER_STATE": str(self._state.folder),
            "JVM_ARGS": f"{jvm.LIGHT} -XX:+UseSerialGC -Xmx1g",
        }
        environment.pop("PYTHONPATH", None)
        command = ["nice", "-n", "10", str(places.jobs_python()), "-m", "jobs.run", JOB, "--local", *options]
        command += ["--parallelism", str(self._settings.parallelism)]
        process = subprocess.Popen(
            command, cwd=project_folder(), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            said, _ = process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            raise StackError(f"The replay did not end within {_PATIENCE_S} s.", "choose a shorter range.") from error
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            raise StackError(f"The replay failed: {said.decode(errors='replace').strip()[-1500:]}")


def _show(report: Report, wanted: Wanted) -> None:
    for one in report.differences[:MOST_SHOWN]:
        tenant, device, metric, pane = one.key
        console.print(
            f"[red]{one.verdict}[/red] {escape(f'{tenant}/{device} {metric}')} {shown(pane)}\n"
            f"   live   {one.live or '-'}\n   replay {one.again or '-'}"
        )
    if len(report.differences) > MOST_SHOWN:
        console.print(f"… and {len(report.differences) - MOST_SHOWN} more (--json has all)")
    colour = "red" if report.differences else "green"
    first, end = wanted.panes
    console.print(
        f"[{colour}]{len(report.differences)} rows differ[/{colour}], {report.same:,} are the same: panes from "
        f"{shown(first)} to {shown(end)}, {report.records:,} records, {report.corrections:,} late rows folded, "
        f"{report.repaired:,} repaired, {report.moved_on:,} changed since; {report.seconds:.1f} s"
    )
