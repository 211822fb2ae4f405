"""Initial weights of generators, from other runs or from files, and the record of their origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gantk.errors import RecipeError, UsageError, nearest
from gantk.files import checksum
from gantk.recipe import Recipe
from gantk.recipe.translators import WeightsSettings
from gantk.recipe.values import WEIGHTS_FILE
from gantk.runs.folders import recipe_of, resolve_run
from gantk.runs.names import CHECKPOINTS
from gantk.training.best import trained_checkpoint
from gantk.training.checkpoint import generator_tensors, reason
from gantk.training.state import TrainingState
from gantk.translation.residual import bare

__all__ = ["Source", "find_sources", "start_from", "with_sources"]


@dataclass(frozen=True)
class Source:
    """Weights by name, and the record of their origin that the recipe keeps."""

    settings: WeightsSettings
    tensors: Mapping[str, Tensor]


def find_sources(recipe: Recipe, runs: Path | None = None) -> dict[str, Source]:
    """The weights that translators start with, by role.

    Args:
        recipe: names their sources.
        runs: the folder of the runs; default: `./runs`.

    Raises:
        RecipeError: there is no such run, role or file, or its content has changed since the recipe was run.
        CheckpointError: it cannot be read.
    """
    found = {}
    for role, settings in recipe.translators.items():
        said, where = settings.weights, f"translators.{role}.weights"
        if said is not None:
            given = WeightsSettings(source=said) if isinstance(said, str) else said
            source = _of_file(given, where) if given.source.endswith(WEIGHTS_FILE) else _of_run(given, where, runs)
            if given.sha256 not in (None, source.settings.sha256):
                raise RecipeError(
                    "these are not the weights that the recipe was run with",
                    where=where,
                    why=f"the checksum of {source.settings.source} is {source.settings.sha256}, not {given.sha256}",
                    mend="name the original file, or remove sha256 from the recipe to start with this file",
                )
            found[role] = source
    return found


def with_sources(recipe: Recipe, sources: Mapping[str, Source]) -> Recipe:
    """The recipe, with the place and checksum of the weights that it starts with."""
    known = {
        role: settings.model_copy(update={"weights": sources[role].settings}) if role in sources else settings
        for role, settings in recipe.translators.items()
    }
    return recipe.model_copy(update={"translators": known})


def start_from(state: TrainingState, sources: Mapping[str, Source]) -> list[str]:
    """Load initial weights into generators and their averages.

    Returns:
        Notes for the user: the origin of the weights, and the generator's weights that it lacks.

    Raises:
        RecipeError: weights do not fit.
    """
    notes = []
    for role, source in sources.items():
        generator = bare(state.translators[role].generator)
        own, where = generator.state_dict(), f"translators.{role}.weights"
        common = {n: t for n, t in source.tensors.items() if n in own and own[n].shape == t.shape}
        left, further = sorted(own.keys() - common.keys()), sorted(source.tensors.keys() - common.keys())
        if not common or ((left or further) and not source.settings.shared):
            strange = (left or further)[0]
            raise RecipeError(
                f"the weights of {source.settings.source} do not fit the generator of {role!r}",
                where=where,
                why=f"{len(common)} of its {len(own)} weights have the same name and shape in both; {strange!r} is not",
                mend="give both the same architecture"
                + (
                    f', or use only those that fit: weights = {{ source = "{source.settings.source}", shared = true }}'
                    if common
                    else ""
                ),
            )
        generator.load_state_dict({**own, **common})
        state.begin_averages(role)
        rest = f"; {len(left)} are drawn anew, such as {left[0]}" if left else ""
        notes.append(f"{role!r} starts with {len(common)} weights of {source.settings.source}{rest}")
    return notes


def _of_file(given: WeightsSettings, where: str) -> Source:
    path = Path(given.source).expanduser().absolute()
    try:
        tensors = load_file(path)
        return Source(given.model_copy(update={"source": str(path), "sha256": checksum(path)}), tensors)
    except (OSError, SafetensorError) as error:
        raise RecipeError(
            "the weights cannot be read", where=where, why=f"{path}: {reason(error)}", mend="correct the path"
        ) from None


def _of_run(given: WeightsSettings, where: str, runs: Path | None) -> Source:
    run, _, role = given.source.rpartition(":")
    folder = _run(run, where, runs)
    recipe = recipe_of(folder)
    if role not in recipe.translators:
        raise RecipeError(
            f"the run {folder.name} has no translator {role!r}", where=where, mend=nearest(role, recipe.translators)
        )
    checkpoint = trained_checkpoint(folder / CHECKPOINTS, recipe.evaluation.checkpoint)
    tensors = generator_tensors(checkpoint, role)
    if recipe.translators[role].residual is not None:
        tensors = {name.removeprefix("network."): tensor for name, tensor in tensors.items()}
    known = {"source": f"{folder}:{role}", "sha256": checkpoint.facts["sha256"]["model.safetensors"]}
    return Source(given.model_copy(update=known), tensors)


def _run(run: str, where: str, runs: Path | None) -> Path:
    """A run's folder, among the new run's neighbors or in `./runs`."""
    for place in (runs, None):
        try:
            return resolve_run(run, place)
        except UsageError as error:
            found = error
    raise RecipeError(found.what, where=where, why=found.why, mend=found.mend)
