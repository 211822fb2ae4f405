"""One step against the same step written by hand, and what it must not do."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from gantk.errors import NonFiniteError, PluginError

RATE = 2e-4  # the recipe's default


def by_hand(bench: Any, group: Any, updates: tuple[str, str], relativistic: bool = False) -> dict[str, float]:
    """One step of L1 and a least-squares game as a textbook loop would do it, in place on copies of the networks."""
    g, d = bench.translators["g"].generator, bench.translators["g"].discriminator
    losses = {}
    output = g(group.source)
    for side in updates:
        g.zero_grad()
        d.zero_grad()
        if side == "discriminator":
            loss = (d(group.target) - 1).square().mean() + d(output.detach()).square().mean()
            losses["g/adversarial (D)"] = loss.item()
            loss.backward()
            module = d
        else:
            pixelwise, adversarial = (output - group.target).abs().mean(), (d(output) - 1).square().mean()
            if relativistic:
                adversarial = adversarial + d(group.target).square().mean()
            losses |= {"g/pixelwise": pixelwise.item(), "g/adversarial": adversarial.item()}
            (pixelwise + adversarial).backward()
            module = g
        with torch.no_grad():
            for parameter in module.parameters():
                parameter -= RATE * parameter.grad
    return losses


@pytest.mark.parametrize("relativistic", [False, True])
@pytest.mark.parametrize("updates", [("discriminator", "generator"), ("generator", "discriminator")])
def test_a_step_is_the_textbook_step_in_either_order(
    bench: Any, losses: Any, batch: Any, updates: tuple[str, str], relativistic: bool
) -> None:
    """Also where the generator's side judges real images, which the discriminator's side then judges anew."""
    terms = {"pixelwise": losses["pixelwise"](), "adversarial": losses["adversarial"](relativistic)}
    ours, theirs = (bench(terms, updates=updates) for _ in range(2))
    for seed in range(3):
        wanted = by_hand(theirs, batch(2, seed), updates, relativistic)
        assert ours.step(batch(2, seed)) == pytest.approx(wanted, rel=1e-5)
    for part in ("generator", "discriminator"):
        assert torch.allclose(ours.weights(part), theirs.weights(part), rtol=1e-5, atol=1e-8)
        assert not torch.equal(ours.weights(part), bench(terms).weights(part))


def test_the_orders_differ(bench: Any, losses: Any, batch: Any) -> None:
    terms = {"adversarial": losses["adversarial"]()}
    one, other = (bench(terms, updates=u) for u in (("discriminator", "generator"), ("generator", "discriminator")))
    one.step(batch(1, 0))
    other.step(batch(1, 0))
    assert torch.equal(one.weights("discriminator"), other.weights("discriminator"))
    assert not torch.equal(one.weights("generator"), other.weights("generator"))


@pytest.mark.parametrize("limit", [1e-3, 1e6])
def test_clipping_bounds_the_norm(bench: Any, losses: Any, batch: Any, limit: float) -> None:
    terms = {"pixelwise": losses["pixelwise"](), "adversarial": losses["adversarial"]()}
    rates = dict.fromkeys(("generator", "heads", "discriminator"), 1.0)
    optimizer = {"use": "sgd", "momentum": 0.0, "rates": rates}
    # plain descent at rate 1 moves the weights by the gradient; the discriminator first, before any other change
    for part, updates in (
        ("generator", ("generator", "discriminator")),
        ("discriminator", ("discriminator", "generator")),
    ):
        plain = bench(terms, optimizer=optimizer, updates=updates)
        clipped = bench(terms, optimizer=optimizer, updates=updates, clip_gradients=limit)
        before = plain.weights(part)
        norms = []
        for tested in (plain, clipped):
            tested.step(batch(2, 0))
            norms.append((tested.weights(part) - before).norm().item())
        assert norms[0] > 1e-2
        assert norms[1] == pytest.approx(min(limit, norms[0]), rel=1e-3)


def test_accumulated_batches_equal_one_large_batch(bench: Any, losses: Any, batch: Any) -> None:
    """For mean losses; the generator's losses exclude the discriminator, which one large batch would update first."""
    whole = batch(6, 0)
    parts = [batch(2, 0) for _ in range(3)]
    for number, part in enumerate(parts):
        rows = slice(2 * number, 2 * number + 2)
        part.source, part.target = whole.source[rows], whole.target[rows]
    for terms, part in (
        ({"pixelwise": losses["pixelwise"]()}, "generator"),
        ({"adversarial": losses["adversarial"]()}, "discriminator"),
    ):
        one, many = bench(terms), bench(terms, accumulate=3)
        before = one.weights(part)
        values = one.step(whole), many.step(*parts)
        name = next(reversed(values[0])) if part == "generator" else "g/adversarial (D)"
        assert values[1][name] == pytest.approx(values[0][name], rel=1e-5)
        moves = one.weights(part) - before, many.weights(part) - before
        assert moves[0].norm() > 0
        assert (moves[0] - moves[1]).norm() < 1e-3 * moves[0].norm()


def test_the_discriminator_is_frozen_while_the_generator_learns(bench: Any, losses: Any, batch: Any) -> None:
    tested = bench({"pixelwise": losses["pixelwise"](), "adversarial": losses["adversarial"]()})
    d = tested.translators["g"].discriminator
    seen = []
    for side in ("discriminator", "generator"):
        tested.optimizers["g"].sides[side].register_step_pre_hook(
            lambda *_: seen.append([p.grad.clone() for p in d.parameters()])
        )
    for seed in range(2):
        tested.step(batch(1, seed))
    for own, after_generator in (seen[:2], seen[2:]):
        assert all(map(torch.equal, own, after_generator))
    assert not torch.equal(seen[0][0], seen[2][0])
    assert all(p.requires_grad for p in d.parameters())


def test_the_generator_gets_nothing_from_the_discriminators_side(bench: Any, losses: Any, batch: Any) -> None:
    tested = bench({"adversarial": losses["adversarial"]()})
    g = tested.translators["g"].generator
    seen = []
    tested.optimizers["g"].sides["discriminator"].register_step_pre_hook(
        lambda *_: seen.append([p.grad is None for p in g.parameters()])
    )
    tested.step(batch(1, 0))
    assert seen == [[True] * 4]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_one_backward_per_side_and_batch(
    bench: Any, losses: Any, batch: Any, monkeypatch: pytest.MonkeyPatch, accumulate: int
) -> None:
    terms = {name: losses[name]() for name in ("pixelwise", "adversarial")}
    tested = bench(terms | {"second": losses["adversarial"]()}, accumulate=accumulate)
    calls = []
    backward = torch.Tensor.backward
    monkeypatch.setattr(torch.Tensor, "backward", lambda *a, **k: (calls.append(1), backward(*a, **k))[1])
    tested.step(*[batch(1, seed) for seed in range(accumulate)])
    assert len(calls) == 2 * accumulate


def test_a_role_that_the_stage_does_not_train_keeps_weights_and_collects_no_gradient(bench: Any, batch: Any) -> None:
    class Imitation:
        """Compares with another role's output and, as a term may, differentiates through it."""

        def __call__(self, view: Any) -> torch.Tensor:
            return (view.output - view.translate(role="other")).abs().mean()

    tested = bench({"imitation": Imitation()}, roles=("g", "other"), trained=("g",))
    before = tested.weights("generator", "other")
    tested.step(batch(1, 0))
    assert torch.equal(tested.weights("generator", "other"), before)
    assert all(p.grad is None for p in tested.translators["other"].parameters())
    assert not torch.equal(tested.weights("generator", "g"), bench({}, roles=("g", "other")).weights("generator"))


def test_a_roles_weight_scales_its_generator_terms_alone(bench: Any, losses: Any, batch: Any) -> None:
    terms = {"pixelwise": losses["pixelwise"](), "adversarial": losses["adversarial"]()}
    full, half = bench(terms), bench(terms)
    start = full.weights("generator"), full.weights("discriminator")
    reported = full.step(batch(1, 0)), half.step(batch(1, 0), weight=0.5)
    assert reported[0] == reported[1]  # terms are reported unweighted
    moves = [tested.weights("generator") - start[0] for tested in (full, half)]
    assert torch.allclose(moves[1], moves[0] / 2, rtol=1e-2, atol=1e-8)
    assert torch.equal(full.weights("discriminator"), half.weights("discriminator"))


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_term_that_is_no_number_is_named(bench: Any, losses: Any, batch: Any, value: float, accumulate: int) -> None:
    class Broken:
        def __call__(self, view: Any) -> torch.Tensor:
            return view.output.mean() * value

    tested = bench({"pixelwise": losses["pixelwise"](), "broken": Broken()}, accumulate=accumulate)
    with pytest.raises(NonFiniteError, match="the term g/broken became"):
        tested.step(*[batch(1, seed) for seed in range(accumulate)])


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_device_is_asked_once_per_step(
    bench: Any, losses: Any, batch: Any, monkeypatch: pytest.MonkeyPatch, accumulate: int
) -> None:
    """A GPU runs ahead of Python unless a number is read: all are read together, after the updates."""
    terms = {"pixelwise": losses["pixelwise"](), "adversarial": losses["adversarial"]()}
    tested = bench(terms, accumulate=accumulate, clip_gradients=1.0, optimizer={"use": "rmsprop"})
    batches = [batch(1, seed) for seed in range(accumulate)]
    asked = []
    for name in ("item", "tolist", "__bool__", "__float__", "cpu", "numpy"):
        whole = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda *a, name=name, whole=whole, **k: (asked.append(name), whole(*a, **k))[1]
        )
    tested.step(*batches)
    assert asked == ["tolist"]


def test_a_loss_must_be_one_number(bench: Any, batch: Any) -> None:
    for wrong, said in ((lambda view: view.output, r"the shape \(1, 1, 8, 10\)"), (lambda view: 3.0, "float")):
        with pytest.raises(PluginError, match=said):
            bench({"wrong": wrong}).step(batch(1, 0))


@pytest.mark.parametrize("use", ["adam", "adamw", "sgd", "rmsprop", "timm"])
def test_every_optimizer_learns_and_resumes_exactly(bench: Any, losses: Any, batch: Any, use: str) -> None:
    terms = {"pixelwise": losses["pixelwise"](), "adversarial": losses["adversarial"]()}
    optimizer = {"use": use, "weight_decay": 0.01}
    if use == "timm":
        optimizer["name"] = "lion"
    whole, resumed = bench(terms, optimizer=optimizer), bench(terms, optimizer=optimizer)
    first = whole.step(batch(1, 0))["g/pixelwise"]
    whole.step(batch(1, 0))
    resumed.translators["g"].load_state_dict(whole.translators["g"].state_dict())
    for side, one in whole.optimizers["g"].sides.items():
        resumed.optimizers["g"].sides[side].load_state_dict(copy.deepcopy(one.state_dict()))
    for _ in range(20):
        last = whole.step(batch(1, 0))["g/pixelwise"]
        resumed.step(batch(1, 0))
    assert last < first
    for part in ("generator", "discriminator"):
        assert torch.equal(whole.weights(part), resumed.weights(part))


@pytest.mark.parametrize(
    "updates",
    [("generator", "generator", "discriminator"), ("discriminator", "discriminator", "generator")],
)
def test_a_side_that_comes_again_sees_the_weights_as_they_are_by_then(
    bench: Any, losses: Any, batch: Any, updates: tuple[str, ...]
) -> None:
    terms = {"pixelwise": losses["pixelwise"](), "adversarial": losses["adversarial"]()}
    ours, theirs = (bench(terms, updates=updates) for _ in range(2))
    ours.step(batch(2, 0))
    g, d, group = theirs.translators["g"].generator, theirs.translators["g"].discriminator, batch(2, 0)
    for number, side in enumerate(updates):
        if number == 0 or side == updates[number - 1]:
            output = g(group.source)
        g.zero_grad(), d.zero_grad()
        if side == "discriminator":
            ((d(group.target) - 1).square().mean() + d(output.detach()).square().mean()).backward()
        else:
            ((output - group.target).abs().mean() + (d(output) - 1).square().mean()).backward()
        with torch.no_grad():
            for parameter in (d if side == "discriminator" else g).parameters():
                parameter -= RATE * parameter.grad
    for part in ("generator", "discriminator"):
        assert torch.allclose(ours.weights(part), theirs.weights(part), rtol=1e-5, atol=1e-8)
