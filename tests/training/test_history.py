"""The networks of the last epochs, kept for schedulers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from gantk.errors import CheckpointError, GantkError
from gantk.training.history import History
from gantk.training.scheduler import Stage
from tiny_engine import assert_equal

pytestmark = pytest.mark.slow


def test_history_stays_in_its_folder(engine: Any, tmp_path: Path) -> None:
    """And tells the role `a-b` in the stage `c` from `b` in `c-a`."""
    network = engine().state.translators["g"]
    folder = tmp_path / "run" / "history"
    history = History(folder)
    for stage, role in (("c", "a-b"), ("c-a", "b")):
        history.record(Stage(stage, 1, (role,), history=1), 0, {role: network})
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 2
    for stage, role in (("../../evil", "g"), ("one", "../../../evil"), ("..", "g"), ("one", "a/b")):
        with pytest.raises(GantkError, match="cannot be the name of a file"):
            history.record(Stage(stage, 1, (role,), history=1), 0, {role: network})
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_history_keeps_what_is_promised(engine: Any, tmp_path: Path) -> None:
    translators = engine().state.translators
    history, stage = History(tmp_path / "history"), Stage("one", 9, ("g",), history=2)
    before = {name: tensor.clone() for name, tensor in translators["g"].state_dict().items()}
    history.record(stage, 0, translators)
    for parameter in translators["g"].parameters():
        parameter.data.add_(1)
    history.record(stage, 1, translators)
    history.record(stage, 2, translators)
    history.restore(translators["g"], "one", 0)
    assert_equal(translators["g"].state_dict(), before)
    history.record(stage, 3, translators)
    with pytest.raises(CheckpointError, match="after epoch 0 of 'one' could not be loaded"):
        history.restore(translators["g"], "one", 0)
    shutil.rmtree(tmp_path / "history")
    history.record(Stage("none", 9, ("g",)), 0, translators)
    assert not (tmp_path / "history").exists()
