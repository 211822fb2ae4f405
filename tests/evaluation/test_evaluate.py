"""Evaluation of known predictions, its files, baselines and examples."""

import json
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from gantk.data.batch import Group
from gantk.data.layout import Layout
from gantk.errors import EvaluationError
from gantk.evaluation.baselines import baseline
from gantk.evaluation.evaluate import evaluate, settings_hash
from gantk.evaluation.examples import Examples
from gantk.evaluation.intensities import Intensities
from gantk.evaluation.metrics import Mse, Psnr, Ssim
from gantk.evaluation.results import Column, Evaluation, Row, Statistic
from gantk.files import read_json
from gantk.progress import QuietProgress

SIZE = 16


def group(patient: str, targets: list[float], tumour: list[bool]) -> Group:
    """Slices of one brightness each; the upper half is brain, its first row tumour where there is one."""
    count = len(targets)
    target = torch.full((count, 1, SIZE, SIZE), -1.0)
    source = torch.full((count, 2, SIZE, SIZE), -1.0)
    segmentation = torch.zeros(count, 1, SIZE, SIZE, dtype=torch.uint8)
    for i, value in enumerate(targets):
        target[i, :, : SIZE // 2] = value
        source[i, 0, : SIZE // 2] = 0.5
        source[i, 1, : SIZE // 2] = -0.5
        if tumour[i]:
            segmentation[i, :, 0] = 4
    return Group(source, target, segmentation, (patient,) * count, tuple(range(count)))


GROUPS = {
    "a": [group("a", [0.0, 0.2], [True, False]), group("a", [0.4], [False])],
    "b": [group("b", [0.6], [False])],
}


def brighter(by: float):
    return lambda g: torch.where(g.foreground, g.target + by, g.target)


def run(predictors, **options) -> Evaluation:
    arguments = {"device": "cpu", "progress": QuietProgress(), "split_hash": "split"} | options
    metrics = arguments.pop("metrics", {"mse": Mse()})
    regions = ["image", "brain", "tumour"]
    return evaluate(predictors, lambda p: iter(GROUPS[p]), ["a", "b"], metrics, regions, **arguments)


def test_known_numbers():
    found = run({"student": brighter(0.2), "teacher": lambda g: torch.where(g.foreground, 0.0, -1.0)})
    by = {(row.patient, row.method): row for row in found.rows}
    assert list(by) == [("a", "student"), ("a", "teacher"), ("b", "student"), ("b", "teacher")]
    student = by["a", "student"]
    assert student.slices == 3  # 0.2 of [-1, 1] is 0.1 of [0, 1]; half of the image is brain
    assert student.values == pytest.approx({"mse": 0.005, "mse_brain": 0.01, "mse_tumour": 0.01}, rel=1e-4)
    teacher = by["a", "teacher"].values
    assert teacher["mse_brain"] == pytest.approx((0 + 0.01 + 0.04) / 3, rel=1e-4)
    assert teacher["mse_tumour"] == 0  # of the first slice alone: no other has a tumour
    assert math.isnan(by["b", "teacher"].values["mse_tumour"])
    brain = found.summary["teacher"]["mse_brain"]
    values = [0.05 / 3, 0.09]
    assert (brain.mean, brain.std) == pytest.approx((np.mean(values), np.std(values, ddof=1)), rel=1e-4)
    tumour = found.summary["teacher"]["mse_tumour"]
    assert (tumour.mean, tumour.n) == (0, 1)
    assert math.isnan(tumour.std)


def test_mean_intensities_of_target_and_output_by_region(tmp_path):
    seen = Intensities(["image", "brain", "tumour"])
    run({"student": brighter(0.2)}, watch=seen.add)
    seen.write(tmp_path / "i.csv", lambda one: one.subject != "b" or one.region != "image")
    found = {(one.patient, one.region): one for one in Intensities.read(tmp_path / "i.csv")}
    assert set(found) == {("a", "image"), ("a", "brain"), ("a", "tumour"), ("b", "brain")}  # b has no tumor
    brain = found["a", "brain"]  # three slices of 0, 0.2 and 0.4 in [-1, 1]
    assert (brain.pixels, brain.method) == (3 * SIZE * SIZE // 2, "student")
    assert (brain.target, brain.made) == pytest.approx((0.6, 0.7))
    assert (found["a", "image"].target, found["a", "image"].made) == pytest.approx((0.3, 0.35))
    assert (found["a", "tumour"].pixels, found["a", "tumour"].target) == pytest.approx((SIZE, 0.5))
    (tmp_path / "i.csv").write_text("patient,target\na,x\n")
    with pytest.raises(EvaluationError, match="damaged"):
        Intensities.read(tmp_path / "i.csv")


def test_maps_and_calls_agree():
    class Plain:
        higher_is_better, title = False, "MSE"

        def __call__(self, prediction, target, mask):
            return Mse()(prediction, target, mask)

    assert run({"m": brighter(0.3)}, metrics={"mse": Plain()}).rows[0] == run({"m": brighter(0.3)}).rows[0]


@pytest.mark.parametrize(
    ("predictor", "message"),
    [
        (lambda g: g.target * float("nan"), "NaN"),
        (lambda g: g.target[:, :, 1:], "shape"),
    ],
)
def test_bad_output_is_no_missing_region(predictor, message):
    with pytest.raises(EvaluationError, match=message) as error:
        run({"student": predictor})
    assert "'student'" in str(error.value)
    assert error.value.where == "a"


def test_patient_without_target():
    bare = GROUPS["a"][0]
    bare = Group(bare.source, None, bare.segmentation, bare.patients, bare.slices)
    with pytest.raises(EvaluationError, match="target"):
        evaluate({}, lambda p: iter([bare]), ["a"], {}, [], device="cpu", progress=QuietProgress(), split_hash="")


def test_round_trip(tmp_path):
    found = run({"student": brighter(0.2)}, metrics={"mse": Mse(), "psnr": Psnr()})
    found.write(tmp_path / "evaluation")
    again = Evaluation.read(tmp_path / "evaluation")
    assert repr(again) == repr(found)  # NaN is not equal to itself, its text is
    head = json.loads((tmp_path / "evaluation/summary.json").read_text(), parse_constant=pytest.fail)
    assert head["metrics"]["psnr_tumour"] == {"title": "PSNR", "region": "tumour", "higher_is_better": True}
    assert head["methods"]["student"]["mse_tumour"] == {"mean": pytest.approx(0.01), "std": None, "n": 1}
    lines = (tmp_path / "evaluation/patients.csv").read_text().splitlines()
    assert lines[0] == "patient,method,slices,mse,psnr,mse_brain,psnr_brain,mse_tumour,psnr_tumour"
    assert lines[2].endswith(",,")
    assert sorted(p.name for p in (tmp_path / "evaluation").iterdir()) == ["patients.csv", "summary.json"]


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        ('"higher_is_better": false', '"higher_is_better": true'),
        ('"title": "MSE"', '"title": "MAE"'),
        ('"std"', '"sdt"'),
    ],
)
def test_a_summary_that_was_changed_is_refused(tmp_path, said, changed):
    run({"student": brighter(0.2)}).write(tmp_path)
    path = tmp_path / "summary.json"
    assert read_json(path)
    whole = path.read_text()
    assert said in whole
    path.write_text(whole.replace(said, changed, 1))
    with pytest.raises(EvaluationError, match="differs from its own checksum"):
        Evaluation.read(tmp_path)
    assert read_json(path) == {}


def test_a_summary_of_an_older_version_has_no_seal(tmp_path):
    run({"student": brighter(0.2)}).write(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps(read_json(tmp_path / "summary.json")))
    assert Evaluation.read(tmp_path).rows


@pytest.mark.parametrize("damage", ["summary.json", "patients.csv", "cut"])
def test_reading_damage(tmp_path, damage):
    run({"student": brighter(0.2)}).write(tmp_path)
    if damage == "cut":
        (tmp_path / "summary.json").write_text("{")
    else:
        (tmp_path / damage).unlink()
    with pytest.raises(EvaluationError, match="evaluate the run again" if damage == "cut" else "let the run finish"):
        Evaluation.read(tmp_path)


def test_a_digit_that_no_mean_shows(tmp_path):
    run({"student": brighter(0.2)}).write(tmp_path)
    path = tmp_path / "patients.csv"
    text = path.read_text()
    for changed in (text.replace("b,student", "c,student"), text + "\n"):
        assert changed != text
        path.write_text(changed)
        with pytest.raises(EvaluationError, match=r"patients\.csv.*checksum"):
            Evaluation.read(tmp_path)


def test_settings_hash_names_what_matters():
    base = settings_hash({"ssim": Ssim(), "mse": Mse()}, ["image", "brain"], {"crop": [224, 224]})
    assert base == settings_hash({"mse": Mse(), "ssim": Ssim()}, ["brain", "image"], {"crop": (224, 224)})
    others = {
        settings_hash({"ssim": Ssim(sigma=2.0), "mse": Mse()}, ["image", "brain"], {"crop": [224, 224]}),
        settings_hash({"ssim": Ssim()}, ["image", "brain"], {"crop": [224, 224]}),
        settings_hash({"ssim": Ssim(), "mse": Mse()}, ["image"], {"crop": [224, 224]}),
        settings_hash({"ssim": Ssim(), "mse": Mse()}, ["image", "brain"], {"crop": [112, 112]}),
    }
    assert len(others) == 4
    assert base not in others


def test_statistic_of_few():
    assert Statistic.of([1.0, math.nan, 3.0]) == Statistic(2.0, math.sqrt(2), 2)
    assert Statistic.of([math.nan]).n == 0


def test_input_baseline():
    g = GROUPS["a"][0]
    answer = baseline("input:t2", Layout(("t1", "t2"), ("t1ce",)), 3, iter(()))(g)
    assert answer.shape == (2, 3, SIZE, SIZE)
    assert torch.equal(answer[:, 1], g.source[:, 1])
    for wrong in ("input:flair", "input:", "mean"):
        with pytest.raises(EvaluationError, match="baselines"):
            baseline(wrong, Layout(("t1", "t2"), ("t1ce",)), 1, iter(()))


def test_training_mean_baseline():
    left = group("a", [0.2, 0.4], [False, False])
    left.source[1, :, 0] = -1  # the first row is brain in the first slice alone
    left.target[1, :, 0] = -1
    test = group("b", [0.9], [False])
    test.source[0, :, -1] = 0  # never brain in training
    answer = baseline("training_mean", Layout(("t1", "t2"), ("t1ce",)), 1, iter([left]))(test)[0, 0]
    assert answer[0].tolist() == pytest.approx([0.2] * SIZE)
    assert answer[1].tolist() == pytest.approx([0.3] * SIZE)
    assert answer[SIZE // 2].tolist() == [-1] * SIZE
    rows = SIZE // 2
    overall = (0.2 * rows + 0.4 * (rows - 1)) / (2 * rows - 1)
    assert answer[-1].tolist() == pytest.approx([overall] * SIZE)
    with pytest.raises(EvaluationError, match="paired"):
        baseline("training_mean", Layout(("t1",), ("t1ce",)), 1, iter(()))


def test_examples_round_trip(tmp_path):
    g = GROUPS["a"][0]
    output = brighter(0.1)(g)
    inputs = {"t1": g.source[:, :1], "t2": g.source[:, 1:2]}
    examples = Examples.of(g, inputs, g.target, {"a/b": output}, {"difficulty/a": output[:, :1] + 1})
    examples.save(tmp_path / "deep" / "examples.npz")
    again = Examples.load(tmp_path / "deep" / "examples.npz")
    assert again.titles == ["a, slice 0", "a, slice 1"]
    assert list(again.inputs) == ["t1", "t2"]
    assert list(again.outputs) == ["a/b"]
    np.testing.assert_array_equal(again.inputs["t2"], g.source[:, 1].numpy())
    np.testing.assert_array_equal(again.weights["difficulty/a"], output[:, 0].numpy() + 1)
    assert again.segmentation.dtype == np.uint8
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["examples.npz"]
    (tmp_path / "broken.npz").write_bytes((tmp_path / "deep" / "examples.npz").read_bytes()[:200])
    for path in (tmp_path / "broken.npz", tmp_path / "missing.npz"):
        with pytest.raises(EvaluationError):
            Examples.load(path)


# --- patients of several subjects ---------------------------------------------------------------------------------


def of(patient: str, subject: str, target: float) -> list[Group]:
    made = group(patient, [target], [False])
    made.subjects = (subject,)
    return [made]


def test_a_patient_counts_once_however_many_scans_there_are(tmp_path):
    scans = {"p-1": of("p", "p-1", 0.1), "p-2": of("p", "p-2", 0.2), "p-3": of("p", "p-3", 0.3), "q": of("q", "q", 0.0)}
    found = evaluate(
        {"student": lambda g: torch.zeros_like(g.target)},
        lambda subject: iter(scans[subject]),
        list(scans),
        {"mse": Mse()},
        ["image"],
        device="cpu",
        progress=QuietProgress(),
        split_hash="split",
    )
    assert [(row.patient, row.subject) for row in found.rows] == [("p", "p-1"), ("p", "p-2"), ("p", "p-3"), ("q", "q")]
    by_subject = {row.subject: row.values["mse"] for row in found.rows}
    by_patient = found.values("student")["mse"]
    of_p = sum(by_subject[f"p-{n}"] for n in (1, 2, 3)) / 3
    assert by_patient == {"p": pytest.approx(of_p), "q": by_subject["q"]}
    summary = found.summary["student"]["mse"]
    assert summary.n == 2
    assert summary.mean == pytest.approx((of_p + by_subject["q"]) / 2)
    found.write(tmp_path)
    assert repr(Evaluation.read(tmp_path)) == repr(found)
    assert (tmp_path / "patients.csv").read_text().splitlines()[2].startswith("p,p-2,student,1,")


def test_a_scan_without_a_value_leaves_the_patients_other_scans():
    rows = [Row("p", "m", 1, {"a": 0.5}, "p-1"), Row("p", "m", 1, {"a": math.nan}, "p-2"), Row("q", "m", 1, {"a": 1.0})]
    found = Evaluation("s", "e", {"a": Column("A", "image", True)}, rows)
    assert found.values("m") == {"a": {"p": 0.5, "q": 1.0}}


def test_metrics_of_volumes_see_all_slices_of_a_subject_as_one() -> None:
    """As torchmetrics has them of the stacked slices, however these come in groups."""
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    from gantk.data.made import make_group
    from gantk.evaluation.metrics import Psnr
    from gantk.evaluation.protocols import VolumeMetric

    whole = make_group(14, 2, 1, (24, 20))
    noise = torch.randn(whole.target.shape, generator=torch.Generator().manual_seed(0))
    made = (whole.target + 0.3 * noise).clamp(-1, 1)
    parts = [slice(0, 5), slice(5, 6), slice(6, 14)]

    def groups(_: str) -> Iterator[Group]:
        for part in parts:
            yield Group(whole.source[part], whole.target[part], whole.segmentation[part], ("p",) * 14, (0,) * 14)

    def predict(group: Group) -> torch.Tensor:
        start = next(p.start for p in parts if torch.equal(whole.target[p], group.target))
        return made[start : start + len(group.target)]

    metrics = {"ssim": Ssim(), "volume_ssim": VolumeMetric(Ssim()), "volume_psnr": VolumeMetric(Psnr())}
    both = [
        evaluate(
            {"m": predict},
            groups,
            ["p"],
            used,
            ["image", "brain", "tumour"],
            device="cpu",
            progress=QuietProgress(),
            split_hash="",
        )
        for used in (metrics, {"ssim": Ssim()})
    ]
    found = both[0].rows[0].values
    output, target = ((images.movedim(0, 1)[None] + 1) / 2 for images in (made, whole.target))
    _, full = structural_similarity_index_measure(output, target, data_range=1.0, return_full_image=True)
    assert found["volume_ssim"] == pytest.approx(full.mean().item(), abs=1e-5)
    brain = whole.foreground.movedim(0, 1)[None]
    assert found["volume_ssim_brain"] == pytest.approx(full[brain].mean().item(), abs=1e-5)
    assert found["volume_psnr"] == pytest.approx(peak_signal_noise_ratio(output, target, 1.0).item(), abs=1e-4)
    tumour = (whole.segmentation > 0).movedim(0, 1)[None]
    error = (output - target).square()[tumour].mean().item()
    assert found["volume_psnr_tumour"] == pytest.approx(-10 * np.log10(error), abs=1e-4)
    assert both[0].columns["volume_ssim_brain"].title == "SSIM 3D"
    assert both[0].settings == both[1].settings  # what is measured of slices compares
    assert found["ssim"] == both[1].rows[0].values["ssim"]
