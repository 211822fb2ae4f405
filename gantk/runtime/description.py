"""What travels with an exported network: everything between a subject's numbers and the network's, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from gantk.data.meaning import Meaning
from gantk.data.normalisation import Normalisation
from gantk.data.slices import SliceSettings
from gantk.data.windows import Blended

if TYPE_CHECKING:
    from gantk.recipe.data import IntensitySettings

__all__ = ["FORMAT", "Description"]

FORMAT = 1


@dataclass(frozen=True)
class Description:
    """How a subject becomes a generator's input, and how the output becomes an image of the subject.

    Attributes:
        takes: modalities in the order of the generator's channels.
        inputs: those of them that an image is made from; the others are hidden, and background.
        target: the modality of the output.
        place: first channel of the output that shows it, and the one behind its last.
        channels: of one image, 3 for color.
        reach: slices on either side that come with each.
        pictures: whether subjects are pictures, which have no size in the world.
        incomplete: whether inputs may be lacking.
        size: (H, W) that pictures were resized to for training; None for that of the crop.
        settings: of the slices.
        meaning: of the cohort's numbers, with the scales that lead to [-1, 1] and back.
        multiple: what height and width must be multiples of; None where the network takes one size alone, that of the
            crop, or of a window of volumes.
        batch: slices that are translated at once.
        dimensions: 2 where slices are translated, 3 where volumes are.
        windows: how images are translated window by window; None where slices are translated whole, or pictures in
            windows of the runtime's own.
        file: the network's file, and its SHA-256.
        facts: which run, epoch, translator and versions it is of.
    """

    takes: tuple[str, ...]
    inputs: tuple[str, ...]
    target: str
    place: tuple[int, int]
    channels: int
    reach: int
    pictures: bool
    incomplete: bool
    size: tuple[int, int] | None
    settings: SliceSettings
    meaning: Meaning
    multiple: int | None
    batch: int
    dimensions: int = 2
    windows: Blended | None = None
    file: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def needed(self) -> tuple[str, ...]:
        """The images that a subject must have."""
        mask = self.settings.mask
        return (*(() if self.incomplete else self.inputs), *(() if mask in (None, *self.inputs) else (mask,)))

    def fitting(self, size: tuple[int, int]) -> tuple[int, int] | None:
        """The smallest height and width, at least `size`, that the network takes."""
        if self.multiple is None:
            return None
        height, width = (-(-n // self.multiple) * self.multiple for n in size)
        return height, width

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        settings = self.settings
        return {
            "format": FORMAT,
            "takes": list(self.takes),
            "inputs": list(self.inputs),
            "target": self.target,
            "place": list(self.place),
            "channels": self.channels,
            "neighbours": self.reach,
            "pictures": self.pictures,
            "incomplete": self.incomplete,
            "size": None if self.size is None else list(self.size),
            "slices": {
                "modalities": list(settings.modalities),
                "spacing": settings.spacing,
                "plane": settings.plane,
                "crop": list(settings.crop),
                "percentile": settings.normalisation.percentile,
                "reach": settings.normalisation.reach,
                "mask": settings.mask,
                "intensities": {name: _plain(given) for name, given in settings.intensities.items()},
            },
            "meaning": self.meaning.to_dict(),
            "multiple": self.multiple,
            "batch": self.batch,
            "dimensions": self.dimensions,
            "windows": None if self.windows is None else asdict(self.windows),
            "file": dict(self.file),
            "facts": dict(self.facts),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Description:
        """The description that `to_dict` recorded.

        Raises:
            KeyError, TypeError, ValueError: it is none, or of another format.
        """
        if record["format"] != FORMAT:
            raise ValueError(f"it has the format {record['format']}, and this gantk reads {FORMAT}")
        slices, dimensions, windows = record["slices"], record.get("dimensions", 2), record.get("windows")
        return cls(
            tuple(record["takes"]),
            tuple(record["inputs"]),
            record["target"],
            (record["place"][0], record["place"][1]),
            record["channels"],
            record["neighbours"],
            record["pictures"],
            record["incomplete"],
            None if record["size"] is None else (record["size"][0], record["size"][1]),
            SliceSettings(
                tuple(slices["modalities"]),
                tuple(slices["spacing"]) if isinstance(slices["spacing"], list) else slices["spacing"],
                (slices["crop"][0], slices["crop"][1]),
                Normalisation(slices["percentile"], slices["reach"]),
                {name: cast("IntensitySettings", SimpleNamespace(**of)) for name, of in slices["intensities"].items()},
                slices["mask"],
                slices.get("plane", "axial"),
                dimensions == 3,
            ),
            Meaning.from_dict(record["meaning"]),
            record["multiple"],
            record["batch"],
            dimensions,
            None if windows is None else Blended(**{**windows, "size": tuple(windows["size"])}),
            record["file"],
            record["facts"],
        )


def _plain(given: IntensitySettings) -> dict[str, Any]:
    return {
        "unit": given.unit,
        "range": None if given.range is None else list(given.range),
        "span": None if given.span is None else list(given.span),
        "background": given.background,
        "categories": given.categories,
    }
