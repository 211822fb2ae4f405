"""The recipe as validated models.

A table that names a component (`use`, or `dataset` in `[data]`) also carries that component's own parameters;
they are kept apart as `parameters` and checked against the component's constructor by `gantk.plugins`.
"""

from __future__ import annotations

from math import ceil
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
    """`[run]`: seed, numerical precision and determinism of the run."""

    seed: Seed = 0
    """Seed of the initial weights, the order of slices and all random numbers of a step."""
    precision: Precision = "fp32"
    """Number format in which networks compute; weights, losses and metrics are always fp32."""
    tf32: bool = False
    """Allow TF32 on GPUs: inputs of fp32 matrix products and convolutions are rounded to 10 bits, which is faster."""
    deterministic: bool = False
    """Use deterministic algorithms on GPUs, so that repeated and resumed runs are bitwise identical; slower. Runs on a
    CPU are always deterministic."""


class MapSettings(Selection):
    """`[maps.NAME]`: a weight map, for terms that name it in `map`."""

    enabled: bool = True
    """`false` replaces the map with the constant 1."""
    stages: Several[Name] | None = None
    """Stages in which the map is used; in other stages it is the constant 1. Default: all."""


class LossSettings(Selection):
    """`[losses.NAME]`: a term, that is, a loss component with a role, a batch group and a weight."""

    on: Name
    """Role of the translator that the term trains."""
    group: BatchGroup = "paired"
    """Batch group on which the term is computed."""
    map: Name | None = None
    """Weight map that multiplies the term's error at each pixel; default: none."""
    weight: Annotated[float, Field(ge=-1e9, le=1e9)] | Selection = 1.0
    """Factor on the generator's loss of the term: a number, or a weight schedule as a table with `use`."""
    enabled: bool = True
    """`false` removes the term from training."""
    stages: Several[Name] | None = None
    """Stages in which the term is computed; default: all."""


class TransformSettings(Selection):
    """`[transforms.NAME]`: a random transform of the training batches, with new random parameters in every step."""

    enabled: bool = True
    """`false` disables the transform."""
    on_request: bool = False
    """`true` leaves the batches unchanged; only terms that request the transform receive transformed slices."""
    groups: Several[BatchGroup] | None = None
    """Batch groups that are transformed; default: all."""
    stages: Several[Name] | None = None
    """Stages in which the transform is applied; default: all."""


class BalanceSettings(Selection):
    """`[balance]`: a component that weights several terms of one translator against each other."""

    terms: Annotated[Unlike[Name], Field(min_length=2)]
    """Names of the balanced terms; each term's `weight` remains a factor."""


class BestSettings(Settings):
    """`[training.keep_best]`: the validation metric that determines the best epoch."""

    metric: Name
    """Name of a metric that is measured at validation."""
    role: Name | None = None
    """Role whose metric counts; default: the role that `gantk predict` uses."""


class TrainingSettings(Settings):
    """`[training]`: training steps, validation and checkpoints."""

    updates: Annotated[tuple[Update, ...], Field(strict=False, max_length=64)] = ("discriminator", "generator")
    """Order of the updates in a step; before a repeated update, all outputs are recomputed with the new weights."""
    accumulate: Images = 1
    """Number of batches per step, over which gradients are averaged; all updates follow the last of these batches."""
    clip_gradients: Rate | None = None
    """Largest gradient norm per optimizer; larger gradients are scaled down to it. Default: no clipping."""
    ema: Decay | None = None
    """Decay per step of an exponential moving average of every generator, which replaces the generator in evaluation;
    default: no average."""
    compile: bool = False
    """Compile networks with torch.compile, except discriminators of terms that need second-order gradients."""
    checkpoint_activations: bool = False
    """Recompute some of the generators' activations in the backward pass instead of storing them: less memory, slower,
    same results."""
    sync_batch_norm: bool = False
    """Compute batch norm statistics over the batches of all processes instead of per process; only on GPUs."""
    channels_last: bool = False
    """Use PyTorch's channels_last memory layout for networks and images; affects only the speed."""
    validate_every: Number = 1
    """Number of epochs between validations."""
    validation_slices: Annotated[Count, Field(le=10**6)] = 64
    """Number of slices that a validation measures, evenly spread over the validation patients."""
    panels_every: Number = 5
    """Number of epochs between image panels; the first epoch always gets one."""
    panel_slices: Annotated[Count, Field(le=64)] = 4
    """Number of slices in a panel."""
    checkpoint_every: Number | None = None
    """Number of steps between additional checkpoints; default: checkpoints only at the end of every epoch."""
    keep_checkpoints: Annotated[Count, Field(le=10**6)] = 2
    """Number of checkpoints to keep; older ones are deleted."""
    keep_best: BestSettings | None = None
    """Metric by which the checkpoint of the best epoch is also kept; default: not kept. See `evaluation.checkpoint`."""

    def panel_due(self, epoch: int) -> bool:
        """Whether image panels are written after an epoch."""
        return epoch == 0 or (epoch + 1) % self.panels_every == 0

    @model_validator(mode="after")
    def _fits(self) -> TrainingSettings:
        if set(self.updates) != {"discriminator", "generator"}:
            raise ValueError("updates must name generator and discriminator, each at least once")
        if self.compile and self.checkpoint_activations:
            raise ValueError("compile and checkpoint_activations cannot be combined: disable one of them")
        if self.accumulate > 1 and len(self.updates) > 2:
            raise ValueError("with accumulate above 1, updates must name generator and discriminator once each")
        return self


class TrackingSettings(Settings):
    """`[tracking]`: the upload of runs to MLflow."""

    enabled: bool = True
    """Upload the run to MLflow; the run's folder contains everything in any case."""
    uri: Annotated[str, Field(min_length=1)] | None = None
    """MLflow's tracking URI; default: MLFLOW_TRACKING_URI, or else an SQLite file beside the runs."""
    experiment: Annotated[str, Field(min_length=1)] | None = None
    """MLflow experiment, created if it does not exist; default: MLFLOW_EXPERIMENT_NAME, or else `gantk`."""
    images: bool = True
    """Upload image panels."""
    checkpoints: bool = True
    """Upload the last checkpoint at the end of the run."""
    model: bool = False
    """Export the predicting role's network at the end of the run, as a model that MLflow can register and serve."""
    system_metrics: bool = False
    """Upload the load of CPU, memory, disk, network and GPU every ten seconds, as MLflow's `system/` metrics."""


class ScheduleSettings(Selection):
    """`[schedule]`: the scheduler, which owns the stages, and further schedulers beside it."""

    also: list[Selection] = []
    """Further schedulers: their factors on rates and weights multiply those of the first, and each may end a stage
    early."""


class ParentSettings(Settings):
    """`[parent]`: the run that this run continues, written by `gantk run --resume RUN --extend`."""

    run: Name
    """Id of that run."""
    step: Count
    """Number of steps after which that run ended."""


class Recipe(Settings):
    """A whole recipe."""

    name: Annotated[str, Field(json_schema_extra={"pattern": ID}), AfterValidator(check_id)]
    """Name of the recipe, with which the ids of its runs begin."""
    description: str = ""
    """One-line description, shown by MLflow and the report."""
    predict: Name | None = None
    """The role that `gantk predict` uses; default: the last role that generates all measured targets."""
    run: RunSettings = RunSettings()
    data: DataSettings
    translators: Annotated[dict[Name, TranslatorSettings], Field(min_length=1), AfterValidator(apart_names)]
    transforms: dict[Name, TransformSettings] = {}
    maps: dict[Name, MapSettings] = {}
    losses: dict[Name, LossSettings] = Field(min_length=1)
    balance: BalanceSettings | None = None
    schedule: ScheduleSettings
    """The scheduler: stages, and the course of learning rates and weights over the training."""
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    inference: InferenceSettings = InferenceSettings()
    tracking: TrackingSettings = TrackingSettings()
    parent: ParentSettings | None = None
    """The run that this run continues; written by `gantk run --resume RUN --extend`."""
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
        """Size of the input of networks at test; None if images are translated whole."""
        return self.inference.window or (self.data.patch if self.data.dimensions == 3 else None)

    @property
    def origins(self) -> Origins:
        """The files and overrides that the recipe's keys come from."""
        return self._origins

    @property
    def learning(self) -> tuple[str, ...]:
        """The translators that are trained: all except averages of others."""
        return tuple(role for role, settings in self.translators.items() if settings.average_of is None)

    def steps_of(self, batches: int) -> int:
        """Steps of an epoch that draws this many batches, unless the recipe says their number."""
        return self.data.steps_per_epoch or ceil(batches / self.training.accumulate)

    def chain(self, role: str) -> tuple[str, ...]:
        """The translators whose outputs a role depends on, in the order in which they run, and the role at the end."""
        found = dict.fromkeys(one for other in self.translators[role].chained for one in self.chain(other))
        return (*found, role)

    def shown_to(self, role: str) -> list[str]:
        """The modalities that a translator depends on, directly or through the translators whose outputs it takes."""
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
        """The translators that generate all measured targets."""
        return tuple(
            role
            for role, settings in self.translators.items()
            if not settings.auxiliary and set(self.measured) <= set(settings.gives or self.data.targets)
        )

    @property
    def evaluated(self) -> tuple[str, ...]:
        """The translators that are measured on the test patients."""
        return self.answering if self.evaluation.roles is None else tuple(self.evaluation.roles)

    @property
    def best_metric(self) -> str | None:
        """`ROLE/METRIC` that determines the best epoch; None if its checkpoint is not kept."""
        best = self.training.keep_best
        return None if best is None else f"{best.role or self.predict_role}/{best.metric}"

    @property
    def predict_role(self) -> str:
        """The role that `gantk predict` uses."""
        return self.predict or self.answering[-1]
