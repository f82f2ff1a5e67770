"""Real servers for tests: the stack's own programs, on free ports, in a folder of their own, stopped at the end.

`HEADWATER_TEST_KAFKA`, `HEADWATER_TEST_POSTGRES`, `HEADWATER_TEST_VALKEY` and `HEADWATER_TEST_CLICKHOUSE` (the
URL of an empty database) name running servers to use instead.
"""

import os
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headwater.model.settings import Settings
from headwater.stack import clickhouse, jars, kafka, postgres, probes, topics, valkey
from headwater.stack.foreground import running
from headwater.stack.state import State
from tests.integration.api_server import PATIENT, Api, Log, Stores, served
from tests.integration.sink_processes import Process
from tests.integration.stores import Store


@pytest.fixture(scope="session")
def stack_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    """The memory of a stack of free ports; nothing runs yet."""
    state = State.open(tmp_path_factory.mktemp("stack"), {"HEADWATER_PORTS": "free"})
    yield state
    if postgres.home(state).parent != state.folder:  # as root the data lie elsewhere
        shutil.rmtree(postgres.home(state), ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_server(stack_state: State) -> Iterator[str]:
    """A broker with the topics as the stack makes them: a test that makes one for itself might make it otherwise."""
    if given := os.environ.get("HEADWATER_TEST_KAFKA"):
        yield given
        return
    jars.ensure(stack_state.folder, "kafka")
    kafka.prepare(stack_state)
    with running(kafka.program(stack_state), stack_state.folder / "logs"):
        topics.create_all(Settings(_env_file=None, kafka=stack_state.url("kafka")))
        yield stack_state.url("kafka")


@pytest.fixture(scope="session", name="kafka")
def kafka_fixture(kafka_server: str) -> str:
    """Bootstrap servers of a broker that all tests share."""
    return kafka_server


@pytest.fixture(scope="session")
def postgres_server(stack_state: State) -> Iterator[State]:
    """A running PostgreSQL without databases of ours."""
    postgres.prepare(stack_state)
    with running(postgres.program(stack_state), stack_state.folder / "logs"):
        yield stack_state


@pytest.fixture(scope="session", name="postgres")
def postgres_fixture(request: pytest.FixtureRequest) -> str:
    """URL of a fresh, empty database (migrate it with headwater.stack.migrate.apply)."""
    if given := os.environ.get("HEADWATER_TEST_POSTGRES"):
        return given
    server: State = request.getfixturevalue("postgres_server")
    return postgres.create_database(server, f"test_{uuid.uuid4().hex[:12]}")


@pytest.fixture(scope="session", autouse=True)
def patient_with_the_cluster() -> Iterator[None]:
    """The product asks a JobManager that is busy again; tests ask it once, so they give it its time."""
    ask = probes.http_json
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "http_json", lambda url, headers=None, timeout_s=0: ask(url, headers, 120))
        yield


@pytest.fixture(scope="session", name="valkey")
def valkey_fixture(stack_state: State) -> Iterator[str]:
    """URL of an empty Valkey."""
    if given := os.environ.get("HEADWATER_TEST_VALKEY"):
        yield given
        return
    valkey.prepare(stack_state)
    with running(valkey.program(stack_state), stack_state.folder / "logs"):
        yield stack_state.url("valkey")


@pytest.fixture(scope="session", name="clickhouse")
def clickhouse_fixture(stack_state: State) -> Iterator[str]:
    """URL of a migrated, empty raw store."""
    if given := os.environ.get("HEADWATER_TEST_CLICKHOUSE"):
        clickhouse.migrate(given)
        yield given
        return
    with running(clickhouse.program(stack_state), stack_state.folder / "logs"):
        clickhouse.migrate(stack_state.url("clickhouse"))
        yield stack_state.url("clickhouse")


@pytest.fixture
def logs(stack_state: State) -> Path:
    """The folder with the output of the servers."""
    return stack_state.folder / "logs"


@pytest.fixture
def patient(tmp_path: Path, kafka: str, log: Log, stores: Stores) -> Iterator[Api]:
    """An API that does not send away who takes nothing: on a busy machine the test may be the slower one."""
    with served(tmp_path, kafka, stores.postgres, stores.valkey, program=PATIENT) as running:
        yield running


@pytest.fixture
def tenant() -> str:
    """A tenant that no other test has."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def stores(postgres: str, valkey: str) -> Stores:
    """What the API reads, filled past every sink."""
    return Stores(postgres, valkey)


@pytest.fixture(scope="module")
def log(kafka: str) -> Log:
    """What jobs and doors write, written by the test."""
    return Log(kafka)


@pytest.fixture
def start(store: Store, bootstrap: str, tmp_path: Path) -> Iterator[Callable[[], Process]]:
    """Starts the process of a module's `store` on its `bootstrap`; whatever runs at the end is killed."""
    started: list[Process] = []

    def one() -> Process:
        started.append(Process(store, bootstrap, tmp_path))
        return started[-1]

    yield one
    for each in started:
        if each.process.poll() is None:
            each.end(signal.SIGKILL)
