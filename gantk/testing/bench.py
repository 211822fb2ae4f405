"""The smallest recipe in which a loss or a weight map can work, and training steps with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import MappingProxyType
from typing import Any, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk.data.batch import Batch
from gantk.data.extra import blank
from gantk.plugins import Component, Registry
from gantk.ranges import Dimensions
from gantk.recipe.load import recipe_from_table
from gantk.testing.batches import make_group
from gantk.testing.checks import stirred
from gantk.testing.failures import skip
from gantk.training.optimizers import Optimizers
from gantk.training.torch_optimizers import OPTIMIZERS
from gantk.training.update import Updater
from gantk.translation import Judgement, Moment, Needs, Role, Step, Translation, View, assemble

__all__ = ["Bench", "MeanError", "TinyDiscriminator", "TinyGenerator"]


class TinyGenerator(nn.Module):
    """Three smooth convolutions; any layer number is a feature, of the whole, the half or the quarter size.

    Args:
        in_channels: channels of the source.
        out_channels: channels of the output.
        dimensions: of an image, 2 or 3.
    """

    def __init__(self, in_channels: int, out_channels: int, dimensions: Dimensions = 2) -> None:
        super().__init__()
        convolution = nn.Conv3d if dimensions == 3 else nn.Conv2d
        self.levels = nn.ModuleList(
            [
                convolution(in_channels, 4, 3, padding=1),
                convolution(4, 4, 3, stride=2, padding=1),
                convolution(4, 4, 3, stride=2, padding=1),
            ]
        )
        self.last = convolution(4, out_channels, 3, padding=1)

    def forward(self, image: Tensor, layers: tuple[int, ...] = (), decode: bool = True) -> Tensor | Translation:
        """`(B, in_channels, *spatial)` to `(B, out_channels, *spatial)`, with features `(B, 4, *spatial)`."""
        x, maps = image, []
        for level in self.levels:
            x = torch.tanh(level(x))
            maps.append(x)
        features = {layer: maps[layer % len(maps)] for layer in layers}
        if not decode:
            return Translation(None, features)
        whole = torch.stack([F.interpolate(level, image.shape[2:]) for level in maps]).sum(0)
        output = torch.tanh(self.last(whole))
        return Translation(output, features) if layers else output


class TinyDiscriminator(nn.Module):
    """Two smooth convolutions, a map of scores for each target; any layer number is a feature.

    Args:
        in_channels: channels of the input.
        target_channels: maps of scores.
        dimensions: of an image, 2 or 3.
    """

    def __init__(self, in_channels: int, target_channels: int, dimensions: Dimensions = 2) -> None:
        super().__init__()
        convolution = nn.Conv3d if dimensions == 3 else nn.Conv2d
        self.first = convolution(in_channels, 4, 3, stride=2, padding=1)
        self.second = convolution(4, 4, 3, stride=2, padding=1)
        self.last = convolution(4, target_channels, 3, padding=1)

    def forward(self, image: Tensor, layers: tuple[int, ...] = ()) -> Tensor | Judgement:
        """`(B, in_channels, H, W)` to scores `(B, target_channels, H/4, W/4)`, volumes alike."""
        first = torch.tanh(self.first(image))
        second = torch.tanh(self.second(first))
        scores = self.last(second)
        scores = scores + 0.3 * scores.square()  # a critic whose slope is not the same everywhere
        return Judgement(scores, {layer: (first, second)[layer % 2] for layer in layers}) if layers else scores


class MeanError:
    """The mean absolute error under a weight map."""

    needs = Needs(target=True)

    def __call__(self, view: View) -> Tensor:
        return view.weighted_mean((view.target - view.output).abs())


class ConstantMap:
    """The weight 1 everywhere."""

    def __call__(self, view: View) -> Tensor:
        return torch.ones_like(view.source[:, :1])


OWN = "generator"
TERM = "term"


class Bench:
    """A loss or a weight map in the smallest recipe that offers what it declares, on tiny networks.

    The recipe also has the translators that its parameters of type `Role` name: roles in `needs.roles` translate like
    the term's own translator, all others in the opposite direction. Batches have the groups paired, unpaired, source
    and target. A modality that is both input and target is hidden in the source, so that the generator has something
    to synthesize.

    Args:
        component: the loss or weight map.
        parameters: its parameters, as in a recipe.
        inputs: modalities of the source.
        targets: modalities of the target.
        judges: the input of discriminators.
        batch: slices of each group.
        size: H and W, or D, H and W.
        background: whether images are nothing but background.
        ones: whether the term is weighted by a map that is 1 everywhere.
        seed: of the networks and images.
        generator: the class of generators.
        discriminator: the class of discriminators.
        extra: inputs of networks beside images, as recipes declare them in `[data.extra]`.
        translators: tables of further translators by role, or keys that replace those described above.
        dtype: of networks and images.
        autocast: the context in which networks run.
    """

    def __init__(
        self,
        component: Component,
        parameters: Mapping[str, Any],
        *,
        inputs: Sequence[str] = ("a", "b"),
        targets: Sequence[str] = ("c",),
        judges: str = "image",
        batch: int = 2,
        size: Sequence[int] = (24, 32),
        background: bool = False,
        ones: bool = False,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
        generator: type[nn.Module] = TinyGenerator,
        discriminator: type[nn.Module] = TinyDiscriminator,
        extra: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        translators: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        self.component, self.inputs, self.targets = component, tuple(inputs), tuple(targets)
        self.autocast = autocast
        values = component.check(parameters, component.name)
        needs: Needs = getattr(component.make(values, component.name, dimensions=len(size)), "needs", Needs())
        made: dict[str, Any] = {OWN: {"takes": list(inputs), "gives": list(targets)}}
        for _, kind, role in component.named(values):
            if kind is Role and role not in made:
                there, back = (
                    {"takes": list(inputs), "gives": list(targets)},
                    {"takes": list(targets), "gives": list(inputs)},
                )
                made[role] = there if role in needs.roles else back
        common = {
            "generator": {"use": "tiny"},
            "discriminator": {"use": "tiny"},
            "judges": judges,
            "given": list(extra),
            "optimizer": {"rates": {"generator": 0.01, "discriminator": 0.01}},
        }
        made = {role: common | made.get(role, {}) | dict(translators.get(role, {})) for role in {**made, **translators}}
        if needs.start:
            made[OWN]["residual"] = inputs[0]
        loss: dict[str, Any] = {"use": "mean_error", "on": OWN, "group": "paired"}
        maps: dict[str, Any] = {}
        if component.kind == "loss":
            loss |= {"use": component.name, **parameters}
        if component.kind == "weight_map" or ones:
            maps["map"] = {"use": component.name, **parameters} if component.kind == "weight_map" else {"use": "ones"}
            loss["map"] = "map"
        table = {
            "name": "conformance",
            "run": {"seed": seed},
            "data": {
                "dataset": "none",
                "inputs": list(inputs),
                "target": list(targets),
                **({"crop": list(size)} if len(size) == 2 else {"dimensions": 3, "patch": list(size)}),
                "extra": {name: dict(settings) for name, settings in extra.items()},
                "batch": dict.fromkeys(("paired", "unpaired", "source", "target"), batch),
            },
            "translators": made,
            "maps": maps,
            "losses": {TERM: loss},
            "schedule": {"use": "none"},
            "evaluation": {"missing": [name for name in inputs if name in targets]},
        }
        self.recipe = recipe_from_table(table)
        self.assembly = assemble(self.recipe, _registry(component, generator, discriminator))
        self.translators = self.assembly.translators
        if needs.start:  # where it is the identity, values that depend on the change have no gradient
            stirred(self.own)
        for translator in self.translators.values():
            translator.to(dtype)
        self.plan = self.assembly.plan("training", tuple(self.translators))
        (self.term,) = self.plan.terms
        self.batch = self._batch(batch, size, seed, background, dtype)

    def _batch(self, batch: int, size: Sequence[int], seed: int, background: bool, dtype: torch.dtype) -> Batch:
        made = {}
        for number, name in enumerate(("paired", "unpaired", "source", "target")):
            group = make_group(
                batch,
                0 if name == "target" else len(self.inputs),
                0 if name in ("unpaired", "source") else len(self.targets),
                size,
                seed=4 * seed + number,
                background=background,
                dtype=dtype,
            )
            if group.source is not None and group.target is not None and name == "paired":
                for place, modality in enumerate(self.inputs):
                    if modality in self.targets:
                        group.source[:, place] = group.target[:, self.targets.index(modality)]
                shared = [place for place, modality in enumerate(self.inputs) if modality in self.targets]
                for image, place in enumerate(shared[: max(len(shared) - 1, 0)]):
                    group.source[image % batch, place] = -1.0
            beside = {name: blank(settings, batch, size) for name, settings in self.recipe.data.extra.items()}
            made[name] = replace(group, extra=beside)
        return made

    @property
    def own(self) -> nn.Module:
        """The generator of the term's translator."""
        return self.translators[OWN].generator

    @property
    def discriminator(self) -> nn.Module:
        """The discriminator of the term's translator."""
        discriminator = self.translators[OWN].discriminator
        assert discriminator is not None
        return discriminator

    def view(self) -> View:
        """A new step, seen by the term."""
        step = Step(self.translators, self.plan, self.batch, self.autocast)
        return View(step, OWN, "paired", self.term)

    def value(self, seed: int = 0) -> Tensor:
        """The term's loss in a new step, from a seed; skips the test if the loss needs something that is absent."""
        torch.manual_seed(seed)
        value = None if self.term.generator_loss is None else self.term.generator_loss(self.view())
        if value is None:
            raise skip("it has no generator's side in the first step")
        return value

    def discriminator_value(self, seed: int = 0) -> Tensor:
        """The discriminator's side in a new step, from a seed; pools stay as they are."""
        assert self.term.discriminator_loss is not None
        kept = {name: tensor.clone() for name, tensor in self.translators[OWN].pools.state_dict().items()}
        torch.manual_seed(seed)
        value = self.term.discriminator_loss(View(self.view().step, OWN, "paired", self.term, "discriminator"))
        self.translators[OWN].pools.load_state_dict(kept)
        if value is None:
            raise skip("it has no discriminator's side in the first step")
        return value

    def weight(self, seed: int = 0) -> Tensor:
        """The weight map in a new step, from a seed."""
        torch.manual_seed(seed)
        weight = self.view().weight
        assert weight is not None
        return weight

    def train(self, steps: int = 1, seed: int = 0) -> list[dict[str, float]]:
        """Updates of all networks, as in training; the terms' values."""
        optimizers = {
            role: Optimizers(translator, self.assembly.optimizers[role])
            for role, translator in self.translators.items()
        }
        updater = Updater(self.translators, optimizers, self.plan, self.recipe.training, self.autocast)
        torch.manual_seed(seed)
        factors = dict.fromkeys(self.translators, 1.0)
        return [updater.step([self.batch], factors, Moment("training", 0, 1, step)) for step in range(steps)]


def _is(annotation: Any, kind: Any) -> bool:
    return annotation is kind or kind in get_args(annotation)


def _registry(component: Component, generator: type[nn.Module], discriminator: type[nn.Module]) -> Registry:
    registry = Registry()
    helpers: dict[tuple[str, str], Any] = {
        ("optimizer", "adam"): OPTIMIZERS["adam"],
        ("generator", "tiny"): generator,
        ("discriminator", "tiny"): discriminator,
        ("loss", "mean_error"): MeanError,
        ("weight_map", "ones"): ConstantMap,
    }
    made = [Component(name, kind, cls, "gantk.testing", "") for (kind, name), cls in helpers.items()]
    taken = {(one.kind, one.name) for one in (component, *made)}
    installed = [one for one in component.registry or () if (one.kind, one.name) not in taken]
    registry.add(component, *made, *installed)
    return registry
