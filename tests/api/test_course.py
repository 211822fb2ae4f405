"""How the course of a run ends: what its state, hooks and user are told, and how to go on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from base_recipe import least
from gantk.api.course import Course, checkpoint_facts
from gantk.api.display import Display
from gantk.api.signals import StopSignals
from gantk.data.meaning import Meaning
from gantk.data.split import Split
from gantk.errors import DataError, Interrupted, MemoryShortage, RecipeError, TrainingError
from gantk.training.scheduler import Stage
from gantk.training.world import World
from told import Told

SPLIT = Split(("a", "b"), (), ("c",), ("d",))


class Hooks:
    """Records the calls of hooks."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda **facts: self.told.append((name, facts.get("error", facts.get("summary"))))


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A course whose training raises `ends`, or ends without an error."""
    session: Any = SimpleNamespace(hook=Hooks())
    state: Any = SimpleNamespace(position=SimpleNamespace(total=0))
    made: Any = Course(
        tmp_path,
        least(tracking={"enabled": False}),
        session,
        SimpleNamespace(split=SPLIT),
        state,
        Display(Told()),
        StopSignals(),
        World(),
    )  # type: ignore[arg-type]
    made.ends = None

    def train(self: Any) -> None:
        if made.ends is not None:
            raise made.ends

    monkeypatch.setattr(Course, "_take_up", lambda self: None)
    monkeypatch.setattr(Course, "_train_and_tell", train)
    monkeypatch.setattr(Course, "_evaluate", lambda self: {"methods": {}})
    monkeypatch.setattr("gantk.report.html.write_report", lambda folder: folder / "report.html")
    return made


def status(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "status.json").read_text())


def test_a_run_that_ends_well(course: Any) -> None:
    result = course.carry_out(None)
    assert (result.state, result.summary, result.report) == ("finished", {"methods": {}}, course.folder / "report.html")
    assert status(course.folder)["state"] == "finished"
    assert course.session.hook.told == [("before_run", None), ("after_run", {"methods": {}})]


@pytest.mark.parametrize(
    ("error", "raised", "state"),
    [
        (KeyboardInterrupt(), Interrupted, "interrupted"),
        (Interrupted("a signal came"), Interrupted, "interrupted"),
        (TrainingError("a loss became NaN"), TrainingError, "failed"),
        (OSError(28, "No space left on device", "metrics.jsonl"), TrainingError, "failed"),
        (ZeroDivisionError("of a plugin"), ZeroDivisionError, "failed"),
    ],
)
def test_a_run_that_does_not_is_recorded_and_plugins_are_told(
    course: Any, error: BaseException, raised: type[BaseException], state: str
) -> None:
    course.ends = error
    with pytest.raises(raised) as caught:
        course.carry_out(None)
    assert status(course.folder)["state"] == state
    assert type(course.session.hook.told[-1][1]) is type(error)
    if raised is Interrupted or isinstance(error, OSError):
        assert caught.value.command == f"gantk run --resume {shlex.quote(str(course.folder))}"  # type: ignore[attr-defined]
    if isinstance(error, OSError):
        assert "metrics.jsonl: a file of the run cannot be read or written. No space left" in str(caught.value)
    assert not course.signals.over


def test_several_processes_are_resumed_as_several(course: Any) -> None:
    course.processes = World(size=4)
    course.ends = Interrupted("a signal came")
    with pytest.raises(Interrupted) as caught:
        course.carry_out(None)
    assert str(caught.value.command).endswith(" --processes 4")


def test_seconds_of_several_calls_add_up(course: Any) -> None:
    course.spent_before = 500.0
    course.carry_out(None)
    assert 500 <= status(course.folder)["seconds"] < 600


def test_another_split_is_refused_before_anything_is_restored(course: Any) -> None:
    Split(("x",), (), ("c",), ("d",)).to_csv(course.folder / "split.csv")
    with pytest.raises(DataError, match="its split is different now"):
        course.restore()


def test_a_metric_that_is_left_out_cannot_choose_the_best_epoch(course: Any) -> None:
    assert course._best({}) is None
    tables = {"training": {"keep_best": {"metric": "mae_unit"}}, "evaluation": {"metrics": ["mae_unit"]}}
    course.recipe = least(**tables)
    with pytest.raises(RecipeError, match=r"'mae_unit' is monitored, but it is left out.*no absolute unit"):
        course._best({})
    best = course._best({"mae_unit": SimpleNamespace(higher_is_better=False)})
    assert not best.higher_is_better


def test_a_checkpoint_tells_what_a_prediction_needs() -> None:
    cohort: Any = SimpleNamespace(fingerprint="0123456789ab", split=SPLIT, meaning=Meaning())
    facts = json.loads(json.dumps(checkpoint_facts(least(), cohort, [{"name": "mine"}], 2)))
    assert Split.from_dict(facts["split"]) == SPLIT
    assert facts["split"]["hash"] == SPLIT.hash
    assert Meaning.from_dict(facts["meaning"]) == Meaning()
    assert 'name = "least"' in facts["recipe"]
    assert (facts["data"], facts["processes"], facts["plugins"]) == ("0123456789ab", 2, [{"name": "mine"}])


def test_a_step_whose_cost_cannot_be_measured_leaves_it_unknown(course: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: Any) -> None:
        raise MemoryShortage("too little memory")

    monkeypatch.setattr("gantk.api.course.step_cost", short)
    course.state = SimpleNamespace(position=SimpleNamespace(stage=0), assembly=None, device=None)
    engine: Any = SimpleNamespace(
        stages=[Stage("one", 1, ("g",)), Stage("two", 2, ("g", "h"))], steps_per_epoch=lambda stage: 4
    )
    unknown = {"steps per epoch": 4, "seconds per step": None}
    assert course._stages(engine) == [
        {"name": "one", "epochs": 1, "roles": ["g"], **unknown},
        {"name": "two", "epochs": 2, "roles": ["g", "h"], **unknown},
    ]
