"""Conformance of losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gantk.plugins import Component
from gantk.plugins.dimensions import dimensions_of
from gantk.testing.bench import OWN, Bench, TinyDiscriminator, TinyGenerator
from gantk.testing.checks import check_finite, check_slope, pickled
from gantk.testing.failures import ConformanceError, expect, skip
from gantk.testing.spatial import SpatialConformance
from gantk.training.device import autocasting

__all__ = ["LossConformance"]


class LossConformance(SpatialConformance):
    """Conformance of a loss, in the smallest recipe that offers what it declares; see `Conformance` for its use.

    Attributes:
        inputs: modalities of the source.
        targets: modalities of the target; modalities that are inputs, too, are partly hidden in the source.
        judges: the input of the discriminator, "image" or "source and image".
        bf16_tolerance: difference from fp32 that is allowed, relative to the value.
        mappable: whether it supports weight maps.
        generator: the class of generators for the tests; it must offer every layer number as a feature, or none.
        discriminator: the class of discriminators.
        extra: inputs of networks beside images by name, as recipes declare them in `[data.extra]`.
        translators: tables of translators by role, such as `{"other": {"takes": ["a"], "gives": ["c"]}}`; default:
            roles in `needs.roles` translate like the loss's own translator, other roles in the opposite direction.
    """

    kind = "loss"
    inputs: ClassVar[tuple[str, ...]] = ("a", "b")
    targets: ClassVar[tuple[str, ...]] = ("c",)
    judges: ClassVar[str] = "image"
    bf16_tolerance: ClassVar[float] = 0.1
    mappable: ClassVar[bool] = True
    generator: ClassVar[type[nn.Module]] = TinyGenerator
    discriminator: ClassVar[type[nn.Module]] = TinyDiscriminator
    extra: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    translators: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @property
    def works_in(self) -> tuple[int, ...]:
        """The loss's numbers of dimensions in which the test networks work, too."""
        networks = [Component(part, part, getattr(self, part), "", "") for part in ("generator", "discriminator")]
        return tuple(number for number in super().works_in if all(number in dimensions_of(one) for one in networks))

    def bench(self, **options: Any) -> Bench:
        """The loss in its recipe; see `gantk.testing.Bench` for the options."""
        names = ("inputs", "targets", "judges", "generator", "discriminator", "extra", "translators")
        settings = {"size": self.spatial, **{name: getattr(self, name) for name in names}}
        return Bench(self.registered, self.given, **{**settings, **options})

    def test_value(self) -> None:
        """The loss is one finite number, in fp32."""
        check_scalar(self.bench().value(), "the loss")

    def test_gradient(self) -> None:
        """The generator, and each of the loss's own weights that learn with it, gets a finite gradient."""
        bench = self.bench()
        bench.value().backward()
        check_learns(bench.own, "the generator")
        check_reached(bench.translators[OWN].heads, "the loss")

    def test_discriminator(self) -> None:
        """The discriminator loss is finite and has a finite gradient for the discriminator, none for the generator."""
        bench = self.bench()
        adversarial(bench)
        value = bench.discriminator_value()
        check_scalar(value, "the discriminator's loss")
        value.backward()
        critics = bench.translators[OWN].critics
        check_reached(critics, "the discriminator's side")
        if not len(critics) or any(p.grad is not None for p in bench.discriminator.parameters()):
            check_learns(bench.discriminator, "the discriminator")
        for name, parameter in bench.own.named_parameters():
            expect(
                parameter.grad is None,
                f"the discriminator's loss sends a gradient into the generator ({name})",
                "judge `view.fake`, which is `view.output` without gradient",
            )

    def test_one_pass(self) -> None:
        """The generator translates the source only once, however many of its outputs the loss uses."""
        bench = self.bench()
        source, seen = bench.view().source, []

        def count(module: nn.Module, arguments: tuple[Any, ...], given: dict[str, Any]) -> None:
            if arguments[0].shape == source.shape and torch.equal(arguments[0], source):
                seen.append(given)

        bench.own.register_forward_pre_hook(count, with_kwargs=True)
        bench.value()
        passes = [sorted((name, id(value)) for name, value in given.items()) for given in seen]
        most = max((passes.count(one) for one in passes), default=0)  # values that a term gives need another pass
        expect(
            most <= 1,
            f"the generator translates the source {most} times in one step",
            "declare the layers that you ask for in `needs` (gantk.Needs(layers=…)), and take images from the view",
        )

    def test_map_of_ones(self) -> None:
        """A weight map that is 1 everywhere changes nothing."""
        if not self.mappable:
            raise skip("it takes no weight map")
        plain, weighted = self.bench().value().item(), self.bench(ones=True).value().item()
        expect(
            abs(plain - weighted) <= 1e-4 * max(abs(plain), 1e-6),
            f"with a weight map of ones it is {weighted:.6g}, without one {plain:.6g}",
            "weigh errors before their mean is taken: view.weighted_mean(error); or set `mappable = False`",
        )

    def test_batch_of_one(self) -> None:
        """A batch of one gives a finite number and gradient."""
        bench = self.bench(batch=1)
        value = bench.value()
        check_scalar(value, "the loss of a batch of one")
        value.backward()
        check_learns(bench.own, "the generator, from a batch of one,")

    def test_background(self) -> None:
        """Images of nothing but background give no NaN in the loss or the discriminator loss."""
        bench = self.bench(background=True)
        values = {}
        if bench.term.generator_loss is not None:
            values["the loss"] = bench.value()
        if bench.term.discriminator_loss is not None:
            values["the discriminator's loss"] = bench.discriminator_value()
        for what, value in values.items():
            check_finite(f"{what} of images of background", value)
            if value.requires_grad:
                value.backward()
        for role, translator in bench.translators.items():
            for name, parameter in translator.named_parameters():
                if parameter.grad is not None:
                    check_finite(f"the gradient of {role}.{name} for images of background", parameter.grad)

    def test_bf16(self) -> None:
        """With networks in bf16 the loss is close to its fp32 value, and still computed in fp32."""
        full = self.bench().value().item()
        bench = self.bench(autocast=autocasting(torch.device("cpu"), "bf16"))
        value = bench.value()
        check_scalar(value, "the loss with networks in bf16")
        value.backward()
        check_learns(bench.own, "the generator in bf16")
        half = value.item()
        expect(
            abs(full - half) <= self.bf16_tolerance * max(abs(full), 1e-6),
            f"with networks in bf16 it is {half:.6g}, in fp32 {full:.6g}",
            "compute sums and logarithms outside of autocast, in fp32, or raise `bf16_tolerance`",
        )

    def test_second_order(self) -> None:
        """If the loss differentiates through a gradient, its own gradient equals that of finite differences."""
        if not self.bench().term.needs.second_order:
            raise skip("it declares no second-order gradients")
        bench = self.bench(dtype=torch.float64)
        if bench.term.discriminator_loss is not None:
            check_slope(bench.discriminator_value, bench.discriminator, "the discriminator's loss")
        else:
            check_slope(bench.value, bench.own, "the loss")

    def test_training_and_resume(self) -> None:
        """Training changes the weights; a bench that loads the state continues exactly like the first one."""
        first, second = self.bench(), self.bench(seed=1)
        learner = first.discriminator if first.term.generator_loss is None else first.own
        before = [parameter.clone() for parameter in learner.parameters()]
        first.train(2)
        changed = any(not torch.equal(a, b) for a, b in zip(before, learner.parameters(), strict=True))
        expect(
            changed, "training changes no network", "let the loss depend on the view's output, features or judgements"
        )
        second.batch = first.batch
        for role, translator in first.translators.items():
            second.translators[role].load_state_dict(translator.state_dict())
        expect(
            first.train(2, seed=5) == second.train(2, seed=5),
            "a run that is resumed gets other losses than one that goes on",
            "keep what a loss learns or remembers in its head or in the core's image pool, nothing in its attributes, "
            "and draw from torch's global generator alone",
        )

    def test_seeded(self) -> None:
        """The same seed gives the same value, in a new instance too."""
        first, second = self.bench().value().item(), self.bench().value().item()
        expect(first == second, f"two instances give {first} and {second}", "draw from torch's global generator alone")

    def test_pickle(self) -> None:
        """It pickles, and the copy gives the same value."""
        bench = self.bench()
        value = bench.value()
        copied = pickled(bench.term.loss)
        torch.manual_seed(0)
        same = bool(torch.equal(copied(bench.view()), value))
        expect(same, "a pickled copy gives another value", "keep no state outside plain attributes")


def check_reached(modules: nn.ModuleDict, where: str) -> None:
    """Check that a term's own modules learn; a gradient of 0 counts, because a last layer may be initialized to 0."""
    for name, parameter in modules.named_parameters():
        mend = "use every module of build_modules in its side of the loss, or do not build it"
        expect(parameter.grad is not None, f"the weight {name!r} of its modules gets no gradient from {where}", mend)
        assert parameter.grad is not None
        check_finite(f"the gradient of {name!r} of its modules", parameter.grad)


def check_scalar(value: Any, what: str) -> None:
    """One finite number with gradient, in single precision at least."""
    mend = "return the mean or sum of errors, a tensor without dimensions"
    expect(isinstance(value, Tensor), f"{what} is a {type(value).__name__}", mend)
    expect(value.ndim == 0, f"{what} has the shape {tuple(value.shape)}", mend)
    expect(
        value.dtype in (torch.float32, torch.float64),
        f"{what} is {value.dtype}",
        "compute it outside of autocast: what the view gives is fp32",
    )
    check_finite(what, value.detach())
    expect(value.requires_grad, f"{what} has no gradient", "do not detach the view's output, and take no .item() of it")


def check_learns(network: nn.Module, what: str) -> None:
    """Check after backward that all gradients are finite and at least one is not 0."""
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    if not any(bool(gradient.any()) for gradient in gradients.values()):
        raise ConformanceError(
            f"{what} gets no gradient", "let the loss depend on the view's output, features or judgements, not detached"
        )
    for name, gradient in gradients.items():
        check_finite(f"the gradient of {name!r} of {what}", gradient)


def adversarial(bench: Bench) -> None:
    """Skip where a loss has no discriminator's side."""
    if bench.term.discriminator_loss is None:
        raise skip("it has no discriminator's side")
