"""Runs in Jupyter: one line that moves while training, and results as cells show them."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from gantk.api import notebook
from gantk.api.notebook import NotebookDisplay, notebook_display, show


class Cell:
    """IPython.display and one cell's output."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    HTML = staticmethod(str)

    def display(self, content: Any, display_id: bool = False) -> Cell:
        self.shown.append(content)
        return self

    def update(self, content: str) -> None:
        self.shown.append(content)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    """This process as a kernel of Jupyter."""
    made = Cell()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1)))
    monkeypatch.setattr(notebook, "_ipython", lambda: made)
    return made


@pytest.mark.parametrize("shell", [None, SimpleNamespace()])
def test_a_script_and_a_terminal_of_ipython_are_no_notebook(monkeypatch: pytest.MonkeyPatch, shell: Any) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert notebook_display() is None
    monkeypatch.delitem(sys.modules, "IPython")
    assert notebook_display() is None


def test_the_line_tells_stage_time_and_validation(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(notebook.time, "monotonic", lambda: now[0])
    display = notebook_display()
    assert isinstance(display, NotebookDisplay)
    display.begin({})
    display.stage("<joint>", 2, 10)
    display.step("<joint>", 0, 4, 10, {}, 2.0)
    assert cell.shown[-1] == (
        '<progress value="0.2500" max="1"></progress> &lt;joint&gt;, epoch 1 of 2, about 30 s left in this stage. '
    )
    now[0] += 0.1
    before = len(cell.shown)
    display.step("<joint>", 0, 5, 10, {}, 2.0)
    assert len(cell.shown) == before, "a few times a second at most"
    now[0] += 60
    display.epoch("<joint>", 0, {"g/ssim": 0.87654})
    assert "epoch 1 of 2, 1 min 00 s so far. g/ssim 0.8765" in cell.shown[-1]
    display.end("finished")
    assert cell.shown[-1] == "Training finished after 1 min 00 s. g/ssim 0.8765"


def test_a_result_is_shown_as_a_cell_shows_it(cell: Cell) -> None:
    result: Any = SimpleNamespace(folder=None)
    show(result)
    assert cell.shown == [result]
