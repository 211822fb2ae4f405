"""Types of the values in a recipe, and the two base classes of its tables."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gantk.names import apart, check_name
from gantk.ranges import Count, NonNegative, Positive, Whole
from gantk.recipe.groups import GROUPS, PATTERN, GroupName

T = TypeVar("T")

WEIGHTS_FILE = ".safetensors"


def unique(values: list[T]) -> list[T]:
    if len({str(value) for value in values}) != len(values):
        raise ValueError("entries must not be repeated")
    return values


def _group(name: str) -> str:
    GroupName.parse(name)
    return name


def _weights(source: str) -> str:
    run, _, role = source.rpartition(":")
    if not source.endswith(WEIGHTS_FILE) and not (run and role):
        raise ValueError(
            f'must be "RUN:ROLE", with the folder or id of a run and one of its roles, or a {WEIGHTS_FILE} file'
        )
    return source


def apart_names(named: dict[str, T]) -> dict[str, T]:
    apart(named)
    return named


Name = Annotated[str, AfterValidator(check_name)]
"""A name in a recipe; it becomes a key of results, and sometimes part of a path."""
BatchGroup = Annotated[
    str, Field(json_schema_extra={"anyOf": [{"enum": list(GROUPS)}, {"pattern": PATTERN}]}), AfterValidator(_group)
]
WeightsSource = Annotated[str, AfterValidator(_weights)]
"""Where the weights of a generator are: `RUN:ROLE`, or a file."""
Precision = Literal["fp32", "bf16", "fp16"]
Part = Literal["generator", "heads", "discriminator"]
Region = Literal["image", "brain", "body", "outside", "tumour", "tc", "et"]
Update = Literal["discriminator", "generator"]
Unlike = Annotated[list[T], AfterValidator(unique)]
Several = Annotated[Unlike[T], Field(min_length=1)]

# Bounds are wide: they refuse impossible values, not unusual ones.
Amount = Annotated[NonNegative, Field(le=1e9)]
Rate = Annotated[Positive, Field(le=1e9)]
Intensity = Annotated[float, Field(ge=-1e30, le=1e30)]
Decay = Annotated[float, Field(gt=0, lt=1)]
Number = Annotated[Count, Field(le=10**9)]
Images = Annotated[Count, Field(le=2**16)]
Pixels = Annotated[Count, Field(le=2**14)]
Seed = Annotated[Whole, Field(lt=2**63)]
Labels = Unlike[Annotated[Count, Field(le=255)]]
# TOML has only lists, so tuples are made from lists.
Pair = Annotated[tuple[T, T], Field(strict=False)]
Triple = Annotated[tuple[T, T, T], Field(strict=False)]

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
