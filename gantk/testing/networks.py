"""The conformance tests that generators and discriminators share."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gantk.data.extra import blank, encoded
from gantk.errors import GantkError
from gantk.recipe.data import ExtraSettings
from gantk.testing.batches import make_image
from gantk.testing.checks import (
    answer,
    check_close_in_bf16,
    check_equal,
    check_finite,
    check_gradients,
    check_pickle,
    check_seeded,
    check_state,
    form,
    seeded,
    stirred,
)
from gantk.testing.failures import ConformanceError, expect, skip
from gantk.testing.parallel import parallel_gradients
from gantk.testing.spatial import SpatialConformance
from gantk.translation import Judgement, Translation

__all__ = ["NetworkConformance", "check_scores"]


def _one_map(network: nn.Module, arguments: tuple[Any, ...], output: Any) -> Any:
    """A hook that combines the scores of several scales into one map, so that all discriminators are tested alike, and
    reduces a generator's output to its image if no layers are requested."""
    if isinstance(output, Translation) and len(arguments) == 1:
        for name, extra in output.extra.items():
            check_finite(f"the extra output {name!r}", extra)
        return output.output
    scores = output.scores if isinstance(output, Judgement) else output
    if not isinstance(scores, tuple) or isinstance(output, Translation):
        return output
    for scale in scores:
        check_scores(scale, arguments[0])
    one = torch.cat([scale.flatten(1) for scale in scores], dim=1)
    one = one[(slice(None), *[None] * (scores[0].ndim - 2))]
    return Judgement(one, output.features) if isinstance(output, Judgement) else one


def check_scores(scores: Any, image: Tensor) -> None:
    """Check that the scores are one map per image."""
    shown = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    batch, axes = len(image), "h, w" if image.ndim == 4 else "d, h, w"
    expect(
        isinstance(scores, Tensor) and scores.ndim == image.ndim and scores.shape[0] == batch and scores.numel() > 0,
        f"the scores are {shown} where ({batch}, K, {axes}) is wanted",
        f"return a map of scores, or a tuple of maps; a single score per image is (B, 1{', 1' * (image.ndim - 2)})",
    )


class _Giving:
    """A hook that gives a network the further inputs of an image, because there are no data."""

    def __init__(self, extra: Mapping[str, ExtraSettings]) -> None:
        self.extra = dict(extra)

    def __call__(self, network: nn.Module, arguments: tuple[Any, ...], given: dict[str, Any]) -> Any:
        image = arguments[0]
        beside = {n: encoded(s, blank(s, len(image), image.shape[2:])).to(image) for n, s in self.extra.items()}
        return arguments, beside | given


class NetworkConformance(SpatialConformance):
    """The conformance tests that generators and discriminators share.

    Attributes:
        in_channels: channels of the input.
        size: H and W of slices; rounded up to the generator's `size_multiple`.
        volume: D, H and W of volumes, rounded up in the same way.
        bf16_tolerance: mean difference from fp32 that is allowed, relative to the output's spread.
        features: layers that are checked; None: all layers that it offers; empty: none.
        extra: its inputs beside images by name, as recipes declare them in `[data.extra]`.
    """

    in_channels: ClassVar[int] = 2
    size: ClassVar[tuple[int, int]] = (32, 48)
    volume: ClassVar[tuple[int, int, int]] = (12, 16, 24)
    bf16_tolerance: ClassVar[float] = 0.15
    features: ClassVar[tuple[int, ...] | None] = None
    extra: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def arguments(self, size: tuple[int, ...]) -> Mapping[str, Any]:
        """What the core supplies to the constructor, for images of this size."""
        return {}

    @property
    def fitted(self) -> tuple[int, ...]:
        """The size of the images."""
        return self.spatial

    def network(self) -> nn.Module:
        """A new instance, from seed 0."""
        return seeded(self.build)

    def build(self) -> nn.Module:
        """A new instance, unchanged, from the seed."""
        return self.make_given(self.fitted)

    def make_given(self, size: tuple[int, ...]) -> nn.Module:
        """An instance that always receives `extra` beside its image."""
        extra = {name: ExtraSettings.model_validate(settings) for name, settings in self.extra.items()}
        network: nn.Module = self.make(**self.arguments(size), given={name: one.width for name, one in extra.items()})
        network.register_forward_hook(_one_map)
        if extra:
            network.register_forward_pre_hook(_Giving(extra), with_kwargs=True)
        return network

    def image(self, batch: int = 2, *, background: bool = False) -> Tensor:
        """A batch that the network accepts."""
        return make_image(batch, self.in_channels, self.fitted, background=background)

    def check_output(self, output: Any, batch: int) -> None:
        """Check that an output has the form that the kind requires."""

    def test_is_a_module(self) -> None:
        """The network is a torch module."""
        network = self.network()
        expect(isinstance(network, nn.Module), f"it is a {type(network).__name__}", "derive it from torch.nn.Module")

    @property
    def offers(self) -> tuple[int, ...]:
        """The numbers of the layers that it offers as features."""
        network = self.network().eval()
        if "layers" not in inspect.signature(network.forward).parameters:
            return ()
        if self.features is not None:
            return tuple(self.features)
        found: list[int] = []
        with torch.no_grad():
            while len(found) < 100:
                try:
                    network(self.image(1), (len(found),))
                except (GantkError, LookupError, TypeError):
                    break
                found.append(len(found))
        return tuple(found)

    def test_output(self) -> None:
        """Shape, type and range of the output, in training and in evaluation."""
        network = self.network()
        self.check_output(network(self.image()), 2)
        self.check_output(answer(network, self.image()), 2)

    def test_evaluation_is_deterministic(self) -> None:
        """In evaluation mode the output of an image does not depend on the rest of the batch."""
        network, image = self.network(), self.image()
        torch.manual_seed(1)
        first = answer(network, image)
        torch.manual_seed(2)
        mend = "let dropout and noise follow `self.training`, and norms use stored or per-image statistics"
        check_equal(answer(network, image), first, "two passes in evaluation mode differ", mend)
        alone = answer(network, image[:1])
        check_equal(alone, first[:1], "an image alone is answered otherwise than in a batch", mend, 1e-3)

    def check_learning(self, network: nn.Module, image: Tensor, output: Tensor, what: str = "the network") -> None:
        """Check that every trainable parameter has a gradient from the output, or from features that alone use it."""
        loss = form(output.float())
        learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        reached = torch.autograd.grad(loss, learning, retain_graph=True, allow_unused=True)
        if any(gradient is None for gradient in reached) and self.offers:
            features = network(image, self.offers).features.values()
            loss = loss + torch.stack([form(feature.float()) for feature in features]).sum()
        check_gradients(network, loss, what)

    def test_gradient_flow(self) -> None:
        """Every trainable parameter gets a finite gradient that is not 0 everywhere."""
        network, image = stirred(self.network()), self.image()
        self.check_learning(network, image, network(image))

    def test_gradient_reaches_the_image(self) -> None:
        """The gradient reaches the input image, which may be another network's output."""
        image = self.image().requires_grad_()
        form(self.network()(image)).backward()
        mend = "do not detach or round the image"
        expect(image.grad is not None and bool(image.grad.any()), "the image gets no gradient", mend)
        assert image.grad is not None
        check_finite("the image's gradient", image.grad)

    def test_bf16(self) -> None:
        """Under bf16 autocast the output is close to that of fp32, and gradients stay finite."""
        network, image = stirred(self.network()), self.image()
        full = answer(network, image)
        with torch.autocast("cpu", torch.bfloat16):
            half = answer(network, image)
            self.check_learning(network, image, network(image), "the network in bf16")
        check_close_in_bf16(full, half, self.bf16_tolerance, "the output")

    def test_state_round_trip(self) -> None:
        """Another instance that loads the weights is the same network."""
        check_state(self.build, self.image())

    def test_initial_weights_follow_the_seed(self) -> None:
        """Two instances built from one seed are equal."""
        check_seeded(self.build)

    def test_pickle(self) -> None:
        """A pickled copy is the same network."""
        check_pickle(self.network(), self.image())

    def test_batch_of_one(self) -> None:
        """The network trains and predicts with a batch of one."""
        network, image = stirred(self.network()), self.image(1)
        output = network(image)
        self.check_output(output, 1)
        self.check_learning(network, image, output, "the network with a batch of one")
        self.check_output(answer(network, self.image(1)), 1)

    def test_background(self) -> None:
        """An image of nothing but background gives no NaN, forward or backward."""
        network, image = self.network(), self.image(background=True).requires_grad_()
        output = network(image)
        check_finite("the output for an image of background", output)
        form(output).backward()
        for name, parameter in network.named_parameters():
            if parameter.grad is not None:
                check_finite(f"the gradient of {name!r} for an image of background", parameter.grad)
        assert image.grad is not None
        check_finite("the gradient of an image of background", image.grad)

    def test_channels_last(self) -> None:
        """The memory layout of `training.channels_last` does not change the output."""
        network, image = self.network(), self.image()
        plain = answer(network, image)
        layout = torch.channels_last if self.dimensions == 2 else torch.channels_last_3d
        network.to(memory_format=layout)
        mend = "use reshape in place of view, and name dimensions in place of counting strides"
        moved = answer(network, image.to(memory_format=layout))
        check_equal(moved, plain, "with channels last it answers otherwise", mend, 1e-3)

    def test_features(self) -> None:
        """The features of all layers that it offers come from the same pass as the output, with gradient."""
        if not self.offers:
            raise skip("it offers no features")
        network, image = self.network().eval(), self.image()
        plain = answer(network, image)
        given = network(image, self.offers)
        self.check_features(given, plain, network, image)
        total = torch.stack([form(feature) for feature in given.features.values()]).sum()
        total.backward()
        expect(
            any(p.grad is not None and bool(p.grad.any()) for p in network.parameters()),
            "features give no parameter a gradient",
            "return them as they are, not detached",
        )

    def test_unknown_layer(self) -> None:
        """Asking for a layer that it does not offer raises an error with a message."""
        if not self.offers:
            raise skip("it offers no features")
        network = self.network()
        mend = "raise GantkError (or IndexError, KeyError) for a layer that is not there"
        try:
            network(self.image(), (10_000,))
        except (GantkError, LookupError, TypeError):
            return
        raise ConformanceError("the layer 10000 was asked for, and there was no error", mend)

    def check_features(self, given: Any, plain: Tensor, network: nn.Module, image: Tensor) -> None:
        """Check an output with features."""

    def check_maps(self, features: Any) -> None:
        """Check the keys and shapes of features."""
        mend = "return a dict with exactly the layers that were asked for, each `(B, C, *spatial)`"
        expect(isinstance(features, Mapping), f"features are a {type(features).__name__}", mend)
        expect(set(features) == set(self.offers), f"features of {sorted(features)} came for {list(self.offers)}", mend)
        for number, feature in features.items():
            expect(
                feature.ndim == self.dimensions + 2 and feature.shape[0] % 2 == 0,
                f"layer {number} has the shape {tuple(feature.shape)} for a batch of 2",
                "give features as (B, C, *spatial), or (S · B, C, *spatial) from S parallel encoders, stream by stream",
            )
            check_finite(f"layer {number}", feature)

    def test_two_processes(self) -> None:
        """Two processes with half a batch each get the gradients of the whole batch (evaluation mode, CPU)."""
        network = self.network().eval()
        image = self.image(2)
        form(network(image)).backward()
        wanted = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
        found = parallel_gradients(network, image)
        mend = "keep state that depends on the batch out of `forward`, and use every trainable parameter in each pass"
        expect(found.keys() == wanted.keys(), "other parameters get a gradient in two processes than in one", mend)
        total = float(torch.stack([g.norm() for g in wanted.values()]).norm())
        for name, gradient in wanted.items():
            error = float((found[name] - gradient).norm())
            expect(
                error <= 1e-3 * float(gradient.norm()) + 1e-5 * total,
                f"the gradient of {name!r} differs between one process and two by {error:.3g}",
                mend,
            )
