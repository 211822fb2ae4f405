"""The first step of published methods against their definitions, written out here in plain torch, in float64.

Every method is trained for one step from its recipe, and by a loop of a few lines that takes the same networks as
modules and knows nothing of steps, views or terms. Losses and the gradients of all parameters agree to 1e-6.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk import Group
from gantk.training.optimizers import Optimizers
from gantk.training.update import Updater
from gantk_baselines.feature_network import FeatureNetwork
from gantk_baselines.layers import InstanceNorm

HEIGHT, WIDTH = 16, 24
LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}
LAYERS = (0, 4, 8, 12, 16)
PATCHES = 40  # fewer than layer 0 to 7 have places, more than the layers behind them have
POOL = 2

Images = dict[str, Tensor]
Losses = dict[str, Tensor]


# --- the published definitions ------------------------------------------------------------------------------


class FormulaNorm(nn.Module):
    """Instance norm as its formula, differentiated by elementary operations."""

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean((2, 3), keepdim=True)
        return centred / (centred.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()


class Networks:
    """Copies of one translator's networks, contiguous, with textbook norms and two plain Adams."""

    def __init__(self, translator: Any) -> None:
        self.generator = self._copy(translator.generator)
        self.discriminator = self._copy(translator.discriminator)
        self.heads = self._copy(translator.heads)
        self.for_generator = self._adam(*self.generator.parameters(), *self.heads.parameters())
        self.for_discriminator = self._adam(*self.discriminator.parameters())
        self.pool: list[Tensor] = []

    @staticmethod
    def _copy(network: nn.Module) -> nn.Module:
        copied = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
        for module in list(copied.modules()):
            for name, child in module.named_children():
                if isinstance(child, InstanceNorm):
                    setattr(module, name, FormulaNorm())
        return copied

    @staticmethod
    def _adam(*parameters: nn.Parameter) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=2e-4, betas=(0.5, 0.999), foreach=False, fused=False)


def descend(loss: Tensor, *optimizers: torch.optim.Optimizer) -> None:
    """One step down a loss; what the optimizers do not hold collects no gradient."""
    parameters = [p for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    for optimizer in optimizers:
        optimizer.step()


def cross_entropy(scores: Tensor, label: float) -> Tensor:
    """Vanilla GAN: binary cross-entropy of the logits."""
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, label))


def squares(scores: Tensor, label: float) -> Tensor:
    """LSGAN: mean squared error."""
    return F.mse_loss(scores, torch.full_like(scores, label))


def pix2pix(networks: Mapping[str, Networks], images: Images) -> Losses:
    """Isola et al.: D, then G. D sees source and image stacked, its loss is halved; G pays 100·L1."""
    n = networks["generator"]
    g, d = n.generator, n.discriminator
    x, y = images["paired.source"], images["paired.target"]
    fake = g(x)
    on_fake = cross_entropy(d(torch.cat([x, fake.detach()], 1)), 0)
    on_real = cross_entropy(d(torch.cat([x, y], 1)), 1)
    loss_d = (on_fake + on_real) * 0.5
    descend(loss_d, n.for_discriminator)
    game, pixelwise = cross_entropy(d(torch.cat([x, fake], 1)), 1), F.l1_loss(fake, y)
    descend(game + 100 * pixelwise, n.for_generator)
    return {"generator/adversarial (D)": loss_d, "generator/adversarial": game, "generator/pixelwise": pixelwise}


def pgan(networks: Mapping[str, Networks], images: Images) -> Losses:
    """Dar et al.: D, then G, with least squares and D given neighbouring slices and image stacked; G pays 100·L1 and
    100 times the L1 distance in a VGG-16 behind the second convolution of its second block."""
    n = networks["generator"]
    g, d = n.generator, n.discriminator
    x, y = images["paired.source"], images["paired.target"]
    fake = g(x)
    loss_d = (squares(d(torch.cat([x, fake.detach()], 1)), 0) + squares(d(torch.cat([x, y], 1)), 1)) * 0.5
    descend(loss_d, n.for_discriminator)
    game, pixelwise = squares(d(torch.cat([x, fake], 1)), 1), F.l1_loss(fake, y)
    perceptual = F.l1_loss(vgg_relu2_2(fake), vgg_relu2_2(y))
    descend(game + 100 * pixelwise + 100 * perceptual, n.for_generator)
    return {
        "generator/adversarial (D)": loss_d,
        "generator/adversarial": game,
        "generator/pixelwise": pixelwise,
        "generator/perceptual": perceptual,
    }


def vgg_relu2_2(image: Tensor) -> Tensor:
    """VGG-16 (Simonyan & Zisserman) up to relu2_2: two convolutions, max-pooling, two convolutions; grey as RGB."""
    one, two, three, four = vgg_convolutions()
    x = image.repeat(1, 3, 1, 1)
    for convolution in (one, two):
        x = F.relu(F.conv2d(x, convolution.weight, convolution.bias, padding=1))
    x = F.max_pool2d(x, 2)
    for convolution in (three, four):
        x = F.relu(F.conv2d(x, convolution.weight, convolution.bias, padding=1))
    return x


@cache
def vgg_convolutions() -> list[nn.Conv2d]:
    layers = FeatureNetwork("vgg16", "random", False).body.double()
    return [layer for layer in layers if isinstance(layer, nn.Conv2d)][:4]


def cyclegan(networks: Mapping[str, Networks], images: Images) -> Losses:
    """Zhu et al.: both G in one step, then both D on pooled images, their losses halved."""
    there, back = networks["a2b"], networks["b2a"]
    a, b = images["source.source"], images["target.target"]
    fake_b, fake_a = there.generator(a), back.generator(b)
    losses = {
        "a2b/adversarial_b": squares(there.discriminator(fake_b), 1),
        "b2a/adversarial_a": squares(back.discriminator(fake_a), 1),
        "a2b/cycle_a": F.l1_loss(back.generator(fake_b), a),
        "b2a/cycle_b": F.l1_loss(there.generator(fake_a), b),
        "a2b/identity_b": F.l1_loss(there.generator(b), b),
        "b2a/identity_a": F.l1_loss(back.generator(a), a),
    }
    weights = {"adversarial": 1, "cycle": 10, "identity": 10 * 0.5}
    total = sum(weights[name.split("/")[1].split("_")[0]] * loss for name, loss in losses.items())
    descend(total, there.for_generator, back.for_generator)
    for one, name, fake, real in ((there, "a2b/adversarial_b", fake_b, b), (back, "b2a/adversarial_a", fake_a, a)):
        shown = pooled(one.pool, fake.detach(), POOL)
        loss = (squares(one.discriminator(real), 1) + squares(one.discriminator(shown), 0)) * 0.5
        descend(loss, one.for_discriminator)
        losses[f"{name} (D)"] = loss
    return losses


def pooled(pool: list[Tensor], images: Tensor, size: int) -> Tensor:
    """The first images are kept and returned; later ones are returned, or swapped with a kept one (p = 0.5)."""
    shown = []
    for image in images:
        if len(pool) < size:
            pool.append(image)
        elif torch.rand(()) < 0.5:
            place = int(torch.randint(size, ()))
            pool[place], image = image, pool[place]
        shown.append(image)
    return torch.stack(shown)


def cut(networks: Mapping[str, Networks], images: Images) -> Losses:
    """Park et al., CUT: D, then G with its heads; λ = 1, the mean of contrast and identity."""
    n = networks["generator"]
    losses, fake = _cut_game(n, images)
    a, b = images["source.source"], images["target.target"]
    same = n.generator(b)
    losses["generator/patchwise"] = contrast(n, n.generator(fake, LAYERS).features, n.generator(a, LAYERS).features)
    losses["generator/patchwise_identity"] = contrast(
        n, n.generator(same, LAYERS).features, n.generator(b, LAYERS).features
    )
    both = (losses["generator/patchwise"] + losses["generator/patchwise_identity"]) * 0.5
    descend(losses["generator/adversarial"] + both, n.for_generator)
    return losses


def fastcut(networks: Mapping[str, Networks], images: Images, mirrored: bool = False) -> Losses:
    """Park et al., FastCUT: λ = 10, no identity. `mirrored` with x as the published code's mirror image of the input:
    G is given it, and its features are mirrored back to answer those of the input."""
    n = networks["generator"]
    losses, fake = _cut_game(n, images)
    queries = n.generator(fake, LAYERS).features
    a = images["source.source"]
    if mirrored:
        torch.rand(())  # the random choice for this step
        queries = {layer: feature.flip(3) for layer, feature in queries.items()}
        a = a.flip(3)
    losses["generator/patchwise"] = contrast(n, queries, n.generator(a, LAYERS).features)
    descend(losses["generator/adversarial"] + 10 * losses["generator/patchwise"], n.for_generator)
    return losses


def _cut_game(n: Networks, images: Images) -> tuple[Losses, Tensor]:
    """The unconditional game of CUT and FastCUT: D is trained, its loss halved, then judges for G."""
    a, b = images["source.source"], images["target.target"]
    fake = n.generator(a)
    loss_d = (squares(n.discriminator(fake.detach()), 0) + squares(n.discriminator(b), 1)) * 0.5
    descend(loss_d, n.for_discriminator)
    return {"generator/adversarial (D)": loss_d, "generator/adversarial": squares(n.discriminator(fake), 1)}, fake


def contrast(n: Networks, queries: Mapping[int, Tensor], keys: Mapping[int, Tensor]) -> Tensor:
    """PatchNCE: a positive apart, negatives from the same image with the own one masked, T = 0.07; mean over layers."""
    losses = []
    for layer in LAYERS:
        feature = keys[layer].permute(0, 2, 3, 1).flatten(1, 2)
        places = torch.randperm(feature.shape[1])[:PATCHES]
        head = n.heads["patch_nce"].layers[str(layer)]
        key = unit(head(feature[:, places].flatten(0, 1))).detach()
        query = unit(head(queries[layer].permute(0, 2, 3, 1).flatten(1, 2)[:, places].flatten(0, 1)))
        positive = (query * key).sum(1, keepdim=True)
        query, key = (z.view(len(feature), len(places), -1) for z in (query, key))
        negative = query @ key.transpose(1, 2)
        own = torch.eye(len(places), dtype=torch.bool)
        negative = negative.masked_fill(own, -10.0).flatten(0, 1)
        logits = torch.cat([positive, negative], 1) / 0.07
        losses.append(F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long)))
    return sum(losses[1:], losses[0]) / len(losses)


def unit(z: Tensor) -> Tensor:
    return z / (z.pow(2).sum(1, keepdim=True).sqrt() + 1e-7)


# --- one step from the recipe ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Method:
    """A recipe made small, and its reference."""

    recipe: str
    reference: Callable[..., Losses]
    small: tuple[str, ...]


CUT = (
    "translators.generator.generator.channels=4",
    "translators.generator.discriminator.channels=4",
    "losses.patchwise.width=8",
    f"losses.patchwise.patches={PATCHES}",
)
CUT_IDENTITY = ("losses.patchwise_identity.width=8", f"losses.patchwise_identity.patches={PATCHES}")
METHODS = {
    "pix2pix": Method(
        "pix2pix.toml",
        pix2pix,
        (
            "translators.generator.generator.levels=3",
            "translators.generator.generator.channels=4",
            "translators.generator.discriminator.channels=4",
        ),
    ),
    "pgan": Method(
        "pgan.toml",
        pgan,
        (
            "translators.generator.generator.channels=4",
            "translators.generator.generator.blocks=2",
            "translators.generator.discriminator.channels=4",
        ),
    ),
    "cyclegan": Method(
        "cyclegan.toml",
        cyclegan,
        (
            "translators.a2b.generator.channels=4",
            "translators.a2b.generator.blocks=2",
            "translators.a2b.discriminator.channels=4",
            f"losses.adversarial_a.pool={POOL}",
            f"losses.adversarial_b.pool={POOL}",
        ),
    ),
    "cut": Method("cut.toml", cut, (*CUT, *CUT_IDENTITY)),
    "fastcut": Method("fastcut.toml", fastcut, (*CUT, "losses.patchwise.flip_equivariance=0.0")),
    "fastcut-mirrored": Method(
        "fastcut.toml", partial(fastcut, mirrored=True), (*CUT, "losses.patchwise.flip_equivariance=1.0")
    ),
}


class Trial:
    """A recipe's updater beside copies of its networks for the reference, all in float64."""

    def __init__(self, build: Callable[..., Any], recipe: str, overrides: Sequence[str], layout: str) -> None:
        self.layout = LAYOUTS[layout]
        built = build(recipe, [f"data.crop=[{HEIGHT}, {WIDTH}]", *overrides], spread=0.3)
        self.recipe, self.plan, self.translators = built.recipe, built.plan, built.translators
        self.inputs = built.assembly.layout.size("source")
        for translator in self.translators.values():
            translator.double()
        self.networks = {role: Networks(translator) for role, translator in self.translators.items()}
        for translator in self.translators.values():
            translator.to(memory_format=self.layout)
        optimizers = {
            role: Optimizers(translator, built.assembly.optimizers[role])
            for role, translator in self.translators.items()
        }
        self.updater = Updater(self.translators, optimizers, self.plan, self.recipe.training, nullcontext)

    def step(self, batch: Mapping[str, Group]) -> dict[str, float]:
        return self.updater.step([dict(batch)], dict.fromkeys(self.plan.roles, 1.0))

    def parameters(self) -> Iterator[tuple[str, nn.Parameter, nn.Parameter]]:
        """Ours and the reference's, by name."""
        for role, translator in self.translators.items():
            for part, module in translator.parts():
                theirs = dict(getattr(self.networks[role], part).named_parameters())
                for name, parameter in module.named_parameters():
                    yield f"{role}.{part}.{name}", parameter, theirs[name]


@pytest.fixture
def batch(make_group: Callable[..., Any]) -> Callable[..., dict[str, Group]]:
    """The groups that a recipe needs: float64, each only with its own images."""

    def make(trial: Trial, size: int, seed: int = 0) -> dict[str, Group]:
        groups = {}
        for number, name in enumerate(trial.plan.groups):
            group = make_group(size, trial.inputs, (HEIGHT, WIDTH), seed=10 * seed + number, dtype=torch.float64)
            source, target = (image.contiguous(memory_format=trial.layout) for image in (group.source, group.target))
            groups[name] = replace(
                group, source=None if name == "target" else source, target=None if name == "source" else target
            )
        return groups

    return make


def images_of(groups: Mapping[str, Group]) -> Images:
    found = {}
    for name, group in groups.items():
        for side, image in (("source", group.source), ("target", group.target)):
            if image is not None:
                found[f"{name}.{side}"] = image.contiguous()
    return found


def relative_differences(pairs: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
    """‖ours − theirs‖ / ‖theirs‖; values that a norm cancels are 0 up to rounding, and relative to the largest."""
    floor = 1e-8 * max(theirs.norm().item() for _, theirs in pairs.values())
    return {
        name: (ours - theirs).norm().item() / max(theirs.norm().item(), floor) for name, (ours, theirs) in pairs.items()
    }


def compare(trial: Trial, groups: Mapping[str, Group], reference: Callable[..., Losses], seed: int) -> None:
    """Run one step of each, and compare all results."""
    torch.manual_seed(seed)
    ours = trial.step(groups)
    torch.manual_seed(seed)
    theirs = reference(trial.networks, images_of(groups))
    assert ours == pytest.approx({name: loss.item() for name, loss in theirs.items()}, rel=1e-6, abs=0)
    named = list(trial.parameters())
    assert all(one.grad is not None and other.grad is not None for _, one, other in named)
    differences = relative_differences({name: (one.grad, other.grad) for name, one, other in named})
    assert max(differences.values()) <= 1e-6, max(differences.items(), key=lambda item: item[1])
    moved = relative_differences({name: (one.detach(), other.detach()) for name, one, other in named})
    assert max(moved.values()) <= 1e-6, max(moved.items(), key=lambda item: item[1])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("name", METHODS)
def test_first_step_is_the_published_one(
    build: Callable[..., Any], batch: Callable[..., Any], name: str, size: int, layout: str
) -> None:
    method = METHODS[name]
    # dropout draws in the order of memory, which differs between the layouts
    still = ["translators.generator.generator.dropout=0"]
    if layout == "contiguous" or name not in ("pix2pix", "pgan"):
        still = []
    trial = Trial(build, method.recipe, [*method.small, *still], layout)
    compare(trial, batch(trial, size), method.reference, seed=3)


def test_cyclegan_with_a_full_pool(build: Callable[..., Any], batch: Callable[..., Any]) -> None:
    """Several steps: the discriminators see images of earlier steps."""
    method = METHODS["cyclegan"]
    trial = Trial(build, method.recipe, method.small, "contiguous")
    for number in range(4):
        compare(trial, batch(trial, 1, seed=number), method.reference, seed=number)
    pools = [one.pool for one in trial.networks.values()]
    assert all(len(pool) == POOL for pool in pools)


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_the_published_order_of_updates_matters(
    build: Callable[..., Any], batch: Callable[..., Any], name: str
) -> None:
    """In the other order the step differs, so the test above is sensitive to the order."""
    method = METHODS[name]
    recipe = build(method.recipe, method.small).recipe
    swapped = f"training.updates={list(reversed(recipe.training.updates))!r}".replace("'", '"')
    trial = Trial(build, method.recipe, [*method.small, swapped], "contiguous")
    with pytest.raises(AssertionError):
        compare(trial, batch(trial, 1), method.reference, seed=3)


# --- forward passes ---------------------------------------------------------------------------------------------


def passes(trial: Trial, groups: Mapping[str, Group]) -> Counter[str]:
    """The calls in one step: first and last layers of the generators, heads, discriminators."""
    counts: Counter[str] = Counter()

    def watch(label: str, module: nn.Module) -> None:
        module.register_forward_pre_hook(lambda *_: counts.update([label]))

    for role, translator in trial.translators.items():
        watch(f"encoder {role}", translator.generator.layers[0])
        watch(f"decoder {role}", translator.generator.layers[-1])
        watch(f"D {role}", translator.discriminator)
        for head in translator.heads.values():
            watch(f"heads {role}", head)
    trial.step(groups)
    return counts


def test_passes_of_cyclegan(build: Callable[..., Any], batch: Callable[..., Any]) -> None:
    """Six images enter a generator, all different, so no fewer passes are possible; the published code has as many.

    a2b: x, F(y) and y; b2a: y, G(x) and x. Each discriminator: its output for G; the real and a pooled one for D.
    """
    trial = Trial(build, METHODS["cyclegan"].recipe, METHODS["cyclegan"].small, "contiguous")
    expected = {f"{what} {role}": 3 for what in ("encoder", "decoder", "D") for role in ("a2b", "b2a")}
    assert passes(trial, batch(trial, 1)) == expected


# Encoder: every image whose patches are compared, once: x, G(x) and, with identity, y and G(y); the published code
# encodes x and y once to translate them and again for their patches, which makes 6 in CUT and 3 in FastCUT. The
# mirror image of x is an image of its own: 3, as published. D: G(x) and the real one for D, G(x) for G.
CUT_PASSES = {
    "cut": {"encoder generator": 4, "decoder generator": 2, "heads generator": 4, "D generator": 3},
    "fastcut": {"encoder generator": 2, "decoder generator": 1, "heads generator": 2, "D generator": 3},
    "fastcut-mirrored": {"encoder generator": 3, "decoder generator": 1, "heads generator": 2, "D generator": 3},
}


@pytest.mark.parametrize("name", CUT_PASSES)
def test_passes_of_cut(build: Callable[..., Any], batch: Callable[..., Any], name: str) -> None:
    trial = Trial(build, METHODS[name].recipe, METHODS[name].small, "contiguous")
    assert passes(trial, batch(trial, 1)) == CUT_PASSES[name]


def test_a_difficulty_map_costs_cut_no_pass(build: Callable[..., Any], batch: Callable[..., Any]) -> None:
    """It takes the scores that the game needs anyway."""
    trial = Trial(build, "cut_difficulty.toml", METHODS["cut"].small, "contiguous")
    assert passes(trial, batch(trial, 1)) == CUT_PASSES["cut"]
