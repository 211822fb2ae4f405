"""The conformance class of each kind of component."""

from gantk.testing.augmentations import AugmentationConformance
from gantk.testing.balances import BalanceConformance
from gantk.testing.base import Conformance
from gantk.testing.datasets import DatasetConformance
from gantk.testing.discriminators import DiscriminatorConformance
from gantk.testing.generators import GeneratorConformance
from gantk.testing.launchers import LauncherConformance
from gantk.testing.losses import LossConformance
from gantk.testing.metrics import MetricConformance
from gantk.testing.optimizers import OptimizerConformance
from gantk.testing.samplers import SamplerConformance
from gantk.testing.schedulers import SchedulerConformance
from gantk.testing.transforms import TransformConformance
from gantk.testing.weight_maps import WeightMapConformance
from gantk.testing.weight_schedules import WeightScheduleConformance

__all__ = ["conformance"]

_CLASSES: list[type[Conformance]] = [
    GeneratorConformance,
    DiscriminatorConformance,
    LossConformance,
    WeightMapConformance,
    WeightScheduleConformance,
    TransformConformance,
    AugmentationConformance,
    BalanceConformance,
    OptimizerConformance,
    SamplerConformance,
    SchedulerConformance,
    DatasetConformance,
    MetricConformance,
    LauncherConformance,
]


def conformance(kind: str) -> type[Conformance]:
    """The conformance class of a kind of component (`loss`, `weight_map`, …).

    Raises:
        KeyError: the kind has no conformance class.
    """
    return {cls.kind: cls for cls in _CLASSES}[kind]
