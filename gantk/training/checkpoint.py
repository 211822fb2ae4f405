"""Checkpoints: folders written whole or not at all, whose loading never executes code.

`model.safetensors` holds all weights, `state.pt` the optimizers (read with `weights_only`), `checkpoint.json` the
position, the scheduler's state, the resolved recipe, what else a prediction needs, and checksums of all three.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gantk.errors import CheckpointError
from gantk.files import atomic_folder, checksum, sealed, unsealed
from gantk.training.state import Position, TrainingState
from gantk.translation import Translator

FORMAT = 2  # 1, of gantk 0.1.0, did not say what the numbers of images mean
_FILES = ("model.safetensors", "state.pt")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's folder and the content of its `checkpoint.json`."""

    folder: Path
    facts: dict[str, Any]

    @property
    def position(self) -> Position:
        return Position.from_dict(self.facts["position"])

    def tensors(self) -> dict[str, Tensor]:
        """All weights.

        Raises:
            CheckpointError: the file is damaged or cannot be read.
        """
        self._verify("model.safetensors")
        with self._reading("model.safetensors"):
            return load_file(self.folder / "model.safetensors")

    def optimizers(self) -> dict[str, Any]:
        """The optimizers' states.

        Raises:
            CheckpointError: the file is damaged, cannot be read, or holds more than tensors and plain values.
        """
        self._verify("state.pt")
        with self._reading("state.pt"):
            states: dict[str, Any] = torch.load(self.folder / "state.pt", map_location="cpu", weights_only=True)
            return states

    def _verify(self, name: str) -> None:
        with self._reading(name):
            same = checksum(self.folder / name) == self.facts["sha256"][name]
        if not same:
            raise _damaged(self.folder, f"{name} differs from its recorded checksum")

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except CheckpointError:
            raise
        except OSError as error:
            raise _unreadable(self.folder, name, error) from None
        except pickle.UnpicklingError:  # whose message tells how to switch the protection off
            raise CheckpointError(
                "the checkpoint is refused",
                where=self.folder / name,
                why="it contains more than tensors and plain values, and reading it would execute code",
                mend="use a checkpoint that gantk wrote, from a source that you trust",
            ) from None
        except Exception as error:  # a file whose checksum is right and whose content no library can read
            raise _damaged(self.folder, f"{name}: {reason(error)}") from None


def save_checkpoint(
    parent: Path, state: TrainingState, facts: Mapping[str, Any], keep: int, kind: str = "step"
) -> Path:
    """Write a checkpoint and remove all of its kind but the newest `keep`.

    Args:
        parent: the run's folder of checkpoints.
        state: what to save.
        facts: the data that a prediction needs besides the weights; JSON-compatible, must hold `recipe` (TOML).
        keep: checkpoints that stay.
        kind: the beginning of the folder's name.

    Raises:
        CheckpointError: it cannot be written; checkpoints there are left as they were.
    """
    folder = parent / f"{kind}-{state.position.total:08d}"
    before = [path for path in list_checkpoints(parent) if path != folder]
    try:
        parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():  # left from before the checkpoint that the run went on from
            shutil.rmtree(folder)
        with atomic_folder(folder) as new:
            save_file({k: v.detach().cpu().contiguous() for k, v in state.tensors().items()}, new / _FILES[0])
            torch.save(state.optimizer_states(), new / _FILES[1])
            record = {
                "format": FORMAT,
                "position": state.position.as_dict(),
                "scheduler": state.scheduler.state_dict(),
                "sha256": {name: checksum(new / name) for name in _FILES},
                **facts,
            }
            (new / "checkpoint.json").write_text(json.dumps(sealed(record), indent=1), encoding="utf-8")
    except (OSError, RuntimeError, SafetensorError) as error:  # the latter: a full disk, in torch's words
        raise CheckpointError(
            "the checkpoint cannot be written",
            where=folder,
            why=reason(error),
            mend="free disk space or correct the permissions, then continue with --resume; "
            + ("the previous checkpoint is intact" if before else "there is no checkpoint yet, so it starts again"),
        ) from None
    for old in list_checkpoints(parent, kind)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def list_checkpoints(parent: Path, kind: str = "step") -> list[Path]:
    """The checkpoints of a run that are of a kind, oldest first.

    Raises:
        CheckpointError: their folder cannot be read, so that it is unknown whether there are any.
    """
    try:
        named = [parent / entry.name for entry in os.scandir(parent) if entry.name.startswith(f"{kind}-")]
        return sorted(path for path in named if (path / "checkpoint.json").is_file())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unreadable(parent, "", error) from None


def open_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint's description.

    Raises:
        CheckpointError: it is damaged, cannot be read, or is of an older or newer format.
    """
    try:
        facts = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
        Position.from_dict(facts["position"])
        found = int(facts["format"])
        wanted = {"recipe": str, "scheduler": dict} | dict.fromkeys(_FILES, str)
        lacking = [k for k, kind in wanted.items() if not isinstance({**facts, **facts["sha256"]}.get(k), kind)]
        if lacking:
            raise ValueError(f"checkpoint.json says nothing of {lacking[0]}")
    except OSError as error:
        raise _unreadable(folder, "checkpoint.json", error) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(folder, f"checkpoint.json is not what gantk wrote: {error}") from None
    if found > FORMAT:
        raise CheckpointError(
            f"the checkpoint has format {found}, newer than this gantk knows ({FORMAT})",
            where=folder,
            mend="upgrade gantk",
        )
    if found < FORMAT:
        raise CheckpointError(
            f"the checkpoint has format {found}, of an older gantk; this one reads format {FORMAT}",
            where=folder,
            why="it does not record the meaning of the images' numbers",
            mend="use gantk 0.1.0 with it, or train the recipe again",
        )
    try:
        return Checkpoint(folder, unsealed(facts))
    except ValueError as error:
        raise _damaged(folder, f"checkpoint.json is not what gantk wrote: {error}") from None


def newest_checkpoint(parent: Path) -> Checkpoint | None:
    """The newest checkpoint of a run, None where there is none yet."""
    found = list_checkpoints(parent)
    return open_checkpoint(found[-1]) if found else None


def restore(state: TrainingState, checkpoint: Checkpoint, at: Position | None = None) -> None:
    """Restore a state from a checkpoint, ready to continue training.

    Args:
        state: changed in place.
        checkpoint: its weights, optimizers and scheduler.
        at: the state's new position; by default the checkpoint's own.

    Raises:
        CheckpointError: it is damaged, or its networks are not those of the state.
    """
    tensors, optimizers = checkpoint.tensors(), checkpoint.optimizers()
    with _fitting(checkpoint):
        state.load_tensors(tensors)
        state.scheduler.load_state_dict(checkpoint.facts["scheduler"])
        state.position = at or checkpoint.position
        state.load_optimizer_states(optimizers)


def restore_generators(translators: Mapping[str, Translator], checkpoint: Checkpoint) -> None:
    """Give generators a checkpoint's weights, their averages where these were kept; nothing else is needed to predict.

    Raises:
        CheckpointError: it is damaged, or its networks are not these.
    """
    tensors = checkpoint.tensors()
    for role, translator in translators.items():
        with _fitting(checkpoint):
            translator.generator.load_state_dict(_generator(tensors, role))


def generator_tensors(checkpoint: Checkpoint, role: str) -> dict[str, Tensor]:
    """The weights of a role's generator by name, its average's where one was kept.

    Raises:
        CheckpointError: the checkpoint is damaged.
    """
    return _generator(checkpoint.tensors(), role)


def _generator(tensors: Mapping[str, Tensor], role: str) -> dict[str, Tensor]:
    average, own = f"average.{role}.", f"{role}.generator."
    prefix = average if any(name.startswith(average) for name in tensors) else own
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


@contextmanager
def _fitting(checkpoint: Checkpoint) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            "the checkpoint's networks differ from those that the recipe builds now",
            where=checkpoint.folder,
            why=reason(error),
            mend="use the plugin versions that its checkpoint.json names",
        ) from None


def reason(error: Exception) -> str:
    """The error's message, without error numbers and places in the libraries' code."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    text = (str(error) or type(error).__name__).splitlines()[0]
    if isinstance(error, RuntimeError) and "enforce fail" in text:  # torch's words for a write that failed
        return "not all of it could be written; is the disk full?"
    return text


def _unreadable(folder: Path, name: str, error: OSError) -> CheckpointError:
    """The error of a file that cannot be opened; the file itself may be intact."""
    if isinstance(error, FileNotFoundError):
        return _damaged(folder, f"{name}: {reason(error)}")
    return CheckpointError(
        "the checkpoint cannot be read" if name else "the checkpoints cannot be read",
        where=error.filename or folder / name,
        why=reason(error),
        mend="mend its permissions or the disk that it lies on; nothing says that it is damaged",
    )


def _damaged(folder: Path, why: object) -> CheckpointError:
    if not folder.name.startswith("step-"):
        return CheckpointError(
            "the checkpoint of the best epoch is damaged",
            where=folder,
            why=why,
            mend="restore it from a copy, or move this folder elsewhere and use the last checkpoint: "
            'gantk evaluate RUN --set evaluation.checkpoint="last"',
        )
    try:
        before = any(other < folder for other in list_checkpoints(folder.parent))
    except CheckpointError:
        before = False
    return CheckpointError(
        "the checkpoint is damaged",
        where=folder,
        why=why,
        mend="move this folder elsewhere to "
        + (
            "continue from the previous checkpoint"
            if before
            else "start the run again: there is no previous checkpoint"
        ),
    )
