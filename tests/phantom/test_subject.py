"""Scans of a patient: what tells one from another, and the signature of real patients."""

from __future__ import annotations

import runpy
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from gantk.phantom.anatomy import Atlas
from gantk.phantom.subject import Model, Scan, brightest, build_model, scan
from phantoms import SEED, SPACING, whole


def test_another_seed_is_another_patient(atlas: Atlas, cohort: list[Path]) -> None:
    other = scan(SEED + 1, 0, SPACING, atlas)
    stored = np.asarray(nibabel.load(cohort[0] / f"{cohort[0].name}_seg.nii.gz").dataobj)
    assert (other.labels != stored).any()


def test_intensities_span_a_factor_of_a_hundred() -> None:
    for seed in range(5):
        tops = [brightest(seed, k) for k in range(60)]
        assert min(tops) < 500
        assert max(tops) > 100 * min(tops)
        assert max(tops) > 20000


def test_the_same_patient_at_another_spacing(atlas: Atlas, models: list[Model]) -> None:
    fine = build_model(SEED, 0, 2.0, atlas)
    np.testing.assert_allclose(fine.plan.centre, models[0].plan.centre)
    volume = [(m.tumour.labels > 0).sum() * m.grid.spacing**3 for m in (fine, models[0])]
    assert volume[0] == pytest.approx(volume[1], rel=0.15)


def test_images_are_zero_outside_brain_and_rim(atlas: Atlas, models: list[Model]) -> None:
    result, anatomy = scan(SEED, 0, SPACING, atlas), models[0].anatomy
    brain, rim = whole(models[0], anatomy.brain), whole(models[0], anatomy.rim)
    for image in result.images.values():
        assert not image[~(brain | rim)].any()
        assert (image[brain | rim] > 0).all()
        assert image[rim].max() < 0.05 * np.median(image[brain])
    np.testing.assert_array_equal(rim, ndimage.binary_dilation(brain, np.ones((3, 3, 3))) & ~brain)
    clean = whole(models[0], models[0].images()["t2"])[brain]
    assert 0.7 < np.corrcoef(clean, result.images["t2"][brain])[0, 1] < 0.9999


def test_the_signature_is_that_of_patients(scans: list[Scan]) -> None:
    """Within wide bands of real patients' figures (docs/phantom.md); the phantom of one contrast is outside."""
    bench = runpy.run_path(str(Path(__file__).parents[1] / "bench" / "bench_signature.py"))
    rows = [bench["signature"](*bench["patient"](one.images, one.labels)) for one in scans]
    figures = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    for name, low, high in (
        ("correlation", 0.72, 0.97),
        ("difference", 0.055, 0.15),
        ("left by own fit", 0.05, 0.145),
        ("slope on T1", 0.65, 1.1),
        ("T1ce deviation", 0.15, 0.23),
        ("T1ce median", 0.36, 0.46),
        ("T1ce 99th", 0.56, 1.1),
        ("T1ce in ET", 0.5, 0.85),
        ("T1 in ET", 0.34, 0.5),
        ("tumor share", 0.016, 0.12),
        ("difference in tumor", 0.045, 0.27),
    ):
        assert low < np.nanmedian(figures[name]) < high, name
    # patients differ, each in its own way: the own fit leaves nearly all of the difference
    assert np.median(figures["left by own fit"] / figures["difference"]) > 0.8
    assert figures["difference"].std() > 0.015
    assert (figures["ET share"] == 0).any()
    assert (figures["ET share"] > 0.004).any()
