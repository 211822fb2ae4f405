"""Conformance of generators and discriminators."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gantk.data.extra import blank, encoded
from gantk.errors import GantkError
from gantk.recipe.data import ExtraSettings
from gantk.testing.base import Conformance
from gantk.testing.batches import make_image
from gantk.testing.failures import ConformanceError, expect, skip
from gantk.testing.parallel import form_weights, parallel_gradients
from gantk.translation import Judgement, Translation
from gantk.translation.residual import Residual

__all__ = ["DiscriminatorConformance", "GeneratorConformance"]

Build = Callable[[], nn.Module]


def seeded(build: Build, seed: int = 0) -> nn.Module:
    """A network built from a seed, as the core builds it."""
    torch.manual_seed(seed)
    return build()


@torch.no_grad()
def stirred(network: nn.Module) -> nn.Module:
    """A network whose weights are off their initial values, of which some, like a block's last scale, are often 0."""
    random = torch.Generator().manual_seed(2)
    for parameter in network.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=random), alpha=0.05)
    return network


@torch.no_grad()
def answer(network: nn.Module, image: Tensor) -> Tensor:
    """What a network makes of an image in evaluation mode."""
    training = network.training
    network.eval()
    output = network(image)
    network.train(training)
    return output


def form(output: Tensor) -> Tensor:
    """A random mean of an output, so that no two of its elements count alike."""
    return (output * form_weights(output.shape).to(output)).mean()


def check_finite(what: str, tensor: Tensor) -> None:
    """No NaN and no infinity."""
    bad = int((~torch.isfinite(tensor)).sum())
    expect(
        bad == 0,
        f"{what} has {bad} values of {tensor.numel()} that are NaN or infinite",
        "look for divisions by a standard deviation or a sum that can be 0, for logarithms and square roots at 0",
    )


def check_gradients(network: nn.Module, loss: Tensor, what: str = "the network") -> None:
    """Backward of the loss gives every trainable parameter a finite gradient that is somewhere not 0."""
    network.zero_grad(set_to_none=True)
    loss.backward()
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        expect(
            parameter.grad is not None,
            f"the parameter {name!r} of {what} gets no gradient",
            "use it in `forward`, do not build it, or freeze it with requires_grad_(False); under data parallelism a "
            "parameter without gradient stops training",
        )
        assert parameter.grad is not None
        check_finite(f"the gradient of {name!r} of {what}", parameter.grad)
        expect(
            bool(parameter.grad.any()),
            f"the gradient of {name!r} of {what} is 0 everywhere",
            "look for a detach, a comparison, a clamp or a ReLU that is always off between it and the output",
        )


def check_close_in_bf16(full: Tensor, half: Tensor, tolerance: float, what: str) -> None:
    """Mean difference relative to the spread of the full-precision answer."""
    check_finite(f"{what} in bf16", half)
    spread = float((full - full.mean()).abs().mean())
    difference = float((full - half.float()).abs().mean())
    expect(
        difference <= tolerance * spread,
        f"{what} in bf16 differs from that in fp32 by {difference / max(spread, 1e-30):.1%} of its spread, more than "
        f"the {tolerance:.1%} allowed",
        "keep sums, norms and exponentials in fp32 (`.float()`), or raise `bf16_tolerance` if the network is so deep",
    )


def check_equal(found: Tensor, wanted: Tensor, what: str, mend: str, tolerance: float = 0.0) -> None:
    """Equal shape and values, up to a tolerance relative to the largest value."""
    expect(found.shape == wanted.shape, f"{what}: the shape is {tuple(found.shape)}, not {tuple(wanted.shape)}", mend)
    found, wanted = found.detach(), wanted.detach()
    difference = float((found - wanted).abs().max())
    expect(
        difference <= tolerance * float(wanted.abs().max()), f"{what}: values differ by up to {difference:.3g}", mend
    )


def check_state(build: Build, image: Tensor) -> None:
    """Weights of one instance, loaded into another, make it the same network."""
    first, second = seeded(build, 0), seeded(build, 1)
    state = {name: tensor.clone() for name, tensor in first.state_dict().items()}
    mend = "register every tensor that is learnt or kept as a parameter or buffer"
    try:
        second.load_state_dict(state)
    except RuntimeError as error:
        raise ConformanceError(f"a state cannot be loaded into another instance: {error}", mend) from None
    check_equal(
        answer(second, image), answer(first, image), "another instance with the same state answers otherwise", mend
    )


def check_seeded(build: Build) -> None:
    """Initial weights follow from torch's seed."""
    first, second = seeded(build), seeded(build)
    for name, tensor in first.state_dict().items():
        expect(
            torch.equal(tensor, second.state_dict()[name]),
            f"the initial {name!r} differs between two instances built from the same seed",
            "draw weights from torch's global generator alone",
        )


def check_pickle(network: nn.Module, image: Tensor) -> None:
    """A pickled copy is the same network."""
    check_equal(
        answer(pickled(network), image),
        answer(network, image),
        "a pickled copy answers otherwise",
        "keep no state outside parameters, buffers and plain attributes",
    )


def pickled(thing: Any) -> Any:
    """A copy that went through pickle."""
    try:
        return pickle.loads(pickle.dumps(thing))
    except Exception as error:  # whatever its members raise
        raise ConformanceError(
            f"{type(thing).__name__} cannot be pickled: {error}",
            "keep lambdas, open files and locally defined classes out of its attributes",
        ) from None


def check_second_order(network: nn.Module, image: Tensor) -> None:
    """A gradient penalty on the network has the gradient that finite differences give, in float64."""
    network = network.double().eval()
    image = image.double()

    def penalty() -> Tensor:
        x = image.clone().requires_grad_()
        (slope,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
        return (slope.flatten(1).norm(dim=1) - 1).square().mean()

    check_slope(penalty, network, "a gradient penalty on the network")


def check_slope(value: Callable[[], Tensor], network: nn.Module, what: str, step: float = 1e-6) -> None:
    """The gradient of a value by the network's parameters is the slope that finite differences give."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    mend = "use differentiable operations only, `create_graph=True` in torch.autograd.grad, and no detach in between"
    start = value()
    expect(start.requires_grad, f"{what} has no gradient", mend)
    gradients = torch.autograd.grad(start, parameters, allow_unused=True)
    norm = float(torch.stack([g.norm() for g in gradients if g is not None] or [torch.zeros(())]).norm())
    expect(norm > 0, f"{what} gives no gradient", mend)

    @torch.no_grad()
    def shift(by: float) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                parameter.add_(gradient, alpha=by / norm)

    shift(step)
    above = value().item()
    shift(-2 * step)
    below = value().item()
    shift(step)
    slope = (above - below) / (2 * step)
    expect(abs(slope - norm) <= 1e-3 * norm, f"{what} rises by {slope:.6g}, its gradient says {norm:.6g}", mend)


def _one_map(network: nn.Module, arguments: tuple[Any, ...], output: Any) -> Any:
    """A hook that makes one map of the scores of several scales, so that a discriminator is tested as one, and an image
    of what a generator makes where no layers are asked for."""
    if isinstance(output, Translation) and len(arguments) == 1:
        for name, extra in output.extra.items():
            check_finite(f"the extra output {name!r}", extra)
        return output.output
    scores = output.scores if isinstance(output, Judgement) else output
    if not isinstance(scores, tuple) or isinstance(output, Translation):
        return output
    for scale in scores:
        check_scores(scale, len(arguments[0]))
    one = torch.cat([scale.flatten(1) for scale in scores], dim=1)[:, None, None]
    return Judgement(one, output.features) if isinstance(output, Judgement) else one


def check_scores(scores: Any, batch: int) -> None:
    """Whether scores are a map for each image."""
    shown = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    expect(
        isinstance(scores, Tensor) and scores.ndim == 4 and scores.shape[0] == batch and scores.numel() > 0,
        f"the scores are {shown} where ({batch}, K, h, w) is wanted",
        "return a map of scores, or a tuple of maps; a single score per image is (B, 1, 1, 1)",
    )


class _Giving:
    """A hook that gives a network what belongs to an image, where there are no data."""

    def __init__(self, extra: Mapping[str, ExtraSettings]) -> None:
        self.extra = dict(extra)

    def __call__(self, network: nn.Module, arguments: tuple[Any, ...], given: dict[str, Any]) -> Any:
        image = arguments[0]
        beside = {n: encoded(s, blank(s, len(image), image.shape[-2:])).to(image) for n, s in self.extra.items()}
        return arguments, beside | given


class _NetworkConformance(Conformance):
    """What generators and discriminators have in common.

    Attributes:
        in_channels: channels of what it is given.
        size: H and W; brought up to the generator's `size_multiple`. Not square, so that the two cannot be mixed up.
        bf16_tolerance: mean difference from fp32 that is allowed, relative to the output's spread.
        features: layers that are checked; all that it offers where None, none where empty.
        extra: what it is given beside images by name, as recipes declare it in `[data.extra]`.
    """

    in_channels: ClassVar[int] = 2
    size: ClassVar[tuple[int, int]] = (32, 48)
    bf16_tolerance: ClassVar[float] = 0.15
    features: ClassVar[tuple[int, ...] | None] = None
    extra: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def arguments(self, size: tuple[int, int]) -> Mapping[str, Any]:
        """What the core supplies to the constructor, for images of this size."""
        return {}

    @cached_property
    def fitted(self) -> tuple[int, int]:
        """H and W of the images."""
        return self.size

    def network(self) -> nn.Module:
        """A new instance, from seed 0."""
        return seeded(self.build)

    def build(self) -> nn.Module:
        """A new instance from the seed as it is."""
        return self.make_given(self.fitted)

    def make_given(self, size: tuple[int, int]) -> nn.Module:
        """An instance that is always given `extra` beside its image."""
        extra = {name: ExtraSettings.model_validate(settings) for name, settings in self.extra.items()}
        network: nn.Module = self.make(**self.arguments(size), given={name: one.width for name, one in extra.items()})
        network.register_forward_hook(_one_map)
        if extra:
            network.register_forward_pre_hook(_Giving(extra), with_kwargs=True)
        return network

    def image(self, batch: int = 2, *, background: bool = False) -> Tensor:
        """A batch that it can take."""
        return make_image(batch, self.in_channels, self.fitted, background=background)

    def check_output(self, output: Any, batch: int) -> None:
        """Whether an answer has the form that the kind wants."""

    def test_is_a_module(self) -> None:
        """It is a torch module."""
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
        """In evaluation the same image gives the same answer, whatever stands beside it in the batch."""
        network, image = self.network(), self.image()
        torch.manual_seed(1)
        first = answer(network, image)
        torch.manual_seed(2)
        mend = "let dropout and noise follow `self.training`, and norms use stored or per-image statistics"
        check_equal(answer(network, image), first, "two passes in evaluation mode differ", mend)
        alone = answer(network, image[:1])
        check_equal(alone, first[:1], "an image alone is answered otherwise than in a batch", mend, 1e-3)

    def test_gradient_flow(self) -> None:
        """Every trainable parameter gets a finite gradient that is somewhere not 0."""
        network = stirred(self.network())
        check_gradients(network, form(network(self.image())))

    def test_gradient_reaches_the_image(self) -> None:
        """The gradient goes on to the image, which other networks may have made."""
        image = self.image().requires_grad_()
        form(self.network()(image)).backward()
        mend = "do not detach or round the image"
        expect(image.grad is not None and bool(image.grad.any()), "the image gets no gradient", mend)
        assert image.grad is not None
        check_finite("the image's gradient", image.grad)

    def test_bf16(self) -> None:
        """Under bf16 autocast it answers nearly as in fp32, and gradients stay finite."""
        network, image = stirred(self.network()), self.image()
        full = answer(network, image)
        with torch.autocast("cpu", torch.bfloat16):
            half = answer(network, image)
            output = network(image)
        check_close_in_bf16(full, half, self.bf16_tolerance, "the output")
        check_gradients(network, form(output.float()), "the network in bf16")

    def test_state_round_trip(self) -> None:
        """Weights loaded into another instance make it the same network."""
        check_state(self.build, self.image())

    def test_initial_weights_follow_the_seed(self) -> None:
        """Two instances built from one seed are equal."""
        check_seeded(self.build)

    def test_pickle(self) -> None:
        """A pickled copy is the same network."""
        check_pickle(self.network(), self.image())

    def test_batch_of_one(self) -> None:
        """A batch of one is trained on and answered."""
        network = stirred(self.network())
        output = network(self.image(1))
        self.check_output(output, 1)
        check_gradients(network, form(output), "the network with a batch of one")
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
        """In the memory layout of `training.channels_last` it answers the same."""
        network, image = self.network(), self.image()
        plain = answer(network, image)
        network.to(memory_format=torch.channels_last)
        mend = "use reshape in place of view, and name dimensions in place of counting strides"
        moved = answer(network, image.to(memory_format=torch.channels_last))
        check_equal(moved, plain, "with channels last it answers otherwise", mend, 1e-3)

    def test_features(self) -> None:
        """Layers that it offers come with the output of the same pass, with gradient."""
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
        """A layer that it does not offer is an error with words."""
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
        """Whether an answer with features is right."""

    def check_maps(self, features: Any) -> None:
        """Whether features have the right keys and shapes."""
        mend = "return a dict with exactly the layers that were asked for, each `(B, C, h, w)`"
        expect(isinstance(features, Mapping), f"features are a {type(features).__name__}", mend)
        expect(set(features) == set(self.offers), f"features of {sorted(features)} came for {list(self.offers)}", mend)
        for number, feature in features.items():
            expect(
                feature.ndim == 4 and feature.shape[0] % 2 == 0,
                f"layer {number} has the shape {tuple(feature.shape)} for a batch of 2",
                "give features as (B, C, h, w), or (S · B, C, h, w) from S parallel encoders, stream by stream",
            )
            check_finite(f"layer {number}", feature)

    def test_two_processes(self) -> None:
        """Two processes with half a batch each learn what one learns from the whole (evaluation mode, CPU)."""
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


class GeneratorConformance(_NetworkConformance):
    """Conformance of a generator; see `Conformance` for how to use it.

    Attributes:
        in_channels: channels of the source.
        out_channels: channels of the output.
        size: H and W; brought up to the generator's `size_multiple`.
        bf16_tolerance: mean difference from fp32 that is allowed, relative to the output's spread.
        features: layers that are checked; all that it offers where None, none where empty.
    """

    kind = "generator"
    out_channels: ClassVar[int] = 1

    def arguments(self, size: tuple[int, int]) -> Mapping[str, Any]:
        return {"in_channels": self.in_channels, "out_channels": self.out_channels, "image_size": size}

    @cached_property
    def fitted(self) -> tuple[int, int]:
        with torch.random.fork_rng(devices=[]):
            multiple = int(getattr(self.make_given(self.size), "size_multiple", 1))
        height, width = (-(-side // multiple) * multiple for side in self.size)
        return height, width + multiple if width == height else width

    def check_output(self, output: Any, batch: int) -> None:
        wanted = (batch, self.out_channels, *self.fitted)
        shown = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        expect(
            isinstance(output, Tensor) and shown == wanted,
            f"the output is {shown} where {wanted} is wanted",
            "return a tensor (B, out_channels, H, W) of the image's height and width when no layers are asked for",
        )
        expect(output.dtype == torch.float32, f"the output is {output.dtype}", "compute in the image's own type")
        check_finite("the output", output)
        low, high = output.min().item(), output.max().item()
        expect(
            low >= -1 and high <= 1,
            f"the output lies in [{low:.3g}, {high:.3g}], outside of [-1, 1]",
            "end with tanh: images are in [-1, 1]",
        )

    def test_residual(self) -> None:
        """It can change an input (`residual` in a translator): training starts at the identity, and range holds."""
        image = self.image()
        network = seeded(self.build)
        residual = Residual(network, [0] * self.out_channels, self.in_channels, self.fitted, self.kind)
        start = image[:, :1].expand(-1, self.out_channels, -1, -1)
        mend = "let the output be 0 where the parameters of the layer that runs last are 0"
        check_equal(answer(residual, image), start, "with `residual` it does not start at its input", mend)
        stirred(residual)
        self.check_output(answer(residual, image), 2)
        if self.offers:
            with torch.no_grad():
                given, own = residual.eval()(image, self.offers), network.eval()(image, self.offers)
            self.check_maps(given.features)
            for number, feature in own.features.items():
                check_equal(given.features[number], feature, f"with `residual` layer {number} is another", mend)

    def check_features(self, given: Any, plain: Tensor, network: nn.Module, image: Tensor) -> None:
        mend = "return gantk.Translation(output, features) when layers are asked for"
        expect(isinstance(given, Translation), f"with layers it returned a {type(given).__name__}", mend)
        check_equal(given.output, plain, "with layers the output is another", mend, 1e-5)
        self.check_maps(given.features)
        half = network(image, self.offers, False)
        expect(isinstance(half, Translation) and half.output is None, "with decode=False there is an output", mend)
        for number, feature in half.features.items():
            same = "compute the same features whether or not the output is wanted"
            check_equal(feature, given.features[number], f"with decode=False layer {number} is another", same, 1e-5)


class DiscriminatorConformance(_NetworkConformance):
    """Conformance of a discriminator; see `Conformance` for how to use it.

    Attributes:
        in_channels: channels that it judges, the source's included where it is conditional.
        target_channels: channels of the judged image alone.
        size: H and W.
        bf16_tolerance: mean difference from fp32 that is allowed, relative to the scores' spread.
        features: layers that are checked; all that it offers where None, none where empty.
        second_order: whether gradient penalties can be put on it.
    """

    kind = "discriminator"
    target_channels: ClassVar[int] = 2
    second_order: ClassVar[bool] = True

    def arguments(self, size: tuple[int, int]) -> Mapping[str, Any]:
        return {"in_channels": self.in_channels, "target_channels": self.target_channels}

    def check_output(self, output: Any, batch: int) -> None:
        check_scores(output, batch)
        expect(output.dtype == torch.float32, f"the scores are {output.dtype}", "compute in the image's own type")
        check_finite("the scores", output)

    def check_features(self, given: Any, plain: Tensor, network: nn.Module, image: Tensor) -> None:
        mend = "return gantk.Judgement(scores, features) when layers are asked for"
        expect(isinstance(given, Judgement), f"with layers it returned a {type(given).__name__}", mend)
        check_equal(given.scores, plain, "with layers the scores are others", mend, 1e-5)
        self.check_maps(given.features)

    def test_second_order(self) -> None:
        """A gradient penalty on it has the gradient that finite differences give."""
        if not self.second_order:
            raise skip("it does not claim second-order gradients")
        check_second_order(self.network(), self.image())
