"""The recipe as validated models.

A table that names a component (`use`, or `dataset` in `[data]`) also carries that component's own parameters;
they are kept apart as `parameters` and checked against the component's constructor by `gantk.plugins`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from gantk.names import ID, check_id
from gantk.ranges import Count
from gantk.recipe.data import DataSettings
from gantk.recipe.evaluation import EvaluationSettings
from gantk.recipe.inference import InferenceSettings
from gantk.recipe.origin import Origins
from gantk.recipe.translators import TranslatorSettings
from gantk.recipe.values import (
    BatchGroup,
    Decay,
    Images,
    Name,
    Number,
    Precision,
    Rate,
    Seed,
    Selection,
    Settings,
    Several,
    Unlike,
    Update,
    apart_names,
)


class RunSettings(Settings):
    """`[run]`: what holds for the run as a whole."""

    seed: Seed = 0
    """Of initial weights, the order of slices, and everything drawn in a step."""
    precision: Precision = "fp32"
    """What networks compute in; weights, losses and metrics are fp32 either way."""
    tf32: bool = False
    """Whether a GPU may round the factors of fp32 products and convolutions to 10 bits (TF32), which is faster."""
    deterministic: bool = False
    """Whether a GPU gives the same to the last bit each time, so that a resume does; slower. A CPU does either way."""


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
    checkpoint_activations: bool = False
    """Keep a part of what generators compute, and compute the rest again for gradients: less memory, more time, the
    same results."""
    sync_batch_norm: bool = False
    """Whether batch norms of several processes, on GPUs, take their statistics over all parts of a batch."""
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

    def panel_due(self, epoch: int) -> bool:
        """Whether pictures are made after an epoch."""
        return epoch == 0 or (epoch + 1) % self.panels_every == 0

    @model_validator(mode="after")
    def _fits(self) -> TrainingSettings:
        if set(self.updates) != {"discriminator", "generator"}:
            raise ValueError("updates must name generator and discriminator, each at least once")
        if self.compile and self.checkpoint_activations:
            raise ValueError("compile decides itself what is recomputed: disable compile or checkpoint_activations")
        if self.accumulate > 1 and len(self.updates) > 2:
            raise ValueError("with training.accumulate above 1, updates must name each side once")
        return self


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
    translators: Annotated[dict[Name, TranslatorSettings], Field(min_length=1), AfterValidator(apart_names)]
    transforms: dict[Name, TransformSettings] = {}
    maps: dict[Name, MapSettings] = {}
    losses: dict[Name, LossSettings] = Field(min_length=1)
    balance: BalanceSettings | None = None
    schedule: ScheduleSettings
    """The scheduler: stages, learning rates and weights over time."""
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    inference: InferenceSettings = InferenceSettings()
    tracking: TrackingSettings = TrackingSettings()
    parent: ParentSettings | None = None
    """The run that this one went on from; written by `gantk run --resume RUN --extend`."""
    _origins: Origins = PrivateAttr(default_factory=Origins)

    @model_validator(mode="after")
    def _windows_of_images(self) -> Recipe:
        window = self.inference.window
        if window is not None and len(window) != self.data.dimensions:
            sides = "height and width" if self.data.dimensions == 2 else "slices, height and width"
            raise ValueError(f"inference.window must be [{sides}], as data.dimensions = {self.data.dimensions}")
        return self

    @property
    def measures_volumes(self) -> bool:
        """Whether metrics are measured on whole volumes."""
        return self.data.dimensions == 3 if self.evaluation.volumes is None else self.evaluation.volumes

    @property
    def window(self) -> tuple[int, ...] | None:
        """What networks are given at once at test; None for all of an image."""
        return self.inference.window or (self.data.patch if self.data.dimensions == 3 else None)

    @property
    def origins(self) -> Origins:
        """Where its keys come from."""
        return self._origins

    @property
    def learning(self) -> tuple[str, ...]:
        """The translators that are trained: all but averages of others."""
        return tuple(role for role, settings in self.translators.items() if settings.average_of is None)

    def chain(self, role: str) -> tuple[str, ...]:
        """The translators whose outputs reach one, in the order in which they run, and itself at the end."""
        found = dict.fromkeys(one for other in self.translators[role].chained for one in self.chain(other))
        return (*found, role)

    def shown_to(self, role: str) -> list[str]:
        """The modalities that a translator makes its images of, itself or through those whose outputs it takes."""
        taken = [self.translators[one].images for one in reversed(self.chain(role))]
        return list(dict.fromkeys(name for names in taken for name in (self.data.inputs if names is None else names)))

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
