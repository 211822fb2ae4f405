"""`[translators.ROLE]` of a recipe: networks and what optimizes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gantk.recipe.values import Amount, Decay, Name, Part, Rate, Selection, Settings, Several, Unlike, WeightsSource

OUTPUT = ".output"
"""Suffix of a translator's name in `takes` that selects its output."""


class RateSettings(Settings):
    """`[[translators.ROLE.optimizer.groups]]`: a learning rate for some of the weights."""

    match: Annotated[str, Field(min_length=1)]
    """Pattern for names of weights in the network, such as `encoder.*`; `*` matches any text. The first matching group
    applies."""
    rate: Amount
    """Learning rate of these weights, before the scheduler's factors; 0 freezes them."""
    part: Part = "generator"
    """Part of the translator that contains these weights."""
    stages: Several[Name] | None = None
    """Stages in which this learning rate applies; default: all."""

    def active(self, stage: str) -> bool:
        """Whether the learning rate applies in a stage."""
        return self.stages is None or stage in self.stages


class OptimizerSettings(Selection):
    """`[translators.ROLE.optimizer]`: the optimizer of generator and heads, and that of the discriminator."""

    use: str = "adam"
    rates: dict[Part, Rate] = {"generator": 2e-4, "heads": 2e-4, "discriminator": 2e-4}
    """Learning rates by part; the default for heads is the generator's rate."""
    groups: list[RateSettings] = []
    """Groups of weights with separate learning rates."""

    @field_validator("rates")
    @classmethod
    def _complete(cls, rates: dict[Part, float]) -> dict[Part, float]:
        """Add the default rates; the default for heads is the generator's rate."""
        generator = rates.get("generator", 2e-4)
        discriminator = rates.get("discriminator", 2e-4)
        return {"generator": generator, "heads": rates.get("heads", generator), "discriminator": discriminator}


class WeightsSettings(Settings):
    """`[translators.ROLE.weights]`: initial weights of the generator."""

    source: WeightsSource
    """`"RUN:ROLE"`, or a safetensors file that uses the names of the generator's weights."""
    shared: bool = False
    """Load only the weights whose name and shape match; `false` requires that all weights match."""
    sha256: str | None = None
    """Checksum of the weights, recorded by the run; with other weights, the recipe is refused."""


class TranslatorSettings(Settings):
    """`[translators.ROLE]`: a generator, its discriminator and their optimizers."""

    generator: Selection
    """The generator component: `use` and its parameters."""
    discriminator: Selection | None = None
    """The discriminator component: `use` and its parameters; default: none."""
    shown: Selection | None = None
    """Augmentation of all images that the discriminator judges in training: `use` and its parameters; default: none."""
    judges: Literal["image", "source and image"] = "image"
    """Input of the discriminator: only the image, or source and image stacked as channels (conditional)."""
    takes: Several[Name] | None = None
    """Inputs of the generator: modalities, followed by `ROLE.output` for another translator's output on the same
    slices; or `"targets"` for all targets. Default: all inputs."""
    gives: Several[Name] | None = None
    """Modalities that the generator synthesizes; `"inputs"` for all inputs. Default: all targets."""
    auxiliary: bool = False
    """Whether the output is no image of the modalities in `gives`, such as an estimate of errors for a weight map; the
    translator is then not validated, evaluated or used for prediction."""
    given: Unlike[Name] = []
    """Names of `[data.extra]` inputs that are passed to the networks, as keyword arguments of these names."""
    residual: Name | None = None
    """Modality or `ROLE.output` among the inputs that the generator modifies to produce its output; default: none, the
    generator synthesizes the whole image."""
    average_of: Name | None = None
    """Translator, defined above, whose generator this one averages: an exponential moving average, updated after each
    step. Default: none, the translator is trained."""
    decay: Decay | None = None
    """Decay of this average: the fraction of the average that is kept in each step."""
    at_test: Literal["eval", "train"] = "eval"
    """`train` keeps dropout and batch statistics active at validation, test and prediction, as in the Pix2Pix paper."""
    weights: WeightsSource | WeightsSettings | None = None
    """Initial weights of the generator: `"RUN:ROLE"`, a safetensors file, or a table; default: random weights."""
    optimizer: OptimizerSettings = OptimizerSettings()

    @property
    def images(self) -> list[str] | None:
        """The modalities in `takes`; None for all inputs."""
        return None if self.takes is None else [name for name in self.takes if not name.endswith(OUTPUT)]

    @property
    def chained(self) -> list[str]:
        """The translators whose outputs are in `takes`."""
        return [name.removesuffix(OUTPUT) for name in self.takes or () if name.endswith(OUTPUT)]

    @model_validator(mode="after")
    def _averages(self) -> TranslatorSettings:
        if (self.average_of is None) != (self.decay is None):
            raise ValueError(
                "average_of (the averaged translator) and decay (the fraction kept in each step) require each other"
            )
        return self
