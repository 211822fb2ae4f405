"""What stored numbers mean, decided over the training patients and recorded in every checkpoint."""

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

_SIGNED = 0.05  # part of a foreground below 0 that resampling does not explain


@dataclass(frozen=True)
class Absolute:
    """Numbers that mean the same in all patients, as Hounsfield units do: one scale for the cohort.

    Attributes:
        scale: from those numbers to [-1, 1].
    """

    scale: Scale

    def of(self, own: Scale) -> Scale:
        """The scale of a volume with a known scale of its own: the cohort's scale with the volume's background."""
        return replace(self.scale, background=own.background)


@dataclass(frozen=True)
class Relative:
    """Numbers whose brightness differs between patients, as in MR: each volume has its own scale.

    Attributes:
        scale: the training patients' typical one.
        brightness: relative to the first relative input, the median over training patients.
    """

    scale: Scale
    brightness: float = 1.0

    def of(self, own: Scale) -> Scale:
        """The scale of a volume whose own is known."""
        return own


@dataclass(frozen=True)
class Brightness:
    """Numbers that mean brightness alone, from black to the greatest that a file can hold, as in photographs.

    Attributes:
        scale: a typical training image's.
    """

    scale: Scale

    def of(self, own: Scale) -> Scale:
        """The scale of an image whose own is known."""
        return own


Intensities = Absolute | Relative | Brightness


class Stored(Protocol):
    """What a prepared patient tells of its images."""

    scales: dict[str, Scale]
    negative: dict[str, float]


@dataclass(frozen=True)
class Meaning:
    """What the numbers of a cohort's images and segmentations mean.

    Attributes:
        intensities: by modality; a modality that is missing here has a scale of its own in every image.
        labels: the files' labels.
    """

    intensities: Mapping[str, Intensities] = field(default_factory=dict)
    labels: Labels = Labels()

    def scale(self, name: str, own: Scale) -> Scale:
        """The scale of an image of a modality, given the image's own."""
        return self.intensities[name].of(own) if name in self.intensities else own

    def normalised(self, slices: Slices) -> Slices:
        """Slices in their images' own scales, as networks are shown them."""
        scales = {name: self.scale(name, own) for name, own in slices.scales.items()}
        images = {name: slices.scales[name].moved(image, scales[name]) for name, image in slices.images.items()}
        return replace(slices, images=images, scales=scales)

    def predicted(self, name: str, slices: Slices, inputs: Sequence[str]) -> Scale:
        """The scale of an image that was made from others, whose own cannot be known.

        An absolute unit has the cohort's. A relative unit has the typical scale, made as bright relative to the first
        relative input as training targets were; if no input is relative, as bright as training targets were. Plain
        brightness has as many bits as the first input if that is plain brightness too.

        Args:
            name: the modality that was made.
            slices: what it was made from.
            inputs: their modalities, in the order of preference.
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
    """What the numbers of each modality mean, as the recipe says, else as the training patients show.

    A modality is absolute where much of the median patient's foreground is negative, or the background well is.

    Args:
        patients: by modality, the training patients that have it.
        inputs: modalities in the order in which one is looked for to compare brightness with.
        settings: the recipe's, by modality.
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
    """How bright a modality is beside another: the median ratio of patients with both, else the ratio of medians."""
    both = [p.scales[name].brightness / p.scales[first].brightness for p in having if first in p.scales]
    if both:
        return median(both)
    return median(p.scales[name].brightness for p in having) / median(p.scales[first].brightness for p in others)
