from __future__ import annotations

import io

import pytest
from rich.console import Console

from gantk.cli.display import RunDisplay

PLAN = {
    "recipe": "tiny",
    "run": "tiny-20260101-000000-abcd",
    "device": "cpu",
    "stages": [{"name": "supervised", "epochs": 2}, {"name": "joint", "epochs": 3}],
    "metrics": {"ssim": {"higher_is_better": True}, "mse": {"higher_is_better": False}},
}


def console(terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=120, highlight=False, color_system=None), out


def train(display: RunDisplay, stages: int = 2) -> None:
    display.begin(PLAN)
    for stage in PLAN["stages"][:stages]:
        display.stage(stage["name"], stage["epochs"], 4)
        for epoch in range(stage["epochs"]):
            for step in range(4):
                losses = {"teacher/pixelwise": 0.125, "student/pixelwise": 0.25, "student/adversarial": 1.5}
                display.step(stage["name"], epoch, step, 4, losses, 0.5)
            ssim, mse = (0.9, 0.5) if epoch == 0 else (0.8, 0.25)
            display.epoch(stage["name"], epoch, {"student/ssim": ssim, "student/mse": mse})


def test_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    made, out = console(terminal=False)
    with RunDisplay(made) as display:
        train(display)
        display.note("[not markup] a note")
        display.end("finished")
    lines = out.getvalue().splitlines()
    assert lines[0] == "tiny · cpu · tiny-20260101-000000-abcd"
    assert lines[1] == "stage 1/2 supervised: 2 epochs of 4 steps"
    assert lines[2].startswith(
        "stage 1/2 supervised, epoch 2/2 · step 8/20 · 0.50 s/step · ETA 6 s · teacher/pixelwise"
    )
    assert lines[2].endswith("validation: student/ssim 0.8, student/mse 0.25")
    assert "[not markup] a note" in lines
    assert lines[-1].startswith("training finished")
    assert "\x1b" not in out.getvalue()
    assert len(lines) <= 8  # one line per epoch at most every few seconds


def test_lines_have_the_metrics_of_their_own_epoch() -> None:
    made, out = console(terminal=False)
    with RunDisplay(made) as display:
        display.begin(PLAN)
        measured = {"supervised": {"committee/ssim": 0.9}, "joint": {"student/ssim": 0.8}}
        for stage, metrics in (*measured.items(), ("joint", {})):
            display.stage(stage, 1, 1)
            display.step(stage, 0, 0, 1, {}, 0.5)
            display.epoch(stage, 0, metrics)
    ends = [line.partition("validation: ")[2] for line in out.getvalue().splitlines() if "epoch 1/1" in line]
    assert [end for end in ends if end] == ["committee/ssim 0.9", "student/ssim 0.8"]


def test_live_panel_shows_where_the_run_is() -> None:
    made, out = console(terminal=True)
    with RunDisplay(made) as display:
        with display.progress.task("Preparing patients", 3) as bar:
            bar.advance(2)
            display._live.refresh()
        train(display)
        display.note("a note")
        display.end("finished")
        with display.progress.task("Evaluating", 5) as bar:
            bar.advance()
            display._live.refresh()
    text = out.getvalue()
    for shown in (
        "Preparing patients",
        "2/3",
        "tiny · cpu",
        "stage 2/2 joint",
        "epoch 3/3",
        "20/20",
        "Evaluating",
    ):
        assert shown in text
    for shown in ("teacher", "adversarial", "0.125", "a note", "student/ssim"):
        assert shown in text


def test_best_follows_each_metrics_direction() -> None:
    made, _ = console(terminal=False)
    display = RunDisplay(made)
    train(display, stages=1)
    assert display.state.best("student/ssim") == 0.9
    assert display.state.best("student/mse") == 0.25
    display.state.plan = {}
    assert display.state.best("student/ssim") is None


def test_a_resumed_stage_counts_what_was_done_before() -> None:
    made, _ = console(terminal=False)
    display = RunDisplay(made)
    display.begin(PLAN)
    display.stage("joint", 3, 4)
    display.step("joint", 1, 2, 4, {}, 0.5)
    assert (display.state.done, display.state.total) == (2 * 4 + 4 + 3, 20)
    assert display.state.remaining() == 2.5


def test_the_time_left_counts_what_steps_of_later_stages_cost() -> None:
    made, _ = console(terminal=False)
    display = RunDisplay(made)
    costs = {"supervised": (4, 0.5), "joint": (10, 1.5)}
    stages = [
        stage | {"steps per epoch": costs[stage["name"]][0], "seconds per step": costs[stage["name"]][1]}
        for stage in PLAN["stages"]
    ]
    display.begin({**PLAN, "stages": stages})
    display.stage("supervised", 2, 4)
    display.step("supervised", 1, 1, 4, {}, 2.0)  # four times as slow as measured
    assert (display.state.done, display.state.total) == (6, 2 * 4 + 3 * 10)
    assert display.state.remaining() == 2 * 2.0 + 3 * 10 * 3 * 2.0
    display.stage("joint", 3, 10)
    assert display.state.remaining() == 3 * 10 * 3 * 2.0, "the time of a step grew with the stage"
    display.step("joint", 2, 7, 10, {}, 6.0)
    assert (display.state.done, display.state.total) == (8 + 28, 38)
    assert display.state.remaining() == 2 * 6.0


def test_a_failure_leaves_no_live_panel_behind() -> None:
    made, _ = console(terminal=True)
    display = RunDisplay(made)
    with pytest.raises(RuntimeError), display:
        raise RuntimeError
    assert not display._live.is_started


def test_names_of_losses_are_whole_at_80_columns() -> None:
    out = io.StringIO()
    made = Console(file=out, force_terminal=True, width=80, highlight=False, color_system=None)
    with RunDisplay(made) as display:
        display.begin(PLAN)
        display.stage("joint", 3, 4)
        losses = {f"{role}/{role}_image_distillation_of_the_committee (D)": 0.25 for role in ("teacher", "student")}
        display.step("joint", 0, 0, 4, losses, 0.5)
        display.epoch("joint", 0, {"student/a_metric_with_a_long_name": 0.5})
        display.end("finished")
    for name in ("teacher_image_distillation_of_the_committee (D)", "student/a_metric_with_a_long_name"):
        assert name in out.getvalue()


def test_the_elapsed_time_goes_on_across_stages() -> None:
    made, _ = console(terminal=True)
    with RunDisplay(made) as display:
        display.begin(PLAN)
        display.stage("supervised", 2, 4)
        (began,) = [task.start_time for task in display._bars.tasks if task.description == "whole run"]
        display.stage("joint", 3, 4)
        assert [task.start_time for task in display._bars.tasks if task.description == "whole run"] == [began]
