"""Files and folders that appear whole, are everybody's to read, and leave nothing of the dead behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gantk.files import atomic_folder, atomic_write, checksum_of, leftovers, sealed, sweep_partial, unsealed


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def private(path: Path) -> None:
    """Write as some libraries do: into a file that only its owner can read."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    os.write(handle, b"x")
    os.close(handle)
    Path(name).replace(path)


@pytest.mark.parametrize(("mask", "file_mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_modes_follow_the_umask_whatever_writes(tmp_path: Path, mask: int, file_mode: int) -> None:
    with umask(mask):
        with atomic_write(tmp_path / "a") as path:
            private(path)
        with atomic_folder(tmp_path / "d") as folder:
            private(folder / "b")
            (folder / "c").write_text("x")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "d/b", "d/c")] == [file_mode] * 3


def test_a_block_that_writes_nothing_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from gantk.files import atomic_folder, atomic_write
with atomic_write(Path(sys.argv[1]) / "a") as path, atomic_folder(Path(sys.argv[1]) / "d") as folder:
    path.write_text("half")
    (folder / "x").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A folder in which a process was killed while it wrote."""
    assert subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False).returncode == -9
    assert len(list(tmp_path.iterdir())) == 2
    return tmp_path


def test_the_next_writer_removes_what_a_killed_one_left(killed: Path) -> None:
    with atomic_write(killed / "b") as path:
        path.write_text("another file")
    assert len(leftovers(killed)) == 2
    with atomic_write(killed / "a") as path:
        path.write_text("whole")
    assert [path.name.partition(".partial-")[2] for path in leftovers(killed)] == ["d"]
    sweep_partial(killed)
    assert sorted(path.name for path in killed.iterdir()) == ["a", "b"]


def test_what_another_process_is_writing_stays(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a") as mine:
        mine.write_text("mine")
        strange = mine.with_name(mine.name.replace(mine.name[1:9], "00000000"))  # another machine's
        strange.write_text("theirs")
        sweep_partial(tmp_path, older_than=-1)
        assert mine.exists()
        assert not strange.exists()
        strange.write_text("theirs")
        with atomic_write(tmp_path / "a") as path:
            path.write_text("x")
        sweep_partial(tmp_path)
        assert strange.exists()
    assert (tmp_path / "a").read_text() == "mine"


def test_pipes_and_folders_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OSError, match="regular file"), atomic_write(tmp_path / name) as temporary:
            temporary.touch()
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]


def test_a_seal_tells_any_change_of_what_it_seals() -> None:
    facts = {"step": 3, "rates": (0.1, 1e-9), "of": {"b": None, "a": "ä"}}
    text = json.dumps(sealed(facts))
    assert unsealed(json.loads(text)) == facts | {"rates": [0.1, 1e-9]}
    for found, written in (("3", "7"), ("0.1", "0.3"), ("step", "stfp"), ("null", "true")):
        with pytest.raises(ValueError, match="its own checksum"):
            unsealed(json.loads(text.replace(found, written, 1)))
    assert unsealed({"step": 3}) == {"step": 3}  # from before there were seals


def test_atomic_files_and_folders_are_whole_or_absent(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "a.txt") as path:  # noqa: PT012
        path.write_text("new")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old"
    with atomic_write(tmp_path / "a.txt") as path:
        path.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "d") as path:  # noqa: PT012
        (path / "x").write_text("half")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    for text in ("first", "second"):
        with atomic_folder(tmp_path / "d") as path:
            (path / "x").write_text(text)
    assert (tmp_path / "d" / "x").read_text() == "first"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "d"]


def test_what_a_killed_process_left_is_removed_before_its_parent_waits_for_it(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom gantk.files import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as path:\n"
        "    path.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "a")])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is a zombie
    assert leftovers(tmp_path)
    sweep_partial(tmp_path)
    assert list(tmp_path.iterdir()) == []
    process.wait()


def test_the_checksum_of_facts_depends_on_no_order_of_keys() -> None:
    """Caches and the ids of sweeps' runs depend on it, so it must not change."""
    known = "2742c95f2d00ab3d46d73f207ea7e5fe"
    assert checksum_of({"a": [1, None], "b": "x"}) == checksum_of({"b": "x", "a": [1, None]})
    assert checksum_of({"a": [1, None], "b": "x"})[:32] == known
    assert checksum_of({"a": [None, 1], "b": "x"})[:32] != known
