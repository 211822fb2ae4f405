"""Test support for plugins: check that a component meets the contract of its kind, and that a recipe trains with it.

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

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
