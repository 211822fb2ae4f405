"""The command line, called in this process."""

from __future__ import annotations

from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from gantk.cli.main import app


def call(*arguments: str | Path) -> Result:
    """What `gantk ARGUMENTS` answers."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
