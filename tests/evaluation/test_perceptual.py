"""LPIPS."""

from __future__ import annotations

import pytest
import torch

from gantk.errors import GantkError
from gantk.evaluation.perceptual import Lpips


def everything(image: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(image[:, :1], dtype=torch.bool)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_lpips_is_torchmetrics(channels):
    from torchmetrics.functional.image.lpips import _NoTrainLpips

    from gantk.evaluation import perceptual

    generator = torch.Generator().manual_seed(2)
    target = torch.rand(2, channels, 72, 64, generator=generator)
    prediction = (target + 0.2 * torch.rand(target.shape, generator=generator)).clamp(0, 1)
    metric = Lpips(weights="random")
    assert metric.title == "LPIPS (random network)"
    whole = _NoTrainLpips(net="alex", pnet_rand=True)
    whole.load_state_dict(perceptual._network("alex", "random").state_dict())
    found = metric(prediction, target, everything(target))
    for i in range(2):
        one, other = prediction[i], target[i]
        if channels != 3:  # each a grey image
            one, other = (image[:, None].expand(-1, 3, -1, -1) for image in (one, other))
        else:
            one, other = one[None], other[None]
        assert float(found[i]) == pytest.approx(float(whole(one, other, normalize=True).mean()), rel=1e-4)


def test_lpips_in_a_region():
    target = torch.rand(1, 1, 96, 80, generator=torch.Generator().manual_seed(3))
    prediction = target.clone()
    prediction[..., :20, :20] = 0
    near, far = (torch.zeros(1, 1, 96, 80, dtype=torch.bool) for _ in range(2))
    near[..., :20, :20] = True
    far[..., 70:, 60:] = True
    metric = Lpips(weights="random")
    assert float(metric(prediction, target, near)) > 3 * float(metric(prediction, target, far))
    assert metric(prediction, target, near & far).isnan().all()
    small = metric(prediction[..., :30, :20], target[..., :30, :20], near[..., :30, :20])
    assert small.isfinite().all()  # enlarged


def test_lpips_without_weights(monkeypatch, tmp_path):
    import torchvision

    from gantk.evaluation import perceptual

    def offline(*_, **__):
        raise OSError("<urlopen error no network>")

    perceptual._network.cache_clear()
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(GantkError, match="weights") as error:
        Lpips()
    assert "no network" in str(error.value)
    assert "weights = " in error.value.mend
    torch.manual_seed(0)
    weights = torchvision.models.squeezenet1_1(weights=None).state_dict()
    torch.save(weights, tmp_path / "squeezenet.pth")
    Lpips("squeeze", tmp_path / "squeezenet.pth")
    network = perceptual._network("squeeze", tmp_path / "squeezenet.pth")
    assert torch.equal(network.net.slices[1].state_dict()["3.squeeze.weight"], weights["features.3.squeeze.weight"])
    (tmp_path / "broken.pth").write_bytes(b"nothing")
    for wrong in ("broken.pth", "nowhere.pth"):
        with pytest.raises(GantkError, match="does not contain the weights") as error:
            Lpips("squeeze", tmp_path / wrong)
        assert "weights_only" not in str(error.value)
