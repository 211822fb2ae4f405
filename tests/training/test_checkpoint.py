"""Checkpoints that are damaged, unreadable, hostile or cannot be written: each has its own error."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from disks import disk_of
from gantk.errors import CheckpointError
from gantk.files import sealed, unsealed
from gantk.training.checkpoint import Checkpoint, list_checkpoints, newest_checkpoint, open_checkpoint, save_checkpoint
from gantk.training.history import History
from gantk.training.scheduler import Stage
from gantk.training.state import Position


def state(total: int, size: int = 4) -> Any:
    """The state for a checkpoint, without networks."""
    return SimpleNamespace(
        position=Position(total=total),
        tensors=lambda: {"g.generator.w": torch.ones(size)},
        optimizer_states=lambda: {"g": {"lr": 0.1, "m": torch.zeros(size)}},
        scheduler=SimpleNamespace(state_dict=dict),
    )


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """Two checkpoints."""
    for total in (2, 4):
        save_checkpoint(tmp_path / "checkpoints", state(total), {"recipe": ""}, keep=2)
    return tmp_path / "checkpoints"


def newest(checkpoints: Path) -> Checkpoint:
    found = newest_checkpoint(checkpoints)
    assert found is not None
    return found


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_every_file_follows_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        folder = save_checkpoint(tmp_path / "c", state(1), {"recipe": ""}, keep=1)
        translator: Any = SimpleNamespace(state_dict=lambda: {"w": torch.ones(2)})
        History(tmp_path / "h").record(Stage("one", 1, ("g",), history=1), 0, {"g": translator})
    finally:
        os.umask(before)
    files = [path for part in (folder, tmp_path / "h") for path in part.rglob("*") if path.is_file()]
    assert len(files) == 4
    assert {file.stat().st_mode & 0o777 for file in files} == {0o666 & ~mask}


@pytest.mark.parametrize("name", ["model.safetensors", "state.pt", "checkpoint.json"])
def test_what_may_not_be_read_is_not_called_damaged(checkpoints: Path, bound_by_permissions: None, name: str) -> None:
    path = checkpoints / "step-00000004" / name
    path.chmod(0)
    with pytest.raises(CheckpointError, match="Permission denied") as caught:
        newest(checkpoints).tensors(), newest(checkpoints).optimizers()
    said = str(caught.value)
    assert str(path) in said
    assert "the checkpoint cannot be read" in said
    assert "mend its permissions" in said
    assert not any(word in said for word in ("remove", "move", "checkpoint is damaged"))


@pytest.mark.parametrize("folder", [".", "step-00000004"])
def test_a_folder_that_may_not_be_read_is_not_empty(checkpoints: Path, bound_by_permissions: None, folder: str) -> None:
    closed = checkpoints / folder
    closed.chmod(0)
    try:
        with pytest.raises(CheckpointError, match=r"cannot be read.*Permission denied.*mend its permissions"):
            newest_checkpoint(checkpoints)
    finally:
        closed.chmod(0o755)


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


def forge(folder: Path, name: str) -> None:
    """Give a changed file its right checksum, as an attacker would."""
    facts = unsealed(json.loads((folder / "checkpoint.json").read_text()))
    facts["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "checkpoint.json").write_text(json.dumps(sealed(facts)))


def test_a_hostile_state_is_refused_without_advice_to_trust_it(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkpoints)
    folder = checkpoints / "step-00000004"
    torch.save({"g": Evil()}, folder / "state.pt")
    forge(folder, "state.pt")
    with pytest.raises(CheckpointError, match="refused") as caught:
        newest(checkpoints).optimizers()
    said = str(caught.value)
    assert "would execute code" in said
    assert not any(word in said for word in ("weights_only", "add_safe_globals", "False", "torch.load", "remove"))
    assert not (checkpoints / "executed").exists()


HEADERS = {
    "length": b"\xff" * 8,
    "no JSON": (20).to_bytes(8, "little") + b"x" * 20,
    "outside": (lambda h: len(h).to_bytes(8, "little") + h)(
        b'{"a":{"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,99999999999]}}'
    ),
    "empty": b"",
}


@pytest.mark.parametrize("header", HEADERS)
def test_hostile_weights_are_damaged(checkpoints: Path, header: str) -> None:
    folder = checkpoints / "step-00000004"
    (folder / "model.safetensors").write_bytes(HEADERS[header])
    forge(folder, "model.safetensors")
    with pytest.raises(CheckpointError, match=r"the checkpoint is damaged.*model.safetensors"):
        newest(checkpoints).tensors()


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04garbage"])
def test_a_state_that_is_none_is_an_error(checkpoints: Path, content: bytes) -> None:
    folder = checkpoints / "step-00000004"
    (folder / "state.pt").write_bytes(content)
    forge(folder, "state.pt")
    with pytest.raises(CheckpointError, match=r"state\.pt"):
        newest(checkpoints).optimizers()


@pytest.mark.parametrize(
    "change",
    [{"position": {"total": "4"}}, {"position": {"step": -1}}, {"recipe": 3}, {"scheduler": []}, {"sha256": []}],
)
def test_wrong_types_are_damage(checkpoints: Path, change: dict[str, Any]) -> None:
    path = checkpoints / "step-00000004" / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match="not what gantk wrote"):
        open_checkpoint(path.parent)


def test_the_way_out_is_one_that_is_there(checkpoints: Path) -> None:
    (checkpoints / "step-00000004" / "state.pt").unlink()
    with pytest.raises(CheckpointError, match="elsewhere to continue from the previous checkpoint"):
        newest(checkpoints).optimizers()
    shutil.rmtree(checkpoints / "step-00000002")
    with pytest.raises(CheckpointError, match="there is no previous checkpoint"):
        newest(checkpoints).optimizers()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    with disk_of("256k", tmp_path / "disk") as small:
        yield small


def test_a_full_disk_is_told_the_truth(disk: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be written") as caught:
        save_checkpoint(disk / "c", state(2, 10**6), {"recipe": ""}, keep=2)
    assert "intact" not in str(caught.value)
    assert "there is no checkpoint yet" in str(caught.value)
    save_checkpoint(disk / "c", state(2), {"recipe": ""}, keep=2)
    with pytest.raises(CheckpointError, match="the previous checkpoint is intact"):
        save_checkpoint(disk / "c", state(4, 10**6), {"recipe": ""}, keep=2)
    assert [path.name for path in list_checkpoints(disk / "c")] == ["step-00000002"]
    assert len(list((disk / "c").iterdir())) == 1
    translator: Any = SimpleNamespace(state_dict=lambda: {"w": torch.ones(10**6)})
    with pytest.raises(CheckpointError, match=r"'g' after epoch 0 of 'one' cannot be written.*free disk space"):
        History(disk / "h").record(Stage("one", 1, ("g",), history=1), 0, {"g": translator})
