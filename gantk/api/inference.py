"""Networks at rest: translating and weighing slices without training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from gantk.data.batch import Group
from gantk.data.layout import Domain, Layout, Side
from gantk.data.normalisation import BACKGROUND
from gantk.evaluation.evaluate import Predictor
from gantk.evaluation.examples import Examples
from gantk.recipe import Recipe
from gantk.training.device import autocasting
from gantk.training.state import TrainingState
from gantk.translation import Chain, StagePlan, Step
from gantk.translation.protocols import output_of

#: The batch group that translations are asked of, beside those of the terms; they are all one.
SEEN = "seen"


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


@contextmanager
def as_tested(chain: Chain, recipe: Recipe, sample: int = 0) -> Iterator[None]:
    """Generators as the recipe tests them, without gradient; they and torch's random numbers stay as they were.

    Dropout that is kept at test, and a generator that samples, draw from the recipe's seed, so that the same images
    give the same; `sample` numbers further draws.
    """
    kept = [network for role, network in chain.networks.items() if recipe.translators[role].at_test == "train"]
    buffers = [(buffer, buffer.clone()) for network in kept for buffer in network.buffers()]
    seeding = torch.random.fork_rng() if draws(chain, recipe) else nullcontext()
    with at_rest(list(chain.networks.values())), seeding:
        if draws(chain, recipe):
            torch.manual_seed(recipe.run.seed + sample)
        for network in kept:
            network.train()
        yield
        for buffer, before in buffers:
            buffer.copy_(before)


def draws(chain: Chain, recipe: Recipe) -> bool:
    """Whether what generators make at test is drawn at random."""
    return chain.draws or any(recipe.translators[role].at_test == "train" for role in chain.networks)


def translation(chain: Chain, layout: Layout, recipe: Recipe, device: torch.device) -> Predictor:
    """A role as the recipe evaluates it: a batch group to the images that are measured.

    Args:
        chain: its generator, or its average, behind those whose outputs it takes.
        layout: the channels of sources and targets.
        recipe: says what is measured, and with which precision and mask.
        device: where the generators are.
    """
    autocast = autocasting(device, recipe.run.precision)

    def predict(group: Group) -> Tensor:
        image = group.image(chain.takes)
        assert image is not None
        beside = chain.given({name: values.to(device) for name, values in group.extra.items()})
        with as_tested(chain, recipe), autocast():
            output = output_of(chain(image.to(device), **beside)).float()
        return _answer(output, group, chain.gives, layout, recipe)

    return predict


def chain_of(state: TrainingState, role: str) -> Chain:
    """The generators that answer for a role, averages where these are kept."""
    return Chain(state.translators, role, state.generator)


def predictor(state: TrainingState, role: str) -> Predictor:
    """A role, its average where one is kept: a batch group to the images that are measured."""
    return translation(chain_of(state, role), state.assembly.layout, state.recipe, state.device)


class Inference:
    """Translations of a group and the weight maps on it, with one forward pass of each network for both.

    Args:
        state: whose networks are asked.
        plan: the stage whose maps weigh.
    """

    def __init__(self, state: TrainingState, plan: StagePlan) -> None:
        self.state, self.plan = state, plan
        self._moment = state.moment(plan.stage)
        self._step: Step | None = None

    def see(self, group: Group) -> None:
        """Set the group that later calls use."""
        self._step = Step(
            self.state.translators,
            self.plan,
            dict.fromkeys((SEEN, *self.plan.groups), group),
            autocasting(self.state.device, self.state.recipe.run.precision),
            inference=True,
            moment=self._moment,
        )

    def predictor(self, role: str) -> Predictor:
        """As the function `predictor`, for the group that was seen last, or another view of its source."""
        chain = Chain(self.state.translators, role)
        if chain.draws or self.state.averages.keys() & chain.networks.keys():  # not what maps ask for
            return predictor(self.state, role)

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
        terms = [term for term in self.plan.terms if term.map is not None and term.map in self.plan.maps]
        found = {}
        with at_rest(list(self.state.translators.values())):
            for name, role, group in sorted({(str(t.map), t.role, t.group) for t in terms}):
                weight = self._step.weight(name, role, group)
                if weight is not None:
                    found[f"{name}/{role}"] = weight
        return found


def measured_channels(state: TrainingState) -> list[int]:
    """The channels of a target that are measured."""
    return _measured(state.assembly.layout, state.recipe)


def measured(state: TrainingState, groups: Iterable[Group]) -> Iterator[Group]:
    """The groups with those channels alone in their targets."""
    channels = measured_channels(state)
    for group in groups:
        whole = group.target is None or channels == list(range(group.target.shape[1]))
        yield group if whole or group.target is None else replace(group, target=group.target[:, channels])


def examples(state: TrainingState, plan: StagePlan, group: Group, roles: Sequence[str], recipe: Recipe) -> Examples:
    """What the roles make of a group, and how its pixels are weighted."""
    group = group.to(state.device)
    inference = Inference(state, plan)
    inference.see(group)
    predictors = {role: inference.predictor(role) for role in roles}
    weights = None if group.target is None else inference.weights()  # maps may ask for the target
    return picture(group, predictors, state.assembly.layout, recipe, weights)


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


def there_and_back(state: TrainingState, group: Group, side: Side) -> dict[str, Tensor]:
    """What translators make of all images of one side and, where another leads back, what that makes of it.

    Args:
        state: whose networks are asked.
        group: whose source or target.
        side: which of the two.

    Returns:
        By role, `b2a(a2b)` for the way back; images as they are shown.
    """
    autocast = autocasting(state.device, state.recipe.run.precision)
    images = group.source if side == "source" else group.target
    assert images is not None
    extra = {name: values.to(state.device) for name, values in group.extra.items()}

    def made(role: str, images: Tensor) -> Tensor:
        chain = chain_of(state, role)
        with as_tested(chain, state.recipe), autocast():
            return output_of(chain(images.to(state.device), **chain.given(extra))).float()

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
