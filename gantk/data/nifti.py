"""Reading of NIfTI files: checks the header against the file's size and the stream against its checksum."""

from __future__ import annotations

import gzip
import io
import logging
import math
import os
import re
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.fileholders import FileHolder
from nibabel.spatialimages import HeaderDataError

from gantk.errors import DataError

__all__ = ["located", "read_nifti"]

_UNREADABLE = (OSError, EOFError, ValueError, TypeError, zlib.error, ImageFileError, HeaderDataError)
_NUMBERED = re.compile(r"(?P<file>.+\.nii(?:\.gz)?)#(?P<number>\d+)", re.IGNORECASE)
_GZIP = b"\x1f\x8b"
_INFLATION = 1032  # the largest expansion factor of deflate

# nibabel's messages about repaired headers would appear among gantk's output, without the file's name
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)


def located(path: Path) -> tuple[Path, int | None]:
    """The file and the volume index in a path: `X.nii.gz#2` is the third volume; None for a file with one volume."""
    found = _NUMBERED.fullmatch(path.name)
    return (path, None) if found is None else (path.with_name(found["file"]), int(found["number"]))


def read_nifti(path: Path) -> nib.Nifti1Image:
    """One volume of a NIfTI-1 or NIfTI-2 file, `.nii` or compressed by gzip, as an image in memory.

    Args:
        path: a file with one volume, or `X.nii.gz#0` for the first of several volumes; see `located`.

    Returns:
        The file's header and affine with float32 voxels, scaling applied; (X, Y, Z), followed by any axes of length 1
        if the file has one volume.

    Raises:
        DataError: the file is missing, not NIfTI, truncated or damaged (its header does not fit its size, or the
            checksum of the compressed stream is wrong), in color or complex; the path names no volume of a file
            with several, or a volume that does not exist.
    """
    try:
        with located(path)[0].open("rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            size = os.fstat(file.fileno()).st_size
            if not packed:
                return _read(path, file, size)
            with gzip.GzipFile(fileobj=file) as stream:
                return _read(path, stream, size * _INFLATION)
    except FileNotFoundError:
        raise DataError("this file does not exist", where=path, mend="check the path") from None
    except _UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(
                "this file cannot be read", where=path, why=error.strerror, mend="check its permissions and the disk"
            ) from error
        raise _damaged(path, str(error).partition("\n")[0] or type(error).__name__) from error


def _read(path: Path, stream: io.BufferedIOBase, room: int) -> nib.Nifti1Image:
    """The image in an uncompressed stream of at most `room` bytes."""
    head = stream.read(nib.Nifti2Header.sizeof_hdr)
    stream.seek(0)
    image_class = _class_of(path, head)
    header_class: type[nib.Nifti1Header] = image_class.header_class
    end = _checked_end(path, header_class(head[: header_class.sizeof_hdr], check=False), room)
    image = image_class.from_file_map({"image": FileHolder(fileobj=stream)})
    with np.errstate(over="ignore", invalid="ignore"):
        voxels = image.get_fdata(dtype=np.float32, caching="unchanged")
    stream.seek(end)
    if stream.read(1):  # reading to the end makes a compressed stream verify its checksum
        raise _damaged(path, "it continues after the voxels that its header describes")
    number = located(path)[1]
    if number is not None:  # a copy, so that the other volumes do not stay in memory
        voxels = voxels.reshape((*voxels.shape[:3], -1), order="F")[..., number].copy()
    return image_class(voxels, image.affine, image.header)


def _class_of(path: Path, head: bytes) -> type[nib.Nifti1Image]:
    if head[344:348] == b"n+1\0":
        return nib.Nifti1Image
    if head[4:8] == b"n+2\0" and len(head) == nib.Nifti2Header.sizeof_hdr:
        return nib.Nifti2Image
    if not head:
        raise _damaged(path, "it is empty")
    raise DataError(
        "this file is not a NIfTI image, or its first bytes are damaged",
        where=path,
        mend="convert it to .nii.gz from its source, or copy it again",
    )


def _checked_end(path: Path, header: nib.Nifti1Header, room: int) -> int:
    """The end of the voxels, in bytes; raises DataError if the header is invalid or the volume cannot fit the file."""
    shape = tuple(int(n) for n in header.get_data_shape())
    try:
        dtype = header.get_data_dtype()
    except (KeyError, HeaderDataError):
        raise _damaged(path, f"its header gives the data type {int(header['datatype'])}") from None
    if min(shape, default=0) < 1:
        raise _damaged(path, f"its header gives the shape {shape}")
    if len(shape) < 3:
        raise DataError(
            f"this image has {len(shape)} dimensions, {shape}, but 3 are expected",
            where=path,
            mend="convert its series to one volume again",
        )
    slope, inter, start = (float(header[key]) for key in ("scl_slope", "scl_inter", "vox_offset"))
    if math.isinf(slope) or math.isinf(inter) or not math.isfinite(start):  # NaN means no scaling: some tools write it
        raise _damaged(path, f"its header gives scl_slope {slope}, scl_inter {inter}, vox_offset {start}")
    end = int(start) + math.prod(shape) * dtype.itemsize
    if not header.sizeof_hdr <= start <= end <= room:
        sizes = " × ".join(map(str, shape))
        raise _damaged(
            path,
            f"its header describes {sizes} voxels of {dtype.itemsize} bytes from byte {start:.0f}, but there are fewer",
        )
    volumes = math.prod(shape[3:])
    number = located(path)[1]
    if number is not None and number >= volumes:
        raise DataError(
            f"this image has no volume #{number}",
            where=path,
            why=f"its {volumes} volumes are counted from #0",
            mend="correct the number after the file's name",
        )
    if number is None and volumes > 1:
        raise DataError(
            f"this image holds {volumes} volumes, {shape}, but one is expected",
            where=path,
            why="it looks like a file of the Medical Segmentation Decathlon, which holds all modalities of a patient, "
            "or like a series over time or direction",
            mend='select a volume in a table of the cohort (dataset = "table"), as in X.nii.gz#0 for the first; '
            "`gantk data table ROOT -o cohort.csv --layout msd` writes one",
        )
    if dtype.kind not in "iuf":
        raise DataError(
            f"this image is {'complex' if dtype.kind == 'c' else 'in color'} but plain numbers are expected",
            where=path,
            mend="write its magnitude, or one channel, to a separate file",
        )
    return end


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        "this image cannot be read and may be truncated or damaged",
        where=path,
        why=why,
        mend="copy or download the file again",
    )
