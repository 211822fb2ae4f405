"""`gantk new`: what it writes passes its own tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plugin", "My Loss", "--kind", "loss"], "cannot be called 'My Loss'"),
        (["plugin", "json", "--kind", "loss"], "the module 'json' already exists"),
        (["plugin", "gantk", "--kind", "loss"], "the module 'gantk' already exists"),
        (["plugin", "my-loss", "--kind", "los"], "did you mean 'loss'?"),
        (["recipe", "mine", "--like", "pix2pixx"], "did you mean 'pix2pix'?"),
        (["recipe", "mine", "--like", "tables/table1"], "describes several runs"),
        (["recipe", "../mine", "--like", "pix2pix"], "a recipe cannot be called '../mine'"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = call("new", *arguments, "--out", tmp_path)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    for arguments in (["plugin", "my-loss", "--kind", "loss"], ["recipe", "mine", "--like", "pix2pix"]):
        assert call("new", *arguments, "--out", tmp_path).exit_code == 0
        again = call("new", *arguments, "--out", tmp_path)
        assert again.exit_code == 2
        assert "already exists" in again.stderr
