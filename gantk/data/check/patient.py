"""The check of one patient: reads each file once and reports its grid, intensities, labels and what looks wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np

from gantk.data.check.agreement import displacement, is_mirrored
from gantk.data.foreground import check_plausible, find_background, find_foreground
from gantk.data.modalities import MASK, SEGMENTATION, in_order
from gantk.data.nifti import read_nifti
from gantk.data.planes import resize
from gantk.data.volumes import Grid, Subject, intensities, labels_of, resampled
from gantk.errors import DataError

__all__ = ["Finding", "ImageFacts", "PatientCheck", "check_patient"]

_MOVED = 3.0  # displacement between two images of a patient, mm
_OUTSIDE = 0.2  # fraction of the labels outside the brain
_HEIGHT = 96  # height of thumbnails


@dataclass(frozen=True)
class Finding:
    """Something in the data that looks wrong.

    Attributes:
        level: `error` if training rejects the file or would learn from a mistake, else `warning`.
        text: a sentence that says what is wrong, without its period.
    """

    level: Literal["error", "warning"]
    text: str


@dataclass(frozen=True)
class ImageFacts:
    """One image of a patient.

    Attributes:
        file: the image's path.
        shape: the shape in the file.
        spacing: voxel size in the file, mm.
        orientation: the file's axes, such as `LPS`.
        low: the lowest value inside the brain.
        median: the median inside the brain.
        high: the 99th percentile inside the brain.
        top: the greatest value inside the brain.
        background: the number outside the body.
        digest: a digest of the voxels; equal images have equal digests, whatever their file names.
    """

    file: Path
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    orientation: str
    low: float = np.nan
    median: float = np.nan
    high: float = np.nan
    top: float = np.nan
    background: float = np.nan
    digest: str = ""


@dataclass(frozen=True)
class PatientCheck:
    """The result of checking one patient's files.

    Attributes:
        id: the subject's id.
        patient: the patient's id.
        findings: what looks wrong.
        images: the readable images, by modality.
        brain: volume of the foreground, ml; NaN if unknown.
        labels: number of voxels of each label in the segmentation.
        thumbnail: one slice of each image side by side, uint8 (H, W), labels outlined; None if no image is readable.
        listed: the modalities whose files exist, readable or not.
    """

    id: str
    patient: str
    findings: tuple[Finding, ...]
    images: Mapping[str, ImageFacts] = field(default_factory=dict)
    brain: float = np.nan
    labels: Mapping[int, int] = field(default_factory=dict)
    thumbnail: np.ndarray | None = None
    listed: tuple[str, ...] = ()


def check_patient(subject: Subject, tolerance: float, onto: str | None = None) -> PatientCheck:
    """Read a patient's images and segmentation once each and check them; never raises because of a file's contents.

    Args:
        subject: the subject to check.
        tolerance: largest allowed distance between grids, as a fraction of a voxel.
        onto: the modality onto whose grid images beyond the tolerance are resampled, as with `data.resample`.
    """
    look = _Look(subject, tolerance, onto)
    look.read()
    if look.volumes:
        look.compare()
    return PatientCheck(
        subject.id,
        subject.patient,
        tuple(look.findings),
        look.facts,
        look.brain,
        look.counts,
        look.thumbnail(),
        tuple(in_order(subject.files)),
    )


class _Look:
    """The state of one patient's check."""

    def __init__(self, subject: Subject, tolerance: float, onto: str | None = None) -> None:
        self.subject, self.tolerance, self.onto = subject, tolerance, onto
        self.findings: list[Finding] = []
        self.facts: dict[str, ImageFacts] = {}
        self.volumes: dict[str, np.ndarray] = {}
        self.labels: np.ndarray | None = None
        self.counts: dict[int, int] = {}
        self.brain = np.nan
        self.grid: Grid | None = None

    def error(self, error: DataError, name: str) -> None:
        """Record an error raised while an image was read."""
        why = f" ({error.why})" if error.why else ""
        self.findings.append(Finding("error", f"{name}: {error.what}{why}"))

    def warn(self, text: str) -> None:
        self.findings.append(Finding("warning", text))

    def read(self) -> None:
        """Read every file separately, so that a damaged file does not hide problems of the others."""
        if self.onto is not None:
            self._take_grid(self.onto)
        for name in in_order(self.subject.files):
            try:
                voxels, facts = self._image(self.subject.files[name])
                self.facts[name] = facts
                self.volumes[name] = intensities(facts.file, voxels)
            except DataError as error:
                self.error(error, name)
        if self.subject.segmentation is not None:
            try:
                voxels, _ = self._image(self.subject.segmentation)
                self.labels = labels_of(self.subject.segmentation, voxels)
                numbers, counts = np.unique(self.labels[self.labels > 0], return_counts=True)
                self.counts = {int(n): int(c) for n, c in zip(numbers, counts, strict=True)}
                if not self.counts:
                    self.warn("the segmentation is empty")
            except DataError as error:
                self.error(error, SEGMENTATION)

    def _take_grid(self, onto: str) -> None:
        """Use the grid of one image for all; if that image is damaged, reading it later records the error."""
        file = self.subject.files.get(onto)
        if file is None:
            self.findings.append(Finding("error", f"there is no {onto!r} image to resample the others to"))
            return
        with suppress(DataError):
            self.grid = Grid.of(file, read_nifti(file))

    def _image(self, file: Path) -> tuple[np.ndarray, ImageFacts]:
        image = read_nifti(file)
        grid = Grid.of(file, image)
        voxels = grid.to_lps(np.asarray(image.dataobj).reshape(grid.shape))
        facts = ImageFacts(
            file,
            tuple(map(int, grid.shape)),
            tuple(round(float(s), 4) for s in np.linalg.norm(image.affine[:3, :3], axis=0)),
            "".join(nib.aff2axcodes(image.affine)),
            digest=hashlib.sha256(np.ascontiguousarray(voxels).tobytes()).hexdigest(),
        )
        self.grid = self.grid or grid
        try:
            self.grid.difference(file, image, self.tolerance)
        except DataError:
            if self.onto is None:
                raise
            voxels = resampled(np.asarray(image.dataobj), grid, self.grid)
        return voxels, facts

    def compare(self) -> None:
        """Compare the images with one another, and the labels with the images."""
        assert self.grid is not None
        spacing = np.linalg.norm(self.grid.lps_affine()[:3, :3], axis=0)
        images = {name: volume for name, volume in self.volumes.items() if name != MASK}
        if not images:
            return
        found = find_foreground(images, list(images), {}, self.volumes.get(MASK))
        self.brain = float(found.mask.sum() * spacing.prod() / 1000)
        try:
            check_plausible(found, images, list(images), [MASK] if MASK in self.volumes else [])
        except DataError as error:
            self.error(error, str(error.where))
        for name, volume in images.items():
            self._describe(name, volume, found.mask)
        first, *others = images
        for name in others:
            moved = displacement(images[first], images[name], spacing)
            if moved >= _MOVED:
                self.warn(f"{name} fits {first} better when shifted by {moved:.0f} mm: are they registered?")
            elif is_mirrored(images[first], images[name]):
                self.warn(f"{name} fits {first} better as its mirror image: are left and right the same in both?")
        self._look_at_labels(images, found.mask)

    def _describe(self, name: str, volume: np.ndarray, mask: np.ndarray) -> None:
        inside = volume[mask] if mask.any() else volume.ravel()
        median, high = np.percentile(inside, (50, 99))
        background = find_background(volume)
        known = {"low": inside.min(), "median": median, "high": high, "top": inside.max(), "background": background}
        self.facts[name] = ImageFacts(**{**vars(self.facts[name]), **{key: float(v) for key, v in known.items()}})
        if background and volume.min() < background < volume.max():
            self.warn(
                f"{name}: the background is the constant {background:g}, inside the range of its values, as in "
                "z-scores; only voxels of exactly this value count as background"
            )

    def _look_at_labels(self, images: Mapping[str, np.ndarray], mask: np.ndarray) -> None:
        if self.labels is None or not self.counts or self.labels.shape != mask.shape:
            return
        tumour = self.labels > 0
        outside = float((tumour & ~mask).sum() / tumour.sum())
        if outside > _OUTSIDE:
            self.warn(f"{outside:.0%} of the labeled voxels lie outside the brain")
        here, there = tumour & mask, tumour[::-1] & mask
        bright = next((name for name in ("flair", "t2") if name in images), None)  # tumors are bright in these
        if bright is None or not here.any() or not there.any() or (here & there).sum() > 0.5 * here.sum():
            return
        if np.median(images[bright][there]) > 1.2 * np.median(images[bright][here]):
            self.warn(f"{bright} is brighter in the mirror image of the labels: are left and right the same in both?")

    def thumbnail(self) -> np.ndarray | None:
        """One slice of each image: the slice with most labels, or with most brain if there are no labels."""
        if not self.volumes:
            return None
        first = next(iter(self.volumes.values()))
        shown = self.labels if self.labels is not None and self.counts and self.labels.shape == first.shape else None
        weigh = (shown > 0) if shown is not None else first != first[0, 0, 0]
        z = int(weigh.sum(axis=(0, 1)).argmax())
        tiles = []
        for volume in self.volumes.values():
            if volume.shape != first.shape:
                continue
            image = volume[:, :, z].T
            low, high = np.percentile(image, (1, 99.5))
            scaled = np.clip((image - low) / max(high - low, 1e-9), 0, 1) * 255
            width = max(1, round(_HEIGHT * image.shape[1] / image.shape[0]))
            tile = resize(scaled, (_HEIGHT, width))
            if shown is not None:
                inside = resize(shown[:, :, z].T.astype(np.float32), (_HEIGHT, width), nearest=True) > 0
                edge = inside & ~(
                    np.roll(inside, 1, 0) & np.roll(inside, -1, 0) & np.roll(inside, 1, 1) & np.roll(inside, -1, 1)
                )
                tile = np.where(edge, 255, tile)
            tiles.append(tile)
        return np.concatenate(tiles, axis=1).astype(np.uint8)
