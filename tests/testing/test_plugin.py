"""The plugin of pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_pytest_is_imported_by_the_plugin_alone() -> None:
    code = (
        "import sys, gantk.testing as t; [getattr(t, n) for n in t.__all__]; t.conformance('loss'); "
        "assert 'pytest' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_an_authors_test_file(tmp_path: Path) -> None:
    """A test file as an author writes it: one class, one fixture."""
    (tmp_path / "test_mine.py").write_text(
        """
import gantk.testing

pytest_plugins = ["gantk.testing.plugin"]


class Mine:
    "A loss."

    def __call__(self, view):
        return (view.target - view.output).square().mean()


class TestMine(gantk.testing.LossConformance):
    component = Mine
    mappable = False
    test_second_order = None


def test_cohort(gantk_cohort, gantk_session, gantk_group, gantk_run):
    assert len(list(gantk_cohort.glob("P*"))) == 10
    assert "mine" in gantk_session(loss={"mine": Mine}).registry.names("loss")
    assert len(gantk_group(3)) == 3
"""
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    assert "failed" not in done.stdout
