"""A Flink session cluster: one JobManager, one TaskManager with eight slots, RocksDB, checkpoints on disk.

`FLINK_HOME` is made in the state folder, since the one in the wheel lacks our jars and conf and must not be changed:
copies of `bin/`, links to the jars of `lib/`, `opt/` and the plugins, and our own jars and conf.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from string import Template

from connectors.jars import FLINK_VERSION
from headwater.model.settings import JobSettings, project_folder
from headwater.stack import jars, jvm, places, probes
from headwater.stack.files import link, private_folder, write_private
from headwater.stack.program import Program
from headwater.stack.state import State

LOGGING = "log4j-console.properties"

MEMORY_MB = {
    "jm_heap": 448,
    "jm_metaspace": 160,
    "tm_framework_heap": 96,
    "tm_off_heap": 64,
    "tm_task_heap": 480,
    "tm_network": 96,
    "tm_metaspace": 192,
    "tm_rocksdb": 448,
    "tm_overhead": 128 + 448,
}
"""Sizes that both Flink's configuration and the JVM's options state."""


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
        **{f"FLINK_{name.upper()}_DIR": str(home(state) / name) for name in ("bin", "lib", "opt", "plugins")},
        "FLINK_IDENT_STRING": "headwater",
        "JAVA_HOME": str(places.java_home()),
        # Thread mode finds its interpreter's libraries only by this.
        "PYTHONPATH": str(places.jobs_site_packages()),
    }


def prepare(state: State) -> None:
    """Makes FLINK_HOME and its conf. Cheap to repeat; a changed jar or conf is taken over."""
    pyflink = _pyflink()
    target = private_folder(private_folder(state.folder / "flink") / "home")
    for name in ("checkpoints", "savepoints", "log", "pid"):
        private_folder(state.folder / "flink" / name)
    for log in (state.folder / "logs").glob("*_db_LOG*"):
        log.unlink()  # RocksDB's own: one for each state that was ever opened
    _copy_scripts(pyflink / "bin", target / "bin")
    _links(target / "lib", _library(state))
    # `flink run -py` wants a real folder here, not a link.
    _links(target / "opt", [*(pyflink / "opt").glob("*.jar"), *_optional(state)])
    _links(target / "plugins", [one for one in (pyflink / "plugins").iterdir() if one.is_dir()])
    conf = private_folder(target / "conf")
    write_private(conf / "config.yaml", rendered(state))
    # The scripts for clients (`flink`, `sql-client.sh`) look for files of their own.
    for name in (LOGGING, "log4j-cli.properties", "log4j-session.properties"):
        shutil.copyfile(project_folder() / "flink-conf" / LOGGING, conf / name)


def _pyflink() -> Path:
    return places.jobs_site_packages() / "pyflink"


def _library(state: State) -> list[Path]:
    """What lies in `lib/`: Flink's own jars, the one of Python, and ours (which need not have been fetched yet)."""
    ours = [jars.folder("flink", state.folder) / jar.filename for jar in jars.locked("flink")]
    return [*(_pyflink() / "lib").glob("*.jar"), *(_pyflink() / "opt").glob("flink-python*.jar"), *ours]


def _optional(state: State) -> list[Path]:
    """What lies in `opt/` beside Flink's own: the SQL Gateway, which `sql-client.sh` looks for there."""
    return [jars.folder("gateway", state.folder) / jar.filename for jar in jars.locked("gateway")]


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
        **MEMORY_MB,
    )
    return text + "\n" + _every_job(state)


def job_options(state: State) -> dict[str, str]:
    """What every job gets, by key. A cluster of somebody else keeps its own folders and state backend."""
    lines = _every_job(state).splitlines()
    options = dict(line.split(": ", 1) for line in lines if ": " in line and not line.startswith("#"))
    foreign = "flink" in state.external
    return {
        key: value for key, value in options.items() if not (foreign and ("dir" in key or key.startswith("state.")))
    }


def _every_job(state: State) -> str:
    settings = JobSettings(_env_file=state.folder / "run.env")
    return _filled("jobs.yaml", folder=state.folder / "flink", checkpoint_s=settings.checkpoint_s)


def _filled(name: str, **names: object) -> str:
    return Template(_text(name)).substitute(names)


def _text(name: str) -> str:
    return (project_folder() / "flink-conf" / name).read_text()


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


def java(state: State, name: str, main: str, *options: str, optional: bool = False) -> tuple[str, ...]:
    """The command that Flink's `*-foreground` scripts end in, without the four JVMs that they start to get there.

    It works in a folder that is emptied first: there lie state in RocksDB, shuffles and shipped files, and there Python
    workers look for modules before anywhere else, so it must not be the checkout. `optional`: with the jars of `opt/`
    that are not Flink's own.
    """
    tmp = jvm.tmp_of(state, name)
    conf, lib = home(state) / "conf", home(state) / "lib"
    opened = [line.strip() for line in _text("config.yaml").splitlines() if line.strip().startswith("--add-")]
    names = [target.name for target in _library(state)]
    beside = [str(home(state) / "opt" / target.name) for target in _optional(state)] if optional else []
    return jvm.working_in(
        state,
        name,
        *options,
        *opened,
        "-XX:+ExitOnOutOfMemoryError",
        f"-Dlog4j.configurationFile=file:{conf / LOGGING}",
        f"-Dlog.file={state.folder / 'logs' / name}.log",  # what the web UI shows; the supervisor writes it
        "-cp",
        # flink-dist last, as the scripts have it: it holds copies of some classes.
        ":".join(
            [*beside, *(str(lib / one) for one in sorted(names, key=lambda one: (one.startswith("flink-dist"), one)))]
        ),
        main,
        *(() if optional else ("--configDir", str(conf))),
        f"-Dio.tmp.dirs={tmp}",
        f"-Dweb.tmpdir={tmp}",
    )


def jobmanager(state: State) -> Program:
    """The JobManager with the web UI."""
    size = MEMORY_MB
    options = (
        jvm.LIGHT,
        "-Xms64m",
        f"-Xmx{size['jm_heap']}m",
        f"-XX:MaxMetaspaceSize={size['jm_metaspace']}m",
        "-XX:+UseSerialGC",
    )
    main = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
    return Program(
        name="jobmanager",
        command=java(state, "jobmanager", main, *options),
        environment=environment(state),
        probe=probes.flink_jobmanager(state.url("flink")),
        depends=("jars",),
        port="flink",
        version=FLINK_VERSION,
        says="Flink, with its web UI",
        stop_wait_s=30,
        settle_s=3,
    )


def taskmanager(state: State) -> Program:
    """The TaskManager; it registers with the JobManager by itself, also when that one comes later."""
    size = MEMORY_MB
    options = (
        "-Xms128m",
        f"-Xmx{size['tm_framework_heap'] + size['tm_task_heap']}m",
        f"-XX:MaxDirectMemorySize={size['tm_off_heap'] + size['tm_network']}m",
        f"-XX:MaxMetaspaceSize={size['tm_metaspace']}m",
        "-XX:+UseG1GC",
        "-XX:MaxGCPauseMillis=50",
    )
    main = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
    return Program(
        name="taskmanager",
        command=java(state, "taskmanager", main, *options),
        # Functions of SQL in a job that was not submitted by us: their dead letters go there.
        environment={**environment(state), "HEADWATER_KAFKA": state.url("kafka")},
        probe=probes.flink_taskmanager(state.url("flink")),
        depends=("jars",),
        version=FLINK_VERSION,
        says="Flink's worker: 8 slots, 1632 MiB at most",
        stop_wait_s=30,
        settle_s=3,
        yields=10,
    )
