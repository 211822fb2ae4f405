"""The command line, called in this process or a new one, and a recipe for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from gantk.cli.main import app

RECIPE = """
name = "tiny"
[data]
dataset = "phantom"
inputs = ["t1", "t2"]
target = "t1ce"
crop = [32, 32]
batch = { paired = 2 }
[translators.g]
generator = { use = "unet", levels = 3, channels = 4 }
[translators.g.optimizer]
rates = { generator = 1e-3 }
[losses.pixelwise]
use = "l1"
on = "g"
[schedule]
use = "constant"
epochs = 1
"""


def call(*arguments: str | Path) -> Result:
    """The exit code and output of `gantk ARGUMENTS`."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def alone(
    *arguments: str, heavy: tuple[str, ...] = ("torch", "mlflow"), folder: Path | None = None
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run `gantk ARGUMENTS` in a separate process; returns which of these modules it imported."""
    code = (
        "import sys; from gantk.cli.main import main\n"
        f"sys.argv = ['gantk', *{list(arguments)}]\n"
        "try: main()\n"
        f"finally: print(*(m for m in {heavy} if m in sys.modules), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder, check=False)
    return done, done.stderr.splitlines()[-1].split()
