"""A NIfTI file is read whole and as it was written, or refused; a header is believed no more than its file holds."""

from __future__ import annotations

import gzip
import itertools
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from gantk.data.nifti import read_nifti
from gantk.errors import DataError

VOXELS = np.random.default_rng(0).integers(0, 500, (4, 5, 6)).astype(np.int16)
AFFINE = np.array([[-2.0, 0, 0, 90], [0, -2, 0, 120], [0, 0, 3, -70], [0, 0, 0, 1]])


def save(path: Path, image_class: type = nib.Nifti1Image) -> bytes:
    image = image_class(VOXELS, AFFINE)
    image.set_qform(AFFINE, 1)
    nib.save(image, path)
    return path.read_bytes()


def same(path: Path) -> bool:
    image = read_nifti(path)
    return np.array_equal(np.asarray(image.dataobj), VOXELS) and np.array_equal(image.affine, AFFINE)


def test_no_flipped_bit_of_a_compressed_file_changes_what_is_read(tmp_path):
    path = tmp_path / "X_t1.nii.gz"
    good = save(path)
    refused = 0
    for bit in range(0, 8 * len(good), 7):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        try:
            assert same(path), f"bit {bit} changes what is read"
        except DataError:
            refused += 1
    assert refused > 8 * len(good) / 7 * 0.9


@pytest.mark.parametrize("image_class", [nib.Nifti1Image, nib.Nifti2Image])
def test_no_flipped_bit_of_a_header_ends_in_anything_but_a_refusal_or_an_image(tmp_path, image_class, caplog):
    path = tmp_path / "X_t1.nii"
    good = save(path, image_class)
    for bit in range(0, 8 * image_class.header_class.sizeof_hdr, 7):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        try:
            image = read_nifti(path)
        except DataError:
            continue
        assert image.dataobj.size == VOXELS.size
    assert not caplog.records  # what nibabel says of a header names no file


def test_all_ways_to_pack_a_file_are_read(tmp_path):
    plain = save(tmp_path / "X.nii")
    half = len(plain) // 2
    packed = gzip.compress(plain)
    blocked = gzip.compress(plain[:half]) + gzip.compress(plain[half:]) + gzip.compress(b"")  # as bgzip and pigz do
    for name, content in {
        "a.nii": plain,
        "a.nii.gz": packed,
        "b.nii.gz": blocked,
        "c.nii.gz": packed + bytes(512),  # padded by a tape or a block device
        "d.nii.gz": plain,  # unpacked on the way by a browser
        "e.NII.GZ": packed,
    }.items():
        (tmp_path / name).write_bytes(content)
        assert same(tmp_path / name), name
    save(tmp_path / "2.nii.gz", nib.Nifti2Image)
    assert same(tmp_path / "2.nii.gz")
    assert isinstance(read_nifti(tmp_path / "2.nii.gz"), nib.Nifti2Image)


HEADERS = {
    "huge": (40, "<8h", (3, 32767, 32767, 32767, 1, 1, 1, 1), "32767 × 32767 × 32767"),
    "zero axis": (40, "<8h", (3, 4, 0, 6, 1, 1, 1, 1), "shape"),
    "negative axis": (40, "<8h", (3, 4, -5, 6, 1, 1, 1, 1), "shape"),
    "no axes": (40, "<8h", (0, 4, 5, 6, 1, 1, 1, 1), ""),
    "fewer slices than there are": (40, "<8h", (3, 4, 5, 5, 1, 1, 1, 1), "continues after"),
    "data type": (70, "<h", (7,), "data type 7"),
    "infinite slope": (112, "<f", (np.inf,), "scl_slope"),
    "intercept": (116, "<f", (np.nan,), ""),
    "offset before": (108, "<f", (0,), ""),
    "offset behind": (108, "<f", (1e9,), "from byte 1000000000"),
    "offset NaN": (108, "<f", (np.nan,), "vox_offset"),
    "offset infinite": (108, "<f", (np.inf,), "vox_offset"),
}


@pytest.mark.parametrize(("kind", "suffix"), itertools.product(HEADERS, (".nii", ".nii.gz")))
def test_a_header_that_does_not_fit_its_file_is_refused(tmp_path, kind, suffix):
    place, form, values, message = HEADERS[kind]
    content = bytearray(save(tmp_path / "X.nii"))
    struct.pack_into(form, content, place, *values)
    path = tmp_path / f"X_t1{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    with pytest.raises(DataError, match=f"cannot be read.*{message}") as caught:
        read_nifti(path)
    assert caught.value.where == str(path)


def test_scaling_that_is_zero_or_nan_is_none(tmp_path):
    content = bytearray(save(tmp_path / "X.nii"))
    for scaling in ((0, 0), (np.nan, np.nan), (1, 0)):
        struct.pack_into("<2f", content, 112, *scaling)
        (tmp_path / "X.nii").write_bytes(content)
        assert same(tmp_path / "X.nii")
    struct.pack_into("<2f", content, 112, 0.5, -3)
    (tmp_path / "X.nii").write_bytes(content)
    np.testing.assert_array_equal(np.asarray(read_nifti(tmp_path / "X.nii").dataobj), VOXELS * 0.5 - 3)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    path = tmp_path / "X_t1.nii"
    save(path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="Permission denied") as caught:
        read_nifti(path)
    assert "damaged" not in str(caught.value)


def test_a_pair_of_files_is_not_one(tmp_path):
    nib.save(nib.Nifti1Pair(VOXELS, AFFINE), tmp_path / "X.img")
    with pytest.raises(DataError, match="not a NIfTI image"):
        read_nifti(tmp_path / "X.hdr")


def test_one_of_several_volumes_is_read_by_its_number(tmp_path):
    path = tmp_path / "all.nii.gz"
    stack = np.stack([VOXELS, VOXELS + 1, VOXELS + 2], -1)
    nib.save(nib.Nifti1Image(stack, AFFINE), path)
    image = read_nifti(path.with_name("all.nii.gz#1"))
    assert image.shape == VOXELS.shape
    assert np.array_equal(np.asarray(image.dataobj), VOXELS + 1)
    assert np.array_equal(image.affine, AFFINE)
    with pytest.raises(DataError, match=r"no volume #3.*counted from #0"):
        read_nifti(path.with_name("all.nii.gz#3"))
    with pytest.raises(DataError, match=r"3 volumes.*gantk data table"):
        read_nifti(path)
