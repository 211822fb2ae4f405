"""The recipe as validated models.

A table that names a component (`use`, or `dataset` in `[data]`) also carries that component's own parameters;
they are kept apart as `parameters` and checked against the component's constructor by `gantk.plugins`.
"""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from gantk.names import ID, apart, check_id, check_name
from gantk.ranges import Count, Fraction, NonNegative, Positive, Whole
from gantk.recipe.groups import GROUPS, PATTERN, GroupName
from gantk.recipe.origin import Origins

T = TypeVar("T")


def _unique(values: list[T]) -> list[T]:
    if len({str(value) for value in values}) != len(values):
        raise ValueError("names must differ from one another")
    return values


def _group(name: str) -> str:
    GroupName.parse(name)
    return name


def _apart(named: dict[str, T]) -> dict[str, T]:
    apart(named)
    return named


Name = Annotated[str, AfterValidator(check_name)]
"""What a recipe calls a thing: it becomes a key of results, and some become parts of paths."""
BatchGroup = Annotated[
    str, Field(json_schema_extra={"anyOf": [{"enum": list(GROUPS)}, {"pattern": PATTERN}]}), AfterValidator(_group)
]
Part = Literal["generator", "heads", "discriminator"]
Region = Literal["image", "brain", "body", "outside", "tumour", "tc", "et"]
Update = Literal["discriminator", "generator"]
Unlike = Annotated[list[T], AfterValidator(_unique)]
Several = Annotated[Unlike[T], Field(min_length=1)]

# Bounds are wide: they refuse what no run can be computed with, not what is unusual.
Amount = Annotated[NonNegative, Field(le=1e9)]
Rate = Annotated[Positive, Field(le=1e9)]
Intensity = Annotated[float, Field(ge=-1e30, le=1e30)]
Decay = Annotated[float, Field(gt=0, lt=1)]
Number = Annotated[Count, Field(le=10**9)]
Images = Annotated[Count, Field(le=2**16)]
Pixels = Annotated[Count, Field(le=2**14)]
Seed = Annotated[Whole, Field(lt=2**63)]
Labels = Unlike[Annotated[Count, Field(le=255)]]
# TOML has lists alone, so a list is what a tuple is made of.
Pair = Annotated[tuple[T, T], Field(strict=False)]
Triple = Annotated[tuple[T, T, T], Field(strict=False)]

SEGMENTATION = "segmentation"
"""What a dataset reads besides modalities, where `[data.extra]` names it."""

#: Types are TOML's: an integer is a number, and neither true nor a text is.
STRICT = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, ser_json_inf_nan="constants")


class Settings(BaseModel):
    """A table with a fixed set of keys."""

    model_config = STRICT | ConfigDict(extra="forbid")


class Selection(BaseModel):
    """A table that names a component and carries its parameters."""

    model_config = STRICT | ConfigDict(extra="allow")

    use: str

    @property
    def parameters(self) -> dict[str, Any]:
        """The component's own parameters: every key that is not one of the table's."""
        return dict(self.model_extra or {})


class RunSettings(Settings):
    """`[run]`: what holds for the run as a whole."""

    seed: Seed = 0
    """Of initial weights, the order of slices, and everything drawn in a step."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """What networks compute in; weights, losses and metrics are fp32 either way."""


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
            raise ValueError("a range fits absolute numbers alone: leave out unit or range")
        if self.categories and (self.range is None or any(end != int(end) for end in self.range)):
            raise ValueError("categories are whole numbers, and their range must be said: [first, last]")
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
            raise ValueError("what is said of pixels are categories, whole numbers")
        if self.per == "pixel" and self.value is not None:
            raise ValueError("a value stands for what is not said of an image, not of pixels")
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
    neighbours: Annotated[Whole, Field(le=64)] = 0
    """Slices on either side that come with each input slice, as further channels."""
    spacing: Annotated[float, Field(ge=0.01, le=100)] | None = None
    """In-plane pixel spacing in mm that slices are brought to; their own where absent."""
    crop: Pair[Pixels] = (224, 224)
    """Height and width of the centre crop, in pixels."""
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
    """Which slices are trained on: those with tumour, or all that show any brain."""
    core_fraction: Fraction | None = None
    """Fraction of the training slices that contain tumour core; where absent, as many as there are."""
    batch: dict[BatchGroup, Images] = Field(default={"paired": 1}, min_length=1)
    """Slices of each batch group in a step; `paired:1/2` is one half of the paired patients, by name every second."""
    steps_per_epoch: Number | None = None
    """Steps in an epoch; one pass over the longest group where absent."""

    @field_validator("split", mode="before")
    @classmethod
    def _table_or_word(cls, split: Any) -> Any:
        if split != "none" and not isinstance(split, (dict, SplitSettings)):
            raise ValueError('a split is a table with ratio and seed, or "none"')
        return split

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
                raise ValueError(f"{name!r} holds categories, and networks make numbers: it can be an input alone")
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


class RateSettings(Settings):
    """`[[translators.ROLE.optimizer.groups]]`: weights with a rate of their own."""

    match: Annotated[str, Field(min_length=1)]
    """Which weights, by their names in the network: `encoder.*`, where `*` is any text. The first match counts."""
    rate: Amount
    """Their learning rate, which the scheduler's factors multiply; 0 freezes them."""
    part: Part = "generator"
    """The part whose weights they are."""
    stages: Several[Name] | None = None
    """Stages in which they have it; all where absent."""

    def active(self, stage: str) -> bool:
        """Whether they have it in a stage."""
        return self.stages is None or stage in self.stages


class OptimizerSettings(Selection):
    """`[translators.ROLE.optimizer]`: one optimizer for generator and heads, one for the discriminator."""

    use: str = "adam"
    """The optimizer component's name."""
    rates: dict[Part, Rate] = {"generator": 2e-4, "heads": 2e-4, "discriminator": 2e-4}
    """Learning rates by part; heads learn as fast as their generator where absent."""
    groups: list[RateSettings] = []
    """Weights with rates of their own."""

    @model_validator(mode="before")
    @classmethod
    def _as_before(cls, said: Any) -> Any:
        """Recipes of gantk 0.2 gave betas to every optimizer: SGD took the first for its momentum."""
        match said:
            case {"use": "sgd", "betas": [momentum, _], **others}:
                return {"use": "sgd", "momentum": momentum, **others}
            case {"use": "rmsprop", "betas": _, **others}:
                return {"use": "rmsprop", **others}
        return said

    @field_validator("rates")
    @classmethod
    def _complete(cls, rates: dict[Part, float]) -> dict[Part, float]:
        """Heads are trained as fast as their generator where the recipe does not say."""
        generator = rates.get("generator", 2e-4)
        discriminator = rates.get("discriminator", 2e-4)
        return {"generator": generator, "heads": rates.get("heads", generator), "discriminator": discriminator}


class WeightsSettings(Settings):
    """`[translators.ROLE.weights]`: weights that a generator starts with."""

    source: str
    """`"RUN:ROLE"`, or a safetensors file with the names of the generator's weights."""
    shared: bool = False
    """Take only the weights that both have under one name and in one shape; all must fit otherwise."""
    sha256: str | None = None
    """Checksum of the file, which a run writes down and a later run compares."""


class TranslatorSettings(Settings):
    """`[translators.ROLE]`: a generator, its discriminator and their optimizers."""

    generator: Selection
    discriminator: Selection | None = None
    shown: Selection | None = None
    """An augmentation of all that the discriminator judges in training, with `use` and its parameters."""
    judges: Literal["image", "source and image"] = "image"
    """What the discriminator is given: the image alone, or the source stacked on it (conditional)."""
    takes: Several[Name] | None = None
    """The modalities that the generator is given; all inputs where absent, `"targets"` for all targets."""
    gives: Several[Name] | None = None
    """The modalities that it makes; all targets where absent, `"inputs"` for all inputs."""
    given: Unlike[Name] = []
    """What of `[data.extra]` its networks are given, as keyword arguments of these names."""
    residual: Name | None = None
    """A modality that it takes and changes; where absent, the generator makes its images from nothing."""
    average_of: Name | None = None
    """A translator above it whose generator it follows: an exponential moving average, updated after each step."""
    decay: Decay | None = None
    """Of the average: how much of it stays after a step."""
    at_test: Literal["eval", "train"] = "eval"
    """`train` keeps dropout and the statistics of the batch at validation, test and prediction, as Pix2Pix's paper."""
    weights: str | WeightsSettings | None = None
    """What the generator starts with: `"RUN:ROLE"`, a safetensors file, or a table; drawn by the seed where absent."""
    optimizer: OptimizerSettings = OptimizerSettings()

    @model_validator(mode="after")
    def _averages(self) -> TranslatorSettings:
        if (self.average_of is None) != (self.decay is None):
            raise ValueError("an average needs average_of, whose it is, and decay, how much of it stays after a step")
        return self


class MapSettings(Selection):
    """`[maps.NAME]`: a weight map."""

    enabled: bool = True
    """Switched off, the map is the constant 1."""
    stages: Several[Name] | None = None
    """Stages in which the map is used; all where absent. Elsewhere it is the constant 1."""


class LossSettings(Selection):
    """`[losses.NAME]`: a loss component placed as a term."""

    on: Name
    """The role that the term trains."""
    group: BatchGroup = "paired"
    """The batch group that the term is computed on."""
    map: Name | None = None
    """The weight map that the term is weighted by."""
    weight: Annotated[float, Field(ge=-1e9, le=1e9)] | Selection = 1.0
    """Factor on the generator's side of the term: a number, or a weight schedule as a table with `use`."""
    enabled: bool = True
    """Switched off, the term is not computed."""
    stages: Several[Name] | None = None
    """Stages in which the term is active; all where absent."""


class TransformSettings(Selection):
    """`[transforms.NAME]`: a change of the training batches, drawn anew in every step."""

    enabled: bool = True
    """Switched off, it changes nothing."""
    on_request: bool = False
    """Whether it changes no batch by itself, but is there for terms to ask for a batch so changed."""
    groups: Several[BatchGroup] | None = None
    """Batch groups that are changed; all where absent."""
    stages: Several[Name] | None = None
    """Stages in which it is used; all where absent."""


class BalanceSettings(Selection):
    """`[balance]`: how several terms of one translator count beside one another, where their weights do not say it."""

    terms: Annotated[Unlike[Name], Field(min_length=2)]
    """Those terms; what a term's weight says is a factor all the same."""


class BestSettings(Settings):
    """`[training.keep_best]`: by what the best epoch is known."""

    metric: Name
    """A metric that is measured after epochs."""
    role: Name | None = None
    """Whose it is; where absent, the role that predicts."""


class TrainingSettings(Settings):
    """`[training]`: how the step is carried out."""

    updates: Annotated[tuple[Update, ...], Field(strict=False, max_length=64)] = ("discriminator", "generator")
    """The updates of a step in order; one that comes again sees everything computed afresh."""
    accumulate: Images = 1
    """Batches whose gradients are summed into one step; both updates then follow the last of them."""
    clip_gradients: Rate | None = None
    """Largest norm of the gradient of one optimizer."""
    ema: Decay | None = None
    """Decay of an exponential moving average of each generator, which then is what is evaluated."""
    compile: bool = False
    """Compile networks by torch.compile, but those that a second-order term differentiates through."""
    channels_last: bool = False
    """Memory layout of networks and images; changes speed, not meaning."""
    validate_every: Number = 1
    """Epochs between validations."""
    validation_slices: Annotated[Count, Field(le=10**6)] = 64
    """Slices of the validation patients that are measured, evenly spread."""
    panels_every: Number = 5
    """Epochs between image panels."""
    panel_slices: Annotated[Count, Field(le=64)] = 4
    """Slices of a panel."""
    checkpoint_every: Number | None = None
    """Steps between checkpoints besides those at the end of every epoch."""
    keep_checkpoints: Annotated[Count, Field(le=10**6)] = 2
    """How many of the newest checkpoints are kept."""
    keep_best: BestSettings | None = None
    """By which validation metric the checkpoint of the best epoch is kept besides; see `evaluation.checkpoint`."""

    @model_validator(mode="after")
    def _both_updates(self) -> TrainingSettings:
        if set(self.updates) != {"discriminator", "generator"}:
            raise ValueError("updates must name generator and discriminator, each at least once")
        if self.accumulate > 1 and len(self.updates) > 2:
            raise ValueError("with training.accumulate above 1, updates must name each side once")
        return self


class EvaluationSettings(Settings):
    """`[evaluation]`: what is measured on the test patients."""

    metrics: list[Name | Selection] = Field(default=["ssim", "psnr", "mse"], min_length=1)
    """By name; one with parameters as a table, `{ use = "lpips", net = "vgg" }`."""
    regions: Several[Region] = ["image", "brain", "tumour"]
    """Where slices are scored: `brain` or `body`, the foreground; `outside` of it; `tc`, the tumour core; `et`."""
    mask: Literal["none", "foreground"] = "none"
    """Whether outputs are set to background where every input is, as `gantk predict` does."""
    missing: Unlike[Name] = []
    """Inputs that are hidden at validation and test, for methods that can do without them."""
    targets: Several[Name] | None = None
    """The targets that are measured; where absent, all that the networks are not shown as an input."""
    baselines: Unlike[str] = []
    """Trivial answers measured beside the roles: `input:NAME`, `input` for the first, `training_mean`."""
    checkpoint: Literal["last", "best"] = "last"
    """What is evaluated and predicted with: the end of the training, or its best epoch by `training.keep_best`."""
    roles: Several[Name] | None = None
    """Roles that are evaluated; where absent, all that make the measured targets."""
    batch: Images = 16
    """Slices translated at once, in evaluation and prediction."""
    examples: Annotated[Count, Field(le=64)] = 6
    """Test slices that the report shows."""

    @field_validator("metrics", mode="before")
    @classmethod
    def _names_or_tables(cls, metrics: Any) -> Any:
        """Say it plainly: a union's own message names what pydantic tried."""
        if isinstance(metrics, list):
            tables = [m.model_dump() if isinstance(m, Selection) else m for m in metrics]
            used = [str(m.get("use", "")) if isinstance(m, dict) else m for m in tables]
            if not all(isinstance(name, str) and name for name in used):
                raise ValueError('a metric is a name, or a table such as { use = "lpips", net = "vgg" }')
            _unique(used)
        return metrics

    @property
    def measures(self) -> dict[str, dict[str, Any]]:
        """Each metric's parameters by its name."""
        tables = [Selection(use=m) if isinstance(m, str) else m for m in self.metrics]
        return {table.use: table.parameters for table in tables}


class TrackingSettings(Settings):
    """`[tracking]`: what MLflow is told, and where it is."""

    enabled: bool = True
    """Whether MLflow is fed; the run's folder has everything either way."""
    uri: Annotated[str, Field(min_length=1)] | None = None
    """MLflow's address; MLFLOW_TRACKING_URI or SQLite beside the runs where absent."""
    experiment: Annotated[str, Field(min_length=1)] | None = None
    """MLflow's experiment, made where there is none; MLFLOW_EXPERIMENT_NAME or `gantk` where absent."""
    images: bool = True
    """Whether panels are sent."""
    checkpoints: bool = True
    """Whether the last checkpoint is sent at the end."""
    model: bool = False
    """Whether the predicting role's network is exported at the end, as a model that MLflow registers and serves."""
    system_metrics: bool = False
    """Whether processor, memory, disk, network and GPU are sent every ten seconds, as MLflow's `system/` metrics."""


class ScheduleSettings(Selection):
    """`[schedule]`: the scheduler, and others that act beside it."""

    also: list[Selection] = []
    """Further schedulers, whose factors on rates and weights multiply the first's, and which may end stages early."""


class ParentSettings(Settings):
    """`[parent]`: the run that this one goes on from, as `gantk run --resume RUN --extend` writes it."""

    run: Name
    """Its name."""
    step: Count
    """The step at which it ended."""


class Recipe(Settings):
    """A whole recipe."""

    name: Annotated[str, Field(json_schema_extra={"pattern": ID}), AfterValidator(check_id)]
    """The ids of its runs begin with it."""
    description: str = ""
    """One line for people; MLflow and the report show it."""
    predict: Name | None = None
    """The role that `gantk predict` uses; where absent, the last one that makes the measured targets."""
    run: RunSettings = RunSettings()
    data: DataSettings
    translators: Annotated[dict[Name, TranslatorSettings], Field(min_length=1), AfterValidator(_apart)]
    transforms: dict[Name, TransformSettings] = {}
    maps: dict[Name, MapSettings] = {}
    losses: dict[Name, LossSettings] = Field(min_length=1)
    balance: BalanceSettings | None = None
    schedule: ScheduleSettings
    """The scheduler: stages, learning rates and weights over time."""
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    tracking: TrackingSettings = TrackingSettings()
    parent: ParentSettings | None = None
    """The run that this one went on from; written by `gantk run --resume RUN --extend`."""
    _origins: Origins = PrivateAttr(default_factory=Origins)

    @property
    def origins(self) -> Origins:
        """Where its keys come from."""
        return self._origins

    @property
    def learning(self) -> tuple[str, ...]:
        """The translators that are trained: all but averages of others."""
        return tuple(role for role, settings in self.translators.items() if settings.average_of is None)

    @property
    def measured(self) -> tuple[str, ...]:
        """The targets that are evaluated."""
        if self.evaluation.targets is not None:
            return tuple(self.evaluation.targets)
        shown = set(self.data.inputs) - set(self.evaluation.missing)
        return tuple(name for name in self.data.targets if name not in shown)

    @property
    def answering(self) -> tuple[str, ...]:
        """The translators that make everything that is measured."""
        made = {role: settings.gives or self.data.targets for role, settings in self.translators.items()}
        return tuple(role for role in self.translators if set(self.measured) <= set(made[role]))

    @property
    def evaluated(self) -> tuple[str, ...]:
        """The translators that are measured on the test patients."""
        return self.answering if self.evaluation.roles is None else tuple(self.evaluation.roles)

    @property
    def best_metric(self) -> str | None:
        """`ROLE/METRIC` by which the best epoch is known; None where it is not kept."""
        best = self.training.keep_best
        return None if best is None else f"{best.role or self.predict_role}/{best.metric}"

    @property
    def predict_role(self) -> str:
        """The role that answers for the method."""
        return self.predict or self.answering[-1]
