"""Files and folders that appear complete or not at all."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import platform
import secrets
import shutil
import time
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

__all__ = [
    "atomic_folder",
    "atomic_write",
    "checksum",
    "checksum_of",
    "leftovers",
    "read_json",
    "sealed",
    "sweep_partial",
    "unsealed",
    "unwritable",
    "walk_folders",
    "write_csv",
    "write_text",
]

_MARK = ".partial-"
_SEAL = "seal"


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` (with its ending) that becomes `path` when the block succeeds.

    The file is flushed to the disk before it takes its name, so a crash leaves the old file or the new one.
    After an exception nothing is left behind; the next write of `path` removes leftovers of a killed process.
    The file's mode is that of any new file in the folder. The parent folder is created.

    Raises:
        OSError: the file cannot be written, the block wrote none, or `path` is a folder, a device or a pipe.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # replacing /dev/null by a file would break other programs
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    for old in leftovers(path.parent, of=path.name):
        _remove(old)
    temporary = _beside(path)
    try:
        temporary.touch()
        mode = temporary.stat().st_mode & 0o777  # the mode of a new file here, from the umask or the folder
        temporary.unlink()
        yield temporary
        temporary.chmod(mode)  # some libraries make their files private
        _sync(temporary)
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary folder beside `path` that becomes `path` when the block succeeds.

    For folders whose name identifies their content: if another process was faster, its folder stays.
    After an exception nothing is left behind. Modes are those of any new folder and file. The parent folder is created.

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
        mode = temporary.stat().st_mode & 0o666
        for file in [path for path in temporary.rglob("*") if path.is_file()]:
            file.chmod(mode)  # some libraries make their files private
            if sync:
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


def sealed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """JSON-compatible facts with a checksum over all of them, which `unsealed` compares."""
    plain = json.loads(json.dumps(facts))  # as a reader will get them
    return {**plain, _SEAL: checksum_of(plain)}


def unsealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that were `sealed`; those of an older gantk, which have no seal, as they are.

    Raises:
        ValueError: they differ from the sealed bytes.
    """
    facts = {key: value for key, value in content.items() if key != _SEAL}
    if content.get(_SEAL, digest := checksum_of(facts)) != digest:
        raise ValueError("it differs from its own checksum")
    return facts


def checksum_of(facts: object) -> str:
    """The SHA-256 of facts that JSON can hold, 64 hex digits, in whatever order their keys are."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file as `atomic_write` does.

    Raises:
        OSError: it cannot be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_csv(path: Path, rows: Iterable[Iterable[object]], delimiter: str = ",") -> None:
    """Write rows, the header first, as `atomic_write` does.

    Raises:
        OSError: they cannot be written.
    """
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle, delimiter=delimiter, lineterminator="\n").writerows(rows)


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON object, without its seal; empty if the file is missing or broken, for displays that show
    what they can."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return unsealed(content) if isinstance(content, dict) else {}
    except (OSError, ValueError):
        return {}


def sweep_partial(folder: Path, *, older_than: float = 24 * 3600) -> None:
    """Remove half-written files that killed processes left in `folder`.

    Files that a process of this machine is writing stay, and files of other machines that were changed in the last
    `older_than` seconds.
    """
    for path in leftovers(folder, older_than=older_than):
        _remove(path)


def leftovers(folder: Path, *, of: str = "", older_than: float = 24 * 3600) -> list[Path]:
    """Half-written files that killed processes left in `folder`: all of them, or those of one name."""
    found = []
    with suppress(OSError):
        for path in folder.iterdir():
            writer, mark, name = path.name.partition(_MARK)
            if path.name.startswith(".") and mark and of in ("", name):
                with suppress(OSError):
                    if not _at_work(writer, unknown=time.time() - path.stat().st_mtime <= older_than):
                        found.append(path)
    return found


def unwritable(folder: Path) -> str | None:
    """Why files cannot be written to a folder, which need not exist; None where they can."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))
    if not there.is_dir():
        return f"{there} is no folder"
    return None if os.access(there, os.W_OK | os.X_OK) else f"{there} may not be written to"


def walk_folders(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """A folder and all folders below it, each with its files sorted by name, without hidden ones.

    Links are followed. A folder that several paths lead to comes once, under a path without links where there is one,
    so a link that leads back up ends nothing in a loop.

    Raises:
        OSError: a folder cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    linked = deque([Path(root)])
    while linked:
        waiting = [linked.popleft()]
        while waiting:
            folder = waiting.pop()
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            files: list[Path] = []
            below: list[Path] = []
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    if entry.name.startswith("."):
                        continue
                    path = folder / entry.name
                    if not entry.is_symlink():
                        (below if entry.is_dir() else files).append(path)
                    else:
                        (linked if path.is_dir() else files).append(path)
            waiting += reversed(below)
            yield folder, files


def _beside(path: Path) -> Path:
    """A temporary name for `path` that identifies the writing process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{_machine()}-{os.getpid():x}-{secrets.token_hex(4)}{_MARK}{path.name}")


def _at_work(writer: str, *, unknown: bool) -> bool:
    """Whether the process that writes a partial file still runs; `unknown` is returned for other machines."""
    machine, _, process = writer.removeprefix(".").partition("-")
    process = process.partition("-")[0]
    if machine != _machine() or not process:
        return unknown
    import psutil  # needed only if there are leftovers

    with suppress(psutil.NoSuchProcess):
        return psutil.Process(int(process, 16)).status() != psutil.STATUS_ZOMBIE  # killed, and not yet waited for
    return False


@cache
def _machine() -> str:
    """Eight hex digits for where process ids mean the same: this boot of this machine, and inside it this container."""
    where = [platform.node()]
    with suppress(OSError):
        where += [Path("/proc/sys/kernel/random/boot_id").read_text(), str(Path("/proc/self/ns/pid").readlink())]
    return f"{zlib.crc32(' '.join(where).encode()):08x}"


def _remove(path: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


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
