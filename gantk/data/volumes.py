"""Reading a subject's NIfTI files onto one LPS grid, and writing volumes back onto the grid of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)
from scipy import ndimage

from gantk.data.foreground import find_background
from gantk.data.nifti import read_nifti
from gantk.data.slices import holds_few_numbers
from gantk.data.subject import Subject, Volumes
from gantk.errors import DataError, nearest
from gantk.files import atomic_write

__all__ = ["Subject", "Volumes", "read_volumes", "write_like"]

_LPS = axcodes2ornt(("L", "P", "S"))
_ROUNDING = 1e-3  # largest deviation of a label from an integer
TOLERANCE = 0.05
"""Largest allowed distance between the grids of a subject's images, as a fraction of a voxel."""


def read_volumes(
    subject: Subject,
    modalities: Sequence[str],
    *,
    segmentation: bool = True,
    tolerance: float = TOLERANCE,
    onto: str | None = None,
) -> Volumes:
    """Read a subject's modalities, and its segmentation if it has one, oriented to LPS by the first image's affine.

    Args:
        subject: the subject.
        modalities: the modalities to read.
        segmentation: whether to read the segmentation too.
        tolerance: largest allowed distance between the grids at their corners, as a fraction of a voxel of the first
            image.
        onto: a modality onto whose grid images beyond the tolerance are resampled: linearly, segmentations and images
            of a few integers by nearest voxel; background outside their field of view.

    Raises:
        DataError: a modality is missing; a file is unreadable, truncated or damaged, not 3D, not finite, all zero or,
            without resampling, on a different grid than the first; the segmentation contains anything but integers
            from 0 to 255.
    """
    reader = _Reader(tolerance, None if onto is None else _file_of(subject, onto))
    paths = {name: _file_of(subject, name) for name in modalities}
    images = {name: intensities(path, reader.read(path)) for name, path in paths.items()}
    labels = None
    if segmentation and subject.segmentation is not None:
        labels = labels_of(subject.segmentation, reader.read(subject.segmentation))
    if reader.grid is None:
        raise DataError(f"no image of patient {subject.id!r} was requested", mend="name at least one modality")
    return Volumes(
        images, labels, reader.grid.lps_affine(), reader.difference, None if onto is None else reader.grid.path
    )


def _file_of(subject: Subject, modality: str) -> Path:
    if modality not in subject.files:
        raise DataError(
            f"patient {subject.id!r} has no {modality!r} image",
            where=subject.folder,
            why=nearest(modality, subject.files),
            mend="correct the modality's name in the recipe, or add the file",
        )
    return subject.files[modality]


def write_like(path: Path, array: np.ndarray, reference: Path) -> None:
    """Write an LPS volume with the orientation, affine, header and shape of a reference file; atomic.

    Args:
        path: `.nii` or `.nii.gz` file to write.
        array: (X, Y, Z) on the LPS grid that `read_volumes` returns for the reference; the file gets its dtype.
        reference: NIfTI file with that grid.

    Raises:
        DataError: the reference cannot be read, the shapes differ, or the path has no NIfTI suffix.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise DataError(
            "volumes can only be written as NIfTI", where=path, mend="choose a name that ends in .nii.gz or .nii"
        )
    like = read_nifti(reference)
    grid = Grid.of(reference, like)
    shape = apply_orientation(np.empty(grid.shape, np.bool_), grid.transform).shape
    if array.shape != shape:
        raise DataError(
            f"a volume of shape {array.shape} does not fit the grid of {reference}",
            where=path,
            why=f"the shape of the grid is {shape}",
        )
    header = like.header.copy()
    header.set_data_dtype(array.dtype)
    header["cal_min"] = header["cal_max"] = 0  # the reference's display window does not apply
    voxels = apply_orientation(array, ornt_transform(_LPS, grid.orientation)).reshape(like.shape)
    with atomic_write(path) as temporary:
        nib.save(type(like)(voxels, like.affine, header), temporary)


@dataclass(frozen=True)
class Grid:
    """The grid of a file and its conversion to LPS."""

    path: Path
    shape: tuple[int, ...]
    affine: np.ndarray
    orientation: np.ndarray

    @classmethod
    def of(cls, path: Path, image: nib.Nifti1Image) -> Grid:
        affine = image.affine
        if affine is None or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise DataError(
                "the affine of this image does not place its voxels in space",
                where=path,
                why="its axes are parallel or of length zero, or it is not finite",
                mend="convert the image again from its source",
            )
        return cls(path, image.shape[:3], affine, io_orientation(affine))

    @property
    def transform(self) -> np.ndarray:
        return ornt_transform(self.orientation, _LPS)

    def to_lps(self, array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(apply_orientation(array, self.transform))

    def lps_affine(self) -> np.ndarray:
        return self.affine @ inv_ornt_aff(self.transform, self.shape)

    def difference(self, path: Path, image: nib.Nifti1Image, tolerance: float) -> float:
        """Largest distance of an image's grid at its corners, along any axis, as a fraction of a voxel of this grid.

        Raises:
            DataError: the image has another shape, or its grid is beyond the tolerance.
        """
        mend = 'register all images of a patient; resample them to one grid, or set data.resample = "to:t1"'
        if image.shape[:3] != self.shape:
            raise DataError(
                f"this image has the shape {image.shape}, but {self.path.name} has {self.shape}",
                where=path,
                mend=mend,
            )
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], [1])).reshape(4, -1)
        apart = float(np.abs(np.linalg.solve(self.affine, image.affine - self.affine) @ corners).max())
        if not apart <= tolerance:  # NaN fails too
            raise DataError(
                f"this image lies {apart:.3g} voxels away from {self.path.name}",
                where=path,
                why=f"their affines differ by more than the tolerance of {tolerance:g} voxels",
                mend=f"{mend}, or raise data.tolerance if the difference does not matter",
            )
        return apart


class _Reader:
    """Reads files onto the grid of the first file, or resamples them onto the grid of another file."""

    def __init__(self, tolerance: float, onto: Path | None = None) -> None:
        self.tolerance, self.resamples = tolerance, onto is not None
        self.grid = None if onto is None else Grid.of(onto, read_nifti(onto))
        self.difference = 0.0

    def read(self, path: Path) -> np.ndarray:
        """Voxels float32 (X, Y, Z) in LPS."""
        image = read_nifti(path)
        self.grid = self.grid or Grid.of(path, image)
        try:
            self.difference = max(self.difference, self.grid.difference(path, image, self.tolerance))
        except DataError:
            if not self.resamples:
                raise
            return resampled(np.asarray(image.dataobj), Grid.of(path, image), self.grid)
        return self.grid.to_lps(np.asarray(image.dataobj).reshape(self.grid.shape))


def resampled(voxels: np.ndarray, own: Grid, onto: Grid) -> np.ndarray:
    """A file's voxels resampled onto another grid, float32 (X, Y, Z) in LPS."""
    volume = own.to_lps(voxels.reshape(own.shape))
    matrix = np.linalg.solve(own.lps_affine(), onto.lps_affine())
    shape = apply_orientation(np.empty(onto.shape, np.bool_), onto.transform).shape
    order = 0 if holds_few_numbers(volume) else 1
    background = find_background(volume) if np.isfinite(volume).all() else 0.0
    moved: np.ndarray = ndimage.affine_transform(volume, matrix, output_shape=shape, order=order, cval=background)
    return moved.astype(np.float32, copy=False)


def intensities(path: Path, voxels: np.ndarray) -> np.ndarray:
    bad = voxels.size - int(np.count_nonzero(np.isfinite(voxels)))
    if bad:
        raise DataError(
            f"this image holds {bad} voxels that are NaN or infinite",
            where=path,
            mend="replace them by the number outside the body (0 in MR, air in CT), or leave the patient out",
        )
    if not voxels.any():
        raise DataError(
            "this image is empty",
            where=path,
            why="every voxel is 0",
            mend="leave the patient out",
        )
    return voxels


def labels_of(path: Path, voxels: np.ndarray) -> np.ndarray:
    """Labels as uint8; tolerates the slight deviations from integers that interpolation or scaling leaves."""
    labels = np.rint(voxels)
    good = (np.abs(voxels - labels) <= _ROUNDING) & (labels >= 0) & (labels <= 255)  # False for NaN
    if not good.all():
        wrong = np.unique(voxels[~good])
        raise DataError(
            f"this segmentation holds values that are not labels: {', '.join(str(value) for value in wrong[:5])}",
            where=path,
            why="labels are whole numbers from 0 to 255",
            mend="if it was resampled, resample it again with nearest-neighbor interpolation",
        )
    return labels.astype(np.uint8)
