"""Networks at rest: translating and weighing slices without training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from gantk.data.batch import Group
from gantk.data.layout import Layout
from gantk.data.normalisation import BACKGROUND
from gantk.evaluation.evaluate import Predictor
from gantk.evaluation.examples import Examples
from gantk.recipe import Recipe
from gantk.training.device import autocasting
from gantk.training.state import TrainingState
from gantk.translation import StagePlan, Step, Translator


@contextmanager
def at_rest(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Modules in evaluation mode, without gradient; their former mode afterwards."""
    modes = [module.training for module in modules]
    for module in modules:
        module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.train(mode)


def translation(
    translator: Translator, generator: nn.Module, layout: Layout, recipe: Recipe, device: torch.device
) -> Predictor:
    """A generator as the recipe evaluates it: a batch group to the images that are measured.

    Args:
        translator: says what is taken and given.
        generator: the translator's, or its average.
        layout: the channels of sources and targets.
        recipe: says what is measured, and with which precision and mask.
        device: where the generator is.
    """
    autocast = autocasting(device, recipe.run.precision)
    gives = translator.gives.channels or tuple(range(translator.gives.size))
    picked = [gives.index(channel) for channel in _measured(layout, recipe)]

    def predict(group: Group) -> Tensor:
        image = group.image(translator.takes)
        assert image is not None
        with at_rest([generator]), autocast():
            output = generator(image.to(device)).float()[:, picked]
        return torch.where(group.foreground, output, BACKGROUND) if recipe.evaluation.mask == "foreground" else output

    return predict


def predictor(state: TrainingState, role: str) -> Predictor:
    """A role's generator, its average where one is kept: a batch group to the images that are measured."""
    layout = state.assembly.layout
    return translation(state.translators[role], state.generator(role), layout, state.recipe, state.device)


def measured_channels(state: TrainingState) -> list[int]:
    """The channels of a target that are measured."""
    return _measured(state.assembly.layout, state.recipe)


def measured(state: TrainingState, groups: Iterable[Group]) -> Iterator[Group]:
    """The groups with those channels alone in their targets."""
    channels = measured_channels(state)
    for group in groups:
        whole = group.target is None or channels == list(range(group.target.shape[1]))
        yield group if whole or group.target is None else replace(group, target=group.target[:, channels])


def weigh(state: TrainingState, plan: StagePlan, group: Group) -> dict[str, Tensor]:
    """The weight maps of a stage's terms on a group, `(B, 1, H, W)` by `MAP/ROLE`."""
    step = Step(
        state.translators,
        plan,
        dict.fromkeys(plan.groups, group),
        autocasting(state.device, state.recipe.run.precision),
        inference=True,
    )
    asked = sorted({(t.map, t.role, t.group) for t in plan.terms if t.map is not None and t.map in plan.maps})
    found = {}
    with at_rest(list(state.translators.values())):
        for name, role, of in asked:
            weight = step.weight(name, role, of)
            if weight is not None:
                found[f"{name}/{role}"] = weight
    return found


def examples(state: TrainingState, plan: StagePlan, group: Group, roles: Sequence[str], recipe: Recipe) -> Examples:
    """What the roles make of a group, and how its pixels are weighted."""
    group = group.to(state.device)
    weights = None if group.target is None else weigh(state, plan, group)  # maps may ask for the target
    return picture(group, {role: predictor(state, role) for role in roles}, state.assembly.layout, recipe, weights)


def picture(
    group: Group,
    predictors: Mapping[str, Predictor],
    layout: Layout,
    recipe: Recipe,
    weights: Mapping[str, Tensor] | None = None,
) -> Examples:
    """A group's slices with what predictors, by role, make of them; of several measured targets the first."""
    source, first = group.source, _measured(layout, recipe)[: layout.channels]
    assert source is not None
    return Examples.of(
        group,
        inputs={name: source[:, list(layout.image("source", name))] for name in recipe.data.inputs},
        target=None if group.target is None else group.target[:, first],
        outputs={role: predict(group)[:, : layout.channels] for role, predict in predictors.items()},
        weights=weights,
    )


def mean_weights(weights: Mapping[str, Tensor], group: Group) -> dict[str, dict[str, tuple[float, int]]]:
    """Sum and count of each map's values in tumour and in healthy brain."""
    assert group.segmentation is not None
    tumour = group.segmentation > 0
    regions = {"tumour": tumour, "brain": group.foreground & ~tumour}
    return {
        name: {region: (weight[mask].sum().item(), int(mask.sum())) for region, mask in regions.items()}
        for name, weight in weights.items()
    }


def _measured(layout: Layout, recipe: Recipe) -> list[int]:
    return [channel for name in recipe.measured for channel in layout.image("target", name)]
