"""Files of the state folder: secrets are 0600, folders 0700, and a crash never leaves half a file."""

from __future__ import annotations

import os
from pathlib import Path


def private_folder(path: Path) -> Path:
    """`path` as a folder that only its owner may enter."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    return path


def write_private(path: Path, text: str) -> Path:
    """Writes `text` with mode 0600, whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    part.replace(path)
    return path


def link(target: Path, name: Path) -> None:
    """`name` becomes a symbolic link to `target`, replacing a link that points elsewhere."""
    if name.is_symlink():
        if name.readlink() == target:
            return
        name.unlink()
    name.symlink_to(target)
