"""The catalogue of components, from the registry."""

from __future__ import annotations

import inspect
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from _generate.words import default_words, escape, sentence, table
from gantk.plugins import KINDS, Component, Kind, Parameter, Registry, load_plugins
from gantk.plugins.describe import describe
from gantk.plugins.docstring import parse
from gantk.plugins.words import type_words

__all__ = ["component_pages"]

HERE = "reference/components"
#: Where a recipe names a component of the kind.
PLACES = {
    "generator": "`[translators.ROLE]`, `generator = { use = … }`",
    "discriminator": "`[translators.ROLE]`, `discriminator = { use = … }`",
    "loss": "`[losses.NAME]`, `use = …`",
    "weight_map": '`[maps.NAME]`, `use = …`, and a loss\'s `map = "NAME"`',
    "weight_schedule": "`[losses.NAME]`, `weight = { use = … }`",
    "transform": "`[transforms.NAME]`, `use = …`",
    "augmentation": "`[translators.ROLE]`, `shown = { use = … }`",
    "balance": "`[balance]`, `use = …`",
    "optimizer": "`[translators.ROLE.optimizer]`, `use = …`",
    "scheduler": "`[schedule]`, `use = …`",
    "dataset": "`[data]`, `dataset = …`",
    "metric": "`[evaluation]`, `metrics = […]`",
    "launcher": "`gantk run SWEEP.toml --launcher NAME --launch KEY=VALUE`",
}
#: What the equations of a kind's page are written in.
SYMBOLS = {
    "loss": (
        "In the equations x is the source, y the target or another real image, G the generator, F the one that leads "
        "back, D the discriminator, m the term's weight map (1 where it has none) and E the mean. L\\_G is what the "
        "generator descends, L\\_D what the discriminator does. A term's `weight` is a factor on the generator's side."
    ),
    "weight_map": "In the equations x is the source, G the generator and D the discriminator.",
    "generator": "Shapes are (batch, channels, height, width). `layers` of losses on features name layers by number.",
    "discriminator": "Shapes are (batch, channels, height, width). Scores are not bounded by a last activation.",
    "metric": "Images are brought from [-1, 1] to [0, 1] before they are measured.",
    "scheduler": "A rate is the recipe's `optimizer.rates` times a factor that the scheduler gives by epoch e, from 0.",
}


def component_pages(recipes: Path) -> dict[str, str]:
    """A page per kind, and a page that lists them.

    Args:
        recipes: the folder of recipes that are searched for who uses what.
    """
    registry = load_plugins().registry
    users = _users(recipes)
    made = {f"{HERE}/index.md": _index(registry)}
    for kind in KINDS.values():
        made[f"{HERE}/{kind.plural}.md"] = _page(kind, registry, users)
    return made


def _index(registry: Registry) -> str:
    rows = []
    for kind in KINDS.values():
        names = ", ".join(f"[`{name}`]({kind.plural}.md#{name})" for name in registry.names(kind.name))
        rows.append((f"[{_title(kind.plural)}]({kind.plural}.md)", names, PLACES.get(kind.name, "")))
    return (
        "# Components\n\nWhat recipes can name, made from the plugins that gantk is installed with. "
        "`gantk list` shows what *your* installation has, with plugins of others.\n\n"
        + table(("kind", "components", "named in"), rows)
    )


def _page(kind: Kind, registry: Registry, users: Mapping[tuple[str, str], list[str]]) -> str:
    place = PLACES.get(kind.name, "")
    parts = [f"# {_title(kind.plural)}\n", f"Named in {place}. {SYMBOLS.get(kind.name, '')}".strip() + "\n"]
    for name in registry.names(kind.name):
        parts.append(_entry(registry.get(kind.name, name), users.get((kind.name, name), [])))
    return "\n".join(parts)


def _entry(component: Component, users: list[str]) -> str:
    doc = parse(component.doc)
    lines = [f"## {component.name} {{ #{component.name} }}\n", f"**{escape(doc.summary)}**\n"]
    lines += [escape(paragraph) + "\n" for paragraph in doc.description.split("\n\n") if paragraph]
    facts = [f"Plugin `{component.plugin}`"]
    if needs := describe(component)["needs"]:
        facts.append("needs " + ", ".join(map(escape, needs)))
    if component.formerly:
        facts.append("formerly " + ", ".join(f"`{name}`" for name in component.formerly))
    if users:
        shown = ", ".join(f"`{user}`" for user in users[:4])
        facts.append(f"in {shown}" + (f" and {len(users) - 4} more" if len(users) > 4 else ""))
    lines.append(" · ".join(facts) + "\n")
    rows = [row for p in component.parameters for row in _rows(p, doc.arguments.get(p.name, ""))]
    if rows:
        lines.append(table(("parameter", "type", "default", "meaning"), rows))
    return "\n".join(lines)


def _rows(parameter: Parameter, said: str, above: str = "") -> Iterator[tuple[str, str, str, str]]:
    """A parameter's row and, where it holds tables with keys of their own, the rows of these."""
    name = f"{above}{parameter.name}"
    default = "required" if parameter.required else default_words(parameter.default)
    inner = _table_in(parameter.type)
    kind = type_words(parameter.type) if inner is None else type_words(parameter.type).replace(inner.__name__, "table")
    yield f"`{name}`", kind, default, escape(sentence(said))
    if inner is None:
        return
    about, hints = parse(inspect.getdoc(inner) or "").arguments, get_type_hints(inner)
    for field in fields(inner):
        needed = field.default is MISSING
        below = Parameter(field.name, hints[field.name], None if needed else field.default, needed)
        yield from _rows(below, about.get(field.name, ""), f"{name}.")


def _table_in(annotation: Any) -> type | None:
    """The dataclass that a parameter holds, or lists."""
    found = (a for a in (annotation, *get_args(annotation)) if isinstance(a, type) and is_dataclass(a))
    return next(found, None)


def _title(plural: str) -> str:
    return plural.replace("_", " ").capitalize()


def _users(recipes: Path) -> dict[tuple[str, str], list[str]]:
    """The recipes that name a component themselves, by kind and component."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in sorted(recipes.rglob("*.toml")):
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        for key in dict.fromkeys(_named(content)):
            found[key].append(path.relative_to(recipes.parent).as_posix())
    return found


def _named(recipe: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for translator in recipe.get("translators", {}).values():
        for part in ("generator", "discriminator"):
            if isinstance(made := translator.get(part), Mapping) and "use" in made:
                yield part, made["use"]
        if "use" in (shown := translator.get("shown", {})):
            yield "augmentation", shown["use"]
        if "use" in (optimizer := translator.get("optimizer", {})):
            yield "optimizer", optimizer["use"]
    for kind, place in (("loss", "losses"), ("weight_map", "maps"), ("transform", "transforms")):
        for settings in recipe.get(place, {}).values():
            if "use" in settings:
                yield kind, settings["use"]
            if isinstance(weight := settings.get("weight"), Mapping) and "use" in weight:
                yield "weight_schedule", weight["use"]
    if "use" in recipe.get("balance", {}):
        yield "balance", recipe["balance"]["use"]
    if "use" in recipe.get("schedule", {}):
        yield "scheduler", recipe["schedule"]["use"]
    if "dataset" in recipe.get("data", {}):
        yield "dataset", recipe["data"]["dataset"]
