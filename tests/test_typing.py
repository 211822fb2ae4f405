"""The types that the package promises (`py.typed`), as a user's type checker reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_a_strangers_plugin_is_checked_strictly(tmp_path: Path) -> None:
    (tmp_path / "third_party.py").write_bytes((HERE / "typing" / "third_party.py").read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-warn-return-any", "third_party.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
