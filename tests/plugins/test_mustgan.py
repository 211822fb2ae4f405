"""mustGAN's generator: streams, the place of the join, what is frozen."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantk import GantkError
from gantk_baselines.generators import Mustgan, Resnet

SMALL: dict[str, Any] = {"channels": 4, "blocks": 2, "dropout": 0.0}


def network(join: Any = "middle", inputs: int = 3, **settings: Any) -> Mustgan:
    torch.manual_seed(0)
    return Mustgan(inputs, 1, join=join, **{**SMALL, "init": "xavier", "init_gain": 1.0, **settings})


def stream(inputs: int, seed: int, **settings: Any) -> Resnet:
    torch.manual_seed(seed)
    return Resnet(inputs, 1, antialias=False, **{**SMALL, "init_gain": 1.0, **settings})


def give(target: nn.Module, source: nn.Module) -> None:
    """Copy the parameters that both have."""
    own = target.state_dict()
    target.load_state_dict(own | {k: v for k, v in source.state_dict().items() if k in own})


@pytest.mark.parametrize("join", ["early", "middle", "late", 1, 4, 17])
@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 12, 20), (1, 24, 16)])
def test_shapes(join: Any, shape: tuple[int, int, int]) -> None:
    batch, height, width = shape
    output = network(join)(torch.rand(batch, 3, height, width))
    assert output.shape == (batch, 1, height, width)
    assert output.dtype == torch.float32
    assert output.abs().max() < 1


@pytest.mark.parametrize(
    ("join", "antialias", "expected", "channels", "scale"),
    [
        ("early", False, 9, 16, 4),
        ("middle", False, 10, 16, 4),
        ("late", False, 14, 8, 2),
        (3, False, 3, 4, 1),
        ("early", True, 11, 16, 4),
        ("middle", True, 12, 16, 4),
        ("late", True, 17, 8, 2),
    ],
)
def test_the_join_lies_where_it_is_set(join: Any, antialias: bool, expected: int, channels: int, scale: int) -> None:
    made = network(join, antialias=antialias)
    plain = Resnet(3, 1, antialias=antialias, **SMALL)
    assert made.join == expected
    assert [len(s.layers) for s in made.streams] == [expected + 1] * 4
    assert made.fusion[0].in_channels == 4 * channels
    assert made.fusion[0].out_channels == channels
    joined: list[Tensor] = []
    made.fusion.register_forward_hook(lambda module, given, result: joined.append(given[0]))
    made(torch.rand(1, 3, 16, 24))
    assert joined[0].shape == (1, 4 * channels, 16 // scale, 24 // scale)
    # all layers are a plain generator's, each once
    rest = {f"layers.{name}" for name in made.layers.state_dict()}
    many = set(made.streams[-1].state_dict())
    assert not rest & many
    assert rest | many == set(plain.state_dict())


def test_the_published_middle_is_the_fifth_of_nine_blocks() -> None:
    with torch.device("meta"):
        made = Mustgan(2, 1)
    assert made.join == 14
    assert type(made.streams[0].layers[14]).__name__ == "ResidualBlock"


@pytest.mark.parametrize("join", ["early", "middle", "late"])
def test_it_computes_what_its_parts_compute(join: str) -> None:
    made = network(join).eval()
    singles, many = [stream(1, seed).eval() for seed in (1, 2, 3)], stream(3, 4).eval()
    for target, source in zip(made.streams, [*singles, many], strict=True):
        give(target, source)
    give(made, many)
    image = torch.rand(2, 3, 12, 16) * 2 - 1
    maps = [s(part, (made.join,)).features[made.join] for s, part in zip(singles, image.split(1, 1), strict=True)]
    maps.append(many(image, (made.join,)).features[made.join])
    expected = made.fusion(torch.cat(maps, 1))
    for layer in many.layers[made.join + 1 :]:
        expected = layer(expected)
    assert torch.allclose(made(image), expected, atol=1e-6)


def test_features_carry_the_numbers_of_a_plain_generator() -> None:
    made, image = network("middle").eval(), torch.rand(2, 3, 12, 16)
    plain = Resnet(3, 1, antialias=False, **SMALL)
    wanted = tuple(range(len(plain.layers)))
    output, features = made(image, wanted)
    expected = plain(image, wanted).features
    assert {n: f.shape for n, f in features.items()} == {n: f.shape for n, f in expected.items()}
    assert torch.equal(output, made(image))
    assert torch.equal(features[wanted[-1]], output)


def test_features_stop_after_the_last_layer() -> None:
    made = network("middle")
    run: list[int] = []
    made.fusion.register_forward_hook(lambda *_: run.append(1))
    made.layers[-1].register_forward_hook(lambda *_: run.append(2))
    output, features = made(torch.rand(1, 3, 8, 8), (3, made.join), decode=False)
    assert (output, sorted(features), run) == (None, [3, made.join], [])
    output, features = made(torch.rand(1, 3, 8, 8), (made.join + 1,), decode=False)
    assert (output, sorted(features), run) == (None, [made.join + 1], [1])


def test_neighbouring_slices_belong_to_their_stream() -> None:
    made = network("early", inputs=6, stream_channels=3).eval()
    assert [s.layers[1].in_channels for s in made.streams] == [3, 3, 6]
    image = torch.rand(1, 6, 8, 8)
    joined: list[Tensor] = []
    made.fusion.register_forward_hook(lambda module, given, result: joined.append(given[0]))
    made(image)
    other = image.clone()
    other[:, 3:] = -1
    made(other)
    same = (joined[0] == joined[1]).flatten(2).all(dim=2)[0]
    assert same[:16].all()  # the first modality's stream
    assert not same[16:].any()


# --- what is trained --------------------------------------------------------------------------------------


def learn(made: Mustgan, steps: int = 2) -> dict[str, Tensor]:
    """A few steps of Adam, all parameters given to it, as the core does; the weights before."""
    before = {name: value.clone() for name, value in made.state_dict().items()}
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2, weight_decay=0.1)
    for seed in range(steps):
        torch.manual_seed(seed)
        optimizer.zero_grad()
        made(torch.rand(2, 3, 8, 12)).square().mean().backward()
        optimizer.step()
    return before


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_frozen_streams_stay_bit_equal(norm: str) -> None:
    made = network("middle", norm=norm)
    before = learn(made)
    after = made.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any(name.startswith("streams.") for name in moved)
    assert {n for n, _ in made.named_parameters() if not n.startswith("streams.")} <= moved


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_streams_can_be_trained_on(norm: str) -> None:
    made = network("middle", norm=norm, train_streams=True)
    before = learn(made)
    assert all(not torch.equal(before[name], value) for name, value in made.named_parameters())


def test_frozen_streams_have_no_dropout_while_the_rest_has() -> None:
    made = network("middle", dropout=0.5, blocks=4).train()
    image, kept = torch.rand(1, 3, 8, 8), []
    made.fusion.register_forward_hook(lambda module, given, result: kept.append(given[0]))
    outputs = [made(image) for _ in range(2)]
    assert torch.equal(kept[0], kept[1])
    assert not torch.equal(outputs[0], outputs[1])
    made.eval()
    assert torch.equal(made(image), made(image))


@pytest.mark.parametrize("train_streams", [False, True])
def test_gradients_reach_the_image_through_every_stream(train_streams: bool) -> None:
    made = network("late", train_streams=train_streams)
    made.streams[-1].layers[1].weight.data.zero_()  # the rest comes through the one-to-one streams
    image = torch.rand(1, 3, 8, 8, requires_grad=True)
    made(image)[..., 2:5, 2:5].sum().backward()
    assert image.grad is not None
    assert (image.grad.flatten(2).abs().sum(2) > 0).all()


def test_two_channels_out() -> None:
    assert Mustgan(2, 2, **SMALL)(torch.rand(1, 2, 8, 8)).shape == (1, 2, 8, 8)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"join": 0}, "cannot be joined after layer 0"),
        ({"join": 18}, "cannot be joined after layer 18"),
        ({"stream_channels": 2}, "3 channels cannot be divided into streams of 2"),
    ],
)
def test_what_cannot_be_built_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(GantkError, match=said):
        Mustgan(3, 1, **SMALL, **settings)


def test_what_cannot_be_taken_is_refused() -> None:
    with pytest.raises(GantkError, match="does not fit the network"):
        network()(torch.rand(1, 2, 8, 8))
    with pytest.raises(GantkError, match="does not fit the network"):
        network()(torch.rand(1, 3, 10, 8))
    with pytest.raises(GantkError, match="layer 99"):
        network()(torch.rand(1, 3, 8, 8), (99,))
