"""Prediction: a whole volume on the input's own grid, whatever its orientation, size and spacing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

import gantk
from gantk.errors import DataError, UsageError
from gantk.progress import QuietProgress

INPUTS = ("t1", "t2")


@pytest.fixture(scope="session")
def patient(tmp_path_factory: pytest.TempPathFactory, make_patient: Any) -> Path:
    """A patient who is in no training data, without target."""
    return make_patient(tmp_path_factory.mktemp("new") / "N1", seed=77, modalities=INPUTS)


def predict(model: gantk.Model, patient: Path, out: Path, **options: Any) -> nib.Nifti1Image:
    model.predict(patient, out, progress=QuietProgress(), **options)
    return nib.load(out)


def reoriented(patient: Path, folder: Path, codes: str) -> Path:
    """The same images in another orientation: other voxel order, the same world."""
    ornt = nib.orientations
    folder = folder / patient.name
    folder.mkdir()
    for path in patient.iterdir():
        image = nib.load(path)
        change = ornt.ornt_transform(ornt.io_orientation(image.affine), ornt.axcodes2ornt(codes))
        nib.save(image.as_reoriented(change), folder / path.name)
    return folder


def test_affine_header_and_shape_are_the_inputs(model: gantk.Model, patient: Path, tmp_path: Path) -> None:
    path = patient / "N1_t1.nii.gz"
    marked = nib.load(path)
    marked = nib.Nifti1Image(np.asarray(marked.dataobj), marked.affine, marked.header)
    marked.header["descrip"] = b"from the scanner"
    marked.header.set_xyzt_units("mm", "sec")
    marked.set_qform(marked.affine, 1)
    marked.set_sform(marked.affine, 4)
    nib.save(marked, path)
    like = nib.load(path)
    image = predict(model, patient, tmp_path / "out.nii.gz")
    assert image.shape == like.shape == (30, 34, 8)  # neither is a multiple of the generator's 4
    assert np.array_equal(image.affine, like.affine)
    assert image.get_data_dtype() == np.float32
    for field in ("descrip", "xyzt_units", "qform_code", "sform_code", "pixdim"):
        assert np.array_equal(image.header[field], like.header[field])


def test_the_background_is_0_and_the_brain_is_not(model: gantk.Model, patient: Path, tmp_path: Path) -> None:
    image = predict(model, patient, tmp_path / "out.nii.gz").get_fdata()
    brain = np.any([nib.load(patient / f"N1_{name}.nii.gz").get_fdata() != 0 for name in INPUTS], axis=0)
    assert np.isfinite(image).all()
    assert (image[~brain] == 0).all()
    assert (image[brain] > 0).mean() > 0.9
    assert 100 < image[brain].mean() < 1000  # scanner units, as the targets were


def test_the_command_and_the_api_agree(
    server: Any, model: gantk.Model, run: Path, patient: Path, tmp_path: Path
) -> None:
    process = server.start(tmp_path, "predict", run, patient, "-o", "by-command.nii.gz")
    assert process.wait() == 0, process.output
    volume = model.predict(patient, tmp_path / "by-api.nii.gz", progress=QuietProgress())
    files = [nib.load(tmp_path / name).get_fdata() for name in ("by-command.nii.gz", "by-api.nii.gz")]
    assert np.array_equal(*files)
    assert np.array_equal(volume, files[0].astype(np.float32))  # the files are LPS themselves
    assert volume.dtype == np.float32


@pytest.mark.parametrize("codes", ["RAS", "LIP", "SLA"])
def test_another_orientation_gives_the_same_world(
    model: gantk.Model, patient: Path, tmp_path: Path, codes: str
) -> None:
    turned = reoriented(patient, tmp_path, codes)
    one = predict(model, patient, tmp_path / "one.nii.gz")
    other = predict(model, turned, tmp_path / "other.nii.gz")
    assert "".join(nib.aff2axcodes(other.affine)) == codes
    assert np.array_equal(other.affine, nib.load(turned / "N1_t1.nii.gz").affine)
    one, other = nib.as_closest_canonical(one), nib.as_closest_canonical(other)
    assert np.allclose(one.affine, other.affine)
    assert np.allclose(one.get_fdata(), other.get_fdata(), rtol=1e-5, atol=1e-3)


def test_roles_differ_and_the_recipes_is_the_default(model: gantk.Model, patient: Path) -> None:
    assert model.roles == ["teacher", "student"]
    volumes = {role: model.predict(patient, role=role, progress=QuietProgress()) for role in [None, *model.roles]}
    assert np.array_equal(volumes[None], volumes["student"])
    assert not np.array_equal(volumes["teacher"], volumes["student"])


def test_the_size_and_spacing_may_be_any(server: Any, recipe: Path, make_volume: Any, tmp_path: Path) -> None:
    """Trained at 2.5 mm on files of 3 mm; the patient's are 1.4 × 1.7 mm and larger than the crop."""
    short = ["schedule.teacher_epochs=1", "schedule.joint_epochs=1", "data.steps_per_epoch=1", "data.spacing=2.5"]
    process = server.start(tmp_path, "run", recipe, *[part for s in short for part in ("--set", s)])
    assert process.wait() == 0, process.output
    shape = (65, 59, 5)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    brain = x**2 + y**2 + z**2 < 0.8
    affine = np.diag([1.4, 1.7, 5.0, 1.0])
    affine[:3, 3] = -40, 30, 12
    for number, name in enumerate(INPUTS):
        voxels = (brain * (200 + 50 * np.cos(4 * y + number))).astype(np.float32)
        make_volume(tmp_path / "N2" / f"N2_{name}.nii", voxels, affine)
    image = predict(gantk.load(process.run, device="cpu"), tmp_path / "N2", tmp_path / "out.nii")
    assert image.shape == shape
    assert np.allclose(image.affine, affine)
    voxels = image.get_fdata()
    assert (voxels[~brain] == 0).all()
    assert (voxels[brain] > 0).mean() > 0.9


def test_an_average_is_what_answers(uninterrupted: Any, patient: Path) -> None:
    averaged = gantk.load(uninterrupted("ema"), device="cpu")
    kept, weights = averaged.checkpoint.tensors(), averaged.translators["student"].generator.state_dict()
    assert all(torch.equal(weight, kept[f"average.student.{name}"]) for name, weight in weights.items())
    assert any(not torch.equal(weight, kept[f"student.generator.{name}"]) for name, weight in weights.items())
    assert np.isfinite(averaged.predict(patient, progress=QuietProgress())).all()


def test_bad_requests(server: Any, model: gantk.Model, run: Path, patient: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'student'"):
        model.predict(patient, role="studnt")
    with pytest.raises(UsageError, match=r"ends in \.nii\.gz"):
        model.predict(patient, tmp_path / "out.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="the prediction cannot be written"):
        model.predict(patient, tmp_path / "file" / "out.nii", progress=QuietProgress())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image of a patient"):
        model.predict(tmp_path / "empty")
    process = server.start(tmp_path, "predict", run, tmp_path / "nowhere", "-o", "x.nii.gz")
    assert process.wait() == 1
    assert "does not exist" in process.output
    assert not (tmp_path / "x.nii.gz").exists()


def test_what_lies_with_the_inputs_is_not_replaced(
    model: gantk.Model, make_patient: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "_translate", lambda *_: pytest.fail("the network ran"))
    patient = make_patient(tmp_path / "N3", seed=3)
    before = {path: path.read_bytes() for path in patient.iterdir()}
    (tmp_path / "link").symlink_to(patient)
    for name in ("N3_t1.nii.gz", "N3_t1ce.nii.gz", "N3_seg.nii.gz"):
        for folder in (patient, tmp_path / "link"):
            with pytest.raises(UsageError, match="never replaces a file"):
                model.predict(patient, folder / name, progress=QuietProgress())
    assert {path: path.read_bytes() for path in patient.iterdir()} == before


def test_a_file_that_exists_is_replaced_only_when_asked(
    model: gantk.Model, make_patient: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient, out = make_patient(tmp_path / "N4", seed=4), tmp_path / "out.nii.gz"
    out.write_bytes(b"another's")
    with monkeypatch.context() as patch:
        patch.setattr(model, "_translate", lambda *_: pytest.fail("the network ran"))
        with pytest.raises(UsageError, match=r"this file exists.*--overwrite"):
            model.predict(patient, out, progress=QuietProgress())
    assert out.read_bytes() == b"another's"
    model.predict(patient, out, progress=QuietProgress(), overwrite=True)
    assert nib.load(out).shape == nib.load(patient / "N4_t1.nii.gz").shape
