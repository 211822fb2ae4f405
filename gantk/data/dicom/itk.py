"""Reading DICOM with SimpleITK: headers, their grouping into volumes, and conversion to NIfTI."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gantk.data.dicom.series import Series
from gantk.data.recognize import is_dicom
from gantk.files import atomic_write, walk_folders
from gantk.progress import Progress

__all__ = ["all_series", "convert"]

_UNEVEN = 0.1  # largest deviation of a gap between slices from the median gap, as a fraction of it
_SHEAR = 0.05  # largest sideways shift between slices, as a fraction of the gap
_STORED = ".dcm", ".ima", ".dicom"
# the DICOM tags of facts, by column of a table
_FACTS = {
    "sex": "0010|0040",
    "age": "0010|1010",
    "site": "0008|0080",
    "scanner": "0008|1090",
    "field_strength": "0018|0087",
}


@dataclass(frozen=True)
class Header:
    """The header of one DICOM file.

    Attributes:
        path: the file.
        tags: values as text, by `group|element`.
        origin: position of the first voxel in mm, LPS.
        direction: (3, 3), the unit vectors of the axes as columns.
        spacing: voxel size in mm.
        size: voxels along the axes; an enhanced file has more than one slice.
    """

    path: Path
    tags: Mapping[str, str]
    origin: np.ndarray
    direction: np.ndarray
    spacing: tuple[float, ...]
    size: tuple[int, ...]

    def tag(self, key: str) -> str:
        """A tag's text; empty if the tag is missing."""
        return self.tags.get(key, "").strip().strip("\0")

    @property
    def volume(self) -> tuple[object, ...]:
        """The key that files of one volume share: series, kind of image, echo, grid and orientation."""
        turned = tuple(np.round(self.direction, 2).ravel() + 0.0)
        return self.tag("0020|000e"), self.tag("0008|0008"), self.tag("0018|0081"), self.size, turned


def all_series(root: Path, progress: Progress) -> list[Series]:
    """All series below a folder, found by reading the headers of all files; non-DICOM files are skipped.

    Raises:
        OSError: a folder cannot be read.
    """
    files = [file for _, found in walk_folders(root) for file in found]
    found = {}
    with progress.task("Reading headers", len(files)) as bar:
        for file in files:
            if file.suffix.lower() in _STORED or is_dicom(file):
                found[file] = _header(file)
            bar.advance()
    unread = [file for file, header in found.items() if header is None]
    if unread:
        progress.note(f"{len(unread)} DICOM files are not images or are damaged, and are left out: {unread[0]}, …")
    return volumes_of(header for header in found.values() if header is not None)


def convert(jobs: Sequence[tuple[Series, Path]]) -> Iterator[tuple[Series, str]]:
    """Write series as NIfTI files, several in parallel, with rescale slope and intercept applied.

    Each file is written atomically.

    Yields:
        Each series when it is done, with the error message, empty if it succeeded.
    """
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        waiting = {pool.submit(_write, series, path): series for series, path in jobs}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


def volumes_of(headers: Iterable[Header]) -> list[Series]:
    """The volumes that the files form, with slices in order along the normal."""
    groups: dict[tuple[object, ...], list[Header]] = defaultdict(list)
    for header in headers:
        groups[header.volume].append(header)
    parts: Counter[object] = Counter()
    series = []
    for key, group in sorted(groups.items(), key=lambda item: str(item[0])):
        parts[key[0]] += 1
        series.append(_series(f"{key[0]}/{parts[key[0]]}", group))
    return sorted(series, key=lambda one: (one.patient, one.study, one.number, one.key))


def _series(key: str, headers: Sequence[Header]) -> Series:
    first = headers[0]
    normal = first.direction[:, 2]
    ordered = sorted(headers, key=lambda header: float(header.origin @ normal))
    gap, fault = _gap(ordered, normal) if len(ordered) > 1 or first.size[2] == 1 else (first.spacing[2], "")
    number = first.tag("0020|0011")
    return Series(
        key=key,
        patient=first.tag("0010|0020"),
        study=first.tag("0020|000d"),
        date=first.tag("0008|0020"),
        number=int(number) if number.lstrip("-").isdecimal() else 0,
        description=first.tag("0008|103e"),
        protocol=first.tag("0018|1030"),
        kind=first.tag("0008|0060"),
        agent=first.tag("0018|0010"),
        image_type=tuple(first.tag("0008|0008").split("\\")),
        folder=first.path.parent,
        files=tuple(header.path for header in ordered),
        slices=len(ordered) * first.size[2],
        side=max(*first.spacing[:2], gap),
        fault=fault,
        facts={name: _plain(text) for name, tag in _FACTS.items() if (text := first.tag(tag))},
    )


def _plain(text: str) -> str:
    """`045Y` as 45."""
    age = re.fullmatch(r"0*(\d+)Y", text)
    return age[1] if age else text


def _gap(ordered: Sequence[Header], normal: np.ndarray) -> tuple[float, str]:
    """The distance between slices in mm, and why they do not form a volume (empty if they do)."""
    if len(ordered) < 2:
        return ordered[0].spacing[2], "it has a single slice"
    places = np.array([header.origin for header in ordered])
    steps = np.diff(places, axis=0)
    gaps = steps @ normal
    gap = float(np.median(gaps))
    if (gaps < 1e-3).any():
        return gap, "several slices have the same position, as in a time series"
    if np.abs(gaps - gap).max() > _UNEVEN * gap:
        missing = round(float((gaps / gap - 1).clip(0).sum()))
        told = f"{missing} slices are missing" if missing else "its slices are unevenly spaced"
        return gap, told
    if np.linalg.norm(steps - gaps[:, None] * normal, axis=1).max() > _SHEAR * gap:
        return gap, "its slices are sheared (gantry tilt); dcm2niix can straighten them"
    return gap, ""


def _header(file: Path) -> Header | None:
    """The header of a DICOM image; None for a report, a DICOMDIR or a damaged file."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    with suppress(RuntimeError):
        reader.ReadImageInformation()
        size = (*reader.GetSize(), 1)[:3]
        tags = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
        direction = np.array(reader.GetDirection()).reshape(reader.GetDimension(), -1)[:3, :3]
        return Header(file, tags, np.array(reader.GetOrigin()[:3]), direction, reader.GetSpacing()[:3], size)
    return None


def _write(series: Series, path: Path) -> str:
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([str(file) for file in series.files])
    try:
        image = reader.Execute() if len(series.files) > 1 else sitk.ReadImage(str(series.files[0]))
        if image.GetNumberOfComponentsPerPixel() > 1:
            return "it is in color"
        if image.GetPixelID() == sitk.sitkFloat64:
            image = sitk.Cast(image, sitk.sitkFloat32)
        for key in image.GetMetaDataKeys():
            image.EraseMetaData(key)
        with atomic_write(path) as temporary:
            sitk.WriteImage(image, str(temporary), useCompression=True)
    except (RuntimeError, OSError) as error:
        return str(error).strip().splitlines()[-1]
    return ""
