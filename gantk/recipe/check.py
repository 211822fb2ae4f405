"""Checks of a recipe's keys against each other, without components."""

from __future__ import annotations

from collections.abc import Collection

from gantk.errors import RecipeError, nearest
from gantk.recipe.evaluation import FITTED_BASELINES
from gantk.recipe.groups import GroupName
from gantk.recipe.model import Recipe

__all__ = ["check"]


def check(recipe: Recipe) -> None:
    """Check that all names exist, and that something is trained, evaluated and made by a translator.

    Raises:
        RecipeError: a check fails; the error's place is a dotted key.
    """
    for one in (_groups, _intensities, _extras, _chains, _averages, _terms, _balance):
        one(recipe)
    for one in (_measured, _roles, _best, _baselines, _apart):
        one(recipe)


def _known(kind: str, name: str, names: Collection[str], where: str) -> None:
    if name not in names:
        raise RecipeError(f"there is no {kind} {name!r}", where=where, mend=nearest(name, names))


def _groups(recipe: Recipe) -> None:
    data = recipe.data
    if data.sampler is not None and data.core_fraction is not None:
        raise RecipeError(
            "data.sampler and data.core_fraction both set which slices are drawn",
            where=recipe.origins.latest("data.sampler", "data.core_fraction"),
            mend="remove one of them",
        )
    for group in data.batch:
        if GroupName.parse(group).base == "paired" and not data.paired_fraction:
            raise RecipeError(
                f"no patient is paired, but batches have the group {group!r}",
                where=recipe.origins.latest("data.paired_fraction", f"data.batch.{group}"),
                mend="raise data.paired_fraction, or remove the group with "
                f'without = ["data.batch.{group}"] and place its terms on other groups',
            )
    for name, transform in recipe.transforms.items():
        for group in transform.groups or ():
            _known("batch group", group, data.batch, f"transforms.{name}.groups")


def _intensities(recipe: Recipe) -> None:
    for name in recipe.data.intensities:
        _known(
            "modality", name, (*recipe.data.modalities, *filter(None, [recipe.data.mask])), f"data.intensities.{name}"
        )


def _extras(recipe: Recipe) -> None:
    for role, settings in recipe.translators.items():
        for name in settings.given:
            _known("extra", name, recipe.data.extra, f"translators.{role}.given")
    images = {*recipe.data.inputs, *recipe.data.targets}
    for name, extra in recipe.data.extra.items():
        said = extra.of or name
        if extra.per == "pixel" and said in images and said not in recipe.data.categories:
            raise RecipeError(
                f"{said!r} holds intensities, but data.extra passes it to the networks as categories",
                where=f"data.extra.{name}",
                mend=f'set data.intensities.{said}.unit = "categories" and its range, or name a label map',
            )


def _chains(recipe: Recipe) -> None:
    for role in recipe.translators:
        _follow(recipe, role, ())


def _follow(recipe: Recipe, role: str, before: tuple[str, ...]) -> None:
    """Check that a translator, reached through those before it, takes no output that depends on its own."""
    where = f"translators.{role}.takes"
    for other in recipe.translators[role].chained:
        _known("translator", other, recipe.translators, where)
        if other in (way := (*before, role)):
            circle = " -> ".join((other, *reversed(way[way.index(other) :])))
            raise RecipeError(
                f"the translators take one another's outputs in a circle: {circle}",
                where=where,
                mend="remove one of these outputs: the first translator of a chain takes only modalities",
            )
        _follow(recipe, other, way)


def _averages(recipe: Recipe) -> None:
    for role, settings in recipe.translators.items():
        if settings.average_of is None:
            continue
        other, where = recipe.translators[settings.average_of], f"translators.{role}"
        if other.average_of is not None:
            raise RecipeError(
                f"{settings.average_of!r} is itself an average and is not trained",
                where=f"{where}.average_of",
                mend=f"write average_of = {other.average_of!r}, with its own decay",
            )
        averaged = other.model_copy(update={"discriminator": None})
        keys = ("generator", "discriminator", "takes", "gives", "given", "residual")
        own = [key for key in keys if getattr(settings, key) != getattr(averaged, key)]
        if own:
            raise RecipeError(
                f"an average has no {own[0]} of its own: it is the averaged generator of {settings.average_of!r}",
                where=f"{where}.{own[0]}",
                mend=f"remove it from {where}",
            )


def _terms(recipe: Recipe) -> None:
    for name, term in recipe.losses.items():
        _known("translator", term.on, recipe.translators, f"losses.{name}.on")
        if (followed := recipe.translators[term.on].average_of) is not None:
            raise RecipeError(
                f"the translator {term.on!r} is an average, which no term trains",
                where=f"losses.{name}.on",
                mend=f"place the term on {followed!r}, which is averaged",
            )
        if term.map is not None:
            _known("map", term.map, recipe.maps, f"losses.{name}.map")


def _balance(recipe: Recipe) -> None:
    if recipe.balance is None:
        return
    for name in recipe.balance.terms:
        _known("term", name, recipe.losses, "balance.terms")
    roles = sorted({recipe.losses[name].on for name in recipe.balance.terms})
    if len(roles) > 1:
        raise RecipeError(
            f"the balanced terms train several translators: {' and '.join(roles)}",
            where="balance.terms",
            mend="name only terms of one translator",
        )


def _measured(recipe: Recipe) -> None:
    evaluation, where = recipe.evaluation, recipe.origins.where
    for name in evaluation.missing:
        _known("input", name, recipe.data.inputs, "evaluation.missing")
    for name in evaluation.targets or ():
        _known("target", name, recipe.data.targets, "evaluation.targets")
    seen = set(recipe.data.inputs) - set(evaluation.missing)
    if trivial := [name for name in recipe.measured or recipe.data.targets if name in seen]:
        name = trivial[0]
        raise RecipeError(
            f"the target {name!r} is also an input",
            where=where(("data", "target")),
            mend=f"hide it at test with evaluation.missing = [{name!r}], or name another target",
        )
    if not recipe.answering:
        raise RecipeError(
            f"no translator gives {', '.join(recipe.measured)}, which should be evaluated",
            where=where(("translators",)),
            mend="name the targets to evaluate in evaluation.targets",
        )


def _roles(recipe: Recipe) -> None:
    if taken := [name for name in FITTED_BASELINES if name in recipe.translators]:
        raise RecipeError(
            f"a translator cannot be called {taken[0]!r}: this is the name of a baseline",
            where=f"translators.{taken[0]}",
            mend="give it another name",
        )
    named = [("predict", recipe.predict)] if recipe.predict is not None else []
    named += [("evaluation.roles", role) for role in recipe.evaluation.roles or ()]
    if (best := recipe.training.keep_best) is not None and best.role is not None:
        named.append(("training.keep_best.role", best.role))
    for where, role in named:
        _known("translator", role, recipe.translators, where)
        if role not in recipe.answering:
            auxiliary = recipe.translators[role].auxiliary
            why = "is auxiliary" if auxiliary else f"does not give {', '.join(recipe.measured)}, which is evaluated"
            raise RecipeError(
                f"the translator {role!r} {why}",
                where=where,
                mend=f"evaluate and predict with {' or '.join(recipe.answering)}",
            )


def _best(recipe: Recipe) -> None:
    if recipe.evaluation.checkpoint == "best" and recipe.training.keep_best is None:
        raise RecipeError(
            "the best epoch should be evaluated, but its checkpoint is not kept",
            where="evaluation.checkpoint",
            mend='set the metric, such as training.keep_best = { metric = "ssim" }, before the run is trained',
        )


def _baselines(recipe: Recipe) -> None:
    known = [*FITTED_BASELINES, *(f"input:{name}" for name in recipe.data.inputs)]
    for name in recipe.evaluation.baselines:
        _known("baseline", name, known, "evaluation.baselines")


def _apart(recipe: Recipe) -> None:
    role = next((role for role, settings in recipe.translators.items() if settings.at_test == "train"), None)
    if recipe.training.sync_batch_norm and role is not None:
        raise RecipeError(
            'training.sync_batch_norm and at_test = "train" cannot be combined',
            where=f"translators.{role}.at_test",
            why="processes translate different patients at test and would wait forever for each other's statistics",
            mend='set training.sync_batch_norm = false, or at_test = "eval"',
        )
