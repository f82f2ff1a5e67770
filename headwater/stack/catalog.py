"""The stack as data: every program and every task on the way up, with what each waits for.

Order that matters: topics and tables before anybody uses them; the bridge has subscribed before the first device
publishes (a broker acknowledges what nobody subscribes to, and forgets it).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from headwater import heartbeat
from headwater.model.settings import Settings
from headwater.model.topics import CORRECTIONS
from headwater.stack import (
    clickhouse,
    flink,
    gateway,
    jars,
    kafka,
    kept,
    migrate,
    page,
    places,
    postgres,
    probes,
    sinks,
    submit,
    topics,
    valkey,
)
from headwater.stack.plan import Step
from headwater.stack.program import Probe, Program, Task
from headwater.stack.state import State

Register = Callable[[State], str]


def worker(name: str, module: str, says: str, depends: tuple[str, ...], probe: Probe, port: str = "") -> Program:
    """One of our own processes: `python -m module`, configured by settings alone."""
    return Program(
        name=name,
        command=(str(places.app_python()), "-m", module),
        probe=probe,
        depends=depends,
        port=port,
        version=version("headwater"),
        says=says,
        stop_wait_s=20,
    )


def servers(state: State) -> list[Program]:
    """The real programs that are not replaced by servers of the operator's own."""
    ours = []
    if "kafka" not in state.external:
        ours.append(kafka.program(state))
    if "postgres" not in state.external:
        ours.append(postgres.program(state))
    if "valkey" not in state.external:
        ours.append(valkey.program(state))
    if "clickhouse" not in state.external:
        ours.append(clickhouse.program(state))
    if "flink" not in state.external:
        ours += [flink.jobmanager(state), flink.taskmanager(state), gateway.program(state)]
    return ours


def workers(state: State) -> list[Program]:
    """Our own processes."""
    at, api = state.reach, state.url("api")
    metrics = {name: f"http://{at}:{state.ports[f'{name}-metrics']}/metrics" for name in ("bridge", "broker")}
    gate = "" if "mqtt" in state.external else metrics["broker"]
    broker = worker(
        "broker", "headwater.broker", "MQTT", ("jars", "tables"), probes.tcp(at, state.ports["mqtt"]), "mqtt"
    )

    def alive(*names: str) -> Probe:
        return probes.all_of(*(probes.heartbeat(state.folder / heartbeat.FOLDER / name) for name in names))

    return [
        *([] if "mqtt" in state.external else [broker]),
        worker(
            "bridge",
            "connectors.doors.mqtt",
            "MQTT to Kafka",
            ("broker", "topics"),
            probes.bridge(metrics["bridge"], gate),
            "bridge-metrics",
        ),
        worker("pulse", "headwater.workers.pulse", "beats that move log time", ("topics",), alive("pulse")),
        worker(
            "jobs",
            "headwater.workers.jobkeeper",
            "keeps the Flink jobs running",
            ("topics", "jobmanager", "code"),
            kept.probe(state),
        ),
        *(worker(one.name, one.module, one.says, one.depends, alive(*one.alive)) for one in sinks.found()),
        worker(
            CORRECTIONS.name,  # the worker is named as the topic that it works off
            "headwater.workers.corrections",
            "late readings into closed panes, and the audit",
            ("topics", "tables", "readings"),
            alive(CORRECTIONS.name),
            "corrections-metrics",
        ),
        worker(
            "registry",
            "headwater.workers.registry",
            "changes of the registry onto the log",
            ("topics", "tables"),
            alive("registry"),
        ),
        worker(
            "api",
            "api",
            "REST, WebSocket and the page",
            ("topics", "tables", "valkey", "page"),
            probes.http(f"{api}/readyz"),
            "api",
        ),
        worker("agent", "headwater.workers.agent", "this machine as a device", ("bridge", "devices"), alive("agent")),
        # After the jobs: beside a load, all that starts compiles for twice as long.
        worker(
            "fleet", "headwater.workers.fleet", "the simulated fleet", ("bridge", "devices", "jobs"), alive("fleet")
        ),
    ]


def programs(state: State) -> list[Program]:
    """All programs of this stack."""
    return [*servers(state), *workers(state)]


def tasks(state: State, register: Register) -> list[Task]:
    """What is done once on the way up. `register` makes the devices that the stack itself brings known."""
    settings = Settings(_env_file=state.folder / "run.env")

    def fetch_jars() -> str:
        said = jars.ensure(state.folder)
        if "kafka" not in state.external:
            kafka.prepare(state)
        if "flink" not in state.external:
            flink.prepare(state)
        return said

    def prepare_data() -> str:
        postgres.prepare(state)
        return "data folder in place"

    def make_topics() -> str:
        new = topics.create_all(settings)
        return f"{len(new)} topics made" if new else "all topics in place"

    def make_tables() -> str:
        if "postgres" not in state.external:
            postgres.create_database(state)
        done = migrate.apply(state.url("postgres"))
        return f"{len(done)} migrations applied" if done else "schema up to date"

    def make_readings() -> str:
        done = clickhouse.migrate(state.url("clickhouse"))
        return f"{len(done)} migrations applied" if done else "schema up to date"

    own_postgres = [Task(name="postgres-data", run=prepare_data, says="PostgreSQL's data folder")]
    return [
        *([] if "postgres" in state.external else own_postgres),
        Task(name="jars", run=fetch_jars, says="jars, checked against their sums"),
        Task(name="page", run=lambda: page.build(state.folder), says="the page"),
        Task(name="code", run=lambda: submit.wheel(state).name, says="the wheel that jobs run from"),
        Task(name="topics", run=make_topics, depends=("kafka",), says="topics"),
        Task(name="tables", run=make_tables, depends=("postgres",), says="tables"),
        Task(name="readings", run=make_readings, depends=("clickhouse",), says="tables of the raw store"),
        Task(name="devices", run=lambda: register(state), depends=("tables",), says="devices of this stack"),
    ]


def steps(state: State, register: Register) -> list[Step]:
    """All of it, for `plan.run`; what runs on demand is left out."""
    return [*tasks(state, register), *(program for program in programs(state) if not program.on_demand)]
