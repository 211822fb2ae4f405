"""The two-stage schedule of DS³-Net: convergence, rewind, rates, weights, and the student's copy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gantk import PluginError, RecipeError, Stage
from gantk.training.control import Control as Carried
from gantk_ds3net.teacher_student import TeacherStudent


class Control:
    """Records the scheduler's requests."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.notes: list[str] = []

    def copy(self, source: str, target: str, parts: Sequence[str]) -> None:
        self.asked.append(("copy", source, target, tuple(parts)))

    def restore(self, role: str, stage: str, epoch: int) -> None:
        self.asked.append(("restore", role, stage, epoch))

    def note(self, text: str) -> None:
        self.notes.append(text)


def schedule(**settings: Any) -> TeacherStudent:
    return TeacherStudent(**{"teacher_epochs": 10, "joint_epochs": 8, "student": "student", **settings})


def train(scheduler: TeacherStudent, values: Sequence[float | None]) -> int:
    """Epochs of the first stage with these values of the monitored metric, until it ends; how many there were."""
    first = scheduler.stages(["teacher", "student"])[0]
    for epoch, value in enumerate(values):
        metrics: Mapping[str, float] = {} if value is None else {"teacher/ssim": value, "student/ssim": 9.0 + epoch}
        if scheduler.after_epoch(first, epoch, metrics, Control()):
            return epoch + 1
    return -1


def test_stages() -> None:
    assert schedule(rewind=3).stages(["teacher", "student"]) == [
        Stage("teacher", 10, ("teacher",), history=3),
        Stage("joint", 8, ("teacher", "student")),
    ]
    assert schedule(student=None).stages(["teacher"])[1] == Stage("joint", 8, ("teacher",))


def test_a_committee_trains_in_the_first_stage_and_answers_in_the_second() -> None:
    first, joint = schedule(committee=("a", "b")).stages(["teacher", "student", "a", "b"])
    assert first == Stage("teacher", 10, ("teacher", "a", "b"), history=5)
    assert joint == Stage("joint", 8, ("teacher", "student"))
    assert schedule(committee=("a",)).rate(first, "a", "generator", 5) == 0.5
    assert schedule(committee=("a",)).weight(first, "a", 5) == 1.0


@pytest.mark.parametrize("committee", [("teacher",), ("student", "a"), ("a", "b", "a")])
def test_a_committee_of_others_each_once(committee: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError, match=r"schedule.committee: the schedule names '(teacher|student|a)' twice"):
        schedule(committee=committee)


# --- convergence ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "epochs"),
    [
        ([0.5, 0.6, 0.7, 0.7, 0.7, 0.7], 6),  # best in the third epoch, three without improvement
        ([0.5, 0.501, 0.502, 0.503], 4),  # each step too small to count, measured from the best
        ([0.5, 0.4, 0.6, 0.4, 0.4, 0.4], 6),  # a worse epoch does not end the stage
        ([0.5, 0.504, 0.508, 0.52, 0.52, 0.52, 0.52], 7),  # the sum of small steps counts
        ([0.1 * e for e in range(10)], 10),  # never: the last epoch counts
        ([0.5, None, 0.6, None, 0.7, None, None, None, 0.7], 9),  # where nothing is validated, nothing is known
        ([None, None, None, None, 0.5, None, None, 0.5], 8),  # counted from the first validation on
        ([math.nan, 0.5, 0.6, 0.7, 0.7, 0.7, 0.7], 7),  # the first value is no number
        ([math.nan] * 10, 10),
    ],
)
def test_convergence(values: list[float | None], epochs: int) -> None:
    scheduler = schedule(patience=3, min_delta=0.01)
    assert train(scheduler, values) == epochs
    assert scheduler.converged == epochs - 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], "reached its last epoch, 10, before it converged"),
        ([0.1, 0.5, 0.5, 0.5, 0.5], "converged in epoch 5"),
        ([0.1, *[None] * 9], "reached its last epoch, 10, before it converged"),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.7, 0.7, 0.7], "converged in epoch 10"),  # in the last one, at last
    ],
)
def test_running_out_of_epochs_is_not_called_convergence(values: list[float | None], said: str) -> None:
    scheduler, control = schedule(patience=3, min_delta=0.01, rewind=0), Control()
    train(scheduler, values)
    scheduler.before_stage(scheduler.stages(["teacher", "student"])[1], control)
    assert control.notes[0].startswith(f"the teacher {said}; it continues with")


def test_convergence_of_a_metric_that_falls() -> None:
    first = schedule(patience=2, monitor="mse", better="lower")
    stage = first.stages(["teacher"])[0]
    ended = [
        first.after_epoch(stage, e, {"teacher/mse": v}, Control()) for e, v in enumerate([0.3, 0.2, 0.1, 0.1, 0.1])
    ]
    assert ended == [False, False, False, False, True]


def test_the_second_stage_runs_its_length() -> None:
    scheduler = schedule(patience=1)
    joint = scheduler.stages(["teacher", "student"])[1]
    assert not any(scheduler.after_epoch(joint, e, {"teacher/ssim": 0.5}, Control()) for e in range(8))


# --- between the stages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rewind", "epoch"), [(0, 5), (2, 3), (5, 0), (7, 0)])
def test_the_teacher_goes_back_and_the_student_begins_as_it(rewind: int, epoch: int) -> None:
    scheduler = schedule(rewind=rewind, patience=3)
    assert train(scheduler, [0.5, 0.6, 0.7, 0.7, 0.7, 0.7]) == 6  # converged in epoch 5, counted from 0
    control = Control()
    first, joint = scheduler.stages(["teacher", "student"])
    scheduler.before_stage(first, control)
    assert control.asked == []
    scheduler.before_stage(joint, control)
    assert control.asked == [
        *([("restore", "teacher", "teacher", epoch)] if rewind else []),  # else it has these weights
        ("copy", "teacher", "student", ("generator", "heads", "discriminator")),
    ]
    assert control.notes == [f"the teacher converged in epoch 6; it continues with its weights of epoch {epoch + 1}"]


def test_what_the_student_starts_from() -> None:
    for settings, copies in [({"student_starts_from": ("generator",)}, [("generator",)]), ({"student": None}, [])]:
        scheduler = schedule(patience=1, **settings)
        train(scheduler, [0.5, 0.5])
        control = Control()
        scheduler.before_stage(scheduler.stages(["teacher"])[1], control)
        assert [asked[3] for asked in control.asked if asked[0] == "copy"] == copies


def test_the_engine_copies_the_parts_and_nothing_else(build: Any) -> None:
    built = build(
        "ds3_published.toml",
        ["translators.teacher.generator.channels=4", "translators.teacher.discriminator.channels=4"],
    )
    teacher, student = built.translators["teacher"], built.translators["student"]
    state = SimpleNamespace(translators=built.translators, averages={}, begin_averages=lambda _: None)
    Carried(state, None, None, print).copy("teacher", "student", ("generator", "heads"))  # type: ignore[arg-type]
    for part, same in [("generator", True), ("heads", True), ("discriminator", False)]:
        ours, theirs = dict(teacher.parts())[part], dict(student.parts())[part]
        equal = [torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)]
        assert all(equal) == same
        assert all(a is not b for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_a_student_of_another_shape_is_refused(build: Any) -> None:
    small = ["translators.teacher.generator.channels=4", "translators.student.generator.channels=8"]
    built = build("ds3_published.toml", small)
    control = Carried(SimpleNamespace(translators=built.translators, averages={}), None, None, print)  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="the generator of 'teacher' does not fit into that of 'student'"):
        control.copy("teacher", "student", ("generator",))


# --- rates and weights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["generator", "heads", "discriminator"])
def test_rates(part: str) -> None:
    scheduler = schedule()
    first, joint = scheduler.stages(["teacher", "student"])
    linear = [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    assert [scheduler.rate(first, "teacher", part, e) for e in range(10)] == pytest.approx(
        [1 - e / 10 for e in range(10)]
    )
    assert [scheduler.rate(joint, "teacher", part, e) for e in range(8)] == pytest.approx([r / 5 for r in linear])
    assert [scheduler.rate(joint, "student", part, e) for e in range(8)] == pytest.approx(linear)


def test_weights() -> None:
    scheduler = schedule()
    first, joint = scheduler.stages(["teacher", "student"])
    assert [scheduler.weight(joint, "student", t) for t in range(8)] == pytest.approx([1 - t / 8 for t in range(8)])
    assert {scheduler.weight(stage, "teacher", t) for stage in (first, joint) for t in range(8)} == {1.0}
    constant = schedule(student_weight="constant")
    assert {constant.weight(joint, "student", t) for t in range(8)} == {1.0}


def test_its_state_survives() -> None:
    scheduler, resumed = schedule(patience=3), schedule(patience=3)
    train(scheduler, [0.5, 0.6, 0.7, 0.7])
    resumed.load_state_dict(scheduler.state_dict())
    stage = scheduler.stages(["teacher"])[0]
    for epoch in (4, 5):
        metrics = {"teacher/ssim": 0.7}
        assert scheduler.after_epoch(stage, epoch, metrics, Control()) == resumed.after_epoch(
            stage, epoch, metrics, Control()
        )
    assert resumed.converged == scheduler.converged == 5


def test_a_first_stage_that_another_scheduler_ends_hands_its_weights_on() -> None:
    scheduler = schedule(rewind=2)
    assert train(scheduler, [0.5, 0.6, 0.7, 0.8]) == -1  # it keeps improving
    resumed = schedule(rewind=2)
    resumed.load_state_dict(scheduler.state_dict())
    control = Control()
    resumed.before_stage(resumed.stages(["teacher", "student"])[1], control)
    assert [asked[0] for asked in control.asked] == ["restore", "copy"]
    assert control.asked[0] == ("restore", "teacher", "teacher", 1)
