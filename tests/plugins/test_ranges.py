"""Every number of every component has a range: values outside are refused, values inside work."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gantk import GantkError, RecipeError, Translation
from gantk.plugins import Component, Registry
from gantk.plugins.nested import of_kind

BOUNDS = ("gt", "ge", "lt", "le")
NETWORKS = ("generator", "discriminator")
#: Values near which a network is small enough to be run.
TINY = {"channels": 4, "hidden": 4, "heads": 2, "depth": 1, "levels": 2, "layers": 1, "blocks": 1, "reduction": 2}


def limits(annotation: Any, found: tuple[Any, ...] = ()) -> Iterator[tuple[type, dict[str, float]]]:
    """Every number in an annotation, with its bounds."""
    if annotation in (int, float):
        inner = [one for item in found for one in getattr(item, "metadata", [item])]
        yield annotation, {name: getattr(one, name) for one in inner for name in BOUNDS if hasattr(one, name)}
    elif get_origin(annotation) is Annotated:
        first, *rest = get_args(annotation)
        yield from limits(first, (*found, *rest))
    elif dataclasses.is_dataclass(annotation):
        for hint in get_type_hints(annotation, include_extras=True).values():
            yield from limits(hint)
    elif get_origin(annotation) is not Literal:
        for argument in get_args(annotation):
            yield from limits(argument)


def numbers(registry: Registry) -> Iterator[tuple[Component, str, type, dict[str, float]]]:
    for component in registry:
        for parameter in component.parameters:
            for kind, bounds in limits(parameter.type):
                yield component, parameter.name, kind, bounds


def test_every_number_of_every_component_has_a_range(registry: Registry) -> None:
    without = [
        f"{c.kind} {c.name}: {name}" for c, name, _, bounds in numbers(registry) if not {"gt", "ge"} & bounds.keys()
    ]
    assert without == []
    assert len(list(numbers(registry))) > 100


def test_a_list_of_layers_is_neither_empty_nor_names_one_twice(registry: Registry) -> None:
    checked = 0
    for component in registry:
        names = [p.name for p in component.parameters if p.name == "layers" and component.kind == "loss"]
        for name in names:
            wanted = {p.name: "one" for p in component.parameters if p.required}
            one = component.arguments[name].default[0]
            for wrong in ([], [one, one]):
                with pytest.raises(RecipeError, match=r"losses\.it\.layers"):
                    component.check({**wanted, name: wrong}, "losses.it")
                checked += 1
    assert checked >= 12


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, True])
def test_what_is_no_number_is_refused_everywhere(registry: Registry, wrong: Any) -> None:
    tried = 0
    for component, name, kind, _ in numbers(registry):
        if kind in get_args(plain(component.arguments[name].type)) or kind is plain(component.arguments[name].type):
            wanted = {p.name: some(p.type) for p in component.parameters if p.required}
            with pytest.raises(RecipeError, match=rf"here\.{name}"):
                component.check({**wanted, name: wrong}, "here")
            tried += 1
    assert tried > 80


def some(annotation: Any) -> Any:
    """Valid values of parameters that take a name, two names, a number or a network."""
    if of_kind(annotation):
        return {"use": "unet", "levels": 1, "channels": 2}
    if plain(annotation) in (int, float):
        return 2
    return ["one", "two"] if get_origin(plain(annotation)) is tuple else "one"


def plain(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def edges(kind: type, bounds: dict[str, float]) -> list[float]:
    """Values at and beyond the ends of a range."""
    step = 1 if kind is int else 1e-6
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    found = [low - step, low, low + step] if low is not None else []
    return found + ([high - step, high, high + step] if high is not None else [])


def allowed(value: float, bounds: dict[str, float]) -> bool:
    return (
        value >= bounds.get("ge", -math.inf)
        and value > bounds.get("gt", -math.inf)
        and value <= bounds.get("le", math.inf)
        and value < bounds.get("lt", math.inf)
    )


def numeric(component: Component) -> dict[str, tuple[type, dict[str, float]]]:
    """The parameters that are one number, with their bounds."""
    return {
        p.name: found[0]
        for p in component.parameters
        if (found := list(limits(p.type))) and plain(p.type) in (int, float)
    }


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_networks_at_the_edges_work_or_are_refused_by_name(registry: Registry, data: st.DataObject) -> None:
    networks = [c for c in registry if c.kind in NETWORKS and c.name not in ("timm", "ds3_unet") and numeric(c)]
    component = data.draw(st.sampled_from(networks))
    ranges = numeric(component)
    tiny = {name: value for name, value in TINY.items() if name in ranges}
    name = data.draw(st.sampled_from(sorted(ranges)))
    kind, bounds = ranges[name]
    value = kind(data.draw(st.sampled_from(edges(kind, bounds))))
    wanted = {p.name: some(p.type) for p in component.parameters if p.required or of_kind(p.type)}
    given_ = {**wanted, **tiny, name: value}
    if not allowed(value, bounds):
        with pytest.raises(RecipeError, match=rf"^here\.{name}: .*Input should"):
            component.check(given_, "here")
        return
    if bounds.get("le", 0) > 2 and value > 2:  # a network of a thousand blocks is right, and slow
        component.check(given_, "here")
        return
    given_beside = {"labels": torch.zeros(2, 3, 32, 32)} if "given" in component.arguments else {}
    supplied = {"in_channels": 2, "out_channels": 1, "image_size": (32, 32), "target_channels": 1}
    supplied["given"] = {name: values.shape[1] for name, values in given_beside.items()}
    try:
        network = component.build(given_, "here", **supplied)
    except RecipeError as error:  # of parameters that do not fit one another
        if not (error.where or "").startswith("here"):
            raise
        return
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            output = network(torch.rand(2, 2, 32, 32), **given_beside)
    except GantkError as error:  # of the size of the image
        if "image" not in str(error):
            raise
        return
    output = output.output if isinstance(output, Translation) else output
    for one in output if isinstance(output, tuple) else (output,):
        assert one.shape[0] == 2
        assert one.isfinite().all()
