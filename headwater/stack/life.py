"""Up, down and reset of the one-machine stack."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import psutil

from headwater.clock import now_ms
from headwater.model.errors import HeadwaterError, NotFound, StackError
from headwater.model.settings import AgentSettings
from headwater.stack import catalog, jobs, kept, orphans, plan, postgres, probes, record, sinks
from headwater.stack.plan import Failed, Report
from headwater.stack.ports import is_free
from headwater.stack.program import Program, Task, why_not_ready
from headwater.stack.state import State
from headwater.stack.supervise import Supervisor, log_file

POLL_S = 0.15
FIRST_DATA_S = 120.0
SAVEPOINT_S = 15.0


def up(report: Report, register: catalog.Register) -> tuple[State, list[Failed]]:
    """Starts what does not run yet and waits until the page would show data; run again, it goes on.

    Returns the failed steps: what does not depend on them runs. Raises `StackError` if nothing can be started at all.
    """
    begun_ms = now_ms()
    state = State.open()
    supervisor = Supervisor(state)
    if not supervisor.alive():
        begun = time.monotonic()
        if swept := orphans.clean(state):
            report.done("orphans", f"ended what a killed supervisor left: {', '.join(swept)}", time.monotonic() - begun)
        _claim_ports(state)
    programs = catalog.programs(state)
    supervisor.launch(programs)
    steps = catalog.steps(state, register)
    failures = plan.run(steps, lambda program: _bring_up(supervisor, state, program), report)
    for name in plan.blocked(steps, failures):
        report.failed(name, StackError("not started: it depends on what failed above"), 0)
    if not failures:
        failures = _first_data(state, begun_ms, report) or _jobs_run(state, report)
    return state, failures


def _jobs_run(state: State, report: Report) -> list[Failed]:
    """Looks at the jobs once more: one that came after the first may fail again and again, and nobody would see it."""
    if not (why := why_not_ready(kept.probe(state))):
        return []
    error = StackError(why, "`headwater logs jobs` and `headwater logs taskmanager` say more.")
    report.failed("jobs", error, 0)
    return [Failed("jobs", error)]


def _claim_ports(state: State) -> None:
    """Raises `StackError` if a port that we are about to use is taken, and says by whom."""
    used = {program.port for program in catalog.programs(state)} | {"supervisor"}
    if "kafka" not in state.external:
        used.add("kafka-controller")
    if "flink" not in state.external:
        used.add("flink-rpc")
    for name in sorted(used - {""}):
        port = state.ports[name]
        if not is_free(state.host, port):
            setting = f"HEADWATER_{name.upper().replace('-', '_')}_PORT"
            raise StackError(
                f"Port {port} for {name} is taken{holder(port)}.", f"end that program, or choose another: {setting}=…"
            )


def holder(port: int) -> str:
    """Who listens on a port, as far as we may know, to be put into a message."""
    try:
        found = [c for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.status == "LISTEN"]
        return f" by {psutil.Process(found[0].pid).name()} (pid {found[0].pid})" if found and found[0].pid else ""
    except psutil.Error:
        return ""


def _bring_up(supervisor: Supervisor, state: State, program: Program) -> str:
    """Starts a program and waits until it is ready. Raises `StackError` with its last words."""
    supervisor.start(program.name)
    until = time.monotonic() + program.patience_s
    why = "it has not settled"
    while time.monotonic() < until:
        word = supervisor.state_of(program.name)
        if word == "FATAL":
            break
        # Where there is nothing to ask, having lived for a while is the only sign.
        if word == "RUNNING" or (word == "STARTING" and program.probe is not probes.nothing):
            why = why_not_ready(program.probe)
            if not why:
                at = f" on {state.reach}:{state.ports[program.port]}" if program.port else ""
                return f"{program.says}{at}"
        time.sleep(POLL_S)
    raise StackError(
        f"{program.name} is not ready ({why}). Its last words: {tail(state, program.name)}",
        f"see `headwater logs {program.name}`; `make up` goes on from here.",
    )


def ensure(state: State, name: str) -> None:
    """Starts a program that runs on demand, and returns when it is ready. Raises `StackError` if it cannot be."""
    [program] = [one for one in catalog.programs(state) if one.name == name]
    supervisor = Supervisor(state)
    if not supervisor.alive():
        raise StackError("The stack is down.", "`make up` starts it.")
    if name not in supervisor.programs():
        raise StackError(f"The stack was started before there was a {name}.", "`make up` goes on with the code of now.")
    _bring_up(supervisor, state, program)


def tail(state: State, name: str, characters: int = 400) -> str:
    """The end of a program's log."""
    try:
        return log_file(state, name).read_text(errors="replace")[-characters:].strip()
    except OSError:
        return "(none)"


def _first_data(state: State, since_ms: int, report: Report) -> list[Failed]:
    """Waits until the API serves a reading of this machine that was measured after this start began."""
    begun = time.monotonic()
    report.begun("data", "first readings on the page")
    agent = AgentSettings(_env_file=state.folder / "run.env")
    address = f"{state.url('api')}/v1/devices/{agent.agent_device}?tenant={agent.agent_tenant}"
    key = {"Authorization": f"Bearer {state.secrets['access_key']}"}
    why = ""
    while time.monotonic() - begun < FIRST_DATA_S:
        try:
            last = probes.http_json(address, key)["last_ms"] or 0
            if last >= since_ms:
                report.done("data", f"{agent.agent_device} is on the page", time.monotonic() - begun)
                return []
            why = f"its last reading is of {last}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = f"{type(error).__name__}: {error}"
        time.sleep(POLL_S)
    late = StackError(
        f"No fresh reading of {agent.agent_device} came to the API within {FIRST_DATA_S:.0f} s ({why}).",
        "`headwater status` shows where the line is broken.",
    )
    report.failed("data", late, time.monotonic() - begun)
    return [Failed("data", late)]


def order() -> tuple[tuple[str, ...], ...]:
    """Against the stream: devices first, stores last, so that nobody loses what it talks to."""
    return (
        ("fleet", "agent", "sql-gateway"),
        ("bridge", "broker", "pulse", "jobs", "api"),
        (*(one.name for one in sinks.found()), "taskmanager", "jobmanager"),
        ("kafka", "postgres", "valkey", "clickhouse"),
    )


def down(report: Report) -> None:
    """Stops everything and keeps the data. Also ends what a killed supervisor left behind."""
    state = State.load()
    supervisor = Supervisor(state)
    if supervisor.alive():
        known = set(supervisor.programs())
        for number, group in enumerate(order()):
            if number == 1:
                supervisor.stop("jobs")
                _savepoint(state, known, report)
            _stop(supervisor, [name for name in group if name in known], report)
        supervisor.shutdown()
    begun = time.monotonic()
    if swept := orphans.clean(state):
        report.done("orphans", f"ended what was left: {', '.join(swept)}", time.monotonic() - begun)


def _savepoint(state: State, known: Iterable[str], report: Report) -> None:
    """A savepoint, if it is quick; the newest checkpoint does as well."""
    if "jobmanager" not in known:
        return
    for name in record.names(state):
        begun = time.monotonic()
        try:
            path = jobs.stop(state, name, wanted=True, timeout_s=SAVEPOINT_S)
            report.done(name, f"stopped at {Path(path).name}", time.monotonic() - begun)
        except NotFound:
            continue
        except (HeadwaterError, OSError):
            report.done(name, "no savepoint: it will go on from its newest checkpoint", time.monotonic() - begun)


def _stop(supervisor: Supervisor, names: Sequence[str], report: Report) -> None:
    begun = time.monotonic()
    failures = plan.run(
        [Task(name=name, run=partial(supervisor.stop, name)) for name in names],
        lambda _: "",
        plan.Silent(),
    )
    for failure in failures:
        report.failed(failure.name, failure.error, time.monotonic() - begun)
    if names:
        report.done("stopped", ", ".join(names), time.monotonic() - begun)


def reset(state: State) -> list[Path]:
    """Deletes the data, secrets and ports of a stack that is down; returns the folders deleted.

    Raises `StackError` if it still runs.
    """
    if Supervisor(state).alive() or orphans.processes(state.folder):
        raise StackError("The stack still runs.", "`make down` first.")
    elsewhere = postgres.home(state)
    gone = (
        [elsewhere, state.folder] if elsewhere.is_dir() and elsewhere != state.folder / "postgres" else [state.folder]
    )
    for folder in gone:
        shutil.rmtree(folder)
    return gone
