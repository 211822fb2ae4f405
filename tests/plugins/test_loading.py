"""Loading: a failing plugin is reported and does not affect others; a clash names both owners."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from gantk.errors import GantkWarning, PluginError
from gantk.plugins import API, KINDS, PluginInfo, Session, load_plugins
from written_plugins import GOOD, info

Plugin = Callable[..., EntryPoint]


def states(session: Session) -> dict[str, str]:
    return {info.name: info.state for info in session.plugins}


def test_a_plugin_is_loaded_with_its_version(plugin: Plugin) -> None:
    session = load_plugins([plugin("good")])
    assert session.plugins == [PluginInfo("good", "1.2", "good-dist", "loaded")]
    component = session.registry.get("loss", "halve")
    assert (component.plugin, component.version, component.doc) == ("good", "1.2", "Half of everything.")


def test_sessions_share_nothing(plugin: Plugin) -> None:
    point = plugin("good")
    one, other = load_plugins([point]), load_plugins([])
    assert one.registry.names("loss") == ["halve"]
    assert other.registry.names("loss") == []
    assert other.manager.list_name_plugin() == []


BROKEN = {
    "raises at import": ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    "is no Python": ("def (", "SyntaxError"),
    "imports what is not there": ("import no_such_module_at_all", "ModuleNotFoundError"),
    "misspells a hook": ("from gantk import hookimpl\n@hookimpl\ndef register_loses(): return {}", "register_loses"),
    "takes an argument that the hook lacks": (
        "from gantk import hookimpl\n@hookimpl\ndef register_losses(colour): return {}",
        "colour",
    ),
    "raises in its hook": ("from gantk import hookimpl\n@hookimpl\ndef register_losses(): 1 / 0", "ZeroDivisionError"),
    "returns nothing": ("from gantk import hookimpl\n@hookimpl\ndef register_losses(): pass", "returned None"),
    "has an API that is no number": ("gantk_api = '1.0'\n" + GOOD, "gantk_api is '1.0'"),
    "renames what it has not": (
        GOOD + "gantk_renamed = {'loss': {'old': 'new'}}",
        "calls the loss 'old' now 'new', which it does not supply",
    ),
    "cannot be called": (GOOD.replace("    def __call__(self, view): ...", ""), "the loss 'halve' cannot be called"),
    "takes any keyword": (
        GOOD.replace("def __call__", "def __init__(self, **rest): ...\n    def __call__"),
        "loss 'halve' takes **rest, which no recipe can name",
    ),
    "takes any argument": (
        GOOD.replace("def __call__", "def __init__(self, *rest): ...\n    def __call__"),
        "takes *rest",
    ),
    "has a type that is nowhere": (
        GOOD.replace("def __call__", "def __init__(self, x: 'Nowhere' = 1): ...\n    def __call__"),
        "signature of loss 'halve' cannot be read",
    ),
    "uses a key of the recipe": (
        GOOD.replace("def __call__", "def __init__(self, weight: float = 1): ...\n    def __call__"),
        "has a parameter 'weight', a key that recipes use themselves",
    ),
}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_plugin_is_reported_and_harms_nothing_else(plugin: Plugin, how: str, strict: bool) -> None:
    text, reason = BROKEN[how]
    points = [plugin("broken", text), plugin("good"), plugin("another", GOOD.replace('"halve"', '"other"'))]
    session = load_plugins(points, strict=strict)
    assert states(session) == {"another": "loaded", "broken": "failed", "good": "loaded"}
    assert reason in info(session, "broken").reason
    assert info(session, "broken").version == "1.2"
    assert session.registry.names("loss") == ["halve", "other"]
    assert session.registry.get("loss", "halve").plugin == "good"
    assert not session.manager.has_plugin("broken")


def test_a_plugin_may_not_end_the_program_but_the_user_may(plugin: Plugin) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_plugins([plugin("stopped", "raise KeyboardInterrupt")])


# --- clashes ------------------------------------------------------------------------------------------------


def test_two_plugins_with_one_component_name(plugin: Plugin) -> None:
    points = [plugin("first"), plugin("second")]
    with pytest.raises(PluginError) as raised:
        load_plugins(points)
    assert "two plugins supply the loss 'halve': first 1.2 and second 1.2" in str(raised.value)
    assert "GANTK_DISABLE_PLUGINS=second" in str(raised.value)


def test_a_clash_leaves_nothing_of_the_second_behind(plugin: Plugin) -> None:
    more = GOOD.replace('{"halve": Halve}', '{"a_new_one": Halve, "halve": Halve}')
    session = load_plugins([plugin("first"), plugin("second", more)], strict=False)
    assert states(session) == {"first": "loaded", "second": "failed"}
    assert "first 1.2 and second 1.2" in info(session, "second").reason
    assert session.registry.names("loss") == ["halve"]


def test_one_name_may_serve_two_kinds(plugin: Plugin) -> None:
    maps = GOOD.replace("register_losses", "register_weight_maps")
    session = load_plugins([plugin("losses"), plugin("maps", maps)])
    assert session.registry.get("loss", "halve").plugin == "losses"
    assert session.registry.get("weight_map", "halve").plugin == "maps"


def test_two_distributions_with_one_plugin_name(plugin: Plugin) -> None:
    points = [plugin("same", distribution="alpha"), plugin("same", distribution="beta"), plugin("good")]
    with pytest.raises(PluginError, match="'same' is claimed by the distributions alpha and beta"):
        load_plugins(points)
    session = load_plugins(points, strict=False)
    assert states(session) == {"good": "loaded", "same": "failed"}
    assert info(session, "same").distribution == "alpha, beta"
    assert session.registry.get("loss", "halve").plugin == "good"


def test_one_distribution_found_twice_is_loaded_once(plugin: Plugin) -> None:
    point = plugin("good")  # as when a package is both installed and on the path
    assert states(load_plugins([point, point])) == {"good": "loaded"}


# --- switched off ---------------------------------------------------------------------------------------------


def test_a_plugin_can_be_switched_off(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTK_DISABLE_PLUGINS", "broken, second")
    session = load_plugins([plugin("first"), plugin("second"), plugin("broken", "raise RuntimeError")])
    assert states(session) == {"broken": "disabled", "first": "loaded", "second": "disabled"}
    assert info(session, "second").reason == "GANTK_DISABLE_PLUGINS"
    assert "tmp_broken_dist_broken" not in sys.modules  # not even imported


def test_only_some_plugins_can_be_asked_for(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTK_PLUGINS", "second")
    session = load_plugins([plugin("first"), plugin("second")])
    assert states(session) == {"first": "disabled", "second": "loaded"}
    assert info(session, "first").reason == "not in GANTK_PLUGINS"


# --- versions and former names --------------------------------------------------------------------------------


def test_a_plugin_of_this_api_and_of_none_is_loaded(plugin: Plugin) -> None:
    session = load_plugins([plugin("said", f"gantk_api = {API}\n{GOOD}")])
    assert states(session) == {"said": "loaded"}


def test_a_former_name_still_works_with_a_warning(plugin: Plugin) -> None:
    session = load_plugins([plugin("good", GOOD + 'gantk_renamed = {"loss": {"half": "halve"}}')])
    with pytest.warns(
        GantkWarning, match=r"losses\.x\.use: the loss 'half' is now called 'halve' \(plugin good 1\.2\)"
    ):
        component = session.registry.get("loss", "half", "losses.x.use")
    assert (component.name, component.formerly) == ("halve", ("half",))
    assert session.registry.names("loss") == ["halve"]


def test_a_present_name_goes_before_a_former_one(plugin: Plugin, recwarn: pytest.WarningsRecorder) -> None:
    taken = GOOD.replace('"halve"', '"half"')
    points = [plugin("good", GOOD + 'gantk_renamed = {"loss": {"half": "halve"}}'), plugin("other", taken)]
    assert load_plugins(points).registry.get("loss", "half").plugin == "other"
    assert not [w for w in recwarn if issubclass(w.category, GantkWarning)]


def test_loading_can_be_traced(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GANTK_TRACE_PLUGINS", "1")
    load_plugins([plugin("second", "raise RuntimeError('why')"), plugin("first")])
    told = capsys.readouterr().err
    lines = [line for line in told.splitlines() if line.startswith("gantk: plugin")]
    assert [re.sub(r"\d\.\d{3}", "T", line)[:66] for line in lines] == [
        "gantk: plugin first (first-dist 1.2) loaded after T s: 1 losses",
        "gantk: plugin second (second-dist 1.2) failed after T s: RuntimeEr",
    ]
    assert "Traceback" in told


# --- what is installed ----------------------------------------------------------------------------------------


def test_the_installed_plugins_load() -> None:
    session = load_plugins()
    loaded = states(session)
    for name in ("gantk_core", "gantk_baselines", "gantk_ds3net"):
        assert loaded[name] == "loaded", info(session, name).reason


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"launcher"}))
def test_every_kind_has_components_with_a_docstring_and_typed_parameters(kind: str) -> None:
    registry = load_plugins().registry
    components = [c for c in registry if c.kind == kind and c.plugin.startswith("gantk_")]
    assert components
    for component in components:
        assert component.doc, component.name
        assert all(p.type_name != "any" for p in component.parameters), component.name
        for parameter in component.parameters:
            # every parameter is documented where the class says what its arguments are
            assert f"{parameter.name}:" in component.doc, f"{component.name}.{parameter.name}"


def test_lifecycle_hooks_reach_plugins_with_the_arguments_they_take(plugin: Plugin, tmp_path: Path) -> None:
    text = (
        "from gantk import hookimpl\nseen = []\n"
        "@hookimpl\ndef after_epoch(epoch, metrics): seen.append((epoch, metrics))\n"
    )
    session = load_plugins([plugin("watcher", text)])
    session.hook.after_epoch(folder=tmp_path, recipe=None, stage="s", epoch=4, metrics={"a": 1.0}, generators={})
    assert sys.modules["tmp_watcher_dist_watcher"].seen == [(4, {"a": 1.0})]
