"""Schedules against their formulas; phases in their order, and in the recipes that are made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gantk import MetricName, RecipeError, Role, Scheduler, Stage
from gantk_baselines.schedules import Constant, Copy, Cosine, EarlyStop, LinearDecay, Phase, Phases, Warmup
from told import Told


def rates(scheduler: Scheduler) -> list[float]:
    (stage,) = scheduler.stages(["a", "b"])
    assert stage.roles == ("a", "b")
    assert stage.name == "training"
    found = [scheduler.rate(stage, "a", "generator", epoch) for epoch in range(stage.epochs)]
    assert found == [scheduler.rate(stage, "b", "discriminator", epoch) for epoch in range(stage.epochs)]
    assert all(scheduler.weight(stage, "a", epoch) == 1 for epoch in range(stage.epochs))
    return found


def test_constant() -> None:
    assert rates(Constant(3)) == [1, 1, 1]


@pytest.mark.parametrize(("epochs", "decay"), [(200, 100), (20, 10), (7, 7), (10, 1), (5, 0)])
def test_linear_decay_is_cyclegans(epochs: int, decay: int) -> None:
    # networks.py of the published code, epoch_count = 1: 1 − max(0, e + 1 − n_epochs) / (n_epochs_decay + 1)
    expected = [1 - max(0, e + 1 - (epochs - decay)) / float(decay + 1) for e in range(epochs)]
    assert rates(LinearDecay(epochs, decay)) == pytest.approx(expected)
    assert all(rate > 0 for rate in expected)


def test_linear_decay_takes_the_second_half_by_default() -> None:
    assert rates(LinearDecay(9)) == rates(LinearDecay(9, 4))


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_cosine(floor: float) -> None:
    expected = [floor + (1 - floor) * (1 + math.cos(math.pi * e / 10)) / 2 for e in range(10)]
    assert rates(Cosine(10, floor=floor)) == pytest.approx(expected)


def test_cosine_after_a_warm_up() -> None:
    found = rates(Cosine(10, warmup_epochs=4, warmup_start=0.2))
    assert found[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert found[4:] == pytest.approx([(1 + math.cos(math.pi * e / 10)) / 2 for e in range(4, 10)])


def test_warm_up() -> None:
    assert rates(Warmup(8, warmup_epochs=5, warmup_start=0.5)) == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9, 1, 1, 1])


@pytest.mark.parametrize("epochs", [0, -1])
def test_a_stage_without_epochs_would_never_end_and_is_refused(build: Callable[..., Any], epochs: int) -> None:
    with pytest.raises(RecipeError, match=rf"schedule\.epochs: .* is {epochs}\. Input should be greater"):
        build("pix2pix.toml", [f"schedule.epochs={epochs}"])


# --- phases -------------------------------------------------------------------------------------------------

TWO = (
    Phase("first", ("a", "b"), epochs=6, decay_epochs=3),
    Phase("second", ("c",), epochs=2, copies=(Copy("a", "c", into="streams.0"), Copy("b", "c", shared=True))),
)


class Asked:
    """Records the scheduler's requests."""

    def __init__(self) -> None:
        self.copies: list[tuple[Any, ...]] = []

    def copy(self, source: str, target: str, parts: Sequence[str], *, into: str = "", shared: bool = False) -> None:
        self.copies.append((source, target, tuple(parts), into, shared))


def test_phases_follow_one_another() -> None:
    scheduler = Phases(TWO)
    assert scheduler.epochs == 8
    assert scheduler.stages(["a", "b", "c"]) == [Stage("first", 6, ("a", "b")), Stage("second", 2, ("c",))]


def test_each_phase_decays_by_itself() -> None:
    scheduler = Phases(TWO)
    first, second = scheduler.stages(["a", "b", "c"])
    assert [scheduler.rate(first, "b", "generator", e) for e in range(6)] == [1, 1, 1, 0.75, 0.5, 0.25]
    assert [scheduler.rate(second, "c", "discriminator", e) for e in range(2)] == [1, 1]


def test_a_phase_of_linear_decay_is_the_schedule_of_that_name() -> None:
    phase = Phases((Phase("training", ("a", "b"), epochs=20, decay_epochs=7),))
    assert rates(phase) == rates(LinearDecay(20, 7))


def test_copies_are_asked_for_before_their_phase() -> None:
    scheduler, asked = Phases(TWO), Asked()
    first, second = scheduler.stages(["a", "b", "c"])
    scheduler.before_stage(first, asked)
    assert asked.copies == []
    scheduler.before_stage(second, asked)
    assert asked.copies == [
        ("a", "c", ("generator",), "streams.0", False),
        ("b", "c", ("generator",), "", True),
    ]


@pytest.mark.parametrize(
    ("phases", "said"),
    [
        ((), "the schedule has no phase"),
        ((TWO[0], replace(TWO[1], name="first")), "two phases have the same name"),
        ((replace(TWO[0], decay_epochs=7),), "has 6 epochs, but decay_epochs is 7"),
        ((replace(TWO[0], decay_epochs=-1),), "has 6 epochs, but decay_epochs is -1"),
    ],
)
def test_phases_that_make_no_sense_are_refused(phases: tuple[Phase, ...], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        Phases(phases)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(TWO[1], roles=("d",)),
        replace(TWO[1], copies=(Copy("d", "c"),)),
        replace(TWO[1], copies=(Copy("a", "d"),)),
    ],
)
def test_every_role_that_a_phase_names_is_known_to_the_core(wrong: Phase, registry: Any) -> None:
    component = registry.get("scheduler", "phases")
    assert ("phases", Role, "d") in component.named({"phases": (TWO[0], wrong)})


def test_a_recipe_gives_phases_as_tables(registry: Any) -> None:
    table = {"name": "second", "roles": ["c"], "epochs": 3, "copies": [{"source": "a", "target": "c", "into": "x"}]}
    scheduler = registry.get("scheduler", "phases").build({"phases": [table]}, "schedule")
    assert scheduler.phases == {"second": Phase("second", ("c",), 3, copies=(Copy("a", "c", into="x"),))}


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 3},
        {"epochs": "many"},
        {"roles": "c"},
        {"copies": [{"source": "a"}]},
        {"copies": [{"source": "a", "target": "c", "parts": ["body"]}]},
        {"copies": [{"source": "a", "target": "c", "inside": "x"}]},
    ],
)
def test_a_wrong_key_or_value_of_a_phase_is_refused(registry: Any, change: dict[str, Any]) -> None:
    table = {"name": "second", "roles": ["c"], "epochs": 3, **change}
    with pytest.raises(RecipeError, match=r"phases\.0"):
        registry.get("scheduler", "phases").build({"phases": [table]}, "schedule")


# --- the recipes of several phases ----------------------------------------------------------------------------


class Batches:
    """Stands for the loader: random slices, each batch a function of its place."""

    def __init__(self, make_group: Callable[..., Any]) -> None:
        self.make_group = make_group

    def steps(self, groups: Any) -> int:
        return 2

    def prefetch(
        self, groups: Any, stage: int, epoch: int, start: int, stop: int, *, pinned: bool
    ) -> Iterator[tuple[int, Any]]:
        for step in range(start, stop):
            yield step, {"paired": self.make_group(2, shape=(32, 48), seed=100 * stage + step)}


class Watcher:
    """Records all weights at the beginning of stages and at the end, and the trained roles."""

    def __init__(self) -> None:
        self.state: Any = None
        self.weights: list[dict[str, Tensor]] = []
        self.terms: list[set[str]] = []
        self.rates: list[Mapping[str, float]] = []

    def look(self) -> None:
        self.weights.append({name: tensor.clone() for name, tensor in self.state.tensors().items()})

    def stage_begins(self, *_: Any) -> None:
        self.look()

    def step_done(self, stage: Stage, position: Any, losses: Any, rates: Mapping[str, float], seconds: float) -> None:
        self.terms.append({name.split("/")[0] for name in losses})
        self.rates.append(rates)

    def epoch_done(self, *_: Any) -> None: ...

    def epoch_saved(self, *_: Any) -> None: ...

    def note(self, text: str) -> None: ...


@pytest.fixture(scope="module")
def trained(
    registry: Any, recipes: Path, make_group: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Watcher]:
    """A recipe of phases, trained for two steps in each of them."""
    from gantk.api.checks import build
    from gantk.recipe import load_recipe
    from gantk.training.engine import Engine
    from gantk.training.state import TrainingState

    known: dict[str, Watcher] = {}

    def train(name: str) -> Watcher:
        if name not in known:
            recipe = load_recipe(recipes / name, ["data.crop=[32,48]", "data.steps_per_epoch=2"])
            assembly, scheduler = build(recipe, registry)
            short = Phases(tuple(replace(p, epochs=1, decay_epochs=0) for p in scheduler.phases.values()))
            watcher = known[name] = Watcher()
            watcher.state = TrainingState(recipe, assembly, short, torch.device("cpu"))
            folder = tmp_path_factory.mktemp("run")
            batches = Batches(make_group)
            Engine(recipe, watcher.state, batches, folder, {}, watcher, lambda plan, position: {}).run()
            watcher.look()
        return known[name]

    return train


ROLES = {
    "resvit.toml": [{"pretraining"}, {"generator"}],
    "mustgan.toml": [{"t1_stream", "t2_stream", "flair_stream", "many_stream"}, {"fusion"}],
    "pix2pix_distilled.toml": [{"teacher"}, {"student"}],
}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("name", ROLES)
def test_each_phase_trains_its_own_roles_alone(trained: Callable[[str], Watcher], name: str) -> None:
    run = trained(name)
    assert run.terms == [roles for roles in ROLES[name] for _ in range(2)]
    first, second, end = run.weights
    trained_first = {key.split(".")[0] for key in changed(first, second)}
    handed_on = {"resvit.toml": {"generator"}, "mustgan.toml": {"fusion"}}.get(name, set())
    assert trained_first == ROLES[name][0] | handed_on
    assert {key.split(".")[0] for key in changed(second, end)} == ROLES[name][1]


def test_the_rates_of_resvits_phases(trained: Callable[[str], Watcher]) -> None:
    run = trained("resvit.toml")
    assert run.rates[0] == {"pretraining/generator": 2e-4, "pretraining/discriminator": 2e-4}
    assert run.rates[2] == {"generator/generator": 1e-3, "generator/discriminator": 1e-3}


def test_resvit_goes_on_from_the_cnn_alone(trained: Callable[[str], Watcher]) -> None:
    weights = trained("resvit.toml").weights[1]
    cnn = {k.removeprefix("pretraining."): v for k, v in weights.items() if k.startswith("pretraining.generator.")}
    assert len(cnn) > 100
    assert all(torch.equal(value, weights[f"generator.{key}"]) for key, value in cnn.items())
    judges = [k for k in weights if k.startswith("generator.discriminator.") and k.endswith("weight")]
    assert not all(torch.equal(weights[k], weights[f"pretraining.{k.removeprefix('generator.')}"]) for k in judges)


def test_mustgans_streams_are_those_of_the_first_phase_and_stay(trained: Callable[[str], Watcher]) -> None:
    run = trained("mustgan.toml")
    second, end = run.weights[1:]
    generator = run.state.translators["fusion"].generator
    for number, role in enumerate(("t1_stream", "t2_stream", "flair_stream", "many_stream")):
        keys = list(generator.streams[number].state_dict())
        assert len(keys) >= 10
        for key in keys:
            place = f"fusion.generator.streams.{number}.{key}"
            assert torch.equal(second[place], second[f"{role}.generator.{key}"])
            assert torch.equal(second[place], end[place])
    rest = list(generator.layers.state_dict())
    assert len(rest) >= 10
    assert all(
        torch.equal(second[f"fusion.generator.layers.{k}"], second[f"many_stream.generator.layers.{k}"]) for k in rest
    )
    moved = changed(second, end)
    assert all(f"fusion.generator.layers.{key}" in moved for key in rest if key.endswith("weight"))
    assert "fusion.generator.fusion.0.weight" in moved


def test_the_distilled_students_regressors_learn(trained: Callable[[str], Watcher]) -> None:
    run = trained("pix2pix_distilled.toml")
    heads = [key for key in run.weights[1] if key.startswith("student.heads.") and key.endswith("weight")]
    assert len(heads) == 3
    assert set(heads) <= changed(*run.weights[1:])


@pytest.mark.parametrize(
    ("better", "values", "ends"),
    [
        ("higher", [1, 3, 2, 2.9, 9], 3),
        ("lower", [3, 1, 2, 1.5, 0], 3),
        ("higher", [1, 2, 3, 4, 5], None),
        ("higher", [3, None, None, None, 2], 4),  # without measurements no stage ends
        ("higher", [3, 2, 3.05, 4, 4], 2),  # 0.05 is no improvement of 0.1
    ],
)
def test_early_stop(better: Any, values: list[float | None], ends: int | None) -> None:
    stop, control = EarlyStop(MetricName("m"), Role("g"), better, patience=2, min_delta=0.1), Told()
    stage = Stage("training", 100, ("g",))
    stop.before_stage(stage, control)  # type: ignore[arg-type]
    ended = None
    for epoch, value in enumerate(values):
        resumed = EarlyStop(MetricName("m"), Role("g"), better, patience=2, min_delta=0.1)
        resumed.load_state_dict(stop.state_dict())
        stop = resumed
        if stop.after_epoch(stage, epoch, {} if value is None else {"g/m": value}, control):  # type: ignore[arg-type]
            ended = epoch
            break
    assert ended == ends
    assert len(control.notes) == (ends is not None)
    stop.before_stage(stage, control)  # type: ignore[arg-type]
    assert not stop.after_epoch(stage, 0, {"g/m": 0.0}, control)  # type: ignore[arg-type]
