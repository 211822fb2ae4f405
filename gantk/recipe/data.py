"""`[data]` of a recipe: the cohort, what is read from it, and the batches."""

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
"""What a dataset reads besides modalities, where `[data.extra]` names it."""


class SplitSettings(Settings):
    """`[data.split]`: how subjects are divided into training, validation and test."""

    ratio: Triple[Amount] = (7, 1, 2)
    """Training, validation and test subjects."""
    seed: Seed = 0
    """Another seed puts other subjects into each part."""
    folds: Annotated[Count, Field(le=1000)] | None = None
    """Parts of a cross-validation; `ratio` then divides training and validation alone."""
    fold: Whole | None = None
    """Which of the folds is tested, from 0; all of them with `[sweep]` and `"data.split.fold" = [0, 1, 2, 3, 4]`."""
    stratify: Name | None = None
    """A column of the dataset's table, such as a site, of which all parts and folds have about the same share."""

    @model_validator(mode="after")
    def _one_of_the_folds(self) -> SplitSettings:
        if (self.folds is None) != (self.fold is None):
            given, other = ("fold", "folds") if self.folds is None else ("folds", "fold")
            raise ValueError(f"{given} needs {other}: a cross-validation is, for example, folds = 5 and fold = 0")
        if self.folds == 1:
            raise ValueError("folds are at least 2")
        if self.folds is not None and self.fold is not None and self.fold >= self.folds:
            raise ValueError(f"fold is one of 0 to {self.folds - 1}, as there are {self.folds} folds")
        return self

    @field_validator("ratio")
    @classmethod
    def _trains(cls, ratio: tuple[float, float, float]) -> tuple[float, float, float]:
        if not ratio[0]:
            raise ValueError("the part for training must be above 0")
        return ratio


class NormalisationSettings(Settings):
    """`[data.normalisation]`: intensities up to `reach` times a percentile fill [-1, 0.9], those above [0.9, 1]."""

    percentile: Annotated[float, Field(gt=0, le=100)] = 80.0
    """Which percentile of the intensities in the brain; best one that lies in healthy tissue."""
    reach: Annotated[float, Field(ge=0.01, le=1000)] = 2.0
    """How many times its value is mapped to 0.9."""


class IntensitySettings(Settings):
    """`[data.intensities.MODALITY]`: what the numbers of a modality mean, where the images do not tell."""

    unit: Literal["auto", "relative", "absolute", "categories"] = "auto"
    """`relative`: brightness differs between patients (MR); `absolute`: numbers mean the same in all (CT in HU);
    `categories`: numbers are names, as in a label map, and what lies between two of them means nothing."""
    range: Pair[Intensity] | None = None
    """The numbers that fill the normalized range; found in the training patients where absent. Of categories, the first
    and the last."""
    background: Intensity | None = None
    """The number outside the body; found in each image where absent. Inside the body it is a number like others."""

    @model_validator(mode="after")
    def _ordered(self) -> IntensitySettings:
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError("the range must be [lowest, highest]")
        if self.range is not None and self.unit == "relative":
            raise ValueError("only absolute numbers have a range: omit unit or range")
        if self.categories and (self.range is None or any(end != int(end) for end in self.range)):
            raise ValueError("categories are whole numbers and need a range: [first, last]")
        return self

    @property
    def categories(self) -> bool:
        """Whether numbers are names."""
        return self.unit == "categories"

    @property
    def span(self) -> tuple[float, float] | None:
        """The numbers at both ends of the normalized range: below the first category, which is no background."""
        return (self.range[0] - 1, self.range[1]) if self.range is not None and self.categories else self.range


class LabelSettings(Settings):
    """`[data.labels]`: which labels of a segmentation make up each region, the same for all patients."""

    tumour: Labels
    """All tumor labels."""
    core: Labels = []
    """Those of the tumor core, enhancing tumor included."""
    enhancing: Labels = []
    """Those of the enhancing tumor."""

    @model_validator(mode="after")
    def _nested(self) -> LabelSettings:
        if not set(self.enhancing) <= set(self.core) <= set(self.tumour):
            raise ValueError("enhancing must be a part of core, and core a part of tumour")
        return self


class ExtraSettings(Settings):
    """`[data.extra.NAME]`: what networks can be given beside images, under this name."""

    per: Literal["image", "pixel"] = "image"
    """One value for each image, or one for each pixel."""
    of: Name | None = None
    """Where it comes from: of pixels `segmentation` or a modality, of images a fact that the dataset knows of a
    subject, such as a column of its table; what is called as it is where absent."""
    categories: Annotated[Unlike[int] | Unlike[str], Field(min_length=2, max_length=256)] | None = None
    """All values that there are, which networks are given one-hot in this order; where absent, it is a number."""
    value: Intensity | str | None = None
    """What it is where nothing says it."""

    @model_validator(mode="after")
    def _fits(self) -> ExtraSettings:
        if self.per == "pixel" and not all(isinstance(one, int) for one in self.categories or [""]):
            raise ValueError("values per pixel are categories, which are whole numbers")
        if self.per == "pixel" and self.value is not None:
            raise ValueError("a value replaces missing values of an image, not of pixels")
        if self.value is not None:
            self.code(self.value)
        return self

    @property
    def width(self) -> int:
        """Channels of what a network is given."""
        return len(self.categories or [0])

    def code(self, said: object) -> float:
        """The number, or the place among the categories, of what is said of an image.

        Raises:
            ValueError: it is none of them, or no number.
        """
        if self.categories is None:
            number = float(str(said))
            if not isfinite(number):
                raise ValueError(f"{said} is no finite number")
            return number
        words = list(map(str, self.categories))
        if str(said) not in words:
            raise ValueError(f"{said!r} is none of {', '.join(words)}")
        return words.index(str(said))


class DataSettings(BaseModel):
    """`[data]`: the cohort, what is read from it, and the batches; also the dataset's own parameters."""

    model_config = STRICT | ConfigDict(extra="allow")

    dataset: str
    inputs: Several[Name]
    """The modalities that are translated, in the order of their channels."""
    target: Name | Several[Name]
    """The modality to be synthesized, or several."""
    incomplete: bool | Literal["skip"] = False
    """Whether patients may lack inputs, for methods that are trained to do without; what is not there is background.
    `"skip"` leaves such patients out."""
    dimensions: Dimensions = 2
    """Whether slices are translated (2) or volumes (3), in training by patches."""
    neighbours: Annotated[Whole, Field(le=64)] = 0
    """Slices on either side that come with each input slice, as further channels."""
    plane: Direction = "axial"
    """Which way slices lie; volumes are stacks of axial slices."""
    spacing: Millimetres | Triple[Millimetres] | None = None
    """Spacing in mm that images are brought to, their own where absent: a number for the pixels of slices, or for all
    axes of volumes; or along z, y and x of the volume, as in [5.0, 1.0, 1.0]."""
    crop: Pair[Pixels] = (224, 224)
    """Height and width of the center crop of slices, in pixels, also of those that make up volumes."""
    patch: Triple[Pixels] | None = None
    """Of volumes: slices, height and width of the patches that are trained on, in voxels."""
    patches: Annotated[Count, Field(le=10**6)] = 1
    """Of volumes: patches of each patient in an epoch, drawn anew in each."""
    normalisation: NormalisationSettings = NormalisationSettings()
    intensities: dict[Name, IntensitySettings] = {}
    """What the numbers of a modality mean, by modality."""
    extra: dict[Name, ExtraSettings] = {}
    """What networks can be given beside images, as `[translators.ROLE]` says by `given`."""
    mask: Name | None = None
    """A modality that is not 0 where there is foreground; where absent, foreground is found in the inputs."""
    labels: LabelSettings | None = None
    """What the labels of segmentations mean; where absent, the conventions of BraTS, recognized over the cohort."""
    paired_fraction: Fraction = 1.0
    """Fraction of the training patients whose target is used."""
    split: SplitSettings | Literal["none"] = SplitSettings()
    """Training, validation and test subjects; `"none"` trains on all and measures on the same."""
    slices: Literal["tumour", "all"] = "tumour"
    """Which slices are trained on: those with tumor, or all that show any brain; of volumes, what lies in a patch's
    middle."""
    sampler: Selection | None = None
    """How often each training slice is drawn, or has a patch's middle in it, by a sampler component; where absent, all
    slices equally often, and patches by `slices` and `core_fraction`."""
    core_fraction: Fraction | None = None
    """Fraction of the training slices that contain tumor core, or of the patches with it in their middle; where
    absent, as many as there are."""
    batch: dict[BatchGroup, Images] = Field(default={"paired": 1}, min_length=1)
    """Slices or patches of each batch group in a step; `paired:1/2` is one half of the paired patients, by name every
    second."""
    steps_per_epoch: Number | None = None
    """Steps in an epoch; one pass over the longest group where absent."""

    @field_validator("split", mode="before")
    @classmethod
    def _table_or_word(cls, split: Any) -> Any:
        if split != "none" and not isinstance(split, (dict, SplitSettings)):
            raise ValueError('a split is a table with ratio and seed, or "none"')
        return split

    @field_validator("spacing", mode="before")
    @classmethod
    def _one_or_three(cls, spacing: Any) -> Any:
        if isinstance(spacing, list) and len(spacing) != 3:
            raise ValueError("a spacing is a number, or three in a list: along z, y and x")
        return spacing

    @model_validator(mode="after")
    def _of_so_many_dimensions(self) -> DataSettings:
        if self.dimensions == 3 and self.patch is None:
            raise ValueError("dimensions = 3 needs patch, such as [96, 96, 96]: slices, height and width in voxels")
        if self.dimensions == 2 and self.patch is not None:
            raise ValueError("a patch is part of a volume: set dimensions = 3, or set crop for slices")
        if self.dimensions == 3 and self.neighbours:
            raise ValueError("a volume contains its neighboring slices: keep neighbours = 0")
        if self.dimensions == 3 and self.plane != "axial":
            raise ValueError("volumes are stacks of axial slices: omit plane")
        if self.dimensions == 2 and self.patches > 1:
            raise ValueError("patches are parts of volumes: set dimensions = 3")
        return self

    @property
    def voxel(self) -> float | tuple[float, float, float] | None:
        """The spacing as it holds: one number of slices is that of their pixels, of volumes that of all three axes."""
        if self.dimensions == 3 and isinstance(self.spacing, float | int):
            return self.spacing, self.spacing, self.spacing
        return self.spacing

    @property
    def image_size(self) -> tuple[int, ...]:
        """What networks are trained on: (H, W) of slices, (D, H, W) of volumes."""
        return self.crop if self.patch is None else self.patch

    @property
    def size_key(self) -> str:
        """The key that says it."""
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
                raise ValueError(f"{name!r} holds categories, but networks make numbers: it can only be an input")
        return self

    @property
    def categories(self) -> frozenset[str]:
        """The modalities whose numbers are names."""
        return frozenset(name for name, given in self.intensities.items() if given.categories)

    @property
    def label_maps(self) -> dict[str, IntensitySettings]:
        """The modalities that networks are given beside images, and what their numbers mean."""
        found = {extra.of or name: extra for name, extra in self.extra.items() if extra.per == "pixel"}
        return {
            name: IntensitySettings(unit="categories", range=(min(codes), max(codes)))
            for name, extra in found.items()
            if name != SEGMENTATION and (codes := [int(code) for code in extra.categories or ()])
        }

    @property
    def may_lack(self) -> bool:
        """Whether patients who lack inputs are kept."""
        return self.incomplete is True

    @property
    def modalities(self) -> tuple[str, ...]:
        """Inputs, the targets that are none of them, and label maps that are neither."""
        return tuple(dict.fromkeys((*self.inputs, *self.targets, *self.label_maps)))
