"""Weights at the end of the last epochs, so that a scheduler can step back."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from gantk.errors import CheckpointError
from gantk.files import atomic_write
from gantk.names import path_in
from gantk.training.checkpoint import reason
from gantk.training.scheduler import Stage
from gantk.translation import Translator


class History:
    """Snapshots of translators by stage and epoch; a stage keeps the last `Stage.history` + 1."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def record(self, stage: Stage, epoch: int, translators: dict[str, Translator]) -> None:
        """Keep the weights of the stage's roles at the end of an epoch.

        Raises:
            CheckpointError: they cannot be written.
        """
        if not stage.history:
            return
        for role in stage.roles:
            tensors = {k: v.detach().cpu().contiguous() for k, v in translators[role].state_dict().items()}
            try:
                with atomic_write(self._path(stage.name, role, epoch)) as temporary:
                    save_file(tensors, temporary)
            except (OSError, SafetensorError) as error:  # the latter: a full disk, in safetensors' words
                raise CheckpointError(
                    f"the weights of {role!r} after epoch {epoch} of {stage.name!r} cannot be written",
                    where=self.folder,
                    why=reason(error),
                    mend="free disk space or correct the permissions, then continue with --resume",
                ) from None
            self._path(stage.name, role, epoch - stage.history - 1).unlink(missing_ok=True)

    def restore(self, translator: Translator, stage: str, epoch: int) -> None:
        """Give a translator the weights that it had at the end of an epoch.

        Raises:
            CheckpointError: they were not kept, or the file is damaged.
        """
        path = self._path(stage, translator.role, epoch)
        try:
            translator.load_state_dict(load_file(path))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise CheckpointError(
                f"the weights of {translator.role!r} after epoch {epoch} of {stage!r} could not be loaded",
                where=path,
                why=reason(error),
                mend="restore the file, or start a new run",
            ) from None

    def clear(self) -> None:
        """Remove all snapshots, once the training needs them no longer."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, stage: str, role: str, epoch: int) -> Path:
        return path_in(path_in(self.folder, stage), f"{role}-{epoch:05d}.safetensors")
