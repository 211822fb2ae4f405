"""Evaluation of known predictions, its files, baselines and examples."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from gantk.data.batch import Group
from gantk.errors import EvaluationError
from gantk.evaluation.evaluate import evaluate, settings_hash
from gantk.evaluation.metrics import Mse, Psnr, Ssim
from gantk.evaluation.results import Evaluation
from gantk.progress import QuietProgress
from known_predictions import GROUPS, brighter, group, run


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


def test_metrics_of_volumes_see_all_slices_of_a_subject_as_one() -> None:
    """Equal to torchmetrics on the stacked slices, whatever their grouping."""
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    from gantk.data.made import make_group
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
    assert both[0].settings == both[1].settings  # metrics of slices can be compared
    assert found["ssim"] == both[1].rows[0].values["ssim"]
