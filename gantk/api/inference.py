"""Networks at rest: translating and weighing slices without training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
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
    """A role's generator (its average where one is kept) as a function of a batch group."""
    generator = state.generator(role)
    autocast = autocasting(state.device, state.recipe.run.precision)
    masked = state.recipe.evaluation.mask == "foreground"

    def predict(group: Group) -> Tensor:
        assert group.source is not None
        with at_rest([generator]), autocast():
            output = generator(group.source.to(state.device)).float()
        return torch.where(group.foreground, output, BACKGROUND) if masked else output

    return predict


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
    """What the roles make of a group that has targets, and how its pixels are weighted."""
    group = group.to(state.device)
    assert group.source is not None
    assert group.target is not None
    outputs = {role: predictor(state, role)(group) for role in roles}
    segmentation = group.segmentation
    shape = (len(group), *group.source.shape[-2:])
    return Examples(
        inputs={name: _array(group.source[:, i]) for i, name in enumerate(recipe.data.inputs)},
        target=_array(group.target[:, 0]),
        outputs={role: _array(output[:, 0]) for role, output in outputs.items()},
        weights={name: _array(weight[:, 0]) for name, weight in weigh(state, plan, group).items()},
        segmentation=np.zeros(shape, np.uint8) if segmentation is None else segmentation[:, 0].cpu().numpy(),
        titles=[f"{p}, slice {z}" for p, z in zip(group.patients, group.slices, strict=True)],
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


def _array(image: Tensor) -> np.ndarray:
    return image.detach().float().cpu().numpy()
