"""The patchwise contrastive loss and its projection heads, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from equations import array, ramp
from gantk import GantkError, View
from gantk.translation import MapSlot, Step
from gantk_baselines.generators import Resnet
from gantk_baselines.patch_nce import PatchHeads

CUT = [
    "data.crop=[16, 24]",
    "translators.generator.generator={use='resnet', channels=4, blocks=2}",
    "translators.generator.discriminator.channels=4",
    "losses.patchwise.layers=[0, 4, 8]",
    "losses.patchwise.width=8",
]


@pytest.fixture
def contrastive(build: Callable[..., Any], make_group: Callable[..., Any]) -> Callable[..., View]:
    """The view of FastCUT's contrastive term, in float64."""

    def make(*overrides: str, weight_map: Callable[[View], Tensor] | None = None) -> View:
        built = build("fastcut.toml", [*CUT, *overrides], spread=0.3)
        for translator in built.translators.values():
            translator.double()
        group = make_group(2, 1, (16, 24), dtype=torch.float64)
        batch = {"source": replace(group, target=None), "target": replace(group, source=None)}
        term = built.term("patchwise")
        if weight_map is not None:
            built.plan.maps["m"] = MapSlot("m", weight_map)
            term = replace(term, map="m")
        return View(Step(built.translators, built.plan, batch), "generator", "source", term)

    return make


def nce_at_every_place(view: View, mirrored: bool) -> dict[int, np.ndarray]:
    """−log of the positive's share, (N, h, w) by layer, at the places of the translation."""
    generator, head = view.translator.generator, view.head
    with torch.no_grad():
        x = view.source
        queries = generator(generator(x), (0, 4, 8)).features
        keys = generator(x.flip(3) if mirrored else x, (0, 4, 8)).features
    found = {}
    for layer, feature in queries.items():
        key = keys[layer].flip(3) if mirrored else keys[layer]
        n, _, h, w = feature.shape
        q, k = (array(head({layer: f.flatten(2).transpose(1, 2)})[layer]) for f in (feature, key))
        similarity = np.einsum("npc,nrc->npr", q, k) / 0.07
        found[layer] = (np.logaddexp.reduce(similarity, 2) - np.einsum("npp->np", similarity)).reshape(n, h, w)
    return found


EVERY_PLACE = "losses.patchwise.patches=100000"


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
def test_patches_are_compared_at_the_same_or_at_mirrored_places(
    contrastive: Callable[..., View], mirrored: bool, weighted: bool
) -> None:
    """A weight map weighs the translation's places, not those of the mirror image."""
    flips = f"losses.patchwise.flip_equivariance={float(mirrored)}"
    view = contrastive(flips, EVERY_PLACE, weight_map=ramp if weighted else None)
    expected = []
    for loss in nce_at_every_place(view, mirrored).values():
        small = F.interpolate(ramp(view), size=loss.shape[-2:], mode="area")[:, 0] if weighted else torch.ones(())
        expected.append((array(small) * loss).mean())
    assert view._term.loss(view).item() == pytest.approx(np.mean(expected), rel=1e-9)


def test_the_mirror_is_taken_as_often_as_asked(contrastive: Callable[..., View]) -> None:
    view = contrastive("losses.patchwise.flip_equivariance=0.25", "losses.patchwise.patches=4")
    runs: list[int] = []
    view.translator.generator.register_forward_pre_hook(lambda *_: runs.append(1))
    torch.manual_seed(0)
    steps, mirrored = 80, 0
    for _ in range(steps):
        fresh = View(Step(view.step.translators, view.step.plan, view.step.batch), "generator", "source", view._term)
        runs.clear()
        view._term.loss(fresh)
        mirrored += len(runs) == 3  # the image, its translation, the mirror image
        assert len(runs) in (2, 3)
    assert 10 <= mirrored <= 30  # 20 expected, standard deviation 4; the seed is fixed


def test_what_answers_is_not_trained_through(contrastive: Callable[..., View]) -> None:
    """Keys carry no gradient, from the mirror image as from the image; queries do, unless roles are exchanged."""
    for flips in (0.0, 1.0):
        view = contrastive(f"losses.patchwise.flip_equivariance={flips}", EVERY_PLACE)
        view.step.detached(view.output)
        loss = view._term.loss
        loss.query = "source"
        (gradient,) = torch.autograd.grad(loss(view), view.output, allow_unused=True)
        assert gradient is None  # the output only provides keys
        loss.query = "output"
        (gradient,) = torch.autograd.grad(loss(view), view.output, allow_unused=True)
        assert gradient is not None
        assert gradient.any()


def test_a_map_of_the_source_cannot_weigh_another_image(contrastive: Callable[..., View]) -> None:
    view = contrastive("losses.patchwise.image='target.target'", weight_map=ramp)
    with pytest.raises(GantkError, match=r"cannot be used for a contrastive term on 'target\.target'"):
        view._term.loss(view)


def test_cuts_two_terms_share_their_heads(build: Callable[..., Any]) -> None:
    built = build("cut.toml", ["translators.generator.generator.channels=4"])
    assert built.term("patchwise").head == built.term("patchwise_identity").head
    assert list(built.translators["generator"].heads) == ["patch_nce"]


@pytest.mark.parametrize(("inputs", "expected"), [(3, 560_384), (1, 559_872)])
def test_published_size_of_the_projection_heads(inputs: int, expected: int) -> None:
    generator = Resnet(inputs, 1).eval()
    with torch.no_grad():
        features = generator(torch.zeros(1, inputs, 8, 8), (0, 4, 8, 12, 16), decode=False).features
    heads = PatchHeads({layer: feature.shape[1] for layer, feature in features.items()}, 256)
    assert sum(p.numel() for p in heads.parameters()) == expected


def test_projections_have_unit_length() -> None:
    torch.manual_seed(0)
    projected = PatchHeads({0: 3, 4: 8}, 16)({0: 1e3 * torch.randn(2, 5, 3), 4: 1e3 * torch.randn(2, 7, 8)})
    assert {layer: tuple(z.shape) for layer, z in projected.items()} == {0: (2, 5, 16), 4: (2, 7, 16)}
    for z in projected.values():
        torch.testing.assert_close(z.norm(dim=-1), torch.ones(z.shape[:2]), rtol=0, atol=1e-4)


def test_projections_are_single_precision_under_autocast() -> None:
    heads = PatchHeads({0: 3}, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert heads({0: torch.randn(1, 4, 3)})[0].dtype == torch.float32
