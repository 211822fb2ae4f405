"""The pace of a run."""

from __future__ import annotations

from gantk.tracking.pace import Pace


def test_the_epoch_and_the_time_of_a_step() -> None:
    pace, told = Pace(), []
    times = [0, 1, 2, 50, 51, 52, 53]  # a pause before the second epoch's first step
    for step, moment in enumerate(times):
        record = {"step": step, "stage": "a" if step < 3 else "b", "epoch": 0, "time": moment, "metrics": {"x": 1}}
        told += pace.of(record)
    told += pace.end()
    assert [(r["step"], r["metrics"]) for r in told] == [
        (0, {"run/epoch": 0}),
        (2, {"run/seconds per step": 1}),
        (3, {"run/epoch": 1}),
        (6, {"run/seconds per step": 1}),
    ]
