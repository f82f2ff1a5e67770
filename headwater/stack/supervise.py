"""The supervisor (supervisord): starts, restarts with back-off, rotates logs, and stops whole process groups.

It is spoken to by XML-RPC on 127.0.0.1 with a password. No program starts by itself: `plan` starts each when what it
depends on is ready. From then on the supervisor keeps it alive.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from headwater import heartbeat
from headwater.model.errors import StackError
from headwater.stack.files import private_folder, write_private
from headwater.stack.program import Program
from headwater.stack.state import State

MARK = "HEADWATER_PROGRAM"
"""Set, beside HEADWATER_STATE, in every process of a stack, so that orphans can be told from anything else."""

ALREADY_STARTED = 60
NOT_RUNNING = 70
BAD_NAME = 10


@dataclass(frozen=True)
class Running:
    """One program as the supervisor sees it. `state` is its word: RUNNING, STARTING, BACKOFF, STOPPED, FATAL..."""

    name: str
    state: str
    pid: int
    restarts: int
    since: int


def environment(state: State, program: Program) -> dict[str, str]:
    """What the supervisor adds to a program's environment."""
    return {"HEADWATER_STATE": str(state.folder), MARK: program.name, "PYTHONUNBUFFERED": "1", **program.environment}


def configuration(state: State, programs: Iterable[Program]) -> str:
    """`supervisord.conf` for these programs."""
    logs = private_folder(state.folder / "logs")
    parts = [
        f"""\
[supervisord]
nodaemon=true
logfile={_quoted(logs / "supervisord.log")}
logfile_maxbytes=10MB
logfile_backups=2
loglevel=info
pidfile={_quoted(state.folder / "supervisord.pid")}
childlogdir={_quoted(logs)}
minfds=4096
{"user=root" if os.geteuid() == 0 else ""}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[inet_http_server]
port=127.0.0.1:{state.ports["supervisor"]}
username=headwater
password={_quoted(state.secrets["supervisor"])}
"""
    ]
    return "\n".join(parts + [_section(state, program) for program in programs])


def _section(state: State, program: Program) -> str:
    environ = ",".join(f'{name}="{_quoted(value)}"' for name, value in environment(state, program).items())
    return f"""\
[program:{program.name}]
command={" ".join(_argument(word) for word in program.command)}
environment={environ}
directory={_quoted(program.folder)}
autostart=false
autorestart=true
startsecs={program.settle_s}
startretries=100
stopsignal={program.stop_signal}
stopwaitsecs={program.stop_wait_s}
stopasgroup={"false" if program.stop_signal == "INT" else "true"}
killasgroup=true
redirect_stderr=true
stdout_logfile={_quoted(state.folder / "logs" / program.name)}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
{f"user={program.user}" if program.user else ""}
"""


def _quoted(value: object) -> str:
    return str(value).replace("%", "%%")


def _argument(word: str) -> str:
    escaped = _quoted(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if re.search(r"[\s'\"=;]", word) or not word else escaped


class Supervisor:
    """The supervisord of one stack, whether it runs or not."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._url = f"http://headwater:{state.secrets['supervisor']}@127.0.0.1:{state.ports['supervisor']}/RPC2"

    def _call(self, method: str, *arguments: Any) -> Any:
        # A proxy a call: proxies keep a connection that threads must not share.
        with xmlrpc.client.ServerProxy(self._url) as proxy:
            return getattr(proxy, f"supervisor.{method}")(*arguments)

    def alive(self) -> bool:
        """True if a supervisor answers that lets us in with our password: so it is ours."""
        try:
            self._call("getPID")
        except (OSError, xmlrpc.client.Error):
            return False
        return True

    def launch(self, programs: Iterable[Program], patience_s: float = 60) -> None:
        """Starts supervisord, or gives a running one the new configuration. Raises `StackError` if it does not come."""
        path = write_private(self._state.folder / "supervisord.conf", configuration(self._state, programs))
        if self.alive():
            self._reread()
            return
        shutil.rmtree(self._state.folder / heartbeat.FOLDER, ignore_errors=True)
        private_folder(self._state.folder / heartbeat.FOLDER)
        logs = private_folder(self._state.folder / "logs")
        (logs / "supervisord.log").unlink(missing_ok=True)  # restarts are counted in it, from this start on
        # Without compiled modules each program would compile its libraries anew at each start, 1 to 3 s of a core.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with (logs / "supervisord.out").open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**kept, "HEADWATER_STATE": str(self._state.folder), MARK: "supervisord"},
                start_new_session=True,
            )
        until = time.monotonic() + patience_s
        while not self.alive():
            if process.poll() is not None or time.monotonic() > until:
                words = (logs / "supervisord.out").read_text(errors="replace")[-800:]
                raise StackError(
                    f"The supervisor did not start: {words}", "see logs/supervisord.out in the state folder."
                )
            time.sleep(0.05)
        process.returncode = 0  # it is to outlive us: nobody waits for it

    def _reread(self) -> None:
        """Takes over a changed configuration: changed and removed programs are stopped, new ones are added."""
        added, changed, removed = self._call("reloadConfig")[0]
        for name in (*changed, *removed):
            self._call("stopProcessGroup", name)
            self._call("removeProcessGroup", name)
        for name in (*added, *changed):
            self._call("addProcessGroup", name)

    def start(self, name: str) -> None:
        """Starts a program without waiting; one that runs already is left alone. Raises `StackError`."""
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != ALREADY_STARTED:
                raise StackError(f"{name} could not be started: {fault.faultString}") from fault

    def stop(self, name: str) -> None:
        """Stops a program and waits for its end; one that does not run is left alone."""
        try:
            self._call("stopProcess", name, True)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in (NOT_RUNNING, BAD_NAME):
                raise StackError(f"{name} could not be stopped: {fault.faultString}") from fault

    def shutdown(self, patience_s: float = 60) -> None:
        """Stops whatever still runs, and the supervisor itself."""
        if not self.alive():
            return
        process = psutil.Process(self._call("getPID"))
        self._call("shutdown")
        try:
            process.wait(patience_s)
        except psutil.TimeoutExpired as error:
            raise StackError(
                f"The supervisor still runs after {patience_s:.0f} s.", "run `make down` again."
            ) from error

    def state_of(self, name: str) -> str:
        """The supervisor's word for one program: RUNNING, STARTING, BACKOFF, FATAL..."""
        return str(self._call("getProcessInfo", name)["statename"])

    def programs(self) -> dict[str, Running]:
        """All programs by name; empty if no supervisor runs."""
        try:
            found = self._call("getAllProcessInfo")
        except (OSError, xmlrpc.client.Error):
            return {}
        starts = self._starts()
        return {
            one["name"]: Running(
                one["name"], one["statename"], one["pid"], max(0, starts.get(one["name"], 0) - 1), one["start"]
            )
            for one in found
        }

    def _starts(self) -> dict[str, int]:
        """How often each program was started since the supervisor was: it keeps no count, but it logs each start."""
        count: dict[str, int] = {}
        for path in sorted((self._state.folder / "logs").glob("supervisord.log*")):
            for name in re.findall(r"spawned: '([^']+)'", path.read_text(errors="replace")):
                count[name] = count.get(name, 0) + 1
        return count


def log_file(state: State, name: str) -> Path:
    """Where the output of a program goes."""
    return state.folder / "logs" / f"{name}.log"
