"""The best epoch's checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gantk.errors import CheckpointError, Interrupted
from gantk.training.best import Best, best_checkpoint, evaluated_checkpoint
from gantk.training.checkpoint import list_checkpoints, newest_checkpoint, restore
from tiny_engine import assert_equal, weights

pytestmark = pytest.mark.slow


VALUES = [0.2, 0.5, 0.4]


@pytest.mark.parametrize(("higher", "wanted"), [(True, 8), (False, 4)])
def test_the_best_epoch_is_kept_beside_the_newest(engine: Any, higher: bool, wanted: int) -> None:
    tested = engine(training={"keep_checkpoints": 1})
    tested.validate = lambda plan, position: {"g/m": VALUES[position.epoch]}
    tested.best = Best(tested.checkpoints, "g/m", higher)
    tested.run()
    assert sorted(path.name for path in tested.checkpoints.iterdir()) == [f"best-{wanted:08d}", "step-00000012"]
    best = evaluated_checkpoint(tested.checkpoints, "best")
    assert best is not None
    assert best.facts["best"] == {
        "metric": "g/m",
        "value": VALUES[wanted // 4 - 1],
        "higher_is_better": higher,
    }
    last = evaluated_checkpoint(tested.checkpoints, "last")
    assert last is not None
    assert last.position.total == 12
    assert "best" not in last.facts


@pytest.mark.parametrize("stop_after", [1, 4, 5, 7, 8, 9, 11])
def test_the_best_epoch_survives_a_resume(engine: Any, tmp_path: Path, stop_after: int) -> None:
    def prepared(folder: str, stopping: Any = lambda: False) -> Any:
        made = engine(stopping, tmp_path / folder, training={"checkpoint_every": 3})
        made.validate = lambda plan, position: {"g/m": VALUES[position.epoch]}
        made.best = Best(made.checkpoints, "g/m", True)
        return made

    whole = prepared("whole")
    whole.run()
    calls: list[int] = []
    with pytest.raises(Interrupted):
        prepared("cut", lambda: calls.append(1) or len(calls) > stop_after).run()
    resumed = prepared("cut")
    restore(resumed.state, newest_checkpoint(resumed.checkpoints))
    resumed.run()
    ours, theirs = (best_checkpoint(e.checkpoints) for e in (resumed, whole))
    assert ours is not None
    assert theirs is not None
    assert ours.folder.name == theirs.folder.name
    assert_equal(ours.tensors(), theirs.tensors())
    assert_equal(weights(resumed), weights(whole))


def test_a_kill_between_the_best_checkpoint_and_the_newest_loses_neither(engine: Any, tmp_path: Path) -> None:
    tested = engine()
    tested.validate = lambda plan, position: {"g/m": VALUES[position.epoch]}
    tested.best = Best(tested.checkpoints, "g/m", True)
    tested.run()
    (kept,) = list_checkpoints(tested.checkpoints, "best")
    shutil.copytree(kept, kept.with_name("best-00000004"))  # two, where the former was not removed any more
    before = json.loads((kept / "checkpoint.json").read_text())
    again = engine()
    again.validate = tested.validate
    again.best = Best(tested.checkpoints, "g/m", True)
    for folder in list_checkpoints(tested.checkpoints):
        shutil.rmtree(folder)
    again.run()
    best = best_checkpoint(tested.checkpoints)
    assert best is not None
    assert best.facts["best"] == before["best"]


def test_a_damaged_best_checkpoint_is_called_so(engine: Any) -> None:
    tested = engine()
    tested.validate = lambda plan, position: {"g/m": 1.0}
    tested.best = Best(tested.checkpoints, "g/m", True)
    tested.run()
    (folder,) = list_checkpoints(tested.checkpoints, "best")
    (folder / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"best epoch is damaged.*evaluation\.checkpoint"):
        best_checkpoint(tested.checkpoints).tensors()  # type: ignore[union-attr]
