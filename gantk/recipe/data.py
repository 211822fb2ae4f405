"""`[data]` of a recipe: the data set, its preprocessing, and the batches."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gantk.ranges import Count, Dimensions, Fraction, Whole
from gantk.recipe.values import (
    STRICT,
    Amount,
    BatchGroup,
    Images,
    Intensity,
    Labels,
    Name,
    Number,
    Pair,
    Pixels,
    Seed,
    Selection,
    Settings,
    Several,
    Triple,
    Unlike,
)

Direction = Literal["axial", "coronal", "sagittal"]
Millimetres = Annotated[float, Field(ge=0.01, le=100)]

SEGMENTATION = "segmentation"
"""The name by which `[data.extra]` selects the dataset's segmentations."""


class SplitSettings(Settings):
    """`[data.split]`: the division of subjects into training, validation and test."""

    ratio: Triple[Amount] = (7, 1, 2)
    """Relative sizes of training, validation and test, in subjects."""
    seed: Seed = 0
    """Seed of the random assignment of subjects."""
    folds: Annotated[Count, Field(le=1000)] | None = None
    """Number of cross-validation folds; `ratio` then divides only training and validation. Default: no folds."""
    fold: Whole | None = None
    """Index of the test fold, from 0. For a run per fold: `[sweep]` with `"data.split.fold" = [0, 1, 2, 3, 4]`."""
    stratify: Name | None = None
    """Column of the dataset's table, such as a site, to stratify parts and folds by; default: none."""

    @model_validator(mode="after")
    def _one_of_the_folds(self) -> SplitSettings:
        if (self.folds is None) != (self.fold is None):
            given, other = ("fold", "folds") if self.folds is None else ("folds", "fold")
            raise ValueError(f"{given} requires {other}; a cross-validation has, for example, folds = 5 and fold = 0")
        if self.folds == 1:
            raise ValueError("folds must be at least 2")
        if self.folds is not None and self.fold is not None and self.fold >= self.folds:
            raise ValueError(f"fold must be from 0 to {self.folds - 1}, because there are {self.folds} folds")
        return self

    @field_validator("ratio")
    @classmethod
    def _trains(cls, ratio: tuple[float, float, float]) -> tuple[float, float, float]:
        if not ratio[0]:
            raise ValueError("the first number, the size of training, must be above 0")
        return ratio


class NormalisationSettings(Settings):
    """`[data.normalisation]`: intensities up to `reach` times a percentile map to [-1, 0.9], others to [0.9, 1]."""

    percentile: Annotated[float, Field(gt=0, le=100)] = 80.0
    """Percentile of the intensities inside the brain; choose one that lies in healthy tissue."""
    reach: Annotated[float, Field(ge=0.01, le=1000)] = 2.0
    """Multiple of this percentile that is mapped to 0.9."""


class IntensitySettings(Settings):
    """`[data.intensities.MODALITY]`: unit and range of a modality's numbers, instead of those detected from images."""

    unit: Literal["auto", "relative", "absolute", "categories"] = "auto"
    """`relative`: brightness differs between patients (MR); `absolute`: numbers mean the same in all patients (CT in
    HU); `categories`: numbers are class labels, as in a label map; `auto`: detected from the training images."""
    range: Pair[Intensity] | None = None
    """Numbers that are mapped to -1 and 1, with clipping; default: estimated from the training images. For categories:
    the first and the last category."""
    background: Intensity | None = None
    """Number outside the body; default: detected in each image. Inside the body it is an ordinary number."""

    @model_validator(mode="after")
    def _ordered(self) -> IntensitySettings:
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError("range must be [lowest, highest]")
        if self.range is not None and self.unit == "relative":
            raise ValueError('unit = "relative" allows no range: remove unit or range')
        if self.categories and (self.range is None or any(end != int(end) for end in self.range)):
            raise ValueError('unit = "categories" requires range = [first, last], with integers')
        return self

    @property
    def categories(self) -> bool:
        """Whether the numbers are class labels."""
        return self.unit == "categories"

    @property
    def span(self) -> tuple[float, float] | None:
        """The numbers mapped to -1 and 1; for categories from one below the first, because -1 is the background."""
        return (self.range[0] - 1, self.range[1]) if self.range is not None and self.categories else self.range


class LabelSettings(Settings):
    """`[data.labels]`: the labels of segmentation files that make up each region, for all patients."""

    tumour: Labels
    """All tumor labels."""
    core: Labels = []
    """Labels of the tumor core, including the enhancing tumor."""
    enhancing: Labels = []
    """Labels of the enhancing tumor."""

    @model_validator(mode="after")
    def _nested(self) -> LabelSettings:
        if not set(self.enhancing) <= set(self.core) <= set(self.tumour):
            raise ValueError("enhancing must be a subset of core, and core a subset of tumour")
        return self


class ExtraSettings(Settings):
    """`[data.extra.NAME]`: an extra input of networks beside the images, under this name."""

    per: Literal["image", "pixel"] = "image"
    """Whether there is one value for each image or one for each pixel."""
    of: Name | None = None
    """Source of the values. Per pixel: `segmentation` or a modality. Per image: a fact that the dataset has about
    subjects, such as a column of its table. Default: the source with the name of this extra input."""
    categories: Annotated[Unlike[int] | Unlike[str], Field(min_length=2, max_length=256)] | None = None
    """All possible values, passed to networks one-hot in this order; default: none, the value is passed as a number."""
    value: Intensity | str | None = None
    """Value for subjects for which the dataset has none; default: such a subject is an error."""

    @model_validator(mode="after")
    def _fits(self) -> ExtraSettings:
        if self.per == "pixel" and not all(isinstance(one, int) for one in self.categories or [""]):
            raise ValueError('per = "pixel" requires categories, all of them integers')
        if self.per == "pixel" and self.value is not None:
            raise ValueError('value can only be set for per = "image"')
        if self.value is not None:
            self.code(self.value)
        return self

    @property
    def width(self) -> int:
        """Number of channels that networks receive."""
        return len(self.categories or [0])

    def code(self, said: object) -> float:
        """The number that networks receive for a value: the value itself, or its index among the categories.

        Raises:
            ValueError: it is not one of the categories, or not a finite number.
        """
        if self.categories is None:
            number = float(str(said))
            if not isfinite(number):
                raise ValueError(f"{said} is not a finite number")
            return number
        words = list(map(str, self.categories))
        if str(said) not in words:
            raise ValueError(f"{said!r} is not one of {', '.join(words)}")
        return words.index(str(said))


class DataSettings(BaseModel):
    """`[data]`: the data set, its preprocessing, and the batches; also the parameters of the dataset component."""

    model_config = STRICT | ConfigDict(extra="allow")

    dataset: str
    inputs: Several[Name]
    """Input modalities, in the order of their channels."""
    target: Name | Several[Name]
    """Modality, or list of modalities, to synthesize."""
    incomplete: bool | Literal["skip"] = False
    """Patients without all inputs: `false` makes them an error, `"skip"` leaves them out, `true` uses them and replaces
    missing images with background, for methods that handle missing inputs."""
    dimensions: Dimensions = 2
    """2 to translate slices; 3 to translate volumes, with training on patches."""
    neighbours: Annotated[Whole, Field(le=64)] = 0
    """Number of neighboring slices on each side of an input slice that are added as channels."""
    plane: Direction = "axial"
    """Orientation of the slices; volumes are always stacks of axial slices."""
    spacing: Millimetres | Triple[Millimetres] | None = None
    """Spacing in mm to which images are resampled: one number for the pixels of slices or for all axes of volumes, or
    three along z, y and x, such as [5.0, 1.0, 1.0]. Default: no resampling."""
    crop: Pair[Pixels] = (224, 224)
    """Height and width in pixels to which slices are cropped or padded around the center, in volumes too."""
    patch: Triple[Pixels] | None = None
    """For volumes: size of training patches as [slices, height, width] in voxels."""
    patches: Annotated[Count, Field(le=10**6)] = 1
    """For volumes: number of patches per patient and epoch, at new random positions in every epoch."""
    normalisation: NormalisationSettings = NormalisationSettings()
    intensities: dict[Name, IntensitySettings] = {}
    """Unit and range of the numbers of a modality, by modality; default: detected from the images."""
    extra: dict[Name, ExtraSettings] = {}
    """Extra inputs of networks beside images, used by translators that list them in `given`."""
    mask: Name | None = None
    """Modality whose nonzero pixels are the foreground; default: the foreground is detected in the inputs."""
    labels: LabelSettings | None = None
    """Meaning of the labels in segmentation files; default: a BraTS convention, detected from the whole cohort."""
    paired_fraction: Fraction = 1.0
    """Fraction of the training patients whose targets are used; the other patients train without a target."""
    split: SplitSettings | Literal["none"] = SplitSettings()
    """Division into training, validation and test; `"none"` uses all subjects for each of them."""
    slices: Literal["tumour", "all"] = "tumour"
    """Training slices: only slices with tumor, or all slices that show brain. For volumes: whether patches have their
    centers in the tumor or anywhere in the brain."""
    sampler: Selection | None = None
    """Sampler component that sets how often each training slice is drawn; for volumes, how often it contains the center
    of a patch. Default: slices equally often, patches by `slices` and `core_fraction`."""
    core_fraction: Fraction | None = None
    """Fraction of the drawn slices that contain tumor core, or of the patches whose center lies in it; default: slices
    and patches are drawn regardless of the core."""
    batch: dict[BatchGroup, Images] = Field(default={"paired": 1}, min_length=1)
    """Batch size of each batch group, in slices or patches. `paired:1/2` is the first half of the paired patients:
    every second one by name."""
    steps_per_epoch: Number | None = None
    """Number of steps in an epoch; default: one pass over the largest batch group."""

    @field_validator("split", mode="before")
    @classmethod
    def _table_or_word(cls, split: Any) -> Any:
        if split != "none" and not isinstance(split, (dict, SplitSettings)):
            raise ValueError('must be a table, such as { ratio = [7, 1, 2], seed = 0 }, or "none"')
        return split

    @field_validator("spacing", mode="before")
    @classmethod
    def _one_or_three(cls, spacing: Any) -> Any:
        if isinstance(spacing, list) and len(spacing) != 3:
            raise ValueError("must be a number, or a list of three numbers: along z, y and x")
        return spacing

    @model_validator(mode="after")
    def _of_so_many_dimensions(self) -> DataSettings:
        if self.dimensions == 3 and self.patch is None:
            raise ValueError("dimensions = 3 requires patch, such as [96, 96, 96]: slices, height and width in voxels")
        if self.dimensions == 2 and self.patch is not None:
            raise ValueError("patch applies only to volumes: set dimensions = 3, or use crop for slices")
        if self.dimensions == 3 and self.neighbours:
            raise ValueError("neighbours applies only to slices: remove it, or set dimensions = 2")
        if self.dimensions == 3 and self.plane != "axial":
            raise ValueError("plane applies only to slices, volumes are always axial: remove it")
        if self.dimensions == 2 and self.patches > 1:
            raise ValueError("patches applies only to volumes: remove it, or set dimensions = 3")
        return self

    @property
    def voxel(self) -> float | tuple[float, float, float] | None:
        """The spacing, for volumes always along all three axes; for slices one number is the pixel spacing."""
        if self.dimensions == 3 and isinstance(self.spacing, float | int):
            return self.spacing, self.spacing, self.spacing
        return self.spacing

    @property
    def image_size(self) -> tuple[int, ...]:
        """Size of the training images: (H, W) of slices, (D, H, W) of patches."""
        return self.crop if self.patch is None else self.patch

    @property
    def size_key(self) -> str:
        """The key that sets this size."""
        return "crop" if self.patch is None else "patch"

    @property
    def parameters(self) -> dict[str, Any]:
        """The dataset's own parameters."""
        return dict(self.model_extra or {})

    @property
    def use(self) -> str:
        """The dataset component's name."""
        return self.dataset

    @property
    def targets(self) -> tuple[str, ...]:
        """The modalities to be synthesized."""
        return (self.target,) if isinstance(self.target, str) else tuple(self.target)

    @model_validator(mode="after")
    def _numbers_are_made(self) -> DataSettings:
        for name in self.targets:
            if name in self.intensities and self.intensities[name].categories:
                raise ValueError(f'{name!r} has unit = "categories" and can only be an input, not a target')
        return self

    @property
    def categories(self) -> frozenset[str]:
        """The modalities whose numbers are class labels."""
        return frozenset(name for name, given in self.intensities.items() if given.categories)

    @property
    def label_maps(self) -> dict[str, IntensitySettings]:
        """The modalities that `[data.extra]` passes to networks per pixel, with their unit and range."""
        found = {extra.of or name: extra for name, extra in self.extra.items() if extra.per == "pixel"}
        return {
            name: IntensitySettings(unit="categories", range=(min(codes), max(codes)))
            for name, extra in found.items()
            if name != SEGMENTATION and (codes := [int(code) for code in extra.categories or ()])
        }

    @property
    def may_lack(self) -> bool:
        """Whether patients without all inputs are kept."""
        return self.incomplete is True

    @property
    def modalities(self) -> tuple[str, ...]:
        """Inputs, targets and label maps, each once."""
        return tuple(dict.fromkeys((*self.inputs, *self.targets, *self.label_maps)))
