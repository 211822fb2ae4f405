"""Networks at rest: translating and weighing slices without training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from gantk.data.batch import Group
from gantk.data.normalisation import BACKGROUND
from gantk.evaluation.evaluate import Predictor
from gantk.evaluation.examples import Examples
from gantk.recipe import Recipe
from gantk.training.device import autocasting
from gantk.training.state import TrainingState
from gantk.translation import StagePlan, Step


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


def predictor(state: TrainingState, role: str) -> Predictor:
    """A role's generator (its average where one is kept): a batch group to the images that are measured."""
    generator, translator = state.generator(role), state.translators[role]
    autocast = autocasting(state.device, state.recipe.run.precision)
    masked = state.recipe.evaluation.mask == "foreground"
    gives = translator.gives.channels or tuple(range(translator.gives.size))
    picked = [gives.index(channel) for channel in measured_channels(state)]

    def predict(group: Group) -> Tensor:
        image = group.image(translator.takes)
        assert image is not None
        with at_rest([generator]), autocast():
            output = generator(image.to(state.device)).float()[:, picked]
        return torch.where(group.foreground, output, BACKGROUND) if masked else output

    return predict


def measured_channels(state: TrainingState) -> list[int]:
    """The channels of a target that are measured."""
    layout = state.assembly.layout
    return [channel for name in state.recipe.measured for channel in layout.image("target", name)]


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
    """What the roles make of a group, and how its pixels are weighted; of several measured targets the first."""
    group = group.to(state.device)
    (shown,) = measured(state, [group])
    source, layout = group.source, state.assembly.layout
    assert source is not None
    return Examples.of(
        group,
        inputs={name: source[:, list(layout.image("source", name))] for name in recipe.data.inputs},
        target=None if shown.target is None else shown.target[:, : layout.channels],
        outputs={role: predictor(state, role)(group)[:, : layout.channels] for role in roles},
        weights=None if shown.target is None else weigh(state, plan, group),  # maps may ask for the target
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
