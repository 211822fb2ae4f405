"""DS³-Net's encoders and fusion with backbones of timm."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantk_baselines.generators import TimmGenerator
from gantk_ds3net.fused_unet import Ds3Unet
from tiny_networks import count, tiny


def test_parameters():
    """One encoder of one channel per modality, the decoder of `timm`, a fusion per stage."""
    with torch.device("meta"):
        plain = TimmGenerator(3, 1, "resnet18", stages=4, channels=16)
        fused = Ds3Unet(3, 1, "resnet18", stages=4, channels=16)
    encoder = count(plain.backbone) - 2 * 64 * 7 * 7  # the first convolution, for one channel
    decoder = count(plain) - count(plain.backbone)
    fusions = sum((w := 3 * c) * (h := w // 16) + h + h * w + w for c in (64, 64, 128, 256))
    assert count(fused) == 3 * encoder + decoder + fusions


def test_streams_are_stacked_stream_major_and_see_one_modality_each():
    network = tiny("ds3_unet", in_channels=3)
    image = torch.rand(2, 3, 64, 64)
    features = network(image, layers=(0, 2), decode=False).features
    for number, channels in ((0, network.stage_channels[0]), (2, network.stage_channels[2])):
        reduction = network.reductions[number]
        assert features[number].shape == (6, channels, 64 // reduction, 64 // reduction)
    alone = network.backbone[1](image[:, 1:2])
    assert torch.equal(features[2][2:4], alone[2])
    changed = image.clone()
    changed[:, 2] = 0
    after = network(changed, layers=(2,), decode=False).features[2]
    assert torch.equal(after[:4], features[2][:4])
    assert not torch.equal(after[4:], features[2][4:])


def test_every_stage_is_fused_by_weights_that_sum_to_one():
    """With equal encoders on equal modalities, the fusion changes nothing: it is `timm` on one of them."""
    torch.manual_seed(0)
    fused = Ds3Unet(2, 1, "resnet10t", channels=4, init_gain=1.0).eval().double()
    plain = TimmGenerator(2, 1, "resnet10t", channels=4).eval()
    for encoder in fused.backbone:
        encoder.load_state_dict(fused.backbone[0].state_dict())

    class First(nn.Module):
        def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
            return fused.backbone[0](image[:, :1])

    plain.backbone, plain.steps, plain.head = First(), fused.steps, fused.head
    image = torch.rand(1, 1, 64, 96, dtype=torch.float64).repeat(1, 2, 1, 1)  # norms enlarge rounding
    torch.testing.assert_close(fused(image), plain(image))


@pytest.mark.parametrize("stage", range(4))
def test_the_fusion_of_every_stage_reaches_the_output(stage):
    torch.manual_seed(0)
    network = Ds3Unet(2, 1, "resnet10t", stages=4, channels=4, init_gain=1.0).eval()
    image = torch.rand(1, 2, 64, 64)
    before = network(image)
    nn.init.constant_(network.fusions[stage].excitation[2].bias[: network.stage_channels[stage]], 5.0)
    assert not torch.allclose(network(image), before)
