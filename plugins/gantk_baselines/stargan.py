"""StarGAN: one generator for all pairs of modalities, and a discriminator that classifies the modality."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantk import Count, Judgement, Needs, NonNegative, View, to_device
from gantk_baselines.layers import Levels, check_image, check_layers

__all__ = ["StarGan", "StarGanDiscriminator"]


class StarGanDiscriminator(nn.Module):
    """StarGAN's discriminator: (B, in_channels, H, W) to scores (B, 1, h, w). Layer 0 is the predicted domain, logits
    (B, domains, 1, 1), the mean over positions.

    Source: Choi et al., "StarGAN", CVPR 2018 (64 channels, 6 halvings; there the prediction is one convolution of the
    remaining size).

    Args:
        in_channels: channels of the judged image.
        domains: the number of domains.
        channels: width of the first convolution, doubled with each halving.
        levels: number of halvings.
    """

    def __init__(self, in_channels: int, domains: Count, channels: Count = 64, levels: Levels = 4) -> None:
        super().__init__()
        self.in_channels, self.least = in_channels, 2**levels
        widths = [in_channels, *(channels * 2**level for level in range(levels))]
        self.body = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.01))
                for before, after in pairwise(widths)
            )
        )
        self.scores = nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False)
        self.domain = nn.Conv2d(widths[-1], domains, 1, bias=False)

    def forward(self, image: Tensor, layers: tuple[int, ...] = ()) -> Tensor | Judgement:
        """Judge an image; layer 0 is its predicted domain. Raises GantkError for an invalid image or layer."""
        check_image(image, self.in_channels, 1, "StarGanDiscriminator", least=self.least)
        check_layers(layers, 1, "StarGanDiscriminator")
        x = self.body(image)
        scores = self.scores(x)
        return Judgement(scores, {0: self.domain(x).mean((2, 3), keepdim=True)}) if layers else scores


class StarGan:
    """StarGAN between all modalities of the group; source and target are drawn for each image in every step.

    Domain i is the i-th of inputs and targets, c its label. L_D = E[D(G(x, c))] − E[D(x)] + λ_gp·E[(‖∇D‖ − 1)²]
    + λ_cls·CE(D_cls(x), c'), L_G = −E[D(G(x, c))] + λ_cls·CE(D_cls(G(x, c)), c) + λ_rec·E|x − G(G(x, c), c')|, with the
    domain c' of x. Source: Choi et al., CVPR 2018, equations 1 to 6 with the objective of WGAN-GP.

    Args:
        domain: the key of `[data.extra]` that gives the domain to the generator; its categories are inputs and targets
            in order.
        classification: λ_cls, weight of the domain classification.
        reconstruction: λ_rec, weight of the cycle reconstruction.
        penalty: λ_gp, weight of the gradient penalty.
    """

    needs = Needs(target=True, output=False, judged=(0,), second_order=True)

    def __init__(
        self,
        domain: str = "domain",
        classification: NonNegative = 1.0,
        reconstruction: NonNegative = 10.0,
        penalty: NonNegative = 10.0,
    ) -> None:
        self.domain, self.classification = domain, classification
        self.reconstruction, self.penalty = reconstruction, penalty

    def __call__(self, view: View) -> Tensor:
        image, origin, wanted = self.drawn(view)
        fake = view.translate(image, given={self.domain: wanted})
        guess = view.judge_features(fake, layers=(0,))[0].flatten(1)
        back = view.translate(fake, given={self.domain: origin})
        loss = self.classification * F.cross_entropy(guess, wanted) - view.judge(fake).mean()
        return loss + self.reconstruction * (image - back).abs().mean()

    def discriminator(self, view: View) -> Tensor:
        image, origin, wanted = self.drawn(view)
        fake = view.translate(image, given={self.domain: wanted}).detach()
        guess = view.judge_features(image, layers=(0,))[0].flatten(1)
        place = torch.rand(len(image), 1, 1, 1).to(image)
        between = (place * image + (1 - place) * fake).requires_grad_(True)
        (slope,) = torch.autograd.grad(view.judge(between, full_precision=True).sum(), between, create_graph=True)
        norm = (slope.flatten(1).square().sum(1) + 1e-16).sqrt()
        wasserstein = view.judge(fake).mean() - view.judge(image).mean()
        return (
            wasserstein
            + self.penalty * (norm - 1).square().mean()
            + self.classification * F.cross_entropy(guess, origin)
        )

    @staticmethod
    def drawn(view: View) -> tuple[Tensor, Tensor, Tensor]:
        """For each image of the group: one modality, its domain, and the domain to generate (both one-hot)."""
        target = view.group.target
        assert target is not None

        def draw(source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            every = torch.cat([source, target], dim=1)
            origin, wanted = to_device(torch.randint(every.shape[1], (2, len(every))), source.device)
            image = every[torch.arange(len(every)), origin][:, None]
            return image, *(F.one_hot(label, every.shape[1]).to(source) for label in (origin, wanted))

        source = view.group.source
        assert source is not None
        return view.derive("domains", source, draw)
