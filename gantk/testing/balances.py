"""Conformance of balances."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gantk.plugins import Component
from gantk.testing.base import Conformance
from gantk.testing.bench import Bench, MeanError
from gantk.testing.checks import check_finite
from gantk.testing.failures import expect
from gantk.testing.losses import check_scalar
from gantk.translation import View

__all__ = ["BalanceConformance"]


class BalanceConformance(Conformance):
    """Conformance of a balance; see `Conformance` for how to use it.

    Attributes:
        terms: the names of the terms that it balances.
    """

    kind = "balance"
    terms: ClassVar[tuple[str, ...]] = ("first", "second")

    def begun(self) -> tuple[nn.Module, View, dict[str, Tensor]]:
        """A new instance, a step, and losses of different strength on its output."""
        view = Bench(Component("mean_error_of_bench", "loss", MeanError, "gantk.testing", ""), {}).view()
        losses = {n: 10.0**i * (view.output - 0.1 * i).abs().pow(i + 1).mean() for i, n in enumerate(self.terms)}
        torch.manual_seed(0)
        return self.make(terms=self.terms), view, losses

    def test_loss(self) -> None:
        """It returns one number, with a finite gradient for the generator and for each of the balance's own weights."""
        balance, view, losses = self.begun()
        expect(isinstance(balance, nn.Module), f"it is a {type(balance).__name__}", "derive it from torch.nn.Module")
        total = balance(losses, view)
        check_scalar(total, "the balanced loss")
        total.backward()
        learning = [*view.translator.generator.named_parameters(), *balance.named_parameters()]
        for name, parameter in learning:
            mend = "let every loss and every weight of the balance count in the sum"
            expect(parameter.grad is not None, f"{name!r} gets no gradient", mend)
            assert parameter.grad is not None
            check_finite(f"the gradient of {name!r}", parameter.grad)

    def test_absent_terms(self) -> None:
        """A term that is absent in a step is left out."""
        for name in self.terms:
            balance, view, losses = self.begun()
            check_scalar(balance({name: losses[name]}, view), f"the balanced loss of {name!r} alone")

    def test_resume(self) -> None:
        """Another instance that loads its state balances the same way."""
        balance, view, losses = self.begun()
        for _ in range(2):
            self._step(balance, losses, view)
        other: Any = self.make(terms=self.terms)
        other.load_state_dict({name: tensor.clone() for name, tensor in balance.state_dict().items()})
        same = torch.equal(balance(losses, view), other(losses, view))
        expect(same, "with the same state it balances otherwise", "keep what it remembers in parameters and buffers")

    @staticmethod
    def _step(balance: nn.Module, losses: dict[str, Tensor], view: View) -> None:
        balance(losses, view).backward(retain_graph=True)
        with torch.no_grad():
            for parameter in balance.parameters():
                assert parameter.grad is not None
                parameter.sub_(parameter.grad, alpha=0.1)
                parameter.grad = None
