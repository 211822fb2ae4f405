"""Missing modalities, drawn at random, and the losses of MM-GAN.

Source: Sharma & Hamarneh, "Missing MRI pulse sequence synthesis using multi-modal GAN", IEEE TMI 2019, and its code.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from gantk import Count, Dimensions, GantkError, ImageRef, Needs, Positive, View, Whole
from gantk_baselines.dimensional import CONVOLUTION, ZERO_PAD, beside, pixels
from gantk_baselines.layers import Init, Levels, Norm, check_image, initialise, normalisation

if TYPE_CHECKING:
    from gantk import Group, Moment

__all__ = ["ImputedLsgan", "MissingL1", "ModalityDropout", "ModalityPatchGan", "scenarios_of"]

BACKGROUND = -1.0


def scenarios_of(modalities: int, complete: bool = False) -> list[tuple[int, ...]]:
    """Every availability of the modalities (1 available, 0 missing) with at least one of each, the hardest first.

    They are sorted by the number of available modalities, then as binary numbers: the order of MM-GAN's 14 scenarios of
    four modalities.

    Args:
        modalities: number of modalities.
        complete: also include the scenario in which nothing is missing, as the last.
    """
    found = sorted(product((0, 1), repeat=modalities), key=sum)
    return found[1:] if complete else found[1:-1]


class ModalityDropout:
    """Hides random modalities of the source: their channels become background; the target stays complete.

    An availability is drawn uniformly from a list of scenarios, the hardest first. A curriculum begins with the end of
    the list, where little is missing: from each of its epochs on, scenarios before the given index are left out.
    Modalities that a patient lacks stay missing; a draw that would leave no available modality is ignored.

    Args:
        scenarios: "all", or a list of availabilities, one 0 (missing) or 1 per modality.
        complete: whether "all" includes the scenario in which nothing is missing (DiamondGAN; not MM-GAN).
        curriculum: (epoch, first scenario) in ascending order of epochs; before the first, and without any, all
            scenarios are drawn. MM-GAN's code: [[0, 10], [11, 7], [21, 3], [31, 0]], of which index 10 is one missing.
        per: one draw for the "batch" (both published codes) or one per "sample".
        planes: channels of one modality, 2·n + 1 with n neighboring slices; they are hidden together.

    Raises:
        GantkError: the scenarios do not fit the curriculum or the modalities of the source.
    """

    def __init__(
        self,
        scenarios: Literal["all"] | list[list[Literal[0, 1]]] = "all",
        complete: bool = False,
        curriculum: list[tuple[Whole, Whole]] = [],  # noqa: B006
        per: Literal["batch", "sample"] = "batch",
        planes: Count = 1,
    ) -> None:
        self.scenarios = scenarios if scenarios == "all" else [tuple(scenario) for scenario in scenarios]
        self.complete = complete
        self.curriculum = [(int(epoch), int(first)) for epoch, first in curriculum]
        self.per = per
        self.planes = planes
        epochs = [epoch for epoch, _ in self.curriculum]
        if epochs != sorted(set(epochs)):
            raise GantkError(
                f"the epochs {epochs} of the curriculum do not ascend",
                where="modality_dropout",
                mend="write curriculum = [[0, 10], [11, 7], …], with increasing epochs",
            )

    def __call__(self, group: Group, moment: Moment) -> Group:
        """The group with hidden modalities of its source; a group without source stays unchanged.

        Args:
            group: source (B, M · planes, H, W), float in [-1, 1].
            moment: its epoch places the curriculum.
        """
        if group.source is None:
            return group
        batch, channels = group.source.shape[:2]
        if channels % self.planes:
            raise GantkError(
                f"{channels} channels are not a multiple of planes = {self.planes}",
                where="modality_dropout",
                mend="set planes to 2 · data.neighbours + 1",
            )
        table = self._table(channels // self.planes)
        first = self.first(moment.epoch)
        if first >= len(table):
            raise GantkError(
                f"the curriculum begins at scenario {first} of {len(table)}",
                where="modality_dropout",
                mend="count from 0",
            )
        drawn = torch.randint(first, len(table), (batch if self.per == "sample" else 1,))
        kept = (
            torch.tensor(table, dtype=torch.bool)[drawn].repeat_interleave(self.planes, dim=1).to(group.source.device)
        )
        kept = kept | ~(group.available & kept).any(dim=1, keepdim=True)
        return replace(group, source=torch.where(beside(kept, group.source), group.source, BACKGROUND))

    def first(self, epoch: int) -> int:
        """The index of the first scenario that is drawn in an epoch."""
        return next((first for begins, first in reversed(self.curriculum) if begins <= epoch), 0)

    def _table(self, modalities: int) -> list[tuple[int, ...]]:
        table = scenarios_of(modalities, self.complete) if self.scenarios == "all" else self.scenarios
        if not table or any(len(scenario) != modalities or not any(scenario) for scenario in table):
            raise GantkError(
                f"the scenarios {self.scenarios!r} do not fit a source of {modalities} modalities",
                where="modality_dropout",
                why="each needs one 0 or 1 per modality and at least one available modality"
                if table
                else "there is none to draw",
                mend="check scenarios, complete, planes, and the groups that the transform is placed on",
            )
        return table


def outputs_available(view: View) -> Tensor:
    """Which of a view's outputs are among its inputs, bool (B, T).

    The inputs are the outputs in the same order, each with its neighboring slices.

    Raises:
        GantkError: the inputs differ from the outputs: an available input is not the target at the same place.
    """
    return view.derive("outputs available", view.source, lambda source: _matched(view, source))


def _matched(view: View, source: Tensor) -> Tensor:
    target = view.target
    planes, rest = divmod(source.shape[1], target.shape[1])
    if not rest and planes % 2:
        available = view.available.unflatten(1, (-1, planes)).any(dim=2)
        own = source[:, planes // 2 :: planes]
        if torch.equal(torch.where(beside(available, target), target, own), own):
            return available
    raise GantkError(
        "the inputs are not the targets",
        where=f"translators.{view.role}",
        why="which outputs are missing is read from the inputs, so both must be the same modalities in the same order",
        mend="set data.target to the same list as data.inputs, and hide inputs with a transform",
    )


def imputed(view: View) -> Tensor:
    """The output with available modalities replaced by the real images, m·G(x) + (1 − m)·y, (B, T, *spatial)."""
    available = beside(outputs_available(view), view.target)
    return view.derive("imputed", view.output, lambda output: torch.where(available, view.target, output))


def known(view: View) -> Tensor:
    """The targets of a view that the patients have, bool (B, T); the others are background and are ignored."""
    return view.derive("targets known", view.target, lambda target: (target > BACKGROUND).flatten(2).any(dim=2))


class MissingL1:
    """Mean absolute error over only the missing modalities: mean of m·|y − G(x)| (MM-GAN); 0 if none is missing.

    Modalities that the patient lacks are ignored, because y is not known. The term's weight map multiplies the error.
    """

    needs = Needs(target=True)

    def __call__(self, view: View) -> Tensor:
        missing = ~outputs_available(view) & known(view)
        error = (view.target - view.output).abs()
        weight = view.weight_like(error)
        if weight is not None:
            error = weight * error
        per_channel = error.mean(dim=pixels(error))
        return torch.where(missing, per_channel, 0).sum() / missing.sum().clamp_min(1)


class ImputedLsgan:
    """Least-squares GAN with a score map per modality and implicit conditioning (MM-GAN).

    The discriminator receives ŷ = m·G(x) + (1 − m)·y, the output with the available modalities replaced by the real
    ones (m is 1 where missing). It is trained to classify the real modalities of ŷ as real. Modalities that a patient
    lacks, whose y is not known, are ignored:
    L_D = ω·(E[(D(y) − 1)²] + E[(D(ŷ) − (1 − m))²]), L_G = E[(D(ŷ) − 1)²]; means over all modalities' maps.

    Args:
        condition: the second input of a conditional discriminator. The published code uses the complete real images;
            "source" uses the generator's input.
        discriminator_weight: ω, factor on the discriminator's loss.
    """

    needs = Needs(target=True)

    def __init__(self, condition: ImageRef = ImageRef("target"), discriminator_weight: Positive = 0.5) -> None:
        self.condition = condition
        self.discriminator_weight = discriminator_weight

    def __call__(self, view: View) -> Tensor:
        return _mean((self._judge(view, imputed(view)) - 1).square(), view)

    def discriminator(self, view: View) -> Tensor:
        real, fake = self._judge(view, view.target), self._judge(view, imputed(view).detach())
        labels = beside(outputs_available(view).to(fake.dtype), fake)
        errors = (real - 1).square(), (fake - labels).square()
        return self.discriminator_weight * (_mean(errors[0], view) + _mean(errors[1], view))

    def _judge(self, view: View, image: Tensor) -> Tensor:
        scores = view.judge(image, source=view.image(self.condition))
        if scores.shape[1] != image.shape[1]:
            raise GantkError(
                f"the discriminator gives {scores.shape[1]} maps of scores for {image.shape[1]} modalities",
                where=f"translators.{view.role}.discriminator",
                mend='set use = "modality_patchgan", which gives one map per modality',
            )
        return scores


def _mean(errors: Tensor, view: View) -> Tensor:
    """The mean of errors (B, T, h, w) over the modalities whose target is known; 0 if none is known."""
    there = known(view)
    if there.all():
        return errors.mean()
    return torch.where(there, errors.mean(dim=pixels(errors)), 0).sum() / there.sum().clamp_min(1)


class ModalityPatchGan(nn.Module):
    """PatchGAN with a map of scores for each modality: (B, in_channels, H, W) float to (B, T, ⌊H/2ⁿ⌋, ⌊W/2ⁿ⌋).

    It also works on volumes. With n = 4 layers, 256² gives 16×16. All sides are at least 2ⁿ.

    Source: MM-GAN's code (4 modalities judged together with 4 real ones: 2,794,432 parameters).

    Args:
        in_channels: channels of the judged image (plus the source's if the discriminator is conditional).
        target_channels: T, the modalities that are judged.
        channels: width of the first convolution; widths are channels · 1, 2, 4, 8, 8, …
        layers: n, the number of halvings.
        norm: "instance", "batch" or "none".
        init: "normal" or "xavier".
        init_gain: standard deviation or gain of the initialization.
        dimensions: number of dimensions of an image, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        target_channels: int,
        channels: Count = 64,
        layers: Levels = 4,
        norm: Norm = "instance",
        init: Init = "normal",
        init_gain: Positive = 0.02,
        dimensions: Dimensions = 2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.dimensions = dimensions
        convolution = CONVOLUTION[dimensions]
        self.least = 2**layers
        widths = [in_channels, *(channels * min(2**level, 8) for level in range(layers))]
        stack: list[nn.Module] = []
        for level in range(layers):
            stack.append(convolution(widths[level], widths[level + 1], 4, stride=2, padding=1))
            if level:
                stack.append(normalisation(norm, widths[level + 1], dimensions))
            stack.append(nn.LeakyReLU(0.2))
        # an even kernel needs one more row and column to keep the size: at the top and the left
        stack += [ZERO_PAD[dimensions]((2, 1) * dimensions), convolution(widths[-1], target_channels, 4, bias=False)]
        self.layers = nn.Sequential(*stack)
        initialise(self, init, init_gain)

    def forward(self, image: Tensor) -> Tensor:
        """Judge every patch of every modality.

        Args:
            image: (B, in_channels, H, W) in [−1, 1].

        Returns:
            Scores (B, T, h, w), unbounded.

        Raises:
            GantkError: the number of channels is wrong, or the image is too small for one patch.
        """
        check_image(image, self.in_channels, 1, "ModalityPatchGan", self.least, self.dimensions)
        return self.layers(image)
