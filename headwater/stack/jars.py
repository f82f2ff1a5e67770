"""Jars without Maven: the locked ones are fetched once, checked against their sums, and shared between checkouts.

`requirements/jars.lock` holds a line `set group:artifact:version sha256` for each jar of each set. A set's folder
`jars/<set>` in the state folder holds links into the cache; only jars whose sum was right are ever linked.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.jars import FLINK, GATEWAY
from headwater.model.errors import StackError
from headwater.model.settings import project_folder, state_folder
from headwater.stack.files import link, private_folder
from headwater.stack.places import cache_folder

ROOTS: dict[str, tuple[str, ...]] = {
    "kafka": ("org.apache.kafka:kafka_2.13:4.1.1", "org.slf4j:slf4j-simple:1.7.36"),
    "hivemq": ("com.hivemq:hivemq-community-edition-embedded:2025.5",),
    "flink": FLINK,
    "gateway": GATEWAY,
}
"""What is asked for; `make lock` resolves it with all that it needs."""

ALONE = {"gateway"}
"""Sets whose needs are met by what stands beside them."""

THREADS = 8
ATTEMPTS = 3


@dataclass(frozen=True)
class Jar:
    """One locked jar. `coordinate` is group:artifact:version, `sha256` in hex."""

    set: str
    coordinate: str
    sha256: str

    @property
    def filename(self) -> str:
        """artifact-version.jar"""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"

    @property
    def cached(self) -> Path:
        """Where the cache keeps it, in the layout of a Maven repository."""
        group, artifact, version = self.coordinate.split(":")
        return repository().joinpath(*group.split("."), artifact, version, self.filename)


def repository() -> Path:
    """The shared cache of jars."""
    return cache_folder() / "m2"


def lock_file() -> Path:
    """The lock file of this checkout."""
    return project_folder() / "requirements" / "jars.lock"


def locked(only: str = "") -> list[Jar]:
    """All locked jars, or those of one set. Raises `StackError` on a line that is not one."""
    jars = []
    for number, line in enumerate(lock_file().read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split()
        if len(parts) != 3 or parts[1].count(":") != 2 or len(parts[2]) != 64:
            raise StackError(
                f"requirements/jars.lock line {number}: expected `set group:artifact:version sha256`, got {line!r}.",
                "run `make lock`.",
            )
        jars.append(Jar(*parts))
    return [jar for jar in jars if not only or jar.set == only]


def folder(name: str, state: Path | None = None) -> Path:
    """The folder with the jars of set `name`."""
    return (state or state_folder()) / "jars" / name


def classpath(name: str, state: Path | None = None) -> str:
    """The locked jars of set `name`, joined for `java -cp`; they need not have been fetched yet."""
    return ":".join(sorted(str(folder(name, state) / jar.filename) for jar in locked(name)))


def sum_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ensure(state: Path, only: str = "") -> str:
    """Makes the folders of all sets (or of one) complete; says what it did. Raises `StackError` on a wrong sum."""
    wanted = locked(only)
    missing = [jar for jar in wanted if not _linked(jar, state)]
    if missing:
        each = {jar.cached: jar for jar in missing}.values()  # two sets may hold the same one
        with ThreadPoolExecutor(THREADS) as pool:
            fetched = sum(pool.map(_fetch, each))
        for jar in missing:
            private_folder(folder(jar.set, state))
            link(jar.cached, folder(jar.set, state) / jar.filename)
    for name in {jar.set for jar in wanted}:
        _drop_strangers(folder(name, state), {jar.filename for jar in wanted if jar.set == name})
    return f"{fetched} of {len(wanted)} jars fetched" if missing else f"{len(wanted)} jars in place"


def _linked(jar: Jar, state: Path) -> bool:
    name = folder(jar.set, state) / jar.filename
    return name.is_symlink() and name.readlink() == jar.cached and jar.cached.is_file()


def _drop_strangers(place: Path, known: set[str]) -> None:
    for path in place.glob("*.jar"):
        if path.name not in known:
            path.unlink()


def _fetch(jar: Jar) -> bool:
    """True if it had to be downloaded. The sum is checked in both cases, and a wrong file is not kept."""
    came = False
    if not (jar.cached.is_file() and sum_of(jar.cached) == jar.sha256):
        jar.cached.unlink(missing_ok=True)
        _download(jar)
        came = True
        if (found := sum_of(jar.cached)) != jar.sha256:
            jar.cached.unlink()
            raise StackError(
                f"{jar.coordinate}: expected sha256 {jar.sha256}, got {found}.",
                "run `make up` again; if it stays, your repository serves another file than the locked one.",
            )
    return came


def _download(jar: Jar) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _artifact(_context(), jar.coordinate).resolve()
            break
        except Exception as error:  # jgo and requests raise errors of many kinds
            jar.cached.unlink(missing_ok=True)  # half of one would be taken for the whole
            if attempt == ATTEMPTS:
                raise StackError(
                    f"{jar.coordinate} could not be fetched: {error}.",
                    "check the network or the proxy, then run it again.",
                ) from error
            time.sleep(attempt)
    if not jar.cached.is_file():
        raise StackError(f"{jar.coordinate} is not where it should be: {jar.cached}.", "delete that cache folder.")


def _context() -> Any:
    from jgo.maven import MavenContext

    return MavenContext(repo_cache=repository(), timeout=60)


def _artifact(context: Any, coordinate: str) -> Any:
    return context.create_dependency(coordinate).artifact


def broken(state: Path) -> Iterable[tuple[Jar, str]]:
    """Each locked jar that is missing or has a wrong sum, and what is wrong with it."""
    for jar in locked():
        path = folder(jar.set, state) / jar.filename
        if not path.is_file():
            yield jar, "missing"
        elif sum_of(path) != jar.sha256:
            yield jar, "wrong checksum"


def resolve() -> list[Jar]:
    """Every set with all that it needs at run time, resolved anew (for `make lock`). Downloads what is not cached."""
    context, jars = _context(), []
    for name, roots in ROOTS.items():
        inputs, needed = [context.create_dependency(root) for root in roots], []
        if name not in ALONE:
            inputs, needed = context.resolver.resolve(inputs)
        kept = [one.artifact for one in (*inputs, *needed) if one.scope in (None, "compile", "runtime")]
        with ThreadPoolExecutor(THREADS) as pool:
            sums = list(pool.map(lambda artifact: sum_of(Path(artifact.resolve())), kept))
        jars += [
            Jar(name, f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}", digest)
            for artifact, digest in zip(kept, sums, strict=True)
        ]
    return sorted(jars, key=lambda jar: (jar.set, jar.coordinate))


def write_lock() -> int:
    """Writes `requirements/jars.lock` anew and returns how many jars it holds."""
    jars = resolve()
    lines = [f"{jar.set} {jar.coordinate} {jar.sha256}" for jar in jars]
    lock_file().write_text("\n".join(lines) + "\n")
    return len(jars)
