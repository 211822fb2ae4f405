"""Validation after an epoch: the same slices each time, means over all processes, and pictures when they are due."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gantk.api import validation
from gantk.api.validation import Validation
from gantk.data.batch import Group
from gantk.evaluation.metrics import Mae
from gantk.training.state import Position

SLICES = {"P1": 5, "P2": 3, "P3": 4}


class Loader:
    """Slices whose target is the number of the row, in hundredths."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def rows(self, rows: list[tuple[str, int]]) -> Group:
        self.asked += rows
        target = torch.tensor([row / 100 for _, row in rows])[:, None, None, None].expand(-1, 1, 4, 4)
        return Group(target, target, None, tuple(p for p, _ in rows), tuple(row for _, row in rows))

    def panel_rows(self, patients: list[str], count: int) -> list[tuple[str, int]]:
        return [(patient, 0) for patient in patients][:count]


class Others:
    """One of two processes; all values of the other one are 1."""

    def __init__(self, rank: int = 0) -> None:
        self.rank, self.size, self.first = rank, 2, rank == 0

    def gather(self, values: Mapping[str, list[float]]) -> list[Mapping[str, list[float]]]:
        return [values, {name: [1.0] for name in values}]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A validation of two roles, of which `b` is off by a tenth, and an average of `b`."""
    monkeypatch.setattr(validation, "measured", lambda state, groups: iter(groups))
    monkeypatch.setattr(
        validation, "predictor", lambda state, role, loader: lambda g: g.target + (0.2 if role == "b" else 0.0)
    )
    drawn: list[tuple[str, int]] = []
    monkeypatch.setattr(validation, "examples", lambda state, plan, group, roles, recipe, loader: tuple(roles))
    monkeypatch.setattr(validation, "draw_panel", lambda shown: shown)
    monkeypatch.setattr(validation, "save_panel", lambda folder, step, panel: drawn.append((panel, step)))

    def make(slices: int = 6, measured: bool = True, world: Any = None) -> Any:
        training = SimpleNamespace(validation_slices=slices, panel_slices=1, panel_due=lambda epoch: epoch % 2 == 0)
        roles = {name: SimpleNamespace(average_of=of) for name, of in (("a", None), ("b", None), ("mean", "b"))}
        recipe = SimpleNamespace(
            training=training,
            translators=roles,
            answering=["a", "b", "mean"],
            evaluation=SimpleNamespace(batch=4),
            data=SimpleNamespace(crop=(4, 4), dimensions=2),
        )
        cohort = SimpleNamespace(
            loader=Loader(),
            split=SimpleNamespace(validation=list(SLICES)),
            store={patient: SimpleNamespace(z=range(count)) for patient, count in SLICES.items()},
            measured=lambda patients, recipe: list(patients) if measured else [],
            shown=lambda patients: list(patients),
            targets=lambda patients, recipe: list(patients),
        )
        state = SimpleNamespace(recipe=recipe, device=torch.device("cpu"))
        found: Any = Validation(state, cohort, {"mae": Mae()}, tmp_path, world)  # type: ignore[arg-type]
        found.drawn = drawn
        return found

    return make


PLAN: Any = SimpleNamespace(roles=("a", "b"))


def test_the_mean_of_every_metric_of_each_role_that_learns_or_follows(made: Any) -> None:
    found = made()(PLAN, Position(0, 1, 0, 9))
    assert found == pytest.approx({"a/mae": 0.0, "b/mae": 0.1, "mean/mae": 0.0}, abs=1e-6)
    alone: Any = SimpleNamespace(roles=("b",))
    assert set(made()(alone, Position(0, 1, 0, 9))) == {"b/mae", "mean/mae"}


@pytest.mark.parametrize(("slices", "seen"), [(3, 3), (6, 6), (100, 12)])
def test_slices_are_spread_over_all_patients_and_the_same_each_time(made: Any, slices: int, seen: int) -> None:
    validated = made(slices)
    validated(PLAN, Position(0, 1, 0, 9))
    first = list(validated.cohort.loader.asked)
    validated.cohort.loader.asked.clear()
    validated(PLAN, Position(0, 3, 0, 20))
    assert validated.cohort.loader.asked == first
    assert len(set(first)) == len(first) == seen
    assert {first[0], first[-1]} == {("P1", 0), ("P3", 3)}
    assert {patient for patient, _ in first} == set(SLICES)


def test_processes_share_the_slices_and_have_one_mean(made: Any) -> None:
    parts = []
    for rank in (0, 1):
        validated = made(6, world=Others(rank))
        found = validated(PLAN, Position(0, 1, 0, 9))
        parts.append(validated.cohort.loader.asked)
        assert found["a/mae"] == pytest.approx(1.0 / 4)  # three own values, which are 0, and the other process's 1
    whole = made(6)
    whole(PLAN, Position(0, 1, 0, 9))
    assert sorted(parts[0] + parts[1]) == sorted(whole.cohort.loader.asked)
    assert not set(parts[0]) & set(parts[1])


def test_panels_are_drawn_when_they_are_due_and_by_one_process(made: Any) -> None:
    validated = made()
    validated.begin(PLAN)
    validated(PLAN, Position(0, 1, 0, 9))
    validated(PLAN, Position(0, 2, 0, 12))
    assert validated.drawn == [(("a", "b", "mean"), 0), (("a", "b", "mean"), 12)]
    other = made(world=Others(1))
    other.drawn.clear()
    other.begin(PLAN)
    other(PLAN, Position(0, 2, 0, 12))
    assert other.drawn == []


def test_without_pairs_metrics_of_pairs_are_left_out(made: Any) -> None:
    validated = made(measured=False)
    assert validated(PLAN, Position(0, 2, 0, 12)) == {}
    assert validated.metrics == {}
    assert validated.rows == []
