"""One DICOM series as its headers tell it, and what reads and converts such series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gantk.progress import Progress

__all__ = ["Converter", "Job", "Series"]


@dataclass(frozen=True)
class Series:
    """A volume that a scanner stored, or the part of a series that is one volume.

    Attributes:
        key: unique to this volume.
        patient: PatientID.
        study: StudyInstanceUID.
        date: StudyDate, YYYYMMDD; empty where it was removed.
        number: SeriesNumber.
        description: SeriesDescription.
        protocol: ProtocolName.
        kind: Modality, such as MR or CT.
        agent: ContrastBolusAgent.
        image_type: ImageType.
        folder: where its files are.
        files: in the order of their slices; empty where the converter finds them again by itself.
        slices: how many; None where the headers were not told.
        side: the longest side of a voxel in mm; None where the headers do not tell.
        fault: why it cannot be a volume, empty where it can.
        facts: what else is known of the patient and the scanner, by column of a table.
    """

    key: str
    patient: str
    study: str
    date: str = ""
    number: int = 0
    description: str = ""
    protocol: str = ""
    kind: str = "MR"
    agent: str = ""
    image_type: tuple[str, ...] = ()
    folder: Path = Path()
    files: tuple[Path, ...] = ()
    slices: int | None = None
    side: float | None = None
    fault: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def derived(self) -> bool:
        """Whether it was computed from other images."""
        return self.image_type[:1] == ("DERIVED",)


Job = tuple[Series, Path]
"""A series, and the NIfTI file that it becomes."""


class Converter(Protocol):
    """Reads the headers of DICOM files, and writes series as NIfTI.

    Attributes:
        name: its program and version.
    """

    name: str

    def series(self, root: Path, progress: Progress) -> list[Series]:
        """All series below a folder.

        Raises:
            OSError: a folder cannot be read.
        """

    def convert(self, jobs: Sequence[Job]) -> Iterator[tuple[Series, str]]:
        """Write series; each file appears whole or not at all.

        Yields:
            Each series as it is done, and what went wrong, empty for nothing.
        """
