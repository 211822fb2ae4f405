"""A subject's volumes: NIfTI files read onto one LPS grid, and written back onto the grid of a file."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)
from nibabel.spatialimages import HeaderDataError

from gantk.data.normalisation import Scale
from gantk.data.slices import Slices, SliceSettings, intensities_of, normalised_slices
from gantk.errors import DataError, nearest
from gantk.files import atomic_write

__all__ = ["Subject", "Volumes", "read_volumes", "write_like"]

_LPS = axcodes2ornt(("L", "P", "S"))
_UNREADABLE = (OSError, EOFError, ValueError, TypeError, zlib.error, ImageFileError, HeaderDataError)
_TOLERANCE = 1e-3  # mm


@dataclass(frozen=True)
class Subject:
    """A patient, or a picture, and its files.

    Attributes:
        id: its name, which no other subject has.
        files: by modality; inputs or targets may be lacking.
        segmentation: file with labels.
        part: the part of the cohort that the dataset puts it in; None leaves that to the split.
    """

    id: str
    files: Mapping[str, Path]
    segmentation: Path | None = None
    part: Literal["training", "validation", "test"] | None = None

    @property
    def folder(self) -> Path | None:
        """Where its first file is."""
        files = [*self.files.values(), *filter(None, [self.segmentation])]
        return files[0].parent if files else None


@dataclass(frozen=True)
class Volumes:
    """One subject's volumes on one LPS grid (axis 0 → left, 1 → posterior, 2 → superior).

    Attributes:
        images: modality name -> float32 (X, Y, Z), scanner units.
        segmentation: uint8 (X, Y, Z), the file's own labels, or None.
        affine: (4, 4), from voxel indices of this grid to RAS+ millimetres, as nibabel has it.
    """

    images: dict[str, np.ndarray]
    segmentation: np.ndarray | None
    affine: np.ndarray

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size along X, Y, Z in mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along X, Y, Z."""
        x, y, z = next(iter(self.images.values())).shape
        return x, y, z

    def slices(self, inputs: Sequence[str], settings: SliceSettings) -> Slices:
        """Axial slices; see `gantk.data.slices.normalised_slices`."""
        return normalised_slices(self, inputs, settings)

    def restore(
        self, image: np.ndarray, inputs: Sequence[str], settings: SliceSettings, slices: Slices, scale: Scale
    ) -> np.ndarray:
        """Slices (Z, 1, H, W) in [-1, 1] as a volume float32 (X, Y, Z); the scale's background outside the brain."""
        return intensities_of(image[:, 0], self, inputs, settings, scale)


def read_volumes(subject: Subject, modalities: Sequence[str], *, segmentation: bool = True) -> Volumes:
    """Read a subject's modalities, and its segmentation where it has one, brought to LPS by their affine.

    Raises:
        DataError: a modality is missing; a file is unreadable or truncated, not 3D, not finite, all zero or
            on another grid than the first; the segmentation holds something else than whole numbers from 0 to 255.
    """
    grid: _Grid | None = None
    images: dict[str, np.ndarray] = {}
    for name in modalities:
        if name not in subject.files:
            raise DataError(
                f"patient {subject.id!r} has no {name!r} image",
                where=subject.folder,
                why=f"for this name: {nearest(name, subject.files)}",
                mend="Correct the modality's name in the recipe, or add the file",
            )
        path = subject.files[name]
        image = _open(path)
        grid = grid or _Grid.of(path, image)
        grid.check(path, image)
        images[name] = _intensities(path, grid.to_lps(_voxels(path, image)))
    labels = None
    if segmentation and subject.segmentation is not None:
        path = subject.segmentation
        image = _open(path)
        grid = grid or _Grid.of(path, image)
        grid.check(path, image)
        labels = _labels(path, grid.to_lps(_voxels(path, image)))
    if grid is None:
        raise DataError(f"no image of patient {subject.id!r} was asked for", mend="Name at least one modality")
    return Volumes(images, labels, grid.lps_affine())


def write_like(path: Path, array: np.ndarray, reference: Path) -> None:
    """Write an LPS volume with the orientation, affine and header of a reference file; atomic.

    Args:
        path: `.nii` or `.nii.gz` file to write.
        array: (X, Y, Z) on the LPS grid that `read_volumes` gives for the reference; its dtype is the file's.
        reference: NIfTI file whose grid it is.

    Raises:
        DataError: the reference cannot be read, the shape is not its own, or the name is not a NIfTI file's.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise DataError("a volume is written as NIfTI", where=path, mend="Let the name end in .nii.gz or .nii")
    like = _open(reference)
    grid = _Grid.of(reference, like)
    shape = apply_orientation(np.empty(grid.shape, np.bool_), grid.transform).shape
    if array.shape != shape:
        raise DataError(
            f"a volume of shape {array.shape} does not fit the grid of {reference}",
            where=path,
            why=f"it is {shape}",
        )
    header = like.header.copy()
    header.set_data_dtype(array.dtype)
    header["cal_min"] = header["cal_max"] = 0  # the display window of the reference's own intensities
    image = type(like)(apply_orientation(array, ornt_transform(_LPS, grid.orientation)), like.affine, header)
    with atomic_write(path) as temporary:
        nib.save(image, temporary)


@dataclass(frozen=True)
class _Grid:
    """The grid of a file and its way to LPS."""

    path: Path
    shape: tuple[int, ...]
    affine: np.ndarray
    orientation: np.ndarray

    @classmethod
    def of(cls, path: Path, image: nib.Nifti1Image) -> _Grid:
        affine = image.affine
        if affine is None or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise DataError(
                "the affine of this image does not place its voxels in space",
                where=path,
                why="its axes are parallel or of length zero, or it is not finite",
                mend="Convert the image again from its source",
            )
        return cls(path, image.shape, affine, io_orientation(affine))

    @property
    def transform(self) -> np.ndarray:
        return ornt_transform(self.orientation, _LPS)

    def to_lps(self, array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(apply_orientation(array, self.transform))

    def lps_affine(self) -> np.ndarray:
        return self.affine @ inv_ornt_aff(self.transform, self.shape)

    def check(self, path: Path, image: nib.Nifti1Image) -> None:
        """Refuse an image on another grid."""
        mend = "Register and resample all images of a patient to one grid first"
        if image.shape != self.shape:
            raise DataError(
                f"this image has the shape {image.shape}, but {self.path.name} has {self.shape}",
                where=path,
                mend=mend,
            )
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], [1])).reshape(4, -1)
        apart = np.abs((image.affine - self.affine) @ corners).max()
        if not apart <= _TOLERANCE:  # NaN fails too
            raise DataError(
                f"this image lies {apart:.3g} mm away from {self.path.name}",
                where=path,
                why="their affines differ",
                mend=mend,
            )


def _open(path: Path) -> nib.Nifti1Image:
    try:
        image = nib.load(path)
    except FileNotFoundError:
        raise DataError("this file does not exist", where=path, mend="Check the path") from None
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if not isinstance(image, nib.Nifti1Image):
        raise DataError("this file is not a NIfTI image", where=path, mend="Convert it to .nii.gz")
    if len(image.shape) != 3:
        raise DataError(
            f"this image has {len(image.shape)} dimensions {image.shape} where 3 are expected",
            where=path,
            mend="Write one volume to a file of its own",
        )
    return image


def _voxels(path: Path, image: nib.Nifti1Image) -> np.ndarray:
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return image.get_fdata(dtype=np.float32, caching="unchanged")
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> DataError:
    return DataError(
        "this image cannot be read, it may be truncated or damaged",
        where=path,
        why=str(error).partition("\n")[0] or type(error).__name__,
        mend="Copy or download the file again",
    )


def _intensities(path: Path, voxels: np.ndarray) -> np.ndarray:
    bad = voxels.size - int(np.count_nonzero(np.isfinite(voxels)))
    if bad:
        raise DataError(
            f"this image holds {bad} voxels that are NaN or infinite",
            where=path,
            mend="Replace them by 0, or leave the patient out",
        )
    if not voxels.any():
        raise DataError(
            "this image is empty, it holds no brain",
            where=path,
            why="every voxel is 0",
            mend="Leave the patient out",
        )
    return voxels


def _labels(path: Path, voxels: np.ndarray) -> np.ndarray:
    labels = np.rint(voxels)
    wrong = voxels[~(np.abs(voxels - labels) < 1e-3) | (labels < 0) | (labels > 255)]  # NaN too
    if wrong.size:
        raise DataError(
            f"this segmentation holds {wrong[0]:g}, which is no label",
            where=path,
            why="labels are whole numbers from 0 to 255",
            mend="Correct the segmentation, or leave it out",
        )
    return labels.astype(np.uint8)
