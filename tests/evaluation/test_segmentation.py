"""The segmentation probe: Dice by hand, folds, bounds, determinism."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from gantk.data.batch import Group
from gantk.evaluation.evaluate import evaluate, settings_hash
from gantk.evaluation.results import NO_TARGET, REAL_TARGET, Evaluation
from gantk.evaluation.segmentation import SegmentationProbe, dice, folds
from gantk.evaluation.segmentation_network import train
from gantk.progress import QuietProgress

SIZE = (20, 28)


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_dice_by_hand(share):
    random = np.random.default_rng(int(100 * share))
    for _ in range(5):
        prediction, truth = (random.random((7, 9, 11)) < share for _ in range(2))
        overlap = sum(1 for a, b in zip(prediction.ravel(), truth.ravel(), strict=True) if a and b)
        size = sum(map(int, prediction.ravel())) + sum(map(int, truth.ravel()))
        found = dice(torch.from_numpy(prediction), torch.from_numpy(truth))
        assert found == pytest.approx(2 * overlap / size, rel=1e-12)
        assert dice(torch.from_numpy(truth), torch.from_numpy(truth)) == 1


def test_dice_of_nothing():
    nothing, something = torch.zeros(4, 4, dtype=torch.bool), torch.ones(4, 4, dtype=torch.bool)
    assert dice(nothing, something) == 0
    assert math.isnan(dice(something, nothing))
    assert math.isnan(dice(nothing, nothing))


def test_folds_hold_each_patient_once():
    patients = [f"p{i}" for i in range(13)]
    parts = folds(patients, 5, seed=0)
    assert sorted(p for part in parts for p in part) == sorted(patients)
    assert sorted(map(len, parts)) == [2, 2, 3, 3, 3]
    assert folds(patients[::-1], 5, seed=0) == parts
    assert folds(patients, 5, seed=1) != parts


def patient(name: str, seed: int, labels: tuple[int, ...] = (1, 2, 4)) -> Group:
    """Six slices, the tumour a bright square of the target that no input shows."""
    random = torch.Generator().manual_seed(seed)
    source = torch.rand(6, 2, *SIZE, generator=random) - 0.9
    target = torch.rand(6, 1, *SIZE, generator=random) * 0.2 - 0.9
    segmentation = torch.zeros(6, 1, *SIZE, dtype=torch.uint8)
    for i in range(4):
        row, column = (int(torch.randint(2, 8, (), generator=random)) for _ in range(2))
        for label, inset in ((2, 0), (1, 1), (4, 3)):
            if label in labels:
                box = (i, 0, slice(row + inset, row + 9 - inset), slice(column + inset, column + 12 - inset))
                segmentation[box] = label
                target[box] = {2: -0.3, 1: 0.2, 4: 0.9}[label]
    return Group(source, target, segmentation, (name,) * 6, tuple(range(6)))


def run(probe: SegmentationProbe, patients: dict[str, Group]) -> Evaluation:
    predictors = {
        "role": lambda g: patients[g.patients[0]].target[[int(i) for i in g.slices]],
        "input:t1": lambda g: g.source[:, :1],
    }
    return evaluate(
        predictors,
        lambda p: iter([patients[p]]),
        list(patients),
        {"segmentation_probe": probe},
        ["image"],
        device="cpu",
        progress=QuietProgress(),
        split_hash="s",
    )


SMALL = {"folds": 2, "steps": 80, "batch": 6, "channels": 8, "rate": 1e-2}


@pytest.fixture(scope="module")
def found() -> Evaluation:
    patients = {f"p{i}": patient(f"p{i}", i) for i in range(3)}
    patients["no-et"] = patient("no-et", 9, labels=(1, 2))
    patients["healthy"] = patient("healthy", 10, labels=())
    return run(SegmentationProbe(**SMALL), patients)


def test_what_the_target_shows_is_found(found):
    assert list(found.columns) == ["dice_et", "dice_tc", "dice_wt"]
    assert found.methods == ["role", "input:t1", REAL_TARGET, NO_TARGET]
    summary = found.summary
    for column in found.columns:
        real, none = (summary[method][column].mean for method in (REAL_TARGET, NO_TARGET))
        assert real > none + 0.2
        assert 0 <= none <= real <= 1
        assert math.isnan(summary["input:t1"][column].mean)  # baselines are left out
    assert summary[REAL_TARGET]["dice_wt"].mean > 0.7
    assert found.columns["dice_wt"].region == "tumour"


def test_the_same_images_have_the_same_value(found):
    values = {
        method: {row.patient: row.values for row in found.rows if row.method == method} for method in found.methods
    }
    for patient, one in values[REAL_TARGET].items():  # the role's went to [0, 1] and back
        assert values["role"][patient] == pytest.approx(one, abs=0.05, nan_ok=True)


def test_a_patient_without_the_region_has_no_value(found):
    by = {(row.patient, row.method): row for row in found.rows}
    assert math.isnan(by["no-et", "role"].values["dice_et"])
    assert by["no-et", "role"].values["dice_wt"] > 0
    assert all(math.isnan(v) for v in by["healthy", "role"].values.values())
    assert ("healthy", REAL_TARGET) not in by  # takes no part
    assert by["p0", REAL_TARGET].slices == 6
    assert found.summary["role"]["dice_et"].n == 3


def test_neighbours_are_not_shown():
    """A method with neighboring slices as input is scored on the same images as a method without."""
    probe = SegmentationProbe(**{**SMALL, "steps": 3})
    plain = {f"p{i}": patient(f"p{i}", i) for i in range(3)}
    with_neighbours = {
        name: replace(g, source=torch.cat([g.source.roll(1, 0), g.source, g.source.roll(-1, 0)], dim=1), own=(2, 3))
        for name, g in plain.items()
    }
    found, other = run(probe, plain), run(probe, with_neighbours)
    for method in ("role", REAL_TARGET, NO_TARGET):
        assert repr(other.values(method)) == repr(found.values(method))


def test_deterministic_and_unharmed():
    patients = {f"p{i}": patient(f"p{i}", i) for i in range(3)}
    probe = SegmentationProbe(**{**SMALL, "steps": 3, "baselines": True})
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = run(probe, patients)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert repr(run(probe, patients)) == repr(one)
    assert one.summary["input:t1"]["dice_wt"].n == 3
    other = run(SegmentationProbe(**{**SMALL, "steps": 3, "baselines": True, "seed": 1}), patients)
    assert repr(other.rows) != repr(one.rows)


def test_bounds_are_found_once(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path))
    trained = []
    monkeypatch.setattr(
        "gantk.evaluation.segmentation.train", lambda *args, **kwargs: trained.append(kwargs) or train(*args, **kwargs)
    )
    patients = {f"p{i}": patient(f"p{i}", i) for i in range(3)}
    small = {**SMALL, "steps": 2}
    one = run(SegmentationProbe(**small), patients)
    assert len(trained) == 2 * 3  # folds; the role and both bounds
    assert repr(run(SegmentationProbe(**small), patients)) == repr(one)
    assert len(trained) == 2 * 4
    run(SegmentationProbe(**{**small, "rate": 2e-2}), patients)
    patients["p0"].segmentation[0, 0, :2, :2] = 2
    run(SegmentationProbe(**small), patients)
    assert len(trained) == 2 * 10  # other settings and other data have bounds of their own
    for path in (tmp_path / "bounds").iterdir():
        path.write_text("{")
    run(SegmentationProbe(**small), patients)
    assert len(trained) == 2 * 13


def test_too_few_patients_have_no_value():
    found = run(SegmentationProbe(**SMALL), {"p0": patient("p0", 0)})
    assert [row.method for row in found.rows] == ["role", "input:t1"]
    assert all(math.isnan(row.values["dice_wt"]) for row in found.rows)


def test_settings_are_hashed():
    hashes = {
        settings_hash({"segmentation_probe": SegmentationProbe(**given)}, ["image"], {})
        for given in ({}, {"steps": 40}, {"folds": 3}, {"seed": 1}, {"rate": 1e-2}, {"channels": 8}, {"batch": 9})
    }
    assert len(hashes) == 7


def test_what_is_of_one_patient_is_in_one_fold_and_has_one_value():
    scans = {}
    for owner in ("p", "q"):
        for visit in (1, 2):
            name = f"{owner}-{visit}"
            scans[name] = patient(owner, len(scans))
            scans[name].subjects = (name,) * 6
    taught = []

    class Watched(SegmentationProbe):
        """Tells which patients each network learned from."""

        def collect(self):
            made = super().collect()
            trained = made._trained
            made._trained = lambda data, patients, *rest: (
                taught.append(tuple(patients)) or trained(data, patients, *rest)
            )
            return made

    found = evaluate(
        {"role": lambda g: g.target},
        lambda name: iter([scans[name]]),
        list(scans),
        {"segmentation_probe": Watched(**SMALL | {"steps": 1})},
        ["image"],
        device="cpu",
        progress=QuietProgress(),
        split_hash="s",
    )
    assert {len(patients) for patients in taught} == {1}  # of two: the other one is measured
    by = {(row.subject, row.method): row.values["dice_wt"] for row in found.rows}
    assert by["p-1", "role"] == by["p-2", "role"]
    assert ("p-2", REAL_TARGET) in by
    assert found.summary["role"]["dice_wt"].n == 2
