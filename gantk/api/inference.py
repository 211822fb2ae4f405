"""Inference with trained networks: translations and weight maps of slices and volumes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gantk.api.at_test import as_tested, at_rest, through
from gantk.api.volumes import BySlice
from gantk.api.windows import Windows, packed
from gantk.data.batch import Group
from gantk.data.layout import Domain, Layout, Side
from gantk.data.loader import Loader
from gantk.data.normalisation import BACKGROUND
from gantk.evaluation.evaluate import Predictor
from gantk.evaluation.examples import Examples
from gantk.recipe import Recipe
from gantk.training.device import autocasting
from gantk.training.state import TrainingState
from gantk.translation import Chain, StagePlan, Step

#: The batch group of translations, beside the terms' groups; all of them are the same group here.
SEEN = "seen"


def translation(chain: Chain, layout: Layout, recipe: Recipe, device: torch.device, loader: Loader) -> Predictor:
    """A role as the recipe evaluates it: a batch group of slices to the images that are measured.

    If the recipe translates volumes, the whole volumes of the group's slices are translated.

    Args:
        chain: its generator or average, after the generators whose outputs it takes.
        layout: the channels of sources and targets.
        recipe: decides the measured images, precision, windows and mask.
        device: where the generators are.
        loader: reads volumes.
    """
    autocast, windows = autocasting(device, recipe.run.precision), Windows.of(recipe, device)

    def make(group: Group) -> dict[str, Tensor]:
        image = group.image(chain.takes)
        assert image is not None
        with as_tested(chain, recipe), autocast():
            return {"": through(chain, image, group.extra, device, windows)}

    asked = BySlice(loader, make) if recipe.data.dimensions == 3 else make

    def predict(group: Group) -> Tensor:
        return _answer(asked(group)[""], group, chain.gives, layout, recipe)

    return predict


def chain_of(state: TrainingState, role: str) -> Chain:
    """The generators used for a role; averages, if there are any."""
    return Chain(state.translators, role, state.generator)


def predictor(state: TrainingState, role: str, loader: Loader) -> Predictor:
    """A role, or its average if there is one, as a function from a batch group of slices to the measured images."""
    return translation(chain_of(state, role), state.assembly.layout, state.recipe, state.device, loader)


class Inference:
    """Translations of a group of slices and the weight maps on it.

    For slices that are translated whole, each network makes one forward pass for both. Volumes and windows are
    translated and weighed separately. If a role has an average, the average translates and is used by the maps.

    Args:
        state: the state with the networks.
        plan: the stage with the maps.
        loader: reads volumes.
    """

    def __init__(self, state: TrainingState, plan: StagePlan, loader: Loader) -> None:
        self.state, self.plan, self.loader = state, plan, loader
        self._translators = state.answering()
        self._moment = state.moment(plan.stage)
        self._windows = Windows.of(state.recipe, state.device)
        self._weigh = BySlice(loader, self._in_windows) if state.recipe.data.dimensions == 3 else self._in_windows
        self._group: Group | None = None
        self._step: Step | None = None

    def see(self, group: Group) -> None:
        """Set the group that later calls use."""
        self._group, self._step = group, self._step_of(group)

    def predictor(self, role: str) -> Predictor:
        """Like the function `predictor`, for the last group or another view of its source."""
        chain = Chain(self._translators, role)
        if chain.draws or self._windows is not None:  # maps do not use this
            return predictor(self.state, role, self.loader)

        def predict(group: Group) -> Tensor:
            assert self._step is not None
            assert self._step.group(SEEN).source is group.source
            with as_tested(chain, self.state.recipe):
                output = self._step.translate(role, self._step.source(role, SEEN), group=SEEN)
            return _answer(output, group, chain.gives, self.state.assembly.layout, self.state.recipe)

        return predict

    def weights(self) -> dict[str, Tensor]:
        """The weight maps of the stage's terms, `(B, 1, H, W)` by `MAP/ROLE`."""
        assert self._step is not None
        assert self._group is not None
        return self._weights(self._step) if self._windows is None else self._weigh(self._group)

    def _in_windows(self, group: Group) -> dict[str, Tensor]:
        """The maps on a group, made window by window."""
        assert self._windows is not None
        names: list[str] = []

        def network(window: Tensor) -> Tensor:
            found = self._weights(self._step_of(unpacked(window)))
            names[:] = found
            return torch.cat([torch.empty(len(window), 0, *window.shape[2:], device=window.device), *found.values()], 1)

        whole, unpacked = packed(group)
        made = self._windows(network, whole)
        return {name: made[:, number : number + 1] for number, name in enumerate(names)}

    def _weights(self, step: Step) -> dict[str, Tensor]:
        terms = [term for term in self.plan.terms if term.map is not None and term.map in self.plan.maps]
        found = {}
        with at_rest(list(self._translators.values())):
            for name, role, group in sorted({(str(t.map), t.role, t.group) for t in terms}):
                weight = step.weight(name, role, group)
                if weight is not None:
                    found[f"{name}/{role}"] = weight
        return found

    def _step_of(self, group: Group) -> Step:
        return Step(
            self._translators,
            self.plan,
            dict.fromkeys((SEEN, *self.plan.groups), group),
            autocasting(self.state.device, self.state.recipe.run.precision),
            inference=True,
            moment=self._moment,
        )


def measured_channels(state: TrainingState) -> list[int]:
    """The channels of a target that are measured."""
    return _measured(state.assembly.layout, state.recipe)


def measured(state: TrainingState, groups: Iterable[Group]) -> Iterator[Group]:
    """The groups with only the measured channels in their targets."""
    channels = measured_channels(state)
    for group in groups:
        whole = group.target is None or channels == list(range(group.target.shape[1]))
        yield group if whole or group.target is None else replace(group, target=group.target[:, channels])


def examples(
    state: TrainingState, plan: StagePlan, group: Group, roles: Sequence[str], recipe: Recipe, loader: Loader
) -> Examples:
    """The translations of a group of slices by the roles, and the weights of its pixels."""
    group = group.to(state.device)
    inference = Inference(state, plan, loader)
    inference.see(group)
    predictors = {role: inference.predictor(role) for role in roles}
    weights = None if group.target is None else inference.weights()  # maps may use the target
    return picture(group, predictors, state.assembly.layout, recipe, weights)


def picture(
    group: Group,
    predictors: Mapping[str, Predictor],
    layout: Layout,
    recipe: Recipe,
    weights: Mapping[str, Tensor] | None = None,
) -> Examples:
    """A group's slices with their translations by role; only the first of several measured targets."""
    source, first = group.source, _measured(layout, recipe)[: layout.channels]
    assert source is not None
    return Examples.of(
        group,
        inputs={name: source[:, list(layout.image("source", name))] for name in recipe.data.inputs},
        target=None if group.target is None else group.target[:, first],
        outputs={role: predict(group)[:, : layout.channels] for role, predict in predictors.items()},
        weights=weights,
    )


def there_and_back(state: TrainingState, group: Group, side: Side, loader: Loader) -> dict[str, Tensor]:
    """The translations of all images of one side and, if another translator leads back, the images translated back.

    Args:
        state: the state with the networks.
        group: slices; their source or target is translated.
        side: which of the two is translated.
        loader: reads volumes.

    Returns:
        The images to show by role; `b2a(a2b)` for images that were translated back.
    """
    if state.recipe.data.dimensions == 3:
        return BySlice(loader, lambda volume: _there_and_back(state, volume, side))(group)
    return _there_and_back(state, group, side)


def _there_and_back(state: TrainingState, group: Group, side: Side) -> dict[str, Tensor]:
    autocast, windows = autocasting(state.device, state.recipe.run.precision), Windows.of(state.recipe, state.device)
    images = group.source if side == "source" else group.target
    assert images is not None

    def made(role: str, images: Tensor) -> Tensor:
        chain = chain_of(state, role)
        with as_tested(chain, state.recipe), autocast():
            return through(chain, images, group.extra, state.device, windows)

    found = {}
    for role, there in state.translators.items():
        if there.shown.side == side and there.shown.channels is None:
            found[role] = made(role, images)
            for other, back in state.translators.items():
                if (back.shown, back.gives) == (there.gives, there.shown):
                    found[f"{other}({role})"] = made(other, found[role])
    return {name: image[:, : state.assembly.layout.channels] for name, image in found.items()}


def mean_weights(weights: Mapping[str, Tensor], group: Group) -> dict[str, dict[str, tuple[float, int]]]:
    """Sum and count of each map's values in tumor and in healthy brain."""
    assert group.segmentation is not None
    tumour = group.segmentation > 0
    regions = {"tumour": tumour, "brain": group.foreground & ~tumour}
    return {
        name: {region: (weight[mask].sum().item(), int(mask.sum())) for region, mask in regions.items()}
        for name, weight in weights.items()
    }


def _answer(output: Tensor, group: Group, domain: Domain, layout: Layout, recipe: Recipe) -> Tensor:
    """The measured channels of the generator's output, masked as the recipe says."""
    gives = domain.channels or tuple(range(domain.size))
    picked = output[:, [gives.index(channel) for channel in _measured(layout, recipe)]]
    return torch.where(group.foreground, picked, BACKGROUND) if recipe.evaluation.mask == "foreground" else picked


def _measured(layout: Layout, recipe: Recipe) -> list[int]:
    return [channel for name in recipe.measured for channel in layout.image("target", name)]
