"""The engine between steps: epochs, rates, averages, checkpoints, stops; with networks of the real plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gantk.errors import CheckpointError, Interrupted, NonFiniteError, PluginError
from gantk.training.checkpoint import list_checkpoints, newest_checkpoint, restore, save_checkpoint
from gantk.training.engine import Engine
from gantk.training.scheduler import Stage
from gantk.training.state import Position
from gantk.training.update import Updater
from gantk.translation import Moment, TransformSlot
from tiny_engine import TABLE, assert_equal, weights

pytestmark = pytest.mark.slow


def test_epochs_steps_and_rates(engine: Any) -> None:
    """Constant for one epoch, then 1 − 1/3 and 1 − 2/3 of the base rate (CycleGAN's decay over two epochs)."""
    tested = engine()
    tested.run()
    heard = tested.observer
    assert heard.stages == [("training", 4)]
    assert [(p.epoch, p.step, p.total) for p, _, _ in heard.steps] == [(i // 4, i % 4, i) for i in range(12)]
    for position, losses, rates in heard.steps:
        wanted = 2e-4 * [1, 2 / 3, 1 / 3][position.epoch]
        assert rates == pytest.approx({"g/generator": wanted, "g/discriminator": wanted})
        assert set(losses) == {"g/pixelwise", "g/adversarial", "g/adversarial (D)"}
    assert [(p.epoch, p.step) for p in heard.epochs] == [(0, 3), (1, 3), (2, 3)]
    assert tested.state.position == Position(1, 0, 0, 12)


@pytest.mark.parametrize(("every", "wanted"), [(None, [4, 8, 12]), (3, [3, 4, 6, 8, 9, 12]), (1, list(range(1, 13)))])
def test_checkpoints_come_when_they_are_due(engine: Any, every: int | None, wanted: list[int]) -> None:
    tested = engine(training={"keep_checkpoints": len(wanted)} | ({"checkpoint_every": every} if every else {}))
    tested.run()
    assert [p.name for p in list_checkpoints(tested.checkpoints)] == [f"step-{total:08d}" for total in wanted]


def test_accumulation_keeps_the_length_of_an_epoch(engine: Any) -> None:
    """Four batches are one pass over the data: two steps of two batches."""
    tested = engine(training={"accumulate": 2})
    tested.run()
    assert tested.observer.stages == [("training", 2)]
    assert len(tested.observer.steps) == 6


@pytest.mark.parametrize(
    ("stop_after", "training"),
    [
        *((stop, {}) for stop in (0, 1, 3, 4, 6, 11)),
        *((stop, {"ema": 0.9}) for stop in (1, 3)),
        *((stop, {"accumulate": 2}) for stop in (0, 1, 4)),
    ],
)
def test_a_stop_saves_and_a_new_state_goes_on_identically(
    engine: Any, tmp_path: Path, stop_after: int, training: dict[str, Any]
) -> None:
    whole = engine(folder=tmp_path / "whole", training=training)
    whole.run()
    calls: list[int] = []
    stopped = engine(lambda: calls.append(1) or len(calls) > stop_after, training=training)
    with pytest.raises(Interrupted):
        stopped.run()
    torch.manual_seed(12345)  # random numbers must not come from anywhere but the position
    resumed = engine(training=training)
    checkpoint = newest_checkpoint(resumed.checkpoints)
    assert checkpoint is not None
    assert checkpoint.position == stopped.state.position
    restore(resumed.state, checkpoint)
    resumed.run()
    assert_equal(weights(resumed), weights(whole))
    steps = stopped.observer.steps + resumed.observer.steps
    assert steps == whole.observer.steps


def test_a_step_that_fails_leaves_the_last_good_checkpoint(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from gantk_baselines.pixelwise import L1

    calls: list[int] = []
    true = L1.__call__
    monkeypatch.setattr(
        L1, "__call__", lambda self, view: (calls.append(1), true(self, view) * (1 if len(calls) < 7 else torch.nan))[1]
    )
    tested = engine(training={"checkpoint_every": 2})
    with pytest.raises(NonFiniteError) as caught:
        tested.run()
    good = list_checkpoints(tested.checkpoints)[-1]
    assert good.name == "step-00000006"
    for fragment in ("g/pixelwise became nan", "stage 'training'", "epoch 1", "step 6", str(good)):
        assert fragment in str(caught.value)


def test_bf16_trains_in_bf16_and_keeps_weights_in_fp32(engine: Any) -> None:
    seen = []
    tested = engine(run={"precision": "bf16"})
    network = tested.state.translators["g"].generator
    network.register_forward_hook(lambda module, inputs, output: seen.append(torch.is_autocast_enabled("cpu")))
    tested.run()
    assert set(seen) == {True}
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    plain = engine(folder=tested.checkpoints.parent / "plain")
    plain.run()
    ours, theirs = (t.observer.steps[-1][1]["g/pixelwise"] for t in (tested, plain))
    assert ours != theirs
    assert ours == pytest.approx(theirs, rel=0.1)


def test_channels_last_changes_layout_not_numbers(engine: Any, tmp_path: Path) -> None:
    """Without dropout, whose random numbers follow the memory layout."""
    translator = TABLE["translators"]["g"]
    translators = {"g": translator | {"generator": translator["generator"] | {"dropout": 0.0}}}
    tested = engine(translators=translators, training={"channels_last": True})
    plain = engine(folder=tmp_path / "plain", translators=translators)
    convolution = next(p for p in tested.state.translators["g"].parameters() if p.ndim == 4 and p.shape[1] > 1)
    assert convolution.is_contiguous(memory_format=torch.channels_last)
    first = {}
    for one in (tested, plain):
        one.run()
        first[one] = one.observer.steps[0][1]
    assert first[tested] == pytest.approx(first[plain], rel=1e-4)


def test_a_compiled_run_gives_the_same_losses_and_names(engine: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """With a backend that compiles nothing: the option takes effect, and names and averages stay the same."""
    counted = []

    def compile_(self: torch.nn.Module, options: dict[str, Any]) -> None:
        counted.append(type(self).__name__)
        self._compiled_call_impl = torch.compile(self._call_impl, backend="eager")

    monkeypatch.setattr(torch.nn.Module, "compile", compile_)
    short = {"use": "constant", "epochs": 1}
    tested = engine(training={"compile": True, "ema": 0.9}, schedule=short)
    plain = engine(folder=tmp_path / "plain", training={"ema": 0.9}, schedule=short)
    assert counted == ["Resnet", "PatchGan"]
    assert tested.state.tensors().keys() == plain.state.tensors().keys()
    tested.run()
    plain.run()
    for (_, ours, _), (_, theirs, _) in zip(tested.observer.steps, plain.observer.steps, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_a_penalised_discriminator_is_not_compiled(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, options: counted.append(type(self).__name__))
    engine(training={"compile": True}, losses={"adversarial": {"use": "wgan_gp", "on": "g"}})
    assert counted == ["Resnet"]


def test_a_checkpoint_of_other_networks_is_refused(engine: Any, tmp_path: Path) -> None:
    engine().run()
    checkpoint = newest_checkpoint(tmp_path / "checkpoints")
    assert checkpoint is not None
    other = {"g": {**TABLE["translators"]["g"], "generator": {"use": "resnet", "channels": 4, "blocks": 1}}}
    with pytest.raises(CheckpointError, match="differ from those that the recipe builds now"):
        restore(engine(translators=other).state, checkpoint)


def test_a_checkpoint_that_cannot_be_written_leaves_the_others(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = engine()
    folder = save_checkpoint(tmp_path, tested.state, tested.facts, keep=2)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    tested.state.position = Position(0, 0, 1, 1)
    monkeypatch.setattr("gantk.training.checkpoint.torch.save", full)
    with pytest.raises(CheckpointError, match=r"No space left on device.*--resume"):
        save_checkpoint(tmp_path, tested.state, tested.facts, keep=2)
    assert list(tmp_path.iterdir()) == [folder]


TWO = {
    "translators": {
        "g": TABLE["translators"]["g"],
        "h": {"generator": {"use": "resnet", "channels": 2, "blocks": 2, "antialias": False, "dropout": 0.3}},
    },
    "losses": TABLE["losses"] | {"other": {"use": "l1", "on": "h"}},
}


def test_a_role_that_is_not_trained_is_as_it_is_at_test(engine: Any) -> None:
    tested = engine(**TWO)
    modes: list[tuple[bool, bool]] = []
    step = Updater.step

    def watched(self: Updater, *arguments: Any) -> Any:
        modes.append(tuple(t.training for t in self.translators.values()))
        return step(self, *arguments)

    tested.stages = [Stage("only", 1, ("g",)), Stage("both", 1, ("g", "h"))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Updater, "step", watched)
        tested.run()
    assert modes == [(True, False)] * 4 + [(True, True)] * 4


class Marked:
    """A transform that replaces the source by a random number of torch and records its calls."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self.drawn: list[float] = []

    def __call__(self, group: Any, moment: Moment) -> Any:
        self.moments.append(moment)
        self.drawn.append(torch.rand(()).item())
        return replace(group, source=group.source * 0 + self.drawn[-1])


def test_transforms_change_what_is_trained_on_and_draw_the_same_after_a_resume(engine: Any, tmp_path: Path) -> None:
    def run(folder: str, stop_after: int = 99) -> tuple[Marked, Any]:
        heard: list[int] = []
        tested = engine(lambda: len(marked.drawn) >= stop_after, tmp_path / folder)
        marked = Marked()
        tested.state.assembly.transforms.append(TransformSlot("mine", marked, frozenset({"paired"})))
        tested.state.assembly.transforms.append(TransformSlot("none", heard.append, frozenset({"unpaired"})))
        return marked, tested

    whole, first = run("whole")
    first.run()
    assert [(m.epoch, m.epochs, m.step) for m in whole.moments] == [(i // 4, 3, i) for i in range(12)]
    assert len(set(whole.drawn)) == 12
    begun, second = run("cut", 6)
    with pytest.raises(Interrupted):
        second.run()
    assert begun.drawn == whole.drawn[:6]
    rest, third = run("cut")
    restore(third.state, newest_checkpoint(third.checkpoints))
    third.run()
    assert begun.drawn + rest.drawn == whole.drawn
    assert_equal(weights(first), weights(third))


def test_terms_record_numbers(engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine(schedule={"use": "constant", "epochs": 1})
    (term, *_) = made.state.assembly.terms
    asked = type(term.loss).__call__

    def recording(self: Any, view: Any) -> Any:
        view.log("half", torch.tensor([0.25, 0.75]))
        view.log("lost", float("nan"))
        with pytest.raises(ValueError, match="name"):
            view.log("a/b", 1.0)
        return asked(self, view)

    monkeypatch.setattr(type(term.loss), "__call__", recording)
    made.run()
    losses = [losses for _, losses, _ in made.observer.steps]
    assert all(found[f"{term.role}/{term.name}.half"] == 0.5 for found in losses)
    assert not any(f"{term.role}/{term.name}.lost" in found for found in losses)


def test_terms_keep_images_where_panels_are_due(engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine(schedule={"use": "constant", "epochs": 4}, training={"panels_every": 3})
    (term, *_) = made.state.assembly.terms
    asked, computed = type(term.loss).__call__, []

    def keeping(self: Any, view: Any) -> Any:
        view.log_image("half", torch.full((2, 1, 3, 4, 5), 2.5), low=0.0, high=5.0)  # a volume
        view.log_image("out", lambda: computed.append(view.moment) or view.output * 100)
        return asked(self, view)

    monkeypatch.setattr(type(term.loss), "__call__", keeping)
    made.run()
    last = [position for position in made.observer.epochs if position.epoch in (0, 2)]
    assert [position for position, _ in made.observer.pictures] == last
    assert len(computed) == 2  # what is a function costs nothing in other steps
    for _, found in made.observer.pictures:
        assert found.keys() == {f"{term.role}/{term.name}.half", f"{term.role}/{term.name}.out"}
        half, out = found.values()
        assert torch.equal(half, torch.full((2, 1, 4, 5), 0.5))
        assert not out.requires_grad
        assert (out.min(), out.max()) == (0, 1)


def test_an_epochs_networks_are_shown_after_its_checkpoint_and_not_changed(engine: Callable[..., Engine]) -> None:
    made = engine(schedule={"use": "constant", "epochs": 3}, training={"ema": 0.5})
    seen: list[tuple[int, int]] = []

    def look(stage: Stage, position: Position, metrics: Any, generators: Mapping[str, Any]) -> None:
        checkpoint = newest_checkpoint(made.checkpoints)
        assert checkpoint is not None
        assert generators["g"] is made.state.averages["g"].module
        seen.append((checkpoint.position.total, position.total))
        if position.epoch == 1:
            with torch.no_grad():
                next(generators["g"].parameters()).add_(1)

    made.observer.epoch_saved = look
    with pytest.raises(PluginError, match=r"after_epoch changed the networks.*copy\.deepcopy"):
        made.run()
    assert [saved - last for saved, last in seen] == [1, 1]  # the step after the epoch's last
