"""`[evaluation]` of a recipe: what is measured on the test patients."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from gantk.ranges import Count
from gantk.recipe.values import Images, Name, Region, Selection, Settings, Several, Unlike, unique

__all__ = ["EvaluationSettings"]


class EvaluationSettings(Settings):
    """`[evaluation]`: what is measured on the test patients."""

    metrics: list[Name | Selection] = Field(default=["ssim", "psnr", "mse"], min_length=1)
    """By name; one with parameters as a table, `{ use = "lpips", net = "vgg" }`."""
    regions: Several[Region] = ["image", "brain", "tumour"]
    """Where slices are scored: `brain` or `body`, the foreground; `outside` of it; `tc`, the tumor core; `et`."""
    volumes: bool | None = None
    """Whether metrics are measured on all slices of a patient as one volume, too, as `volume_ssim`; where absent, if
    networks translate volumes."""
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
    """Slices translated at once, in evaluation and prediction; fewer on a CPU, where they are large."""
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
            unique(used)
        return metrics

    @property
    def measures(self) -> dict[str, dict[str, Any]]:
        """Each metric's parameters by its name."""
        tables = [Selection(use=m) if isinstance(m, str) else m for m in self.metrics]
        return {table.use: table.parameters for table in tables}
