"""A Flink session cluster: one JobManager, one TaskManager with four slots, RocksDB, checkpoints on disk.

`FLINK_HOME` is made in the state folder, since the one in the wheel lacks our jars and conf and must not be changed:
copies of `bin/`, links to the jars of `lib/`, `opt/` and the plugins, and our own jars and conf.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from string import Template

from connectors.jars import FLINK_VERSION
from headwater.model.settings import project_folder
from headwater.stack import jars, places, probes
from headwater.stack.files import link, private_folder, write_private
from headwater.stack.program import Program
from headwater.stack.state import State

CONF = ("log4j-console.properties",)


def home(state: State) -> Path:
    """FLINK_HOME of this stack."""
    return state.folder / "flink" / "home"


def checkpoints(state: State) -> Path:
    """Where completed checkpoints lie, a folder for each job id."""
    return state.folder / "flink" / "checkpoints"


def savepoints(state: State) -> Path:
    """Where savepoints lie."""
    return state.folder / "flink" / "savepoints"


def environment(state: State) -> dict[str, str]:
    """What Flink's scripts and PyFlink's client must know to be of this cluster."""
    return {
        "FLINK_HOME": str(home(state)),
        "FLINK_CONF_DIR": str(home(state) / "conf"),
        "FLINK_LOG_DIR": str(state.folder / "flink" / "log"),
        "FLINK_PID_DIR": str(state.folder / "flink" / "pid"),
        "FLINK_IDENT_STRING": "headwater",
        "JAVA_HOME": str(places.java_home()),
        # Thread mode finds its interpreter's libraries only by this.
        "PYTHONPATH": str(places.jobs_site_packages()),
    }


def prepare(state: State) -> None:
    """Makes FLINK_HOME and its conf. Cheap to repeat; a changed jar or conf is taken over."""
    pyflink = places.jobs_site_packages() / "pyflink"
    target = private_folder(private_folder(state.folder / "flink") / "home")
    for name in ("checkpoints", "savepoints", "rocksdb", "tmp", "log", "pid"):
        private_folder(state.folder / "flink" / name)
    _copy_scripts(pyflink / "bin", target / "bin")
    ours = list(jars.folder("flink", state.folder).glob("*.jar"))
    _links(target / "lib", [*(pyflink / "lib").glob("*.jar"), *(pyflink / "opt").glob("flink-python*.jar"), *ours])
    # `flink run -py` wants a real folder here, not a link.
    _links(target / "opt", list((pyflink / "opt").glob("*.jar")))
    _links(target / "plugins", [one for one in (pyflink / "plugins").iterdir() if one.is_dir()])
    conf = private_folder(target / "conf")
    write_private(conf / "config.yaml", rendered(state))
    for name in CONF:
        shutil.copyfile(project_folder() / "flink-conf" / name, conf / name)


def rendered(state: State) -> str:
    """`flink-conf/config.yaml` with this stack's ports and folders, and what every job gets."""
    text = _filled(
        "config.yaml",
        host=state.host,
        reach=state.reach,
        rest_port=state.ports["flink"],
        rpc_port=state.ports["flink-rpc"],
        folder=state.folder / "flink",
        python=places.jobs_python(),
    )
    return text + "\n" + _filled("jobs.yaml", folder=state.folder / "flink")


def job_options(state: State) -> dict[str, str]:
    """What every job gets, by key. A cluster of somebody else keeps its own folders and state backend."""
    lines = _filled("jobs.yaml", folder=state.folder / "flink").splitlines()
    options = dict(line.split(": ", 1) for line in lines if ": " in line and not line.startswith("#"))
    foreign = "flink" in state.external
    return {
        key: value for key, value in options.items() if not (foreign and ("dir" in key or key.startswith("state.")))
    }


def _filled(name: str, **names: object) -> str:
    return Template((project_folder() / "flink-conf" / name).read_text()).substitute(names)


def _copy_scripts(source: Path, target: Path) -> None:
    private_folder(target)
    for path in source.iterdir():
        copy = target / path.name
        if not copy.is_file() or copy.stat().st_size != path.stat().st_size:
            shutil.copy(path, copy)
            copy.chmod(0o755)


def _links(folder: Path, targets: list[Path]) -> None:
    private_folder(folder)
    wanted = {target.name: target for target in targets}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, target in wanted.items():
        link(target, folder / name)


def jobmanager(state: State) -> Program:
    """The JobManager with the web UI."""
    return Program(
        name="jobmanager",
        command=(str(home(state) / "bin" / "jobmanager.sh"), "start-foreground"),
        environment=environment(state),
        probe=probes.flink_jobmanager(state.url("flink")),
        depends=("jars",),
        port="flink",
        version=FLINK_VERSION,
        says="Flink, with its web UI",
        settle_s=3,
    )


def taskmanager(state: State) -> Program:
    """The TaskManager; it registers with the JobManager by itself, also when that one comes later."""
    return Program(
        name="taskmanager",
        command=(str(home(state) / "bin" / "taskmanager.sh"), "start-foreground"),
        environment=environment(state),
        probe=probes.flink_taskmanager(state.url("flink")),
        depends=("jars",),
        version=FLINK_VERSION,
        says="Flink's worker: 4 slots, 1280 MiB",
        settle_s=3,
    )
