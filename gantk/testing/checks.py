"""Checks of networks, tensors and pickling that the conformance classes of several kinds share."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gantk.testing.failures import ConformanceError, expect
from gantk.testing.parallel import form_weights

__all__ = [
    "Build",
    "answer",
    "check_close_in_bf16",
    "check_equal",
    "check_finite",
    "check_gradients",
    "check_pickle",
    "check_second_order",
    "check_seeded",
    "check_slope",
    "check_state",
    "form",
    "pickled",
    "seeded",
    "stirred",
]

Build = Callable[[], nn.Module]


def seeded(build: Build, seed: int = 0) -> nn.Module:
    """A network built from a seed, as the core builds it."""
    torch.manual_seed(seed)
    return build()


@torch.no_grad()
def stirred(network: nn.Module) -> nn.Module:
    """A network with weights moved from their initial values; some of these, like a block's last scale, are often 0."""
    random = torch.Generator().manual_seed(2)
    for parameter in network.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=random), alpha=0.05)
    return network


@torch.no_grad()
def answer(network: nn.Module, image: Tensor) -> Tensor:
    """The network's output for an image in evaluation mode."""
    training = network.training
    network.eval()
    output = network(image)
    network.train(training)
    return output


def form(output: Tensor) -> Tensor:
    """A weighted mean of an output with random weights, so that no two of its elements count the same."""
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
    """Check that the loss gives every trainable parameter a finite gradient that is not 0 everywhere."""
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
    """Check that another instance that loads a network's weights is the same network."""
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
    except Exception as error:  # its members may raise anything
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
