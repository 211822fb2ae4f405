"""The optimizers that come with the core: torch's, and timm's by name."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch.optim import Optimizer

from gantk.errors import GantkError, nearest
from gantk.ranges import NonNegative

__all__ = ["OPTIMIZERS", "Groups"]

Groups = list[dict[str, Any]]
"""Parameter groups as torch has them, each with its rate, `lr`."""
Momentum = Annotated[float, Field(ge=0, lt=1)]
Betas = tuple[Momentum, Momentum]


def adam(params: Groups, betas: Betas = (0.5, 0.999), weight_decay: NonNegative = 0.0) -> Optimizer:
    """Adam (Kingma and Ba, ICLR 2015), torch's.

    Args:
        params: the trained parameters.
        betas: decay of the averages of the gradient and of its square.
        weight_decay: factor on the weights, which are then added to the gradient.
    """
    return torch.optim.Adam(params, betas=betas, weight_decay=weight_decay, **_fused(params))


def adamw(params: Groups, betas: Betas = (0.5, 0.999), weight_decay: NonNegative = 0.0) -> Optimizer:
    """AdamW (Loshchilov and Hutter, ICLR 2019), torch's.

    Args:
        params: the trained parameters.
        betas: decay of the averages of the gradient and of its square.
        weight_decay: weight decay, decoupled from the gradient.
    """
    return torch.optim.AdamW(params, betas=betas, weight_decay=weight_decay, **_fused(params))


def sgd(params: Groups, momentum: Momentum = 0.5, weight_decay: NonNegative = 0.0) -> Optimizer:
    """Stochastic gradient descent with momentum, torch's.

    Args:
        params: the trained parameters.
        momentum: fraction of the previous step that is added to the next.
        weight_decay: factor on the weights, which are then added to the gradient.
    """
    return torch.optim.SGD(params, momentum=momentum, weight_decay=weight_decay, **_fused(params))


def rmsprop(params: Groups, weight_decay: NonNegative = 0.0) -> Optimizer:
    """RMSprop, torch's.

    Args:
        params: the trained parameters.
        weight_decay: factor on the weights, which are then added to the gradient.
    """
    return torch.optim.RMSprop(params, weight_decay=weight_decay)


def timm(
    params: Groups,
    name: str,
    weight_decay: NonNegative = 0.0,
    momentum: Momentum = 0.9,
    betas: Betas | None = None,
) -> Optimizer:
    """Any of timm's optimizers by its name there, such as lion, adopt, muon or sgdp.

    Args:
        params: the trained parameters.
        name: a name in `timm.optim.list_optimizers()`.
        weight_decay: weight decay, applied as the optimizer defines it.
        momentum: momentum, for optimizers that have one.
        betas: decay of the averages, for optimizers that have them; default: the optimizer's own.
    """
    import timm.optim as optim  # takes seconds

    known = list(map(str, optim.list_optimizers()))  # type: ignore[attr-defined]
    if name not in known:
        raise GantkError(f"timm has no optimizer {name!r}", where="name", mend=nearest(name, known))
    own: dict[str, Any] = {} if betas is None else {"betas": betas}
    made: Optimizer = optim.create_optimizer_v2(  # type: ignore[attr-defined]
        params, name, weight_decay=weight_decay, momentum=momentum, **own
    )
    return made


def _fused(params: Groups) -> dict[str, bool]:
    device = next(p.device for group in params for p in group["params"])
    return {"fused": True} if device.type in ("cpu", "cuda") else {}


OPTIMIZERS = {"adam": adam, "adamw": adamw, "rmsprop": rmsprop, "sgd": sgd, "timm": timm}
