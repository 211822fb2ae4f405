"""Every orientation comes to LPS and back; every bad file is named."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from gantk.data.volumes import Subject, read_volumes, write_like
from gantk.errors import CacheError, DataError

ORIENTATIONS = [
    tuple(zip(axes, signs, strict=True))
    for axes in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
assert len(ORIENTATIONS) == 48


def affine_of(orientation: tuple[tuple[int, int], ...], zooms: tuple[float, ...]) -> np.ndarray:
    """An affine whose voxel axis i points along world axis `orientation[i]`."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(orientation):
        affine[world, axis] = sign * zooms[axis]
    affine[:3, 3] = (-90, 126.5, -72)
    return affine


def write(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


@settings(max_examples=60, deadline=None)
@given(orientation=st.sampled_from(ORIENTATIONS), suffix=st.sampled_from([".nii", ".nii.gz"]))
def test_any_orientation_reads_as_lps_and_is_written_back(tmp_path_factory, orientation, suffix):
    folder = tmp_path_factory.mktemp("volume")
    affine = affine_of(orientation, (1.0, 1.5, 2.0))
    array = np.random.default_rng(0).normal(100, 20, (3, 4, 5)).astype(np.float32)
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, 4)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"scan"
    reference = folder / f"X_t1{suffix}"
    nib.save(image, reference)

    volumes = read_volumes(Subject("X", {"t1": reference}), ["t1"])
    lps = volumes.images["t1"]
    assert nib.aff2axcodes(volumes.affine) == ("L", "P", "S")
    for index in [(0, 0, 0), (2, 3, 4), (1, 2, 3)]:  # a voxel keeps its place in the world
        world = affine @ [*index, 1]
        there = np.rint(np.linalg.inv(volumes.affine) @ world)[:3].astype(int)
        assert lps[tuple(there)] == array[index]
    along = [next(a for a in range(3) if orientation[a][0] == world) for world in range(3)]
    assert volumes.spacing == pytest.approx([(1.0, 1.5, 2.0)[axis] for axis in along])

    out = folder / f"out{suffix}"
    write_like(out, lps, reference)
    again, before = nib.load(out), nib.load(reference)
    np.testing.assert_array_equal(again.get_fdata(dtype=np.float32), array)
    np.testing.assert_array_equal(again.affine, before.affine)
    assert again.header == before.header
    assert sorted(p.name for p in folder.iterdir()) == sorted([reference.name, out.name])


def test_write_like_keeps_the_callers_dtype_not_the_references(tmp_path):
    reference = write(tmp_path / "X_t1.nii.gz", np.ones((3, 4, 5), np.int16))
    write_like(tmp_path / "o.nii.gz", np.full((3, 4, 5), 0.25, np.float32), reference)
    image = nib.load(tmp_path / "o.nii.gz")
    assert image.get_data_dtype() == np.float32
    assert (image.get_fdata() == 0.25).all()


def test_write_like_refuses_another_shape_or_name(tmp_path):
    reference = write(tmp_path / "X_t1.nii", np.ones((3, 4, 5), np.int16))
    with pytest.raises(DataError, match=r"\(3, 4, 6\)"):
        write_like(tmp_path / "o.nii.gz", np.zeros((3, 4, 6), np.float32), reference)
    with pytest.raises(DataError, match="NIfTI"):
        write_like(tmp_path / "o.png", np.zeros((3, 4, 5), np.float32), reference)
    assert [p.name for p in tmp_path.iterdir()] == ["X_t1.nii"]


def test_a_file_with_trailing_axes_of_length_one_is_a_volume_and_so_is_what_is_written_like_it(tmp_path):
    affine = affine_of(((1, 1), (0, -1), (2, 1)), (1.0, 1.5, 2.0))
    array = np.random.default_rng(0).normal(100, 20, (3, 4, 5)).astype(np.float32)
    flat = read_volumes(Subject("X", {"t1": write(tmp_path / "flat.nii", array, affine)}), ["t1"])
    for axes in (1, 2):
        reference = write(tmp_path / "X_t1.nii.gz", array.reshape(*array.shape, *[1] * axes), affine)
        volumes = read_volumes(Subject("X", {"t1": reference}), ["t1"])
        np.testing.assert_array_equal(volumes.images["t1"], flat.images["t1"])
        np.testing.assert_array_equal(volumes.affine, flat.affine)
        write_like(tmp_path / "out.nii.gz", volumes.images["t1"], reference)
        again, before = nib.load(tmp_path / "out.nii.gz"), nib.load(reference)
        np.testing.assert_array_equal(again.get_fdata(), before.get_fdata())
        np.testing.assert_array_equal(again.affine, before.affine)
        assert again.header == before.header


def test_labels_come_as_the_file_has_them(tmp_path):
    labels = np.array([0, 1, 2.0000002, 3, 3.9999998, 255] * 4, np.float32).reshape(4, 2, 3)
    subject = Subject(
        "X",
        {"t1": write(tmp_path / "X_t1.nii", np.ones((4, 2, 3), np.float32))},
        write(tmp_path / "X_seg.nii", labels),
    )
    found = read_volumes(subject, ["t1"]).segmentation
    assert found.dtype == np.uint8
    assert sorted(np.unique(found)) == [0, 1, 2, 3, 4, 255]
    assert read_volumes(subject, ["t1"], segmentation=False).segmentation is None


GOOD = np.random.default_rng(0).uniform(1, 9, (20, 20, 20)).astype(np.float32)


def truncated(path: Path) -> None:
    write(path, GOOD)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def shifted(path: Path) -> None:
    affine = np.eye(4)
    affine[0, 3] = 0.2
    write(path, GOOD, affine)


def with_value(value: float):
    def make(path: Path) -> None:
        bad = GOOD.copy()
        bad[3, 4, 5] = value
        write(path, bad)

    return make


def rgb(path: Path) -> None:
    write(path, np.zeros((20, 20, 20), [("R", "u1"), ("G", "u1"), ("B", "u1")]))


BAD_IMAGES = {
    "truncated": (truncated, "truncated"),
    "text": (lambda path: path.write_text("not an image"), "not a NIfTI image"),
    "nothing": (lambda path: path.write_bytes(b""), "cannot be read"),
    "gone": (lambda path: None, "does not exist"),
    "folder": (lambda path: path.mkdir(), "cannot be read"),
    "4D": (lambda path: write(path, np.ones((20, 20, 20, 2), np.float32)), "holds 2 volumes.*Decathlon"),
    "2D": (lambda path: write(path, np.ones((20, 20), np.float32)), "2 dimensions"),
    "shape": (lambda path: write(path, GOOD[:-1]), r"shape \(19, 20, 20\)"),
    "affine": (shifted, "0.2 voxels away"),
    "nan": (with_value(np.nan), "1 voxels that are NaN"),
    "inf": (with_value(np.inf), "NaN or infinite"),
    "empty": (lambda path: write(path, np.zeros_like(GOOD)), "empty"),
    "rgb": (rgb, "in color"),
    "complex": (lambda path: write(path, GOOD.astype(np.complex64)), "complex"),
}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_a_bad_image_is_named_in_one_paragraph(tmp_path, kind, suffix):
    make, message = BAD_IMAGES[kind]
    good, bad = write(tmp_path / "X_t1.nii.gz", GOOD), tmp_path / f"X_t2{suffix}"
    make(bad)
    with pytest.raises(DataError, match=message) as caught:
        read_volumes(Subject("X", {"t1": good, "t2": bad}), ["t1", "t2"])
    assert str(bad) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.mend


@pytest.mark.parametrize(
    ("labels", "message"),
    [((0, 1, 2.01), "labels: 2.01"), ((0, 256), "256"), ((0, -1), "-1"), ((np.nan,), "nan"), ((1, 3.998), "3.998")],
)
def test_a_bad_segmentation_is_named(tmp_path, labels, message):
    path = write(tmp_path / "X_seg.nii.gz", np.resize(np.array(labels, np.float32), GOOD.shape))
    subject = Subject("X", {"t1": write(tmp_path / "X_t1.nii.gz", GOOD)}, path)
    with pytest.raises(DataError, match=message) as caught:
        read_volumes(subject, ["t1"])
    assert caught.value.where == str(path)


def moved(matrix: np.ndarray, translation: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    """The affine of voxels of 1 × 1 × 5 mm, changed."""
    affine = np.diag([1.0, 1.0, 5.0, 1.0])
    affine[:3, :3] = matrix @ affine[:3, :3]
    affine[:3, 3] = translation
    return affine


GRIDS = {
    "the same": (moved(np.eye(3)), 0.0),
    "rounded": (moved(np.eye(3) + np.array([[0, 1e-4, 0], [-1e-4, 0, 0], [0, 0, 0]])), 0.0019),
    "shifted along short voxels": (moved(np.eye(3), (0.04, 0, 0)), 0.04),
    "shifted along long voxels": (moved(np.eye(3), (0, 0, 0.2)), 0.04),
    "too far along short voxels": (moved(np.eye(3), (0.2, 0, 0)), None),
    "too far along long voxels": (moved(np.eye(3), (0, 0, 0.3)), None),
    "turned": (moved(np.eye(3) + np.array([[0, 0.01, 0], [-0.01, 0, 0], [0, 0, 0]])), None),
    "mirrored": (moved(np.diag([-1.0, 1, 1])), None),
    "mirrored about its middle": (moved(np.diag([-1.0, 1, 1]), (19, 0, 0)), None),
}


@pytest.mark.parametrize("kind", GRIDS)
def test_grids_may_differ_by_a_part_of_a_voxel_and_the_first_counts(tmp_path, kind):
    affine, difference = GRIDS[kind]
    files = {
        "t1": write(tmp_path / "X_t1.nii", GOOD, moved(np.eye(3))),
        "t2": write(tmp_path / "X_t2.nii", GOOD, affine),
    }
    subject = Subject("X", files)
    if difference is None:
        with pytest.raises(DataError, match=r"voxels away from X_t1\.nii"):
            read_volumes(subject, ["t1", "t2"])
        return
    volumes = read_volumes(subject, ["t1", "t2"])
    assert volumes.grid_difference == pytest.approx(difference, abs=1e-6)
    np.testing.assert_array_equal(volumes.images["t1"], volumes.images["t2"])
    np.testing.assert_array_equal(volumes.affine, read_volumes(subject, ["t1"]).affine)
    if difference:
        with pytest.raises(DataError, match="tolerance"):
            read_volumes(subject, ["t1", "t2"], tolerance=difference / 2)


def test_a_flat_affine_is_refused(tmp_path):
    image = nib.Nifti1Image(GOOD, np.eye(4))
    image.header.set_sform(np.diag([1.0, 0, 1, 1]), 1)
    image.header["qform_code"] = 0
    (tmp_path / "X_t1.nii").write_bytes(image.header.binaryblock + bytes(4) + GOOD.tobytes("F"))
    with pytest.raises(DataError, match="affine"):
        read_volumes(Subject("X", {"t1": tmp_path / "X_t1.nii"}), ["t1"])


def test_a_missing_modality_is_named_with_the_nearest(tmp_path):
    subject = Subject("X", {"flair": write(tmp_path / "X_flair.nii", GOOD)})
    with pytest.raises(DataError, match="did you mean 'flair'") as caught:
        read_volumes(subject, ["flare"])
    assert caught.value.where == str(tmp_path)


def test_errors_cross_processes():
    error = pickle.loads(pickle.dumps(CacheError("it broke", where="a", why="b", mend="c")))
    assert (type(error), error.what, error.where, error.why, error.mend) == (
        CacheError,
        "it broke",
        "a",
        "b",
        "c",
    )
    assert str(error) == "a: it broke; b; c."


def test_images_on_other_grids_are_resampled_where_asked(tmp_path: Path) -> None:
    """The same world in three grids: a ball, brighter toward one side, and its label."""

    def ball(affine: np.ndarray, shape: tuple[int, int, int], what: str) -> np.ndarray:
        index = np.stack([*np.meshgrid(*map(np.arange, shape), indexing="ij"), np.ones(shape)])
        x, y, z, _ = np.tensordot(affine, index, 1)
        inside = (x - 4) ** 2 + (y + 6) ** 2 + z**2 < 30**2
        return np.where(inside, 200 + x + 2 * y, -1000) if what == "image" else 3.0 * inside

    one = np.array([[2.0, 0, 0, -40], [0, 2, 0, -46], [0, 0, 2, -40], [0, 0, 0, 1]])
    other = np.array([[-1.5, 0, 0, 44], [0, 0, 3, -50], [0, 1.7, 0, -45], [0, 0, 0, 1]])  # turned, too
    subject = Subject(
        "X",
        {
            "t1": write(tmp_path / "t1.nii.gz", ball(one, (42, 44, 41), "image"), one),
            "t2": write(tmp_path / "t2.nii.gz", ball(other, (60, 54, 31), "image"), other),
        },
        write(tmp_path / "seg.nii.gz", ball(other, (60, 54, 31), "label"), other),
    )
    with pytest.raises(DataError, match=r'data\.resample = "to:t1"'):
        read_volumes(subject, ["t2", "t1"])
    found = read_volumes(subject, ["t2", "t1"], onto="t1")
    alone = read_volumes(Subject("X", {"t1": subject.files["t1"]}), ["t1"])
    assert np.array_equal(found.affine, alone.affine)
    assert np.array_equal(found.images["t1"], alone.images["t1"])
    assert found.reference == subject.files["t1"]
    assert found.segmentation is not None
    assert set(np.unique(found.segmentation)) == {0, 3}
    deep = ndimage.binary_erosion(found.images["t1"] > -1000, iterations=2)
    assert abs(found.images["t2"] - found.images["t1"])[deep].max() < 0.01  # linear in space, so exact
    assert ((found.segmentation == 3) ^ (found.images["t1"] > -1000)).mean() < 0.02
    far = ~ndimage.binary_dilation(found.images["t1"] > -1000, iterations=3)
    assert (found.images["t2"][far] == -1000).all()  # outside of its field of view, too
    write_like(tmp_path / "out.nii.gz", found.images["t2"], found.reference)  # as a prediction is written
    with pytest.raises(DataError, match="has no 'pd' image"):
        read_volumes(subject, ["t2"], onto="pd")
