"""One training step of published methods as their codes perform it, in plain torch, to compare with gantk's step.

Written from what the codes of pix2pix and CycleGAN (Zhu, Park, Isola et al.), CUT (Park et al.) and pGAN (Dar et al.)
do: layers as in `published`, the encoder run again for the features of keys and of queries, Adam without fusion.
"""

from __future__ import annotations

import copy
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk import Group
from gantk.translation import Translator
from gantk_baselines.feature_network import FeatureNetwork
from published import published

__all__ = ["Cut", "CycleGan", "Losses", "PGan", "Pix2Pix", "PublishedStep"]

Losses = dict[str, Tensor]
Batch = Mapping[str, Group]

LAYERS = (0, 4, 8, 12, 16)  # of PatchNCE
PATCHES, TEMPERATURE = 256, 0.07
POOL = 50


def adam(*modules: nn.Module) -> torch.optim.Optimizer:
    """Adam as the codes call it: on a CPU it goes parameter by parameter."""
    return torch.optim.Adam([p for module in modules for p in module.parameters()], lr=2e-4, betas=(0.5, 0.999))


@lru_cache(maxsize=4)
def _label(value: float, device: torch.device) -> Tensor:
    """A label, made once, as the codes hold it in a buffer."""
    return torch.tensor(value, device=device)


def squares(scores: Tensor, label: float) -> Tensor:
    """LSGAN."""
    return F.mse_loss(scores, _label(label, scores.device).expand_as(scores))


def cross_entropy(scores: Tensor, label: float) -> Tensor:
    """Vanilla GAN."""
    return F.binary_cross_entropy_with_logits(scores, _label(label, scores.device).expand_as(scores))


class Networks(nn.Module):
    """Copies of one translator's networks, with published layers."""

    def __init__(self, translator: Translator) -> None:
        super().__init__()
        self.g = published(copy.deepcopy(translator.generator))
        self.d = published(copy.deepcopy(translator.discriminator))
        self.heads = copy.deepcopy(translator.heads)


class PublishedStep(ABC):
    """A method's networks, with the weights of gantk's translators, and its step.

    Args:
        translators: the translators by role; their weights are copied.
        autocast: the context in which forward passes run.
    """

    def __init__(
        self, translators: Mapping[str, Translator], autocast: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        self.autocast = autocast
        self.networks = {role: Networks(translator) for role, translator in translators.items()}

    @abstractmethod
    def __call__(self, batch: Batch) -> Losses:
        """One step: the value of each loss, by the name that gantk gives it."""


class Pix2Pix(PublishedStep):
    """The discriminator, given source and image stacked, then the generator through a frozen one, with 100·L1."""

    criterion = staticmethod(cross_entropy)
    freezes = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        (n,) = self.networks.values()
        self.g, self.d = n.g, n.d
        self.for_g, self.for_d = adam(n.g), adam(n.d)

    def __call__(self, batch: Batch) -> Losses:
        x, y = batch["paired"].source, batch["paired"].target
        self.d.requires_grad_(True)
        with self.autocast():
            fake = self.g(x)
            on_fake = self.criterion(self.d(torch.cat([x, fake.detach()], 1)), 0.0)
            on_real = self.criterion(self.d(torch.cat([x, y], 1)), 1.0)
            loss_d = (on_fake + on_real) * 0.5
        self.for_d.zero_grad()
        loss_d.backward()
        self.for_d.step()
        self.d.requires_grad_(not self.freezes)
        self.for_g.zero_grad()
        with self.autocast():
            game = self.criterion(self.d(torch.cat([x, fake], 1)), 1.0)
            others = self.others(fake, y)
            total = game + 100 * sum(others.values())
        total.backward()
        self.for_g.step()
        losses = {"adversarial (D)": loss_d, "adversarial": game, **others}
        return {f"generator/{name}": loss for name, loss in losses.items()}

    def others(self, fake: Tensor, y: Tensor) -> Losses:
        """The generator's other terms, each weighted 100."""
        return {"pixelwise": F.l1_loss(fake, y)}


class PGan(Pix2Pix):
    """Pix2Pix with least squares, 100 times the L1 distance in a VGG-16 besides, and D not frozen for G's update."""

    criterion = staticmethod(squares)
    freezes = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        body = FeatureNetwork.shared("vgg16", "random", False).body
        self.vgg = published(copy.deepcopy(body[:9])).to(next(self.g.parameters()).device)  # up to relu2_2

    def others(self, fake: Tensor, y: Tensor) -> Losses:
        of_y, of_fake = (self.vgg(image.expand(-1, 3, -1, -1)) for image in (y, fake))
        return {**super().others(fake, y), "perceptual": F.l1_loss(of_fake, of_y)}


class CycleGan(PublishedStep):
    """Both generators in one update, then both discriminators in another, on pooled images."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        there, back = self.networks["a2b"], self.networks["b2a"]
        self.g_a, self.g_b, self.d_b, self.d_a = there.g, back.g, there.d, back.d
        self.for_g, self.for_d = adam(self.g_a, self.g_b), adam(self.d_a, self.d_b)
        self.pools: tuple[list[Tensor], list[Tensor]] = [], []

    def __call__(self, batch: Batch) -> Losses:
        a, b = batch["source"].source, batch["target"].target
        with self.autocast():
            fake_b = self.g_a(a)
            rec_a = self.g_b(fake_b)
            fake_a = self.g_b(b)
            rec_b = self.g_a(fake_a)
            self.d_a.requires_grad_(False)
            self.d_b.requires_grad_(False)
            losses = {
                "a2b/identity_b": F.l1_loss(self.g_a(b), b),
                "b2a/identity_a": F.l1_loss(self.g_b(a), a),
                "a2b/adversarial_b": squares(self.d_b(fake_b), 1.0),
                "b2a/adversarial_a": squares(self.d_a(fake_a), 1.0),
                "a2b/cycle_a": F.l1_loss(rec_a, a),
                "b2a/cycle_b": F.l1_loss(rec_b, b),
            }
            weights = {"identity": 10 * 0.5, "adversarial": 1, "cycle": 10}
            total = sum(weights[name.split("/")[1].split("_")[0]] * loss for name, loss in losses.items())
        self.for_g.zero_grad()
        total.backward()
        self.for_g.step()
        self.d_a.requires_grad_(True)
        self.d_b.requires_grad_(True)
        self.for_d.zero_grad()
        for name, d, real, fake, pool in (
            ("b2a/adversarial_a", self.d_a, a, fake_a, self.pools[0]),
            ("a2b/adversarial_b", self.d_b, b, fake_b, self.pools[1]),
        ):
            with self.autocast():
                shown = pooled(pool, fake.detach())
                loss = (squares(d(real), 1.0) + squares(d(shown), 0.0)) * 0.5
            loss.backward()
            losses[f"{name} (D)"] = loss
        self.for_d.step()
        return losses


def pooled(pool: list[Tensor], images: Tensor) -> Tensor:
    """The first 50 images are returned and kept; later images are returned, or swapped with a kept one (p = 0.5)."""
    shown = []
    for image in images:
        if len(pool) < POOL:
            pool.append(image)
        elif random.random() < 0.5:
            place = random.randrange(POOL)
            pool[place], image = image.clone(), pool[place]
        shown.append(image)
    return torch.stack(shown)


class Cut(PublishedStep):
    """CUT with identity: source and target through G in one batch, each half and its translation encoded again."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        n = self.networks["generator"]
        self.g, self.d, self.heads = n.g, n.d, n.heads["patch_nce"].layers
        self.for_g, self.for_heads, self.for_d = adam(n.g), adam(n.heads), adam(n.d)

    def __call__(self, batch: Batch) -> Losses:
        a, b = batch["source"].source, batch["target"].target
        self.d.requires_grad_(True)
        with self.autocast():
            made = self.g(torch.cat([a, b], 0))
            fake, same = made[: len(a)], made[len(a) :]
            loss_d = (squares(self.d(fake.detach()), 0.0) + squares(self.d(b), 1.0)) * 0.5
        self.for_d.zero_grad()
        loss_d.backward()
        self.for_d.step()
        self.d.requires_grad_(False)
        self.for_g.zero_grad()
        self.for_heads.zero_grad()
        with self.autocast():
            game = squares(self.d(fake), 1.0)
            patchwise, identity = self.contrast(a, fake), self.contrast(b, same)
            total = game + (patchwise + identity) * 0.5
        total.backward()
        self.for_g.step()
        self.for_heads.step()
        losses = {
            "adversarial (D)": loss_d,
            "adversarial": game,
            "patchwise": patchwise,
            "patchwise_identity": identity,
        }
        return {f"generator/{name}": loss for name, loss in losses.items()}

    def contrast(self, source: Tensor, output: Tensor) -> Tensor:
        """PatchNCE: the mean over layers and places."""
        of_output = self.g(output, LAYERS, False).features
        of_source = self.g(source, LAYERS, False).features
        keys, places = self.sample(of_source, {})
        queries, _ = self.sample(of_output, places)
        losses = [self.cross_entropy(queries[layer], keys[layer].detach(), len(source)).mean() for layer in LAYERS]
        return torch.stack(losses).sum() / len(losses)

    def sample(
        self, features: Mapping[int, Tensor], places: Mapping[int, Tensor]
    ) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """The features at 256 places of each image through the heads, of unit length, and the places."""
        projected, drawn = {}, {}
        for layer, feature in features.items():
            flat = feature.permute(0, 2, 3, 1).flatten(1, 2)
            drawn[layer] = places[layer] if places else torch.randperm(flat.shape[1])[:PATCHES].to(flat.device)
            x = self.heads[str(layer)](flat[:, drawn[layer], :].flatten(0, 1))
            projected[layer] = x / (x.pow(2).sum(1, keepdim=True).pow(0.5) + 1e-7)
        return projected, drawn

    def cross_entropy(self, query: Tensor, key: Tensor, images: int) -> Tensor:
        """The cross-entropy of each query, with its own key first and the keys of other places after it."""
        count, width = query.shape
        positive = torch.bmm(query.view(count, 1, width), key.view(count, width, 1)).view(count, 1)
        query, key = query.view(images, -1, width), key.view(images, -1, width)
        negative = torch.bmm(query, key.transpose(2, 1))
        own = torch.eye(query.shape[1], dtype=torch.bool, device=query.device)[None]
        negative = negative.masked_fill(own, -10.0).view(count, -1)
        logits = torch.cat([positive, negative], 1) / TEMPERATURE
        return F.cross_entropy(logits, torch.zeros(count, dtype=torch.long, device=logits.device), reduction="none")
