"""The full description of a component, for people and programs."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from typing import Any

from gantk.plugins.component import Component
from gantk.plugins.dimensions import dimensions_of
from gantk.plugins.docstring import parse
from gantk.plugins.kinds import KINDS

__all__ = ["describe"]

#: How a recipe names a component of a kind.
EXAMPLES = {
    "loss": '[losses.NAME]\nuse = "{name}"\non = "ROLE"',
    "weight_map": '[maps.NAME]\nuse = "{name}"',
    "augmentation": '[translators.ROLE]\nshown = {{ use = "{name}" }}',
    "sampler": '[data]\nsampler = {{ use = "{name}" }}',
    "balance": '[balance]\nuse = "{name}"\nterms = ["TERM", "TERM"]',
    "weight_schedule": '[losses.NAME]\nweight = {{ use = "{name}" }}',
    "transform": '[transforms.NAME]\nuse = "{name}"',
    "generator": '[translators.ROLE]\ngenerator = {{ use = "{name}" }}',
    "discriminator": '[translators.ROLE]\ndiscriminator = {{ use = "{name}" }}',
    "optimizer": '[translators.ROLE.optimizer]\nuse = "{name}"',
    "scheduler": '[schedule]\nuse = "{name}"',
    "dataset": '[data]\ndataset = "{name}"',
    "metric": '[evaluation]\nmetrics = ["{name}"]',
    "launcher": "gantk run SWEEP.toml --launcher {name}",
}
NEEDS = {
    "layers": "features of the generator's layers {}",
    "roles": "outputs or features of other translators: {}",
    "target": "a batch group with targets",
    "second_order": "second-order gradients",
    "image": "features of the image {}",
    "judged": "features of the discriminator's layers {}",
    "pool": "a pool of {} past outputs",
    "segmentation": "segmentations",
}


def describe(component: Component) -> dict[str, Any]:
    """A component's name, plugin, documentation, parameters and needs, as JSON."""
    doc = parse(component.doc)
    supplied = [name for name in component.arguments if name in KINDS[component.kind].supplied]
    parameters = [
        {"name": p.name, "type": p.type_name, "required": p.required, "doc": doc.arguments.get(p.name, "")}
        | ({} if p.required else {"default": p.default})
        for p in component.parameters
    ]
    return {
        "name": component.name,
        "kind": component.kind,
        "plugin": component.plugin,
        "distribution": component.distribution,
        "version": component.version,
        "class": f"{component.cls.__module__}.{component.cls.__qualname__}",
        "formerly": list(component.formerly),
        "doc": component.doc,
        "summary": doc.summary,
        "description": doc.description,
        "equations": doc.equations,
        "sources": doc.sources,
        "parameters": parameters,
        "supplied": supplied,
        "dimensions": list(dimensions_of(component)),
        "needs": _needs(component),
        "example": EXAMPLES[component.kind].format(name=component.name),
    }


def _needs(component: Component) -> list[str]:
    """What a loss needs from its step, with default parameters."""
    if component.kind != "loss":
        return []
    needs = _declared(component)
    said = []
    for field in fields(needs) if is_dataclass(needs) else ():
        value = getattr(needs, field.name)
        if value != field.default and field.name in NEEDS:
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            said.append(NEEDS[field.name].format(shown))
    if hasattr(component.cls, "discriminator"):
        said.append("a discriminator, which the loss also trains")
    if hasattr(component.cls, "build_modules"):
        said.append("additional modules, such as projection heads, trained with the generator or discriminator")
    return said


class _Found(BaseException):
    """Ends a constructor as soon as it has set `needs`."""


def _declared(component: Component) -> Any:
    """The `needs` of a class, or the `needs` that its constructor sets; None if there are none.

    The constructor is only called if its source sets `needs`, and is stopped there, because it might load a network.
    """
    cls = component.cls
    if not inspect.isclass(cls) or hasattr(cls, "needs"):
        return getattr(cls, "needs", None)
    if not any("self.needs = " in _source(base) for base in cls.__mro__):
        return None

    def catch(self: object, name: str, value: object) -> None:
        if name == "needs":
            raise _Found(value)
        object.__setattr__(self, name, value)

    given = {p.name: p.name for p in component.parameters if p.required}  # mostly roles and images
    try:
        type(cls.__name__, (cls,), {"__setattr__": catch})(**given)
    except _Found as found:
        return found.args[0]
    except Exception:  # for example, it requires a number
        return None
    return None


def _source(cls: type) -> str:
    try:
        return inspect.getsource(cls)
    except (OSError, TypeError):
        return ""
