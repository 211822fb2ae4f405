"""Whatever is wrong with data, recipe, cache or device: one clear paragraph, an exit code, nothing half-written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from disks import disk_of, make_room


def assert_refused(process: Any, code: int, *fragments: str) -> None:
    """Assert that the command failed with this code and this paragraph, and left no run and no partial file."""
    assert process.wait() == code, process.output
    said = process.output
    assert "Traceback" not in said
    assert "unexpectedly" not in said
    paragraphs = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(paragraphs) == 1, said
    for fragment in fragments:
        assert fragment in paragraphs[0]
    assert not (process.folder / "runs").exists()
    assert list(Path(os.environ["GANTK_CACHE"]).rglob("*.partial-*")) == []


def truncate(patient: Path) -> None:
    path = patient / f"{patient.name}_t1.nii.gz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lose(patient: Path) -> None:
    (patient / f"{patient.name}_t2.nii.gz").unlink()


def change(patient: Path, name: str, how: Callable[[nib.Nifti1Image], nib.Nifti1Image]) -> None:
    path = patient / f"{patient.name}_{name}.nii.gz"
    image = nib.load(path)
    changed = how(nib.Nifti1Image(image.get_fdata(dtype=np.float32), image.affine))
    nib.save(changed, path)


def reshape(patient: Path) -> None:
    change(patient, "t2", lambda image: nib.Nifti1Image(image.dataobj[:, :, :-1], image.affine))


def shift(patient: Path) -> None:
    moved = np.eye(4)
    moved[0, 3] = 7
    change(patient, "t2", lambda image: nib.Nifti1Image(image.dataobj, moved @ image.affine))


def spoil(patient: Path) -> None:
    def with_nan(image: nib.Nifti1Image) -> nib.Nifti1Image:
        voxels = np.array(image.dataobj)
        voxels[15, 17, 4] = np.nan
        return nib.Nifti1Image(voxels, image.affine)

    change(patient, "t1ce", with_nan)


def stack(patient: Path) -> None:
    change(patient, "t1", lambda image: nib.Nifti1Image(np.stack([image.dataobj] * 2, -1), image.affine))


def erase(patient: Path) -> None:
    change(patient, "t1", lambda image: nib.Nifti1Image(np.zeros(image.shape, np.float32), image.affine))


def interpolate(patient: Path) -> None:
    change(patient, "seg", lambda image: nib.Nifti1Image(np.asarray(image.dataobj, np.float32) / 8, image.affine))


@pytest.mark.parametrize(
    ("damage", "fragments"),
    [
        (truncate, ["P3_t1.nii.gz", "truncated or damaged"]),
        (lose, ["'P3'", "no 't2' image"]),
        (reshape, ["P3_t2.nii.gz", "(30, 34, 7)", "(30, 34, 8)"]),
        (shift, ["P3_t2.nii.gz", "voxels away", "affines differ"]),
        (spoil, ["P3_t1ce.nii.gz", "1 voxels that are NaN"]),
        (stack, ["P3_t1.nii.gz", "holds 2 volumes"]),
        (erase, ["P3_t1.nii.gz", "every voxel is 0"]),
        (interpolate, ["P3_seg.nii.gz", "not labels: 0.25, 0.5"]),
    ],
)
def test_a_bad_patient(server: Any, own_recipe: Path, patients: Path, damage: Any, fragments: list[str]) -> None:
    damage(patients / "P3")
    assert_refused(server.start(own_recipe.parent, "run", own_recipe), 1, *fragments)


def test_no_tumour_anywhere(server: Any, own_recipe: Path, patients: Path) -> None:
    for patient in patients.iterdir():
        change(patient, "seg", lambda image: nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine))
    said = ["has a slice with tumor", "segmentations are missing or empty", 'data.slices = "all"']
    assert_refused(server.start(own_recipe.parent, "run", own_recipe), 1, *said)
    process = server.start(own_recipe.parent, "run", own_recipe, "--set", "data.slices=all")
    assert process.wait() == 0, process.output


def test_one_patient_without_tumour_is_no_error(server: Any, own_recipe: Path, patients: Path) -> None:
    for name in ("P3", "P4"):
        change(patients / name, "seg", lambda image: nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine))
    process = server.start(own_recipe.parent, "run", own_recipe)
    assert process.wait() == 0, process.output


@pytest.mark.parametrize(
    ("setting", "code", "fragments"),
    [
        ("data.root={tmp}/empty", 1, ["empty", "no patient"]),
        ("data.root={tmp}/nowhere", 1, ["nowhere", "does not exist"]),
        ("data.split.ratio=[0, 1, 1]", 2, ["--set data.split.ratio", "the size of training, must be above 0"]),
        ("data.inputs=['t1', 't3']", 1, ["no patient has a 't3' image", "known: t1, t1ce, t2"]),
        ("data.target=t1c", 1, ["no patient has a 't1c' image", "did you mean 't1ce'"]),
        ("data.target=t1", 2, ["'t1' is also an input"]),
        ("data.crop=[33, 32]", 2, ["data.crop", "multiples of 4"]),
        ("data.dataset=bratz", 2, ["bratz", "did you mean 'brats'"]),
        ("data.rot='x'", 2, ["rot", "did you mean 'root'"]),
        ("data.batch.pared=1", 2, ["pared", "did you mean 'paired'"]),
        ("training.checkpoint_evry=3", 2, ["checkpoint_evry", "did you mean 'checkpoint_every'"]),
        ("training.accumulate=0", 2, ["training.accumulate"]),
        ("run.precision=fp8", 2, ["run.precision", "bf16"]),
        ("losses.pixelwise.use=l11", 2, ["l11", "did you mean 'l1'"]),
        ("losses.pixelwise.on=techer", 2, ["techer", "did you mean 'teacher'"]),
        ("losses.pixelwise.group=pared", 2, ["losses.pixelwise.group", "pared", "did you mean 'paired'"]),
        ("losses.pixelwise.map=dificulty", 2, ["dificulty", "did you mean 'difficulty'"]),
        ("losses.patchwise.patchs=3", 2, ["patchs", "did you mean 'patches'"]),
        ("losses.patchwise.patches=many", 2, ["patches", "many"]),
        ("losses.distillation.teacher=taecher", 2, ["taecher", "did you mean 'teacher'"]),
        ("losses.student_adversarial.real=paired.targt", 2, ["paired.targt", "names no image"]),
        ("maps.difficulty.stages=['jont']", 2, ["jont", "did you mean 'joint'"]),
        ("schedule.teacher=techer", 2, ["techer"]),
        ("schedule.use=teacher_studnt", 2, ["teacher_studnt", "did you mean 'teacher_student'"]),
        ("predict=studnt", 2, ["studnt", "did you mean 'student'"]),
        ("evaluation.metrics=['sim']", 2, ["sim", "did you mean 'ssim'"]),
        ("evaluation.baselines=['input:t9']", 2, ["input:t9"]),
        ("translators.teacher.optimizer.rates.heds=1e-3", 2, ["heds"]),
        ("translators.teacher.generator.chanels=4", 2, ["chanels", "did you mean 'channels'"]),
        ("nonsense", 2, ["nonsense", "key.of.table=value"]),
    ],
)
def test_a_bad_setting(
    server: Any, recipe: Path, tmp_path: Path, setting: str, code: int, fragments: list[str]
) -> None:
    (tmp_path / "empty").mkdir()
    process = server.start(tmp_path, "run", recipe, "--set", setting.format(tmp=tmp_path.as_posix()))
    assert_refused(process, code, *fragments)


def test_heads_without_a_rate_have_the_generators(server: Any, own_recipe: Path) -> None:
    text = own_recipe.read_text()
    own_recipe.write_text(text.replace("heads = 1e-3, ", ""))
    process = server.start(own_recipe.parent, "run", own_recipe)
    assert process.wait() == 0, process.output
    first = json.loads((process.run / "metrics.jsonl").read_text().splitlines()[0])["metrics"]
    assert first["rate/teacher/heads"] == 1e-3
    assert first["rate/teacher/generator"] == 1e-3


def test_a_bad_recipe_file(server: Any, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("name = \n")
    assert_refused(server.start(tmp_path, "run", "broken.toml"), 2, "broken.toml")
    assert_refused(server.start(tmp_path, "run", "nowhere.toml"), 2, "nowhere.toml")
    (tmp_path / "misspelt.toml").write_text(recipe.read_text().replace("checkpoint_every", "checkpoint_evry"))
    line = 1 + recipe.read_text().splitlines().index("checkpoint_every = 2")
    assert_refused(server.start(tmp_path, "run", "misspelt.toml"), 2, f"misspelt.toml:{line}", "checkpoint_every")


@pytest.mark.parametrize("device", ["cudo", "cuda:99", "meta"])
def test_an_unknown_device(server: Any, recipe: Path, tmp_path: Path, device: str) -> None:
    process = server.start(tmp_path, "run", recipe, "--device", device)
    assert_refused(process, 2, f"the device {device!r} cannot be used", "use auto, cpu, cuda, cuda:N or mps")


def test_the_cache_is_a_file(server: Any, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    before = f"import os; os.environ['GANTK_CACHE'] = {str(tmp_path / 'cache')!r}"
    process = server.start(tmp_path, "run", recipe, before=before)
    assert_refused(process, 1, "cache", "GANTK_CACHE")


def test_the_runs_folder_is_a_file(server: Any, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    process = server.start(tmp_path, "run", recipe, "--out", "out")
    assert_refused(process, 2, "the run's folder cannot be made", "--out")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte."""
    with disk_of("512k", tmp_path / "disk") as disk:
        yield disk


def test_the_disk_is_full_while_slices_are_prepared(
    server: Any, recipe: Path, small_disk: Path, tmp_path: Path
) -> None:
    (small_disk / "filler").write_bytes(bytes(400_000))
    before = f"import os; os.environ['GANTK_CACHE'] = {str(small_disk)!r}"
    process = server.start(tmp_path, "run", recipe, before=before)
    assert_refused(process, 1, "the disk is full", "GANTK_CACHE")
    assert list(small_disk.rglob("*.partial-*")) == []
    (small_disk / "filler").unlink()
    make_room(small_disk, "8m")
    process = server.start(tmp_path, "run", recipe, before=before)
    assert process.wait() == 0, process.output


def test_the_disk_is_full_while_a_checkpoint_is_written(
    server: Any, recipe: Path, small_disk: Path, uninterrupted: Any, tmp_path: Path
) -> None:
    assert_refused(server.start(tmp_path, "run", recipe, "--out", small_disk), 2, "checkpoints take", "are free")
    unseen = "import gantk.api.runner as r; r.check_out = lambda *_: None"  # as if others fill the disk later
    process = server.start(tmp_path, "run", recipe, "--out", small_disk, before=unseen)
    assert process.wait() == 1
    said = process.output
    assert "the checkpoint cannot be written" in said
    assert "Traceback" not in said
    assert "unexpectedly" not in said
    (run,) = small_disk.iterdir()
    assert [p for p in run.rglob("*") if ".partial-" in p.name] == []
    make_room(small_disk, "16m")
    process = server.start(tmp_path, "run", "--resume", run)
    assert process.wait() == 0, process.output
    weights = [
        max((folder / "checkpoints").iterdir()) / "model.safetensors" for folder in (run, uninterrupted("plain"))
    ]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize(
    "place",
    ["gantk.tracking.journal.os.write", "gantk.files.os.fsync", "gantk.training.checkpoint.torch.save"],
)
def test_the_disk_is_full_anywhere(server: Any, recipe: Path, tmp_path: Path, place: str) -> None:
    module, _, name = place.rpartition(".")
    before = f"""
import errno, importlib, pkgutil, sys
import gantk.training.checkpoint, gantk.tracking.journal, gantk.files
calls = []
owner = pkgutil.resolve_name({module.replace(".os", ":os").replace(".torch", ":torch")!r})
true = owner.{name}
def full(*arguments, **named):
    import gantk.tracking.journal
    calls.append(1)
    if len(calls) > 9:
        raise OSError(errno.ENOSPC, "No space left on device")
    return true(*arguments, **named)
owner.{name} = full
"""
    process = server.start(tmp_path, "run", recipe, "--set", "training.checkpoint_every=1", before=before)
    assert process.wait() == 1, process.output
    said = process.output
    assert "No space left on device" in said
    assert "--resume" in said
    assert "Traceback" not in said
    assert "unexpectedly" not in said
    resumed = server.start(tmp_path, "run", "--resume", process.run.name)
    assert resumed.wait() == 0, resumed.output
