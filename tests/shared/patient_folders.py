"""Folders of empty files, and the patients that a reader finds in them."""

from __future__ import annotations

import re
from pathlib import Path

from gantk.data.brats import Brats
from gantk.errors import DataError
from told import Told

__all__ = ["harmless", "listed", "touch"]


def touch(root: Path, *names: str) -> None:
    """Make empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def harmless(error: DataError) -> None:
    """Check that an error does not advise deleting or renaming files that may be good."""
    assert not re.search("remove|delete|rename", str(error), re.IGNORECASE)


def listed(root: Path) -> tuple[dict[str, set[str]], str]:
    """Patients with their modalities, and the notes."""
    told = Told()
    return {s.id: set(s.files) for s in Brats(root).subjects(told)}, "\n".join(told.notes)
