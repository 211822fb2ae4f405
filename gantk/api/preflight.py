"""Checks before the work starts: disk space, memory, and patients for training and evaluation."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from math import prod
from pathlib import Path

import psutil

from gantk.api.listing import Listing
from gantk.data.layout import Layout
from gantk.data.loader import members
from gantk.errors import RecipeError, UsageError
from gantk.files import unwritable
from gantk.recipe import Recipe
from gantk.runs.folders import RUNS
from gantk.translation import Assembly, StagePlan

__all__ = ["check_images", "check_listing", "check_out", "size_words", "without_segmentation"]


def check_images(recipe: Recipe, layout: Layout) -> None:
    """Check that the images of one step, and of one batch of the evaluation, fit into this machine's memory.

    Raises:
        RecipeError: they do not.
    """
    data, channels = recipe.data, layout.size("source") + layout.size("target")
    at_test = ("evaluation.batch", recipe.evaluation.batch, data.crop)
    for key, images, sides in (("data.batch", sum(data.batch.values()), data.image_size), at_test):
        needed, there = 4 * images * prod(sides) * channels, psutil.virtual_memory().total
        if needed > there:
            size = data.size_key if key == "data.batch" else "crop"
            raise RecipeError(
                f"{images} {'patches' if len(sides) == 3 else 'slices'} of {' × '.join(map(str, sides))} pixels take "
                f"{size_words(needed)}",
                where=key,
                why=f"this machine has {size_words(there)} of memory, and networks need far more than their images",
                mend=f"lower data.{size} or {key}",
            )


def check_listing(
    recipe: Recipe, listing: Listing, plans: Iterable[StagePlan], unknown: list[tuple[str, str]], paired: bool
) -> None:
    """Check that every batch group of every stage has patients, and that every watched metric has a value after epochs.

    Args:
        recipe: the recipe.
        listing: the patients.
        plans: the stages.
        unknown: watched metrics without a value: the key that watches each, and its name.
        paired: whether validation patients have the measured images.

    Raises:
        DataError: a group has no patient.
        RecipeError: a metric that is watched has no value.
    """
    having = listing.split.patients_of(listing.measured(listing.split.training, recipe))
    for plan in plans:
        for group in plan.groups:
            members(listing.split, group, len(having))
    for key, metric in unknown:
        where = recipe.origins.latest(key, "data.split.ratio")
        if paired:
            raise RecipeError(
                f"the metric {metric!r} is monitored, but it is not measured after epochs",
                where=where,
                why="metrics over all patients are measured after epochs only if no validation patient has the target",
                mend="monitor a metric of single slices, such as ssim",
            )
        raise RecipeError(
            f"the metric {metric!r} is monitored, but no validation patient has {', '.join(recipe.measured)}",
            where=where,
            mend="give data.split.ratio a part for validation, or monitor a metric that needs no pairs, such as kid",
        )


def without_segmentation(listing: Listing, plans: Iterable[StagePlan]) -> list[str]:
    """What a user should know: which terms read segmentations of groups whose patients have none."""
    lacking = {subject.id for subject in listing.subjects if subject.segmentation is None}
    notes: dict[str, None] = {}
    for plan in plans:
        for term in plan.terms:
            own = members(listing.split, term.group)
            lack = sum(subject in lacking for subject in own)
            if lack and any(needs.segmentation for needs in plan.needs(term)):
                reader = f"losses.{term.name}" if term.needs.segmentation else f"maps.{term.map}"
                who = f"none of the {len(own)}" if lack == len(own) else f"{len(own) - lack} of the {len(own)}"
                notes[f"{reader} reads segmentations, which {who} patients of {term.group!r} have"] = None
    return list(notes)


def check_out(out: Path | None, assembly: Assembly | None = None, checkpoints: int = 0) -> None:
    """Check that runs' folders can be made in a folder, with disk space for the checkpoints of these networks.

    Raises:
        UsageError: they cannot be made, or the disk space is too small.
    """
    folder = Path(out or RUNS).absolute()
    if why := unwritable(folder):
        raise UsageError(
            "the run's folder cannot be made", where=out or RUNS, why=why, mend="give another place with --out"
        )
    if assembly is None:
        return
    there = next(place for place in (folder, *folder.parents) if place.exists())
    weights = sum(p.numel() * p.element_size() for t in assembly.translators.values() for p in t.parameters())
    needed, free = 3 * weights * (checkpoints + 1), shutil.disk_usage(there).free  # with Adam's two moments
    if needed > free:
        raise UsageError(
            f"{checkpoints + 1} checkpoints take {size_words(needed)}, and {size_words(free)} are free",
            where=there,
            mend="free disk space, lower training.keep_checkpoints, or give another place with --out",
        )


def size_words(count: int) -> str:
    """`1.5 GB` or `20.0 MB`."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"
