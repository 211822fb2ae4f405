"""`[evaluation]` of a recipe: the measurements on the test patients."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from gantk.ranges import Count
from gantk.recipe.values import Images, Name, Region, Selection, Settings, Several, Unlike, unique

__all__ = ["FITTED_BASELINES", "EvaluationSettings"]

FITTED_BASELINES = ("training_mean", "linear_fit")
"""The baselines that are fitted to the paired training patients; no translator is called so."""


class EvaluationSettings(Settings):
    """`[evaluation]`: metrics, regions, targets and roles of the measurements on the test patients."""

    metrics: list[Name | Selection] = Field(default=["ssim", "psnr", "mse"], min_length=1)
    """Metrics: names, or tables for metrics with parameters, such as `{ use = "lpips", net = "vgg" }`."""
    regions: Several[Region] = ["image", "brain", "tumour"]
    """Regions in which slices are measured: `brain` or `body` (the foreground), `outside` (the rest), `tumour`, `tc`
    (tumor core), `et` (enhancing tumor), or the whole `image`."""
    volumes: bool | None = None
    """Measure metrics also on each patient's whole volume, such as `volume_ssim`; default: only if
    `data.dimensions = 3`."""
    mask: Literal["none", "foreground"] = "none"
    """`foreground` sets outputs to background where all inputs are background, as `gantk predict` does."""
    missing: Unlike[Name] = []
    """Inputs that are hidden at validation and test, for methods that handle missing inputs."""
    targets: Several[Name] | None = None
    """Targets that are measured; default: all targets that are not also visible inputs."""
    baselines: Unlike[str] = []
    """Trivial predictions that are also measured: `input:NAME` (an input itself), `input` (the first
    input), `training_mean` (the mean of the training targets) and `linear_fit` (a linear function of the inputs, the
    same in every pixel, fitted to the training pairs)."""
    checkpoint: Literal["last", "best"] = "last"
    """Checkpoint for evaluation and prediction: the last one, or that of the best epoch by `training.keep_best`."""
    roles: Several[Name] | None = None
    """Roles that are evaluated; default: all roles that generate the measured targets."""
    batch: Images = 16
    """Number of slices per forward pass in evaluation and prediction; reduced on a CPU if slices are large."""
    examples: Annotated[Count, Field(le=64)] = 6
    """Number of test slices that the report shows."""

    @field_validator("metrics", mode="before")
    @classmethod
    def _names_or_tables(cls, metrics: Any) -> Any:
        """Raise one clear error; pydantic's message would list every type of the union."""
        if isinstance(metrics, list):
            tables = [m.model_dump() if isinstance(m, Selection) else m for m in metrics]
            used = [str(m.get("use", "")) if isinstance(m, dict) else m for m in tables]
            if not all(isinstance(name, str) and name for name in used):
                raise ValueError('each metric must be a name, or a table such as { use = "lpips", net = "vgg" }')
            unique(used)
        return metrics

    @property
    def measures(self) -> dict[str, dict[str, Any]]:
        """Each metric's parameters by its name."""
        tables = [Selection(use=m) if isinstance(m, str) else m for m in self.metrics]
        return {table.use: table.parameters for table in tables}
