"""`[translators.ROLE]` of a recipe: networks and what optimizes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gantk.recipe.values import Amount, Decay, Name, Part, Rate, Selection, Settings, Several, Unlike, WeightsSource

OUTPUT = ".output"
"""What follows the name of a translator whose output another one takes."""


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

    @field_validator("rates")
    @classmethod
    def _complete(cls, rates: dict[Part, float]) -> dict[Part, float]:
        """Heads are trained as fast as their generator where the recipe does not say."""
        generator = rates.get("generator", 2e-4)
        discriminator = rates.get("discriminator", 2e-4)
        return {"generator": generator, "heads": rates.get("heads", generator), "discriminator": discriminator}


class WeightsSettings(Settings):
    """`[translators.ROLE.weights]`: weights that a generator starts with."""

    source: WeightsSource
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
    """The modalities that the generator is given; all inputs where absent, `"targets"` for all targets.
    `ROLE.output` is what another translator makes of the same slices; such outputs follow the modalities."""
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
    weights: WeightsSource | WeightsSettings | None = None
    """What the generator starts with: `"RUN:ROLE"`, a safetensors file, or a table; drawn by the seed where absent."""
    optimizer: OptimizerSettings = OptimizerSettings()

    @property
    def images(self) -> list[str] | None:
        """The modalities among what it takes; None for all inputs."""
        return None if self.takes is None else [name for name in self.takes if not name.endswith(OUTPUT)]

    @property
    def chained(self) -> list[str]:
        """The translators whose outputs are among what it takes."""
        return [name.removesuffix(OUTPUT) for name in self.takes or () if name.endswith(OUTPUT)]

    @model_validator(mode="after")
    def _averages(self) -> TranslatorSettings:
        if (self.average_of is None) != (self.decay is None):
            raise ValueError(
                "an average needs average_of (the averaged translator) and decay (the share that stays after a step)"
            )
        return self
