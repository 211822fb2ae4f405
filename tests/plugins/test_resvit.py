"""ResViT's generator: sizes by formula, transformers and their sharing, positions, the CNN alone."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk import GantkError
from gantk_baselines.generators import Resnet, Resvit
from gantk_baselines.generators.resvit import ArtBlock, Transformer
from tiny_networks import count

SMALL: dict[str, Any] = {"channels": 2, "blocks": 3, "transformers": (1, 3), "hidden": 8, "depth": 2, "heads": 2}


def network(**settings: Any) -> Resvit:
    torch.manual_seed(0)
    return Resvit(3, 1, **{"image_size": (32, 48), **SMALL, **settings})


def transformer_size(hidden: int, depth: int, ratio: int = 4) -> int:
    """Two norms, queries, keys, values and their projection, an MLP; a last norm."""
    attention = 3 * (hidden * hidden + hidden) + hidden * hidden + hidden
    mlp = 2 * ratio * hidden * hidden + ratio * hidden + hidden
    return depth * (2 * 2 * hidden + attention + mlp) + 2 * hidden


def bridge_size(c: int, hidden: int, tokens: int) -> int:
    """Down to 4c, embedding, positions, up to c, compression; convolutions before batch norm have no bias."""
    norms = 2 * (2 * c + 4 * c) + 2 * (2 * c + c) + 2 * 3 * c
    down, up = 9 * (c * 2 * c + 2 * c * 4 * c), 9 * (hidden * 2 * c + 2 * c * c)
    compression = 2 * c * c + 9 * 2 * c * c + 9 * c * c
    return norms + down + up + compression + 4 * c * hidden + hidden + tokens * hidden


# --- sizes --------------------------------------------------------------------------------------------------


def test_published_parameters() -> None:
    with torch.device("meta"):
        whole = Resvit(1, 1)
        cnn = Resvit(1, 1, transformers=())
        plain = Resnet(1, 1, norm="batch", antialias=False)
    assert count(whole.transformers) == transformer_size(768, 12) == 85_056_000
    assert count(cnn) == count(plain)
    assert count(whole) == count(cnn) + transformer_size(768, 12) + 2 * bridge_size(256, 768, 256) == 123_441_537
    assert [b.bridge is not None for b in whole.layers if isinstance(b, ArtBlock)] == [
        True,
        *[False] * 4,
        True,
        *[False] * 3,
    ]


@pytest.mark.parametrize("share", [True, False])
def test_parameters_by_formula(share: bool) -> None:
    made, cnn = network(share_transformers=share), network(transformers=())
    copies = 1 if share else 2
    assert len(made.transformers) == copies
    added = copies * transformer_size(8, 2) + 2 * bridge_size(8, 8, 2 * 3)
    assert count(made) == count(cnn) + added
    # nothing is stored twice: checkpoints refuse tensors that share memory
    addresses = [tensor.data_ptr() for tensor in made.state_dict().values() if tensor.numel() > 1]
    assert len(addresses) == len(set(addresses))


def test_transformers_of_their_own_are_each_used() -> None:
    made = network(share_transformers=False).eval()
    image = torch.rand(1, 3, 32, 48)
    output = made(image)
    for transformer in made.transformers:
        kept = transformer.norm.bias.data.clone()
        transformer.norm.bias.data += 1
        assert not torch.equal(made(image), output)
        transformer.norm.bias.data = kept
    assert torch.equal(made(image), output)


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("shape", [(1, 32, 32), (2, 32, 48), (1, 64, 32)])
def test_shapes(norm: str, shape: tuple[int, int, int]) -> None:
    batch, height, width = shape
    output = network(norm=norm)(torch.rand(batch, 3, height, width))
    assert output.shape == (batch, 1, height, width)
    assert output.dtype == torch.float32
    assert output.abs().max() < 1


def test_half_precision() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        output = network()(torch.rand(2, 3, 32, 32))
    assert output.isfinite().all()


# --- the transformer -------------------------------------------------------------------------------------


def test_the_transformer_against_its_equations() -> None:
    torch.manual_seed(3)
    made = Transformer(8, 2, 2, 4.0, 0.0).double()
    for parameter in made.parameters():
        nn.init.normal_(parameter, 0, 0.5)
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    z = x
    for block in made.blocks:
        h = F.layer_norm(z, (8,), block.norm1.weight, block.norm1.bias, 1e-6)
        qkv = (h @ block.attn.qkv.weight.T + block.attn.qkv.bias).view(2, 5, 3, 2, 4)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        heads = (q @ k.transpose(-1, -2) / 4**0.5).softmax(-1) @ v
        z = z + heads.transpose(1, 2).reshape(2, 5, 8) @ block.attn.proj.weight.T + block.attn.proj.bias
        h = F.layer_norm(z, (8,), block.norm2.weight, block.norm2.bias, 1e-6)
        h = F.gelu(h @ block.mlp.fc1.weight.T + block.mlp.fc1.bias)
        z = z + h @ block.mlp.fc2.weight.T + block.mlp.fc2.bias
    expected = F.layer_norm(z, (8,), made.norm.weight, made.norm.bias, 1e-6)
    assert torch.allclose(made(x), expected, rtol=1e-10)


def test_dropout_is_in_the_mlps_and_at_the_embedding_alone() -> None:
    made = network(dropout=0.25)
    found = {name: m.p for name, m in made.named_modules() if isinstance(m, nn.Dropout) and m.p}
    assert set(found.values()) == {0.25}
    assert {name.split(".")[-2] for name in found} == {"mlp", "bridge"}
    assert not any("attn" in name for name in found)


def far(made: nn.Module) -> Tensor:
    """How much the output in one corner depends on the opposite corner of the image."""
    made.double().eval()  # stored statistics, so that the norms connect nothing
    image = torch.rand(1, 3, 128, 128, dtype=torch.float64, requires_grad=True)
    made(image)[..., -4:, -4:].sum().backward()
    assert image.grad is not None
    return image.grad[..., :4, :4].abs().max()


def test_transformers_see_the_whole_image_where_the_cnn_does_not() -> None:
    assert far(network(blocks=1, transformers=())) == 0
    assert far(network(blocks=1, transformers=(1,), image_size=(128, 128))) > 0


def test_positions_are_learnt_for_one_size_and_interpolated_for_others() -> None:
    made = network(transformers=(1,)).eval()
    positions = made.layers[10].bridge.positions
    assert positions.shape == (1, 8, 2, 3)
    assert not positions.any()
    with torch.no_grad():
        positions += torch.randn_like(positions)
    seen: list[Tensor] = []
    made.transformers[0].register_forward_hook(lambda m, given, result: seen.append(given[0]))
    made.layers[10].bridge.embedding.register_forward_hook(lambda m, given, result: torch.zeros_like(result))
    made(torch.rand(1, 3, 32, 48))
    assert torch.equal(seen[0], positions.flatten(2).transpose(1, 2))
    made(torch.rand(1, 3, 64, 96))
    larger = seen[1].transpose(1, 2).reshape(1, 8, 4, 6)
    # the mean of a bicubic enlargement by two is near the original's, its ends lie beside the original's ends
    assert torch.allclose(larger.mean((2, 3)), positions.mean((2, 3)), atol=0.15)
    corner = larger[..., 0, 0] - positions[..., 0, 0]
    assert (corner.abs() < (larger[..., 0, 0] - positions[..., -1, -1]).abs()).sum() >= 6


def test_rows_of_tokens_come_back_as_rows() -> None:
    made = network(transformers=(1,)).eval()
    bridge = made.layers[10].bridge
    kept: list[Tensor] = []
    bridge.embedding.register_forward_hook(lambda m, given, result: kept.append(result))
    bridge.up.register_forward_hook(lambda m, given, result: kept.append(given[0]))
    x = torch.rand(1, 8, 8, 12)
    bridge(x, nn.Identity())
    assert torch.equal(kept[0] + bridge.positions, kept[1])


# --- the CNN alone, and what is learnt ----------------------------------------------------------------------


def test_without_transformers_it_is_the_resnet_generator() -> None:
    torch.manual_seed(1)
    plain = Resnet(3, 1, channels=2, blocks=3, norm="batch", antialias=False, init_gain=1.0).eval()
    made = network(transformers=()).eval()
    renamed = {k.replace(".residual.body.", ".body."): k for k in made.state_dict()}
    made.load_state_dict({renamed[k]: v for k, v in plain.state_dict().items()})
    image = torch.rand(2, 3, 12, 20)
    assert made.size_multiple == 4
    assert torch.equal(made(image), plain(image))
    wanted = tuple(range(len(plain.layers)))
    ours, theirs = made(image, wanted).features, plain(image, wanted).features
    assert all(torch.equal(ours[n], theirs[n]) for n in wanted)


def test_the_cnns_weights_have_the_same_names_with_transformers() -> None:
    cnn, whole = network(transformers=()).state_dict(), network().state_dict()
    assert all(whole[name].shape == value.shape for name, value in cnn.items())
    assert all(".bridge." in name or name.startswith("transformers.") for name in whole if name not in cnn)


@pytest.mark.parametrize("share", [True, False])
def test_every_parameter_learns(share: bool) -> None:
    made = network(share_transformers=share, dropout=0.0, norm="instance")
    image = torch.rand(2, 3, 32, 48, requires_grad=True)
    (made(image) * torch.rand(2, 1, 32, 48)).sum().backward()
    without = [name for name, p in made.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    assert image.grad is not None
    assert image.grad.any()


def test_features_and_where_they_stop() -> None:
    made, image = network().eval(), torch.rand(1, 3, 32, 48)
    output, features = made(image, (0, 9, 10, 12))
    assert {n: tuple(f.shape) for n, f in features.items()} == {
        0: (1, 3, 38, 54),
        9: (1, 8, 8, 12),
        10: (1, 8, 8, 12),
        12: (1, 8, 8, 12),
    }
    assert torch.equal(output, made(image))
    run: list[int] = []
    made.layers[12].register_forward_hook(lambda *_: run.append(12))
    output, features = made(image, (9, 10), decode=False)
    assert (output, sorted(features), run) == (None, [9, 10], [])


# --- weights of others ------------------------------------------------------------------------------------


def test_pretrained_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    donor = timm.create_model("vit_tiny_patch16_224", embed_dim=8, depth=2, num_heads=2, num_classes=0)
    monkeypatch.setattr("timm.create_model", lambda name, **options: donor)
    made = network(pretrained="vit_donor", share_transformers=False)
    for transformer in made.transformers:
        for name, value in transformer.state_dict().items():
            assert torch.equal(value, donor.state_dict()[name])
    with pytest.raises(GantkError, match=r"the blocks of 'vit_donor' do not fit.*hidden, depth, heads"):
        network(pretrained="vit_donor", hidden=16)


def test_weights_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str, **options: Any) -> nn.Module:
        raise OSError("no network")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(GantkError, match=r"'vit_donor' could not be loaded.*no network.*pretrained = \"\""):
        network(pretrained="vit_donor")
    network(pretrained="vit_donor", transformers=())  # the CNN alone wants none


# --- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"transformers": (0,)}, "no block 0"),
        ({"transformers": (1, 4)}, "no block 4"),
        ({"heads": 3}, "3 heads do not divide a width of 8"),
    ],
)
def test_what_cannot_be_built_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(GantkError, match=said):
        network(**settings)


def test_what_cannot_be_taken_is_refused() -> None:
    made = network()
    for shape in ((1, 2, 32, 32), (1, 3, 40, 32), (1, 3, 16, 16)):
        with pytest.raises(GantkError, match="does not fit the network"):
            made(torch.rand(shape))
    with pytest.raises(GantkError, match="layer 99"):
        made(torch.rand(1, 3, 32, 32), (99,))
