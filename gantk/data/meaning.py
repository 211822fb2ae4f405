"""The meaning of stored intensities, decided over the training patients and recorded in every checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gantk.data.labels import Labels
from gantk.data.normalisation import Scale, fixed_scale, is_full, shared_scale, typical_scale
from gantk.data.slices import Slices

if TYPE_CHECKING:
    from gantk.recipe.data import IntensitySettings

__all__ = ["Absolute", "Brightness", "Intensities", "Meaning", "Relative", "Stored", "decide_intensities"]

_SIGNED = 0.05  # fraction of a foreground below 0 that resampling cannot explain


@dataclass(frozen=True)
class Absolute:
    """Numbers with the same meaning in all patients, such as Hounsfield units: one scale for the cohort.

    Attributes:
        scale: the map from these numbers to [-1, 1].
    """

    scale: Scale

    def of(self, own: Scale) -> Scale:
        """The scale of a volume with a known scale of its own: the cohort's scale with the volume's background."""
        return replace(self.scale, background=own.background)


@dataclass(frozen=True)
class Relative:
    """Numbers whose brightness differs between patients, as in MR: each volume has its own scale.

    Attributes:
        scale: the typical scale of the training patients.
        brightness: brightness relative to the first relative input, median over the training patients.
    """

    scale: Scale
    brightness: float = 1.0

    def of(self, own: Scale) -> Scale:
        """The scale of a volume with a known scale of its own."""
        return own


@dataclass(frozen=True)
class Brightness:
    """Numbers that mean only brightness, from black to the greatest value of the file's type, as in photographs.

    Attributes:
        scale: the scale of a typical training image.
    """

    scale: Scale

    def of(self, own: Scale) -> Scale:
        """The scale of an image with a known scale of its own."""
        return own


Intensities = Absolute | Relative | Brightness


class Stored(Protocol):
    """The facts about a patient's prepared images that decide their meaning."""

    scales: dict[str, Scale]
    negative: dict[str, float]


@dataclass(frozen=True)
class Meaning:
    """The meaning of the numbers in a cohort's images and segmentations.

    Attributes:
        intensities: by modality; a modality that is not listed has a separate scale in every image.
        labels: the meaning of the files' labels.
    """

    intensities: Mapping[str, Intensities] = field(default_factory=dict)
    labels: Labels = Labels()

    def scale(self, name: str, own: Scale) -> Scale:
        """The scale of an image of a modality, given the image's own."""
        return self.intensities[name].of(own) if name in self.intensities else own

    def normalised(self, slices: Slices) -> Slices:
        """Slices converted from their images' own scales to the scales for networks."""
        scales = {name: self.scale(name, own) for name, own in slices.scales.items()}
        images = {name: slices.scales[name].moved(image, scales[name]) for name, image in slices.images.items()}
        return replace(slices, images=images, scales=scales)

    def predicted(self, name: str, slices: Slices, inputs: Sequence[str]) -> Scale:
        """The scale of a synthesized image, which has no scale of its own.

        For an absolute unit: the cohort's scale. For a relative unit: the typical scale, as bright relative to the
        first relative input as training targets were; if no input is relative, as bright as training targets were. For
        plain brightness: the range of the first input if that is plain brightness too.

        Args:
            name: the synthesized modality.
            slices: the slices from which it was synthesized.
            inputs: the input modalities, in order of preference.
        """
        made, first = self.intensities[name], slices.scales[inputs[0]]
        if isinstance(made, Brightness):
            return first if is_full(first) else made.scale
        if isinstance(made, Relative):
            for other in inputs:
                known = self.intensities[other]
                if isinstance(known, Relative):
                    bright = slices.scales[other].brightness * made.brightness / known.brightness
                    return made.scale.times(bright / made.scale.brightness)
        return made.scale

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        found = {}
        for name, known in self.intensities.items():
            record = {"unit": type(known).__name__.lower(), "scale": known.scale.to_dict()}
            found[name] = record | ({"brightness": known.brightness} if isinstance(known, Relative) else {})
        return {"intensities": found, "labels": self.labels.to_dict()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Meaning:
        """The meaning that `to_dict` recorded."""
        intensities: dict[str, Intensities] = {}
        for name, known in record["intensities"].items():
            scale = Scale.from_dict(known["scale"])
            match known["unit"]:
                case "absolute":
                    intensities[name] = Absolute(scale)
                case "relative":
                    intensities[name] = Relative(scale, float(known["brightness"]))
                case _:
                    intensities[name] = Brightness(scale)
        return cls(intensities, Labels.from_dict(record["labels"]))


def decide_intensities(
    patients: Mapping[str, Sequence[Stored]], inputs: Sequence[str], settings: Mapping[str, IntensitySettings]
) -> dict[str, Intensities]:
    """The meaning of each modality's numbers: from the recipe, else estimated from the training patients.

    A modality is absolute if much of the median patient's foreground is negative, or if the background is clearly
    below 0.

    Args:
        patients: by modality, the training patients that have it.
        inputs: candidates for the modality with which brightness is compared, in this order.
        settings: the recipe's settings, by modality.
    """
    decided = {name: _decide(name, having, settings.get(name)) for name, having in patients.items()}
    first = next((name for name in inputs if isinstance(decided.get(name), Relative)), None)
    for name, known in decided.items():
        if first is not None and isinstance(known, Relative):
            decided[name] = replace(known, brightness=_brightness(name, patients[name], first, patients[first]))
    return decided


def _decide(name: str, having: Sequence[Stored], told: IntensitySettings | None) -> Intensities:
    span, unit = (None, "auto") if told is None else (told.span, told.unit)
    scales = [patient.scales[name] for patient in having]
    negative = [patient.negative[name] for patient in having if name in patient.negative]
    typical = typical_scale(scales)
    if span is not None:
        return Absolute(fixed_scale(*span, typical.background, typical.type))
    if not negative and np.dtype(typical.type).kind == "u":
        return Brightness(typical)
    if not negative or unit == "relative":
        return Relative(typical)
    signed = median(negative) > _SIGNED or typical.below_zero(typical.background)
    return Absolute(shared_scale(scales)) if signed or unit == "absolute" else Relative(typical)


def _brightness(name: str, having: Sequence[Stored], first: str, others: Sequence[Stored]) -> float:
    """A modality's brightness relative to another: median ratio over patients with both, else the ratio of medians."""
    both = [p.scales[name].brightness / p.scales[first].brightness for p in having if first in p.scales]
    if both:
        return median(both)
    return median(p.scales[name].brightness for p in having) / median(p.scales[first].brightness for p in others)
