"""Mistakes that authors of datasets make are found, and named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from mistakes import failure


class Unsorted:
    """A dataset whose subjects come in any order."""

    def __init__(self, root: Path) -> None:
        from gantk.data.brats import Brats

        self.brats = Brats(root)

    def subjects(self, progress: Any) -> list[Any]:
        return self.brats.subjects(progress)[::-1]


class Swapped:
    """A dataset that reads files in their own order and names them in the order that is asked for."""

    def __init__(self, root: Path) -> None:
        from gantk.data.brats import Brats

        self.brats = Brats(root)

    def subjects(self, progress: Any) -> list[Any]:
        return self.brats.subjects(progress)

    def read(self, subject: Any, modalities: Any, segmentation: bool = True) -> Any:
        read = self.brats.read(subject, sorted(modalities), segmentation)
        return replace(read, images=dict(zip(modalities, read.images.values(), strict=True)))


def test_wrong_datasets(tmp_path: Path) -> None:
    assert "not sorted by id" in failure(Unsorted, "dataset", "subjects", tmp_path)
    assert "when modalities are asked for in another order" in failure(Swapped, "dataset", "slices", tmp_path / "two")


class Turned(Swapped):
    """A dataset that reads a volume upside down after the first time."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads = 0

    def read(self, subject: Any, modalities: Any, segmentation: bool = True) -> Any:
        read = self.brats.read(subject, modalities, segmentation)
        self.reads += 1
        if self.reads == 1:
            return read
        return replace(read, images={name: image[..., ::-1] for name, image in read.images.items()})


def test_a_volume_with_its_slices_in_another_order(tmp_path: Path) -> None:
    assert "the volume of 't1' is another" in failure(Turned, "dataset", "volumes", tmp_path)
