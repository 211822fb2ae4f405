"""The phantom: deterministic, plausible and physically right."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel
import numpy as np
import pytest
from scipy import ndimage

import gantk.data.phantom.subject as subject_module
from gantk.data.phantom import write_phantom
from gantk.data.phantom.anatomy import Atlas, Deformation, load_atlas
from gantk.data.phantom.fields import smooth_field, stream
from gantk.data.phantom.grid import Grid
from gantk.data.phantom.picture import draw
from gantk.data.phantom.signal import inversion_recovery, render, spin_echo
from gantk.data.phantom.subject import MODALITIES, Model, brightest, build_model, scan
from gantk.data.phantom.tumour import arrival_time, plan_tumour
from gantk.errors import DataError, UsageError
from gantk.progress import QuietProgress

SPACING = 4.0
SEED = 3


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return load_atlas()


@pytest.fixture(scope="module")
def models(atlas: Atlas) -> list[Model]:
    return [build_model(SEED, k, SPACING, atlas) for k in range(6)]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_phantom(tmp_path_factory.mktemp("cohort"), 2, SPACING, SEED, QuietProgress(), workers=1)


def high_grade(models: list[Model]) -> list[Model]:
    return [m for m in models if not m.plan.low_grade]


def digests(folder: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}


# --- on disk


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


def test_another_seed_is_another_patient(atlas: Atlas, cohort: list[Path]) -> None:
    other = scan(SEED + 1, 0, SPACING, atlas)
    stored = np.asarray(nibabel.load(cohort[0] / f"{cohort[0].name}_seg.nii.gz").dataobj)
    assert (other.labels != stored).any()


def test_complete_subjects_are_kept(cohort: list[Path]) -> None:
    before = [f.stat().st_mtime_ns for folder in cohort for f in sorted(folder.iterdir())]
    write_phantom(cohort[0].parent, 2, SPACING, SEED, QuietProgress())
    assert [f.stat().st_mtime_ns for folder in cohort for f in sorted(folder.iterdir())] == before


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

    monkeypatch.setattr("gantk.data.phantom.write._write_nifti", full)
    with pytest.raises(DataError, match="No space left"):
        write_phantom(tmp_path, 1, SPACING, SEED, QuietProgress(), workers=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("spacing", "seed"), [(SPACING, SEED + 1), (SPACING / 2, SEED)])
def test_another_phantoms_folder_is_refused(cohort: list[Path], spacing: float, seed: int) -> None:
    with pytest.raises(DataError, match="holds another subject"):
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
    code = "import sys, gantk.data.phantom.write; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_intensities_span_a_factor_of_a_hundred() -> None:
    for seed in range(5):
        tops = [brightest(seed, k) for k in range(60)]
        assert min(tops) < 500
        assert max(tops) > 100 * min(tops)
        assert max(tops) > 20000


# --- anatomy and tumour


def test_a_field_is_the_same_at_every_spacing() -> None:
    fine, coarse = (Grid.over_box(s) for s in (2.0, 6.0))  # every third fine voxel centre is a coarse one
    a = smooth_field(stream(0, 0, "x"), fine, 20.0)[1::3, 1::3, 1::3]
    b = smooth_field(stream(0, 0, "x"), coarse, 20.0)
    n = [min(p, q) for p, q in zip(a.shape, b.shape, strict=True)]
    np.testing.assert_allclose(a[: n[0], : n[1], : n[2]], b[: n[0], : n[1], : n[2]], atol=1e-4)
    assert abs(float(b.std()) - 1) < 0.15


def test_the_front_is_faster_in_white_matter() -> None:
    """Lengths go with √(D/ρ): at four times the diffusivity a front is twice as far at the same time."""
    source = np.zeros((60, 3, 3), np.float32)
    source[:4] = 1
    rate = np.full_like(source, 0.02)
    slow, fast = (arrival_time(source, np.full_like(source, d), rate, 1e9)[:, 1, 1] for d in (0.04, 0.16))
    assert (np.diff(fast[4:20]) > 0).all()
    for distance in (4, 5, 6, 7):  # from the source's edge, at 3.5
        far = fast[int(3.5 + 2 * distance) : int(5.5 + 2 * distance)].mean()
        near = slow[3 + distance : 5 + distance].mean()
        assert near == pytest.approx(far, rel=0.1)


def test_no_front_crosses_a_gap() -> None:
    source = np.zeros((30, 3, 3), np.float32)
    source[:3] = 1
    diffusivity = np.full_like(source, 0.15)
    diffusivity[10] = 0
    arrival = arrival_time(source, diffusivity, np.full_like(source, 0.1), 1e9)
    assert np.isfinite(arrival[:10]).all()
    assert np.isinf(arrival[11:]).all()


def test_fractions_fill_the_brain_and_nothing_else(models: list[Model]) -> None:
    for model in models:
        a, t = model.anatomy, model.tumour
        total = a.grey + a.white + a.csf
        np.testing.assert_allclose(total[a.brain], 1, atol=1e-4)
        assert not total[~a.brain].any()
        lesion = t.core + t.oedema + t.enhancing
        assert lesion.min() >= 0
        assert lesion.max() <= 1 + 1e-5
        assert not lesion[~a.brain].any()
        assert not t.labels[~a.brain].any()
        for image in model.images().values():
            assert np.isfinite(image).all()
            assert not image[~a.brain].any()


def test_tumours_are_nested(models: list[Model]) -> None:
    """The rim lies between core and oedema: most of the core's surface in high grade is enhancing tumour."""
    cross = ndimage.generate_binary_structure(3, 1)
    for model in models:
        labels = model.tumour.labels
        whole, core = labels > 0, np.isin(labels, (1, 4))
        parts, count = ndimage.label(whole, np.ones((3, 3, 3)))
        largest = np.bincount(parts.ravel())[1:].max()
        assert count >= 1
        assert largest > 0.8 * whole.sum()
        assert (labels == 2)[ndimage.binary_dilation(core, np.ones((3, 3, 3)))].any()
    necrotic = [m.tumour.labels for m in high_grade(models) if (m.tumour.labels == 1).sum() > 100]
    assert necrotic
    for labels in necrotic:
        inner, outer = labels == 1, ndimage.binary_dilation(np.isin(labels, (1, 4)), cross)
        surface = ndimage.binary_dilation(inner, cross) & ~inner
        assert (labels[surface] == 4).mean() > 0.5
        assert (labels == 2)[outer & ~np.isin(labels, (1, 4))].mean() > 0.3


def test_oedema_follows_white_matter(models: list[Model]) -> None:
    for model in models:
        a, oedema = model.anatomy, model.tumour.labels == 2
        assert a.white[oedema].mean() > 0.6
        labels = model.tumour.labels
        near = ndimage.binary_dilation(labels > 0, iterations=2) & a.brain & (labels == 0)
        assert a.white[oedema].mean() > a.white[near].mean() + 0.15


def test_tumours_vary(models: list[Model]) -> None:
    volumes = np.array([(m.tumour.labels > 0).sum() * SPACING**3 / 1e3 for m in models])
    assert volumes.min() > 3
    assert volumes.max() < 320
    assert volumes.max() > 2 * volumes.min()
    centres = np.stack([m.plan.centre for m in models])
    assert (centres[:, 0] > 0).any()
    assert (centres[:, 0] < 0).any()


def test_some_are_low_grade_and_hardly_enhance(atlas: Atlas) -> None:
    low = [k for k in range(40) if plan_tumour(Deformation(SEED, k, atlas)).low_grade]
    assert 2 <= len(low) <= 20
    for k in low[:2]:
        labels = build_model(SEED, k, SPACING, atlas).tumour.labels
        assert (labels == 4).sum() < 0.2 * np.isin(labels, (1, 4)).sum()


def test_the_same_patient_at_another_spacing(atlas: Atlas, models: list[Model]) -> None:
    fine = build_model(SEED, 0, 2.0, atlas)
    np.testing.assert_allclose(fine.plan.centre, models[0].plan.centre)
    volume = [(m.tumour.labels > 0).sum() * m.grid.spacing**3 for m in (fine, models[0])]
    assert volume[0] == pytest.approx(volume[1], rel=0.15)


# --- signal


def test_signal_equations_against_a_magnet() -> None:
    """Pulse a magnetisation until it repeats itself: tip it, let it recover, read it."""
    density, t1, t2 = 0.81, 1400.0, 102.0

    def recover(m: float, time: float) -> float:
        return 1 + (m - 1) * math.exp(-time / t1)

    m = 1.0
    for _ in range(20):  # 90° leaves nothing along the field
        read = m * math.exp(-12 / t2)
        m = recover(0.0, 560)
    assert spin_echo(density, t1, t2, 560.0, 12.0) == pytest.approx(density * read)
    assert read == pytest.approx(0.329680 * 0.889009, rel=1e-4)  # by hand

    m = 1.0
    for _ in range(20):
        m = recover(-m, 2500)
        read = m * math.exp(-120 / t2)
        m = recover(0.0, 9000 - 2500)
    assert inversion_recovery(density, t1, t2, 9000.0, 120.0, 2500.0) == pytest.approx(density * read)


def test_inversion_nulls_csf(models: list[Model]) -> None:
    for model in models:
        csf, p = model.tissues["csf"], model.protocol
        full = spin_echo(csf.density, csf.t1, csf.t2, p.flair_tr, p.flair_te)
        left = inversion_recovery(csf.density, csf.t1, csf.t2, p.flair_tr, p.flair_te, p.flair_ti)
        assert abs(left) < 0.05 * abs(full)


def test_contrasts_are_in_the_right_order(models: list[Model]) -> None:
    for model in models:
        a, t = model.anatomy, model.tumour
        healthy = (t.core + t.oedema + t.enhancing < 0.01) & (a.vessel < 0.01)
        means = {
            name: {
                "grey": image[healthy & (a.grey > 0.95)].mean(),
                "white": image[healthy & (a.white > 0.95) & (a.periventricular < 0.05)].mean(),
                "csf": image[healthy & (a.csf > 0.95) & (a.depth > 10)].mean(),
                "oedema": image[t.oedema > 0.85].mean() if (t.oedema > 0.85).any() else None,
            }
            for name, image in model.images().items()
        }
        for name in ("t1", "t1ce"):
            assert means[name]["white"] > 1.1 * means[name]["grey"]
            assert means[name]["grey"] > 1.3 * means[name]["csf"]
        assert means["t2"]["csf"] > 1.5 * means["t2"]["grey"]
        assert means["t2"]["grey"] > 1.2 * means["t2"]["white"]
        assert means["flair"]["grey"] > means["flair"]["white"] > 3 * means["flair"]["csf"]
        if means["t2"]["oedema"] is not None:
            assert means["t2"]["oedema"] > 1.15 * means["t2"]["grey"]
            assert means["flair"]["oedema"] > 1.15 * means["flair"]["grey"]
            assert means["t1"]["oedema"] < means["t1"]["white"]


def without_agent(model: Model) -> np.ndarray:
    """T1ce's sequence before the agent."""
    plain = replace(model.content, uptake=np.zeros_like(model.content.uptake))
    protocol = replace(model.protocol, blood_t1=model.tissues["blood"].t1)
    return render(plain, model.tissues, protocol)["t1ce"]


def test_contrast_agent_acts_where_it_is_and_nowhere_else(models: list[Model]) -> None:
    for model in models:
        before, after = without_agent(model), render(model.content, model.tissues, model.protocol)["t1ce"]
        quiet = (model.content.uptake == 0) & (model.content.vessel == 0)
        assert quiet.mean() > 0.7
        np.testing.assert_array_equal(after[quiet], before[quiet])
        rim = (model.tumour.labels == 4)[model.anatomy.brain]
        if rim.sum() > 20:
            assert after[rim].mean() > 1.5 * before[rim].mean()


def test_thick_slices_are_averages_over_their_thickness(models: list[Model]) -> None:
    brain = np.ones((2, 2, 5), bool)
    image = np.arange(20, dtype=np.float32).reshape(2, 2, 5) ** 2
    thick = subject_module._thick(image, brain, 2.0).reshape(image.shape)
    by_hand = (0.5 * image[..., :-2] + image[..., 1:-1] + 0.5 * image[..., 2:]) / 2
    np.testing.assert_allclose(thick[..., 1:-1], by_hand, rtol=1e-6)
    np.testing.assert_array_equal(subject_module._thick(image, brain, 0.7), image[brain])


def test_vessels_enhance(models: list[Model]) -> None:
    for model in models:
        before, after = without_agent(model), render(model.content, model.tissues, model.protocol)["t1ce"]
        vessel = (model.content.vessel > 0.3) & (model.content.uptake == 0)
        assert vessel.sum() > 10
        assert after[vessel].mean() > 1.15 * before[vessel].mean()


def test_permeability_is_latent(models: list[Model]) -> None:
    """Another permeability changes T1ce alone; T1, T2 and FLAIR foretell only a part of the enhancement."""
    model = high_grade(models)[0]
    more = replace(model.content, uptake=2 * model.content.uptake)
    a, b = (render(c, model.tissues, model.protocol) for c in (model.content, more))
    for name in ("t1", "t2", "flair"):
        np.testing.assert_array_equal(a[name], b[name])
    assert (a["t1ce"] != b["t1ce"]).any()

    seen, felt = [], []
    for m in high_grade(models):
        images = render(m.content, m.tissues, m.protocol)
        white = (m.anatomy.white > 0.95)[m.anatomy.brain]
        rim = (m.tumour.enhancing > 0.95)[m.anatomy.brain]
        seen.append(np.stack([images[n][rim] / images[n][white].mean() for n in ("t1", "t2", "flair")]))
        felt.append(images["t1ce"][rim] / images["t1ce"][white].mean())
    x, y = np.concatenate(seen, 1), np.concatenate(felt)
    design = np.vstack([x, x**2, np.ones_like(y)]).T
    left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    explained = 1 - left.var() / y.var()
    assert 0.05 < explained < 0.8


def test_the_hidden_field_moves_t1ce_alone(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    import gantk.data.phantom.tumour as tumour

    def otherwise(seed: int, subject: int, purpose: str) -> np.random.Generator:
        return stream(seed + 99 if purpose.startswith("permeability") else seed, subject, purpose)

    before = build_model(SEED, 0, 6.0, atlas)
    monkeypatch.setattr(tumour, "stream", otherwise)
    after = build_model(SEED, 0, 6.0, atlas)
    np.testing.assert_array_equal(before.tumour.labels, after.tumour.labels)
    a, b = before.images(), after.images()
    for name in ("t1", "t2", "flair"):
        np.testing.assert_array_equal(a[name], b[name])
    assert (a["t1ce"] != b["t1ce"]).any()


def test_noise_is_rician_and_the_background_zero(atlas: Atlas, models: list[Model]) -> None:
    result = scan(SEED, 0, SPACING, atlas)
    brain = models[0].anatomy.brain[::-1, ::-1, :]
    for name, image in result.images.items():
        assert not image[~brain].any()
        assert (image[brain] > 0).all()
        assert 0.01 < result.facts["images"][name]["noise"] < 0.04
    clean = models[0].images()["t2"][::-1, ::-1, :][brain]
    noisy = result.images["t2"][brain].astype(float)
    assert np.corrcoef(clean, noisy)[0, 1] > 0.95
    assert np.corrcoef(clean, noisy)[0, 1] < 0.9999


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    draw(tmp_path / "phantom.png", subjects=(0,), spacing=SPACING, seed=SEED)
    assert plt.imread(tmp_path / "phantom.png").shape[:2] == (50, 5 * 39)
