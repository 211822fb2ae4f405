"""`python -m gantk.runtime`: files in, a file out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from described import described, of_pictures
from gantk.data.pixels import read_pixels, write_pixels
from gantk.runtime import __main__ as command
from gantk.runtime.exported import Exported
from gantk.testing.cohort import write_patient


def test_a_volume_on_the_first_inputs_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nib = pytest.importorskip("nibabel")
    exported = Exported(described(), lambda images: 0 * images[:, :1])
    monkeypatch.setattr(command, "load", lambda path: exported)
    folder, out = write_patient(tmp_path / "P", modalities=("t1", "t2")), tmp_path / "out.nii.gz"
    named = [f"{name}={folder / f'P_{name}.nii.gz'}" for name in ("t1", "t2")]
    command.main(["x.onnx", *named, "-o", str(out)])
    assert capsys.readouterr().out == f"{out}\n"
    made, like = nib.load(out), nib.load(folder / "P_t1.nii.gz")
    assert made.shape == like.shape
    assert np.array_equal(made.affine, like.affine)
    with pytest.raises(SystemExit, match=r"out\.nii\.gz: this file exists; give another name"):
        command.main(["x.onnx", *named, "-o", str(out)])


def test_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "load", lambda path: Exported(of_pictures(), lambda images: images))
    pixels = np.random.default_rng(0).integers(0, 256, (18, 14, 3), dtype=np.uint8)
    write_pixels(tmp_path / "in.png", pixels)
    command.main(["x.onnx", f"a={tmp_path / 'in.png'}", "--out", str(tmp_path / "out.png")])
    np.testing.assert_array_equal(read_pixels(tmp_path / "out.png", "rgb").values, pixels)


def test_a_mistake_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "load", lambda path: Exported(described(), lambda images: images))
    with pytest.raises(SystemExit, match=r"'scan\.nii' names no modality; write MODALITY=FILE, as in t1="):
        command.main(["x.onnx", "scan.nii", "-o", str(tmp_path / "out.nii")])
    assert not list(tmp_path.iterdir())
