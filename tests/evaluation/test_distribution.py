"""FID and KID against their formulas, with features that need no download."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg
import torch

from gantk.data.batch import Group
from gantk.errors import EvaluationError, GantkError
from gantk.evaluation import features
from gantk.evaluation.distribution import SET, Fid, Kid, cut_out
from gantk.evaluation.evaluate import evaluate
from gantk.evaluation.metrics import Mse
from gantk.evaluation.results import Evaluation
from gantk.progress import QuietProgress

SIZE = (24, 32)


def gaussians(n: int, width: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(width, width, generator=generator)
    real = torch.randn(n, width, generator=generator)
    return real, torch.randn(n + 7, width, generator=generator) @ mixing + 0.5


def fid(**options) -> Fid:
    return Fid(weights="random", **options)


def test_frechet_distance_by_hand(monkeypatch):
    monkeypatch.setattr("gantk.evaluation.distribution.RANDOM_FEATURES", 8)
    real, made = gaussians(200)
    a, b = real.double().numpy(), made.double().numpy()
    covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert fid().between(real, made) == pytest.approx(expected, rel=1e-4)
    assert fid().between(real, real) == pytest.approx(0, abs=1e-4)


def test_kernel_distance_by_hand(monkeypatch):
    monkeypatch.setattr("gantk.evaluation.distribution.RANDOM_FEATURES", 8)
    real, made = (x[:50] for x in gaussians(50))

    def kernel(x, y):
        return (x @ y.T / 8 + 1) ** 3

    a, b = real.double().numpy(), made.double().numpy()
    n = 50
    within = sum((kernel(x, x).sum() - np.trace(kernel(x, x))) / (n * (n - 1)) for x in (a, b))
    expected = within - 2 * kernel(a, b).mean()
    assert Kid(weights="random", subsets=2).between(real, made) == pytest.approx(expected, rel=1e-4)
    state = torch.get_rng_state()
    fewer = Kid(weights="random", subsets=3, subset_size=20)
    assert fewer.between(real, made) == fewer.between(real, made) != Kid(weights="random").between(real, made)
    assert torch.equal(torch.get_rng_state(), state)


def group(patient: str, seed: int, *, target: bool = True) -> Group:
    random = torch.Generator().manual_seed(seed)
    images = torch.rand(3, 2, *SIZE, generator=random) * 2 - 1
    return Group(images[:, :1], images[:, 1:] if target else None, None, (patient,) * 3, (0, 1, 2))


GROUPS = {name: group(name, seed) for seed, name in enumerate("abcd")}
PREDICTORS = {
    "same": lambda g: GROUPS[g.patients[0]].target,
    "blurred": lambda g: torch.nn.functional.avg_pool2d(g.source, 3, stride=1, padding=1),
    "noise": lambda g: g.source,
}


def run(metrics, patients=tuple(GROUPS), groups=GROUPS, predictors=PREDICTORS, **options) -> Evaluation:
    return evaluate(
        predictors,
        lambda p: iter([groups[p]]),
        patients,
        metrics,
        ["image"],
        device="cpu",
        progress=QuietProgress(),
        split_hash="s",
        **options,
    )


def test_one_number_per_method(tmp_path):
    found = run({"fid": fid(), "mse": Mse(), "kid": Kid(weights="random")})
    assert list(found.columns) == ["mse", "fid", "kid"]
    assert found.columns["fid"].region == SET
    assert found.columns["fid"].title == "FID (random network)"
    assert all(np.isnan(row.values["fid"]) for row in found.rows)
    for column in ("fid", "kid"):
        values = {method: statistics[column] for method, statistics in found.summary.items()}
        assert all(v.n == 4 and np.isnan(v.std) for v in values.values())
        assert values["same"].mean < values["noise"].mean < values["blurred"].mean
    assert found.summary["same"]["fid"].mean == pytest.approx(0, abs=1e-4)
    found.write(tmp_path)
    assert repr(Evaluation.read(tmp_path)) == repr(found)


def test_what_is_cut_out():
    """A bright box on noise: the box alone, without its surroundings, fills the image."""
    images = torch.rand(3, 1, *SIZE) * 0.3 + 0.1
    mask = torch.zeros(3, 1, *SIZE, dtype=torch.bool)
    mask[0, :, 3:9, 20:28] = True  # of the image's own proportions
    mask[2, :, 21:24, 0:4] = True  # in a corner
    images[mask] = 1.0
    found = cut_out(images, mask)
    assert found.shape == (2, 1, *SIZE)
    torch.testing.assert_close(found, torch.ones_like(found))
    mask[0, 0, 5, 24] = False
    assert cut_out(images, mask)[0].min() < 0.5  # a hole is black
    assert len(cut_out(images, torch.zeros_like(mask))) == 0


def test_inside_regions():
    """Differences outside a region do not count for it."""
    labelled = {}
    for name, one in GROUPS.items():
        labels = torch.zeros(3, 1, *SIZE, dtype=torch.uint8)
        labels[:2, :, 4:12, 5:20] = 4
        labelled[name] = dataclasses.replace(one, segmentation=labels)
    outside = {n: torch.where(g.segmentation > 0, g.target, -g.target) for n, g in labelled.items()}
    predictors = {"outside": lambda g: outside[g.patients[0]], "noise": lambda g: g.source}
    metrics = {
        "fid": fid(regions=["image", "et"]),
        "kid": Kid(weights="random", regions=["tumour"], subset_size=5, subsets=3),
    }
    found = run(metrics, groups=labelled, predictors=predictors)
    assert {name: column.region for name, column in found.columns.items()} == {
        "fid": SET,
        "fid_et": f"{SET}, et",
        "kid_tumour": f"{SET}, tumour",
    }
    outside_only, noise = found.summary["outside"], found.summary["noise"]
    assert outside_only["fid_et"].mean == pytest.approx(0, abs=1e-4)
    assert outside_only["fid"].mean > 1e-2
    assert noise["fid_et"].mean > 1e-2
    assert outside_only["kid_tumour"].mean < noise["kid_tumour"].mean


def test_without_pairs():
    groups = {name: group(name, seed, target=name in "cd") for seed, name in enumerate("abcd")}
    found = run({"fid": fid(), "mse": Mse()}, ("a", "b"), groups, paired=False, targets=("c", "d"))
    assert list(found.columns) == ["fid"]
    assert {row.patient for row in found.rows} == {"a", "b"}
    noise, blurred = (found.summary[m]["fid"] for m in ("noise", "blurred"))
    assert noise.n == 2
    assert noise.mean < blurred.mean
    made = torch.cat([groups[p].source for p in "ab"])
    real = torch.cat([groups[p].target for p in "cd"])
    network = features.feature_network("random", 2048, "")
    by_hand = fid().between(*(network(((x + 1) / 2).expand(-1, 3, -1, -1)) for x in (real, made)))
    assert noise.mean == pytest.approx(by_hand, rel=1e-4)
    with pytest.raises(EvaluationError, match="no target"):
        run({"fid": fid()}, ("a", "b"), groups)


def test_too_few_images_have_no_value(monkeypatch):
    one = Group(*(x[:1] for x in (GROUPS["a"].source, GROUPS["a"].target)), None, ("a",), (0,))
    monkeypatch.setitem(GROUPS, "a", one)
    found = run({"fid": fid()}, ("a",)).summary["noise"]["fid"]
    assert np.isnan(found.mean)
    assert found.n == 0


def test_without_weights(monkeypatch, tmp_path):
    with pytest.raises(GantkError, match="no such file"):
        Fid(weights=tmp_path / "nowhere.pth")

    def offline(*_):
        raise OSError("<urlopen error no network>")

    monkeypatch.setattr("torchmetrics.image.fid.NoTrainInceptionV3", offline)
    with pytest.raises(GantkError, match="Inception") as error:
        Kid()
    assert "no network" in str(error.value)
    assert 'weights = "random"' in error.value.mend

    def absent(*_):
        raise ModuleNotFoundError("requires that `Torch-fidelity` is installed")

    monkeypatch.setattr("torchmetrics.image.fid.NoTrainInceptionV3", absent)
    with pytest.raises(GantkError, match="torch-fidelity"):
        Fid()


def test_inception_is_torchmetrics_own(monkeypatch, tmp_path):
    asked = []

    class Inception(torch.nn.Module):
        def __init__(self, name, layers, path):
            super().__init__()
            asked.append((name, layers, path))

        def forward(self, images):
            assert images.dtype == torch.uint8
            assert images.shape[1] == 3
            return images.float().flatten(1)[:, :64]

    monkeypatch.setattr("torchmetrics.image.fid.NoTrainInceptionV3", Inception)
    weights = tmp_path / "inception.pth"
    weights.touch()
    metric = Fid(weights=weights, features=64)
    assert metric.title == "FID"
    assert asked == [("inception-v3-compat", ["64"], str(weights))]
    found = run({"fid": metric}).summary
    assert found["same"]["fid"].mean < found["noise"]["fid"].mean
