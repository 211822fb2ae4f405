"""One run of a sweep: its name, and an id that identifies its computation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gantk.errors import DataError, RecipeError
from gantk.files import checksum_of
from gantk.recipe.load import located
from gantk.recipe.merge import NAMED
from gantk.recipe.model import Recipe
from gantk.recipe.rows import Rows

__all__ = ["SEED", "Child", "identify", "of_variant", "shown"]

SEED = "run.seed"
#: What a child computes does not depend on these.
TOLD = {"name", "description", "tracking"}
#: Letters of an id before its digits: an id is the name of a folder.
LONGEST = 150


@dataclass(frozen=True)
class Child:
    """One run of a sweep.

    Args:
        id: variant, values and an 8-digit hexadecimal hash of the recipe; it does not depend on the rest of the sweep.
        variant: the variant's name.
        changes: the values of the grid, by key.
        label: how tables call it: the variant's label and the grid's values but the seed.
        report: the roles that become rows of tables, with the rows' names.
        recipe: its own recipe.
    """

    id: str
    variant: str
    changes: dict[str, Any]
    label: str
    report: Rows
    recipe: Recipe

    @property
    def work(self) -> str:
        """What children share that differ in seed and name alone."""
        content = self.recipe.model_dump(mode="json", exclude={"name": True, "description": True, "run": {"seed"}})
        return json.dumps(content)

    @contextmanager
    def named(self) -> Iterator[None]:
        """A context that works on the child: errors name the variant, those of the recipe where the key stands."""
        try:
            yield
        except RecipeError as error:
            error = located(error, self.recipe)
            raise of_variant(self.variant, error, error.where) from None
        except DataError as error:
            what = f"variant {self.variant!r}: {error.what}"
            raise DataError(what, where=error.where, why=error.why, mend=error.mend) from error


def of_variant(name: str, error: RecipeError, where: object) -> RecipeError:
    return type(error)(f"variant {name!r}: {error.what}", where=where, why=error.why, mend=error.mend)


def shown(key: str, value: Any) -> str:
    """`5 %` for a fraction, `weight 10` for anything else."""
    last = key.rpartition(".")[2]
    if last.endswith("fraction") and isinstance(value, int | float):
        return f"{100 * value:g} %"
    return f"{last.replace('_', ' ')} {value}"


def identify(variant: str, changes: Mapping[str, Any], recipe: Recipe) -> str:
    """Sorted by key, so that the order in which a grid is written says nothing."""
    values = [f"{key.rpartition('.')[2]}-{_short(value)}" for key, value in sorted(changes.items())]
    told = "-".join([variant, *values])
    return f"{told[:LONGEST]}-{_digest(recipe)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^A-Za-z0-9_.]+", "_", text).strip("_")[:16]


def _digest(recipe: Recipe) -> str:
    """An 8-digit hexadecimal hash of a recipe's keys that affect its results.

    Defaults are left out, so that a key that a later release adds changes nothing. The order of named tables
    counts, because sums of floating-point numbers depend on it.
    """
    said = recipe.model_dump(mode="json", exclude_defaults=True, exclude=TOLD)
    order = [list(getattr(recipe, kind)) for kind in NAMED]
    return checksum_of([said, order])[:8]
