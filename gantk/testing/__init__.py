"""For the tests of plugins: is a component what gantk expects of its kind, and does a recipe train with it?

A test file subclasses the conformance class of the component's kind:

    import gantk.testing
    from my_plugin import Charbonnier

    class TestCharbonnier(gantk.testing.LossConformance):
        component = Charbonnier
        parameters = {"epsilon": 0.01}

    def test_recipe_trains():
        run = gantk.testing.run_recipe("my_recipe.toml", ["data.crop=[32, 32]"])
        assert run.summary["methods"]

Fixtures come with `pytest_plugins = ["gantk.testing.plugin"]`; nothing else here needs pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    # one class per kind
    "Conformance": "base",
    "GeneratorConformance": "networks",
    "DiscriminatorConformance": "networks",
    "LossConformance": "losses",
    "WeightMapConformance": "weight_maps",
    "TransformConformance": "transforms",
    "SchedulerConformance": "schedulers",
    "DatasetConformance": "datasets",
    "MetricConformance": "metrics",
    "LauncherConformance": "launchers",
    "ConformanceError": "failures",
    # what they are made of
    "Bench": "bench",
    "TinyGenerator": "bench",
    "TinyDiscriminator": "bench",
    "Rehearsal": "schedulers",
    "make_group": "batches",
    "make_image": "batches",
    # runs
    "run_recipe": "recipes",
    "RecipeRun": "recipes",
    "session": "sessions",
    "write_cohort": "cohort",
    "write_patient": "cohort",
    "write_pictures": "cohort",
    "write_volume": "cohort",
}

__all__ = [*_PUBLIC, "conformance"]


def conformance(kind: str) -> type:
    """The conformance class of a kind of component (`loss`, `weight_map`, …).

    Raises:
        KeyError: the kind has none.
    """
    named = {cls.kind: cls for cls in (__getattr__(name) for name in _PUBLIC if name.endswith("Conformance"))}
    return named[kind]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"gantk.testing.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'gantk.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
