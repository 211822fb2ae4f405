"""Files and folders that appear complete or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["atomic_folder", "atomic_write", "checksum", "read_json", "sweep_partial"]

_MARK = ".partial-"


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` (with its ending) that becomes `path` when the block succeeds.

    The file is flushed to the disk before it takes its name, so a crash leaves the old file or the new one.
    After an exception nothing is left behind. The parent folder is created.

    Raises:
        OSError: the file cannot be written, or the block wrote none.
    """
    path = Path(path)
    temporary = _beside(path)
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary folder beside `path` that becomes `path` when the block succeeds.

    For folders whose name says what they hold: where another process was faster, its folder stays.
    After an exception nothing is left behind. The parent folder is created.

    Args:
        path: the folder to make.
        sync: flush every file to the disk first; needless where a damaged folder is noticed and made again.

    Raises:
        OSError: the folder cannot be written.
    """
    path = Path(path)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        if sync:
            for file in temporary.rglob("*"):
                if file.is_file():
                    _sync(file)
        try:
            temporary.replace(path)
        except OSError:
            if not path.is_dir():
                raise
        _sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def checksum(path: Path) -> str:
    """The SHA-256 of a file, 64 hex digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object's content, empty where the file is missing or broken: for readers who show what there is."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def sweep_partial(folder: Path, *, older_than: float = 24 * 3600) -> None:
    """Remove what killed processes left half-written in `folder` more than `older_than` seconds ago."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name.startswith(".") and _MARK in path.name:
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > older_than:
                        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _beside(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{secrets.token_hex(4)}{_MARK}{path.name}")


def _sync(file: Path) -> None:
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # a rename is durable once its folder is; Windows cannot open folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # some network file systems refuse
                os.fsync(handle)
        finally:
            os.close(handle)
