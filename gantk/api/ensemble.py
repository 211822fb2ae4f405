"""Ensembles of models: their mean image, and its standard deviation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gantk.api.model import Model
from gantk.api.outputs import check_file, check_writes, write_image
from gantk.api.preparing import Prepared, Request
from gantk.data.slices import tell
from gantk.data.volumes import Subject
from gantk.errors import UsageError
from gantk.files import sweep_partial
from gantk.progress import Progress, default_progress

__all__ = ["Ensemble", "Made"]

SPREAD = "std"


@dataclass(frozen=True)
class Made:
    """An image, and the images written beside it.

    Attributes:
        image: on the subject's own grid, in the target's unit.
        beside: images written beside it, by name: `std`, the standard deviation over several members, and the mean of
            each additional output.
    """

    image: np.ndarray
    beside: Mapping[str, np.ndarray]


class Ensemble:
    """One model or several, such as those of the folds or seeds of a recipe; their images are averaged.

    Args:
        models: as `gantk.load` gives them; the first one decides how files are found and written.

    Raises:
        UsageError: two runs read images in different ways.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        self.models = list(models)
        first = self.models[0]
        for other in self.models[1:]:
            for key in ("dataset", "mask", "dimensions", "plane", "spacing", "crop"):
                ours, theirs = getattr(first.recipe.data, key), getattr(other.recipe.data, key)
                if ours != theirs:
                    raise UsageError(
                        f"{other.run} cannot be in one ensemble with {first.run}",
                        where="--ensemble",
                        why=f"data.{key} is {ours!r} in {first.run} and {theirs!r} in {other.run}",
                        mend="name runs of one recipe, such as its folds and seeds",
                    )

    @property
    def first(self) -> Model:
        """The member that decides how files are found and written."""
        return self.models[0]

    def target(self, request: Request) -> str:
        """The modality that is made.

        Raises:
            UsageError: a member has no such role or target, or two make different ones.
        """
        targets = {model.preparation.asked(request)[2]: model.run for model in self.models}
        if len(targets) > 1:
            told = ", ".join(f"{run} makes {target}" for target, run in targets.items())
            raise UsageError(
                "the runs of an ensemble must make the same image", where="--ensemble", why=told, mend="set --target"
            )
        return next(iter(targets))

    def prepare(self, case: Path | Subject, request: Request) -> list[Prepared]:
        """A subject prepared for each member; raises as `Model.prepare` does."""
        return [model.prepare(case, request) for model in self.models]

    def translate(self, prepared: Sequence[Prepared], request: Request, progress: Progress) -> list[np.ndarray]:
        """The translation by each member, (Z, C, H, W) in [-1, 1]; raises as `Model.translate` does."""
        return [
            model.translate(one, progress, flips=request.flips)
            for model, one in zip(self.models, prepared, strict=True)
        ]

    @staticmethod
    def restore(prepared: Sequence[Prepared], translated: Sequence[np.ndarray]) -> Made:
        """The mean on the subject's own grid, and the deviation; in the members' data type, rounded for integers."""
        images = [one.restore(image) for one, image in zip(prepared, translated, strict=True)]
        besides = [one.besides(image) for one, image in zip(prepared, translated, strict=True)]
        also = {name: np.asarray(np.mean([of[name] for of in besides], axis=0), np.float32) for name in besides[0]}
        if len(images) == 1:
            return Made(images[0], also)
        kind = images[0].dtype
        moments = np.mean(images, axis=0, dtype=np.float64), np.std(images, axis=0, dtype=np.float64)
        mean, spread = ((m if kind.kind == "f" else np.rint(m)).astype(kind) for m in moments)
        return Made(mean, {SPREAD: spread, **also})

    def predict(
        self,
        case: Path | Subject,
        out: Path,
        request: Request | None = None,
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> list[Path]:
        """Write one subject's image, and beside it `NAME_std` if there are several members.

        Returns:
            The files written.

        Raises:
            UsageError: as `Model.predict`.
            DataError: the subject cannot be read.
        """
        request, progress, dataset = request or Request(), progress or default_progress(), self.first.dataset
        self.target(request)
        check_writes(dataset, self.first.recipe.data.dataset)
        names = [SPREAD] * (len(self.models) > 1) + list(request.also)
        files = {name: _beside(out, dataset.writes, name) for name in names}
        for file in (out, *files.values()):
            check_file(file, case, dataset, overwrite)
        prepared = self.prepare(case, request)
        made = self.restore(prepared, self.translate(prepared, request, progress))
        tell(progress, [prepared[0].remarks])
        sweep_partial(out.parent)
        for name, file in files.items():
            write_image(dataset, file, made.beside[name], prepared[0].like)
        write_image(dataset, out, made.image, prepared[0].like)
        return [out, *files.values()]


def _beside(out: Path, writes: Sequence[str], name: str) -> Path:
    """The file of an image written beside another one: `X_std.nii.gz` beside `X.nii.gz`."""
    ending = next((end for end in writes if out.name.lower().endswith(end)), out.suffix)
    stem = out.name[: len(out.name) - len(ending)]
    return out.with_name(f"{stem}_{name}{out.name[len(stem) :]}")
