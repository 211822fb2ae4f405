"""The phantom on disk: deterministic, whole or absent, and never over what others wrote."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from gantk.errors import DataError, UsageError
from gantk.phantom import write_phantom
from gantk.phantom.subject import MODALITIES
from gantk.progress import QuietProgress
from phantoms import SEED, SPACING


def digests(folder: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}


def test_layout_types_and_geometry(cohort: list[Path]) -> None:
    assert [f.name for f in cohort] == ["BraTS20_Training_001", "BraTS20_Training_002"]
    for folder in cohort:
        images = {m: nibabel.load(folder / f"{folder.name}_{m}.nii.gz") for m in (*MODALITIES, "seg")}
        affines = np.stack([i.affine for i in images.values()])
        assert (affines == affines[0]).all()
        assert nibabel.aff2axcodes(affines[0]) == ("L", "P", "S")
        assert images["t1"].header.get_zooms() == (SPACING,) * 3
        assert images["seg"].get_data_dtype() == np.uint8
        brains = []
        for m in MODALITIES:
            assert images[m].get_data_dtype() == np.int16
            values = np.asarray(images[m].dataobj)
            assert values.min() == 0
            assert 200 <= values.max() <= 32767
            brains.append(values > 0)
        assert all((b == brains[0]).all() for b in brains)
        assert 0.15 < brains[0].mean() < 0.45
        seg = np.asarray(images["seg"].dataobj)
        assert set(np.unique(seg)) <= {0, 1, 2, 4}
        assert not seg[~brains[0]].any()
        assert json.loads((folder / "phantom.json").read_text())["spacing"] == SPACING


def test_bytes_depend_on_neither_workers_nor_cohort(cohort: list[Path], tmp_path: Path) -> None:
    again = write_phantom(tmp_path, 3, SPACING, SEED, QuietProgress(), workers=2)
    assert [digests(f) for f in again[:2]] == [digests(f) for f in cohort]
    assert digests(again[2]) != digests(again[1])
    assert sorted(p.name for p in tmp_path.iterdir()) == [f.name for f in again]  # nothing half-written


def test_complete_subjects_are_kept(cohort: list[Path]) -> None:
    before = [f.stat().st_mtime_ns for folder in cohort for f in sorted(folder.iterdir())]
    write_phantom(cohort[0].parent, 2, SPACING, SEED, QuietProgress())
    assert [f.stat().st_mtime_ns for folder in cohort for f in sorted(folder.iterdir())] == before


def test_a_damaged_subject_is_named_and_kept(cohort: list[Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(cohort[0], tmp_path / cohort[0].name))
    path = folder / f"{folder.name}_t1.nii.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged.*checksums.*move this folder elsewhere") as caught:
        write_phantom(tmp_path, 1, SPACING, SEED, QuietProgress())
    assert caught.value.where == str(folder)
    assert path.read_bytes() == content


def test_leftovers_of_a_killed_process_are_swept(cohort: list[Path]) -> None:
    old, new = (cohort[0].parent / f".partial-{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir()
        (folder / "x").write_text("")
    os.utime(old, (0, 0))
    write_phantom(cohort[0].parent, 2, SPACING, SEED, QuietProgress())
    assert not old.exists()
    assert new.exists()  # another process may be writing it


def test_a_failed_subject_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *_: object) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("gantk.phantom.write._write_nifti", full)
    with pytest.raises(DataError, match="No space left"):
        write_phantom(tmp_path, 1, SPACING, SEED, QuietProgress(), workers=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("spacing", "seed"), [(SPACING, SEED + 1), (SPACING / 2, SEED)])
def test_another_phantoms_folder_is_refused(cohort: list[Path], spacing: float, seed: int) -> None:
    with pytest.raises(DataError, match="contains another subject"):
        write_phantom(cohort[0].parent, 1, spacing, seed, QuietProgress())


def test_a_strangers_folder_is_refused_and_kept(tmp_path: Path) -> None:
    mine = tmp_path / "BraTS20_Training_001" / "precious.txt"
    mine.parent.mkdir()
    mine.write_text("x")
    with pytest.raises(DataError, match="no phantom"):
        write_phantom(tmp_path, 1, SPACING, SEED, QuietProgress())
    assert mine.read_text() == "x"


def test_an_unwritable_place_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_phantom(tmp_path / "file" / "cohort", 1, SPACING, SEED, QuietProgress())


@pytest.mark.parametrize(
    "wrong", [{"subjects": 0}, {"spacing": 0.1}, {"spacing": float("nan")}, {"seed": -1}, {"workers": 0}]
)
def test_arguments_out_of_range(tmp_path: Path, wrong: dict[str, float]) -> None:
    good = {"subjects": 1, "spacing": SPACING, "seed": 0, "workers": 1}
    with pytest.raises(UsageError, match=next(iter(wrong))):
        write_phantom(tmp_path / "out", progress=QuietProgress(), **{**good, **wrong})
    assert not (tmp_path / "out").exists()


def test_workers_do_not_import_torch() -> None:
    code = "import sys, gantk.phantom.write; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
