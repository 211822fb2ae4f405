"""Attribution of exceptions to plugins."""

from __future__ import annotations

from gantk.errors import PluginError, RecipeError, TrainingError
from gantk.plugins.blame import blame, mend_of

ORIGIN = "loss 'mine' of the plugin mine 1"


def raised(error: BaseException, **more: str) -> BaseException:
    try:
        with blame(ORIGIN, "losses.a", **more):
            raise error
    except BaseException as told:
        return told


def test_what_a_component_raises_names_it_its_place_and_the_line() -> None:
    told = raised(KeyError("x"))
    assert isinstance(told, PluginError)
    assert told.where == "losses.a"
    assert ORIGIN in told.what
    assert "KeyError (test_blame.py:" in told.what
    assert isinstance(told.__cause__, KeyError)
    assert "mend the plugin" in told.mend
    assert "upgrade it" in raised(ValueError("x"), mend="upgrade it").mend


def test_errors_of_gantk_and_of_memory_are_not_the_components() -> None:
    for error in (RecipeError("no"), MemoryError(), RuntimeError("CUDA out of memory")):
        assert raised(error) is error


def test_what_a_step_lacks_is_told_with_who_asked_for_it() -> None:
    told = raised(TrainingError("the batch group has no target"))
    assert (told.where, told.why) == ("losses.a", f"the {ORIGIN} asked for it")
    placed = TrainingError("no", where="losses.b")
    assert raised(placed) is placed


def test_a_missing_package_and_an_older_gantk_have_a_command() -> None:
    assert "pip install scipy" in mend_of(ModuleNotFoundError("no", name="scipy.stats"))
    assert "pip install -U gantk" in mend_of(ImportError("no", name="gantk.translation"))
    assert "mend the plugin" in mend_of(ImportError("no"))
