"""Every key of a recipe, from the pydantic models."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from _generate.words import default_words, escape, table
from gantk.plugins.docstring import parse
from gantk.plugins.words import type_words
from gantk.recipe.model import Recipe
from gantk.recipe.schema import attribute_docs
from gantk.recipe.values import Selection

__all__ = ["keys", "recipe_page"]

#: Where a table names a component: the catalogue's page.
KINDS = {
    "generator": "generators",
    "discriminator": "discriminators",
    "shown": "augmentations",
    "balance": "balances",
    "optimizer": "optimizers",
    "schedule": "schedulers",
    "also": "schedulers",
    "data": "datasets",
    "sampler": "samplers",
    "losses": "losses",
    "weight": "weight_schedules",
    "maps": "weight_maps",
    "transforms": "transforms",
}
INTRODUCTION = """# Recipe keys

All keys of a recipe, generated from the models that validate recipes. A dash stands for a key that is not set by
default. Tables that name a component also take the parameters of that component, which the
[catalogue](components/index.md) lists. [Recipes](../recipes.md) and [Ablations and tables](../ablations.md) explain
`extends`, `without`, `like`, `[variants]` and `[sweep]`, which are not listed here.
`gantk validate RECIPE --resolved` prints a complete recipe, including parents and defaults.

"""


def recipe_page() -> str:
    """The page."""
    return INTRODUCTION + "\n".join(_section(*found) for found in tables(Recipe))


def keys() -> Iterator[tuple[str, str]]:
    """Every key with its description."""
    for place, kind, model in tables(Recipe):
        for name, field in model.model_fields.items():
            _, inner = _table_of(field)
            said = attribute_docs(model).get(name, "") or (_about(inner) if inner else "")
            component = kind and name in ("use", "dataset")
            yield ".".join(filter(None, (place, name))), said or ("a component" if component else "")


def tables(model: type[BaseModel], place: str = "", kind: str = "") -> Iterator[tuple[str, str, type[BaseModel]]]:
    """The tables of a recipe: place, the kind of component that it names, model."""
    yield place, kind, model
    for name, field in model.model_fields.items():
        below, inner = _table_of(field)
        if inner is None:
            continue
        path = ".".join(filter(None, (place, name, below)))
        yield from tables(inner, path, KINDS.get(name, ""))


def _table_of(field: FieldInfo) -> tuple[str, type[BaseModel] | None]:
    """What stands for the name below the key, and the model of the table that the key holds."""
    annotation: Any = field.annotation
    for candidate in (annotation, *get_args(annotation)):
        if get_origin(candidate) is dict:
            candidate = get_args(candidate)[1]
        if inspect.isclass(candidate) and issubclass(candidate, BaseModel):
            named = get_origin(annotation) is dict
            return ("NAME" if candidate.__name__ != "TranslatorSettings" else "ROLE") if named else "", candidate
    return "", None


def _section(place: str, kind: str, model: type[BaseModel]) -> str:
    if model is Selection:
        page = f"[catalogue](components/{kind}.md)"
        return f"## `[{place}]` {{ #{_anchor(place)} }}\n\n`use` names the component; its parameters: {page}.\n"
    title = f"`[{place}]`" if place else "Top of the file"
    lines = [f"## {title} {{ #{_anchor(place)} }}", "", escape(_about(model)), ""]
    said = attribute_docs(model)
    rows = []
    for name, field in model.model_fields.items():
        below, inner = _table_of(field)
        path = ".".join(filter(None, (place, name, below)))
        if inner is not None:
            kind_of = "component" if inner is Selection else "table"
            if isinstance(field.default, float):
                kind_of = "number or component"
            rows.append((f"[`{name}`](#{_anchor(path)})", kind_of, "", escape(said.get(name) or _about(inner))))
            continue
        default = "required" if field.is_required() else default_words(field.get_default(call_default_factory=True))
        meaning = escape(said.get(name, ""))
        if kind and name in ("use", "dataset"):
            meaning = f"A component of the [catalogue](components/{kind}.md). {meaning}"
        rows.append((f"`{name}`", type_words(field.annotation, field.metadata), default, meaning))
    return "\n".join([*lines, table(("key", "type", "default", "meaning"), rows)])


def _about(model: type[BaseModel]) -> str:
    """A table's docstring, without the table's name."""
    doc = parse(inspect.getdoc(model) or "")
    text = f"{doc.summary} {doc.description}".strip()
    text = text.split("`: ", 1)[-1] if text.startswith("`[") else text
    return text[:1].upper() + text[1:]


def _anchor(place: str) -> str:
    return place.replace(".", "-").lower() or "top"
