"""One training step: a discriminator update and a generator update over one batch, or several accumulated."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from gantk.data.batch import Batch
from gantk.errors import NonFiniteError, PluginError
from gantk.plugins.blame import blame
from gantk.recipe.model import TrainingSettings
from gantk.training.optimizers import SIDES, Optimizers
from gantk.training.world import World
from gantk.translation import Moment, StagePlan, Step, Term, Translator, View
from gantk.translation.kept import Kept
from gantk.translation.term import BalanceSlot

Losses = dict[str, float]


class Updater:
    """Carries out steps of one stage.

    All generator terms are summed into one backward, all discriminator terms into another: with one backward per
    side gradients stay synchronized under data parallelism, and what two terms share is differentiated once.

    Attributes:
        idle: the parts, `ROLE/PART`, that have had no gradient so far.
    """

    def __init__(
        self,
        translators: Mapping[str, Translator],
        optimizers: Mapping[str, Optimizers],
        plan: StagePlan,
        settings: TrainingSettings,
        autocast: Callable[[], AbstractContextManager[Any]],
        world: World | None = None,
        scalers: Mapping[str, GradScaler] | None = None,
    ) -> None:
        self.world = world or World()
        self.scalers = scalers or {side: GradScaler(enabled=False) for side in SIDES}
        self.translators = translators
        self.optimizers = optimizers
        self.plan = plan
        self.settings = settings
        self.autocast = autocast
        self.idle = {f"{role}/{part}" for role in plan.roles for part in optimizers[role].rates}
        self._learning = {side: self._parameters(side) for side in SIDES}
        self._sides = {side: self.world.together(_Side(self, side)) for side in self._learning}
        self._judging = [
            p
            for t in translators.values()
            for part, module in t.parts()
            if part in ("discriminator", "critics")
            for p in module.parameters()
            if p.requires_grad
        ]

    def step(
        self,
        batches: Sequence[Batch],
        role_weights: Mapping[str, float],
        moment: Moment | None = None,
        kept: Kept | None = None,
    ) -> Losses:
        """Update all of the stage's networks once.

        Args:
            batches: one batch, or as many as are accumulated.
            role_weights: the factor on each role's generator terms.
            moment: the step's position in the training.
            kept: receives the images and ratings that terms keep (`View.log_image`, `View.rate`); by default they keep
                nothing.

        Returns:
            The value of each term by `ROLE/TERM`, of its discriminator side by `ROLE/TERM (D)`, unweighted; those that
            are absent in this step are left out. What terms recorded by `ROLE/TERM.NAME`.

        Raises:
            NonFiniteError: a term, or the norm of a gradient that is clipped, is NaN or infinite; weights have changed.
        """
        share = 1 / len(batches)
        readings = _Readings()
        for number, batch in enumerate(batches):
            step = Step(self.translators, self.plan, batch, self.autocast, moment=moment, kept=kept)
            done: set[str] = set()
            for side in self.settings.updates:
                if side in done:  # its networks have changed since, so that earlier results are outdated
                    step = Step(self.translators, self.plan, batch, self.autocast, moment=moment, kept=kept)
                    done = set()
                done.add(side)
                losses: dict[str, Tensor] = {}
                with self.world.apart(self._sides[side]) if number + 1 < len(batches) else nullcontext():
                    total = self._sides[side](step, role_weights, losses)
                    if number == 0:
                        # not after the update: backward reuses the freed memory while its pages are mapped
                        self._clear(side)
                    if total is not None and self._learning[side]:
                        # into what learns with this side alone: a term may reach into the other side and other roles
                        self.scalers[side].scale(total).backward(inputs=self._learning[side])
                readings.add("loss", number, losses)
                if self.plan.balance is not None and total is not None:
                    readings.add("total", number, {side: total.detach()})
                readings.add("logged", number, step.logged)
                if len(batches) == 1:
                    self._apply(side, readings)
                step.forget_judgements()  # made with the other side's parameters frozen, or before their update
        if len(batches) > 1:
            for side in self.settings.updates:
                self._apply(side, readings, share)
        values: Losses = defaultdict(float)
        for kind, name, value in readings.values(self.world):
            if kind != "logged" and not math.isfinite(value):
                raise self._not_finite(kind, name, value)
            if kind == "loss" or (kind == "logged" and math.isfinite(value)):
                values[name] += share * value
        return dict(values)

    def rehearse(self, batch: Batch, moment: Moment) -> None:
        """Compute every term's sides as `step` does, without changing weights; raises the terms' errors."""
        step = Step(self.translators, self.plan, batch, self.autocast, moment=moment, kept=Kept({}, []))
        for side in sorted(set(self.settings.updates)):
            self.total(side, step, dict.fromkeys(self.plan.roles, 1.0), {})
            step.forget_judgements()

    def total(
        self, side: str, step: Step, role_weights: Mapping[str, float], losses: dict[str, Tensor]
    ) -> Tensor | None:
        """The sum that a side minimizes, None where all its terms are absent; each term's own value into `losses`."""
        found, total = self._discriminator(step) if side == "discriminator" else self._generator(step, role_weights)
        losses |= {name: value.detach() for name, value in found.items()}
        return total

    def _parameters(self, side: str) -> list[nn.Parameter]:
        """The parameters that a side's optimizers train."""
        optimizers = (self.optimizers[role].sides.get(side) for role in self.plan.roles)
        groups = [group for optimizer in optimizers if optimizer is not None for group in optimizer.param_groups]
        return [p for group in groups for p in group["params"] if p.requires_grad]

    def _discriminator(self, step: Step) -> tuple[dict[str, Tensor], Tensor | None]:
        losses = {}
        for term in self.plan.terms:
            if term.discriminator_loss is not None:
                value = _value(term, term.discriminator_loss, View(step, term.role, term.group, term, "discriminator"))
                if value is not None:
                    losses[f"{term.role}/{term.name} (D)"] = value
        return losses, torch.stack(list(losses.values())).sum() if losses else None

    def _generator(self, step: Step, role_weights: Mapping[str, float]) -> tuple[dict[str, Tensor], Tensor | None]:
        losses: dict[str, Tensor] = {}
        total, balance, balanced = [], self.plan.balance, {}
        with _frozen(self._judging):
            for term in self.plan.terms:
                if term.generator_loss is not None:
                    loss = _value(term, term.generator_loss, View(step, term.role, term.group, term))
                    if loss is not None:
                        losses[f"{term.role}/{term.name}"] = loss
                        weighted = term.weight_at(step.moment) * role_weights[term.role] * loss
                        if balance is not None and term.name in balance.terms:
                            balanced[term.name] = weighted
                        else:
                            total.append(weighted)
            if balance is not None and balanced:
                total.append(_balanced(balance, balanced, step))
        return losses, torch.stack(total).sum() if total else None

    def _not_finite(self, kind: str, name: str, value: float) -> NonFiniteError:
        if kind == "norm":
            return NonFiniteError(f"the gradient of {name} became {value}")
        if kind == "total":
            assert self.plan.balance is not None
            return NonFiniteError(f"what the {self.plan.balance.origin} makes of the terms became {value}")
        place = name.removesuffix(" (D)").partition("/")[2]
        origin = next(term.origin for term in self.plan.terms if term.name == place)
        return NonFiniteError(
            f"the term {name} became {value}",
            why=f"it is the {origin}: check it for a division by 0, or a logarithm or root of 0",
        )

    def _clear(self, side: str) -> None:
        for role in self.plan.roles:
            if side in self.optimizers[role].sides:
                self.optimizers[role].sides[side].zero_grad(set_to_none=True)

    def _apply(self, side: str, readings: _Readings, share: float = 1.0) -> None:
        scaler, applied = self.scalers[side], False
        for role in self.plan.roles:
            optimizer = self.optimizers[role].sides.get(side)
            if optimizer is None:
                continue
            for group in optimizer.param_groups:
                if f"{role}/{group['part']}" in self.idle and any(p.grad is not None for p in group["params"]):
                    self.idle.discard(f"{role}/{group['part']}")
            gradients = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            if not gradients:
                continue
            scaler.unscale_(optimizer)
            if share != 1.0:
                torch._foreach_mul_([p.grad for p in gradients], share)
            if self.settings.clip_gradients is not None:
                norm = nn.utils.clip_grad_norm_(gradients, self.settings.clip_gradients)
                if not scaler.is_enabled():  # it leaves out updates that overflow, and lowers its factor
                    readings.add("norm", 0, {f"{role}'s {side}": norm})
            scaler.step(optimizer)
            applied = True
        if applied:
            scaler.update()


class _Readings:
    """Numbers of a step that lie on the device until all are read in one transfer: a GPU need not wait for them."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int, str], Tensor] = {}

    def add(self, kind: str, batch: int, numbers: Mapping[str, Tensor]) -> None:
        """Add numbers; of numbers recorded several times in a batch the last counts."""
        self._found |= {(kind, batch, name): number.detach().reshape(1) for name, number in numbers.items()}

    def values(self, world: World) -> Iterator[tuple[str, str, float]]:
        """Kind, name and value of each, the mean over the processes."""
        if self._found:
            numbers = world.mean(torch.cat(list(self._found.values()))).tolist()
            for (kind, _, name), number in zip(self._found, numbers, strict=True):
                yield kind, name, number


class _Side(nn.Module):
    """All terms of a side as one module: one forward and one backward, so that processes exchange gradients once."""

    def __init__(self, updater: Updater, side: str) -> None:
        super().__init__()
        self.learning = nn.ParameterList(updater._learning[side])
        self._total = partial(updater.total, side)

    def forward(self, step: Step, role_weights: Mapping[str, float], losses: dict[str, Tensor]) -> Tensor | None:
        return self._total(step, role_weights, losses)


def _balanced(balance: BalanceSlot, losses: dict[str, Tensor], step: Step) -> Tensor:
    """The loss that a balance makes of the terms present in this step."""
    view = View(step, balance.role, next(t.group for t in step.plan.terms if t.name in losses))
    with blame(balance.origin, "balance"):
        loss = step.translators[balance.role].heads[balance.key](losses, view)
    if not isinstance(loss, Tensor) or loss.ndim or not loss.requires_grad:
        raise PluginError(
            f"the {balance.origin} did not return a number with a gradient",
            where="balance",
            mend="return the weighted sum of its losses",
        )
    return loss


def _value(term: Term, side: Callable[[View], Tensor | None], view: View) -> Tensor | None:
    """One side of a term's loss, a scalar with gradient; None where it is absent in this step."""
    where = f"losses.{term.name}"
    with blame(term.origin, where), view.step.unchanged(term.origin, where):
        loss = side(view)
    if loss is None:
        return None
    if not isinstance(loss, Tensor) or loss.ndim:
        got = f"the shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise PluginError(
            f"the {term.origin} gave {got} but one number is expected",
            where=where,
            mend="return the mean of the errors, a tensor without dimensions",
        )
    if not loss.requires_grad:
        raise PluginError(
            f"the {term.origin} returned a number without a gradient: it would train nothing",
            where=where,
            mend="compute it from view.output, without detach(), .item() or torch.no_grad()",
        )
    return loss


@contextmanager
def _frozen(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Discriminators pass gradients on to the generator without collecting any themselves."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
