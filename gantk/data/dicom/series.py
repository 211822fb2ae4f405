"""One DICOM series as described by its headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Series"]


@dataclass(frozen=True)
class Series:
    """One volume: a whole DICOM series, or the part of a series that forms one volume.

    Attributes:
        key: unique to this volume.
        patient: PatientID.
        study: StudyInstanceUID.
        date: StudyDate, YYYYMMDD; empty if it was removed.
        number: SeriesNumber.
        description: SeriesDescription.
        protocol: ProtocolName.
        kind: Modality, such as MR or CT.
        agent: ContrastBolusAgent.
        image_type: ImageType.
        folder: the folder of its files.
        files: its files in the order of their slices.
        slices: number of slices.
        side: the longest side of a voxel in mm.
        fault: why the files do not form a volume; empty if they do.
        facts: further facts about the patient and the scanner, by column of a table.
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
    slices: int = 0
    side: float = 0.0
    fault: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def derived(self) -> bool:
        """Whether the series was computed from other images."""
        return self.image_type[:1] == ("DERIVED",)
