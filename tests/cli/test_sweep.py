"""The display of a sweep in a terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gantk.cli.sweep import LiveSweep
from gantk.sweeps.sweep import ChildState


@pytest.mark.parametrize("live", [True, False])
def test_the_display_counts_and_estimates(live: bool, make_console: Callable[[], Any]) -> None:
    children = [ChildState(f"child-{i}", f"Label {i}", Path(f"child-{i}"), total=10) for i in range(3)]
    children[0].state, children[0].done = "finished", 8  # it converged early: it counts as whole
    console = make_console()
    with LiveSweep(console, live=live) as display:
        display.begin("table", children, alone=False)
        children[1].state = "running"
        display.started(children[1])
        children[1].done, children[1].stage = 5, "joint"
        display._last_line = -1e9  # a minute later
        display.look()
        if not live:
            assert "1 of 3 runs finished · ETA 0 s · child-1 5/10" in console.file.getvalue()
        else:
            assert display._bars is not None
            console.print(display._bars.get_renderable())
        children[1].state, children[1].message = "failed", "a loss became NaN"
        display.ended(children[1])
    said = console.file.getvalue()
    assert "sweep table: 3 runs, 1 finished already" in said
    assert "[2/3] child-1 failed: a loss became NaN" in said
    if live:
        assert "15/30" in said
        assert "5/10" in said


@pytest.fixture
def make_console() -> Callable[[], Any]:
    import io

    from rich.console import Console

    return lambda: Console(file=io.StringIO(), force_terminal=False, width=200)
