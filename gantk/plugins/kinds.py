"""The kinds of component: their hooks, and the constructor arguments that recipes cannot set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gantk.recipe.data import DataSettings
from gantk.recipe.model import LossSettings, MapSettings, ScheduleSettings, TransformSettings
from gantk.recipe.translators import OptimizerSettings


@dataclass(frozen=True)
class Kind:
    """A kind of component.

    Args:
        name: the kind, singular.
        hook: the hook through which plugins register components of this kind.
        supplied: constructor arguments that the core fills in.
        reserved: keys of the recipe's table that a component's parameter must not be called.
        called_with: the arguments of the core's calls of an instance; empty: not checked.
        or_has: a method that an instance may have instead of being callable.
        methods: the arguments of the core's calls of an instance's optional methods.
        undeclared: the numbers of dimensions of components whose constructor has no argument `dimensions`.
    """

    name: str
    hook: str
    supplied: frozenset[str] = field(default_factory=frozenset)
    reserved: frozenset[str] = frozenset({"use"})
    called_with: tuple[str, ...] = ()
    or_has: str = ""
    methods: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    undeclared: tuple[int, ...] = (2, 3)

    @property
    def plural(self) -> str:
        return self.hook.removeprefix("register_")


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "generator",
            "register_generators",
            frozenset({"in_channels", "out_channels", "image_size", "given", "dimensions"}),
            undeclared=(2,),
        ),
        Kind(
            "discriminator",
            "register_discriminators",
            frozenset({"in_channels", "target_channels", "given", "dimensions"}),
            undeclared=(2,),
        ),
        Kind(
            "loss",
            "register_losses",
            frozenset({"dimensions"}),
            reserved=frozenset(LossSettings.model_fields),
            called_with=("view",),
            or_has="discriminator",
            methods={"discriminator": ("view",), "build_modules": ("sizes",)},
        ),
        Kind(
            "weight_map",
            "register_weight_maps",
            frozenset({"dimensions"}),
            reserved=frozenset(MapSettings.model_fields),
            called_with=("view",),
        ),
        Kind("weight_schedule", "register_weight_schedules", called_with=("moment",)),
        Kind("augmentation", "register_augmentations", frozenset({"dimensions"})),
        Kind("sampler", "register_samplers", called_with=("slices",)),
        Kind("balance", "register_balances", frozenset({"terms"})),
        Kind(
            "transform",
            "register_transforms",
            frozenset({"dimensions"}),
            reserved=frozenset(TransformSettings.model_fields),
            called_with=("group", "moment"),
        ),
        Kind(
            "scheduler",
            "register_schedulers",
            reserved=frozenset(ScheduleSettings.model_fields),
            methods={
                "stages": ("roles",),
                "rate": ("stage", "role", "part", "epoch"),
                "step_rate": ("stage", "role", "part", "step", "steps"),
                "weight": ("stage", "role", "epoch"),
                "before_stage": ("stage", "control"),
                "after_epoch": ("stage", "epoch", "metrics", "control"),
            },
        ),
        Kind(
            "optimizer",
            "register_optimizers",
            frozenset({"params", "lr"}),
            reserved=frozenset(OptimizerSettings.model_fields),
        ),
        Kind("dataset", "register_datasets", reserved=frozenset(DataSettings.model_fields)),
        Kind(
            "metric",
            "register_metrics",
            frozenset({"dimensions"}),
            called_with=("prediction", "target", "mask"),
            or_has="collect",
            undeclared=(2,),
        ),
        Kind("launcher", "register_launchers"),
    )
}
