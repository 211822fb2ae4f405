"""Generators on backbones of timm."""

from __future__ import annotations

import pytest
import timm
import torch

from gantk import GantkError
from gantk_baselines.generators import TimmGenerator


@pytest.mark.parametrize(
    "backbone",
    ["resnet18", "convnext_atto", "efficientnet_b0", "mobilenetv3_small_050", "vit_tiny_patch16_224"],
)
def test_timm_backbones(backbone):
    network = TimmGenerator(2, 1, backbone, channels=4, image_size=(64, 96)).eval()
    with torch.no_grad():
        output, features = network(torch.rand(1, 2, 64, 96), layers=(0, 1))
    assert output.shape == (1, 1, 64, 96)
    for layer, feature in features.items():
        reduction = network.reductions[layer]
        assert feature.shape == (1, network.stage_channels[layer], 64 // reduction, 96 // reduction)


def test_timm_channels_last_backbone_gives_channels_first_features():
    network = TimmGenerator(1, 1, "swin_s3_tiny_224", channels=4, image_size=(224, 224)).eval()
    with torch.no_grad():
        feature = network(torch.rand(1, 1, 224, 224), layers=(0,), decode=False).features[0]
    assert feature.shape == (1, network.stage_channels[0], 56, 56)


def test_timm_unknown_backbone_and_missing_weights(monkeypatch):
    with pytest.raises(GantkError, match="resnet18"):
        TimmGenerator(1, 1, "resnet_18")

    def offline(*_, **__):
        raise OSError("We couldn't connect to 'https://huggingface.co'")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(GantkError, match=r"with its weights.*couldn't connect.*pretrained = false"):
        TimmGenerator(1, 1, "resnet18", pretrained=True)
