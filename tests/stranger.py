"""A new user's environment: gantk from a wheel, the libraries that it depends on, and nothing of this repository.

There is no network: libraries and build backends come from the environment that runs the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

__all__ = ["Fresh", "build_wheel"]

ROOT = Path(__file__).parents[1]


class Fresh:
    """An environment made for a test, and an empty folder to work in.

    Attributes:
        here: the folder in which commands run.
        packages: where the environment's own packages are installed.
    """

    def __init__(self, folder: Path) -> None:
        self.environment, self.here = folder / "environment", folder / "here"
        self.here.mkdir()
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.environment], check=True)
        found = subprocess.run(
            [self.bin / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True,
            text=True,
            check=True,
        )
        self.packages = Path(found.stdout.strip())
        # a path from a .pth file is searched last, and its own .pth files, as of editable installs, are not read
        (self.packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))

    @property
    def bin(self) -> Path:
        return self.environment / ("Scripts" if os.name == "nt" else "bin")

    def call(self, *command: str | Path) -> str:
        """Run a command of the environment; returns its standard output."""
        program, *arguments = command
        kept = ("SYSTEMROOT", "TEMP", "GANTK_CACHE", "OMP_NUM_THREADS")
        variables = {name: os.environ[name] for name in kept if name in os.environ}
        variables |= {"PATH": f"{self.bin}{os.pathsep}{os.defpath}", "HOME": str(self.here.parent)}
        # no network, no index: the libraries include the build backend and the plugins' requirements
        variables |= {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        done = subprocess.run(
            [self.bin / program, *arguments], cwd=self.here, env=variables, capture_output=True, text=True, timeout=500
        )
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def install(self, *what: str | Path) -> None:
        """Install wheels, or folders (wheels are built first); the libraries include their requirements.

        Packages that are among the libraries, too, are installed anyway, because they have no scripts here.
        """
        self.call("python", "-m", "pip", "install", "-q", "--ignore-installed", "--no-deps", *what)


def build_wheel(source: Path, folder: Path) -> Path:
    """The wheel of a distribution's source folder, built into another folder."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*command, "--disable-pip-version-check", "--wheel-dir", folder, source], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel
