"""One Kafka and one mini-cluster for the whole run. `HEADWATER_TEST_KAFKA` and `HEADWATER_JARS` name ready ones."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.stack import jars, kafka
from headwater.stack.foreground import running
from headwater.stack.state import State
from tests.flink.harness import Lab, flink_home, mini_cluster


def pytest_configure(config: pytest.Config) -> None:
    # PyFlink warns of its own classes, and of its own JVM, while it is imported and left.
    config.addinivalue_line("filterwarnings", r"ignore::DeprecationWarning:pyflink\..*")
    # Beam, which PyFlink imports for jobs with Python in them, warns of its own libraries.
    config.addinivalue_line("filterwarnings", "ignore:.*deprecated.*:DeprecationWarning")
    config.addinivalue_line("filterwarnings", "ignore:subprocess .* is still running:ResourceWarning")


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> State:
    return State.open(tmp_path_factory.mktemp("stack"), {"HEADWATER_PORTS": "free"})


@pytest.fixture(scope="session")
def bootstrap(state: State) -> Iterator[str]:
    if given := os.environ.get("HEADWATER_TEST_KAFKA"):
        yield given
        return
    jars.ensure(state.folder, "kafka")
    kafka.prepare(state)
    with running(kafka.program(state), state.folder / "logs"):
        yield state.url("kafka")


@pytest.fixture(scope="session")
def flink_jars(state: State) -> Path:
    """The folder with the connectors."""
    if given := os.environ.get("HEADWATER_JARS"):
        return Path(given)
    jars.ensure(state.folder, "flink")
    return jars.folder("flink", state.folder)


@pytest.fixture(scope="session")
def lab(bootstrap: str, flink_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("flink")
    with mini_cluster(flink_home(folder / "home", flink_jars), folder / "work") as rest_port:
        yield Lab(bootstrap, rest_port)
