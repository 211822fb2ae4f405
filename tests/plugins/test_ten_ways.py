"""Ten mistakes in plugins: each gives an error that names the plugin and the fix, and `gantk list` still works."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import gantk
from gantk.cli.main import app
from gantk.errors import GantkError, MemoryShortage, NonFiniteError, PluginError
from gantk.plugins import API, PluginInfo, load_plugins
from gantk.testing import run_recipe

HEAD = "import gantk\nimport torch\n"
LOSS = """
class Mine:
    'A loss.'
    def __call__(self, view):
        return {value}
@gantk.hookimpl
def register_losses():
    return {{"mine": Mine}}
"""
GOOD = HEAD + LOSS.format(value="view.weighted_mean((view.target - view.output).abs())")

RECIPE = """
name = "wrong"
[data]
dataset = "DATASET"
inputs = ["t1", "t2"]
target = "t1ce"
crop = [32, 32]
slices = "all"
batch = { paired = 2 }
[translators.g]
generator = { use = "GENERATOR" }
[maps.m]
use = "MAP"
[losses.term]
use = "LOSS"
on = "g"
map = "m"
[schedule]
use = "constant"
epochs = 1
[evaluation]
metrics = ["mse"]
regions = ["image"]
"""

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution with one module, as pip leaves it, in a folder on the path."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def make(text: str, name: str = "wrong_plugin") -> Path:
        (site / f"{name}.py").write_text(text, encoding="utf-8")
        info = site / f"{name}-1.2.dist-info"
        info.mkdir()
        distribution = name.replace("_", "-")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[gantk]\n{name} = {name}\n")
        importlib.invalidate_caches()
        return site

    yield make
    for added in set(sys.modules) - before:
        if added.endswith("_plugin"):
            del sys.modules[added]


def info(name: str = "wrong_plugin") -> PluginInfo:
    return next(found for found in load_plugins(strict=False).plugins if found.name == name)


# --- found when the plugin is loaded -----------------------------------------------------------------------------

AT_LOADING = {
    "raises at import": ("x = 1\nraise RuntimeError('no licence')", "RuntimeError: no licence", "wrong_plugin.py:2"),
    "wrong hook name": (GOOD.replace("register_losses", "register_loses"), "'register_loses'", "'register_losses'"),
    "hook without its mark": (GOOD.replace("@gantk.hookimpl", ""), "register_losses is not a hook", "@gantk.hookimpl"),
    "wrong signature": (
        GOOD.replace("(self, view)", "(self, output, target)"),
        "loss 'mine' cannot be called with view",
        "def __call__(self, view)",
    ),
    "a scheduler's wrong signature": (
        HEAD
        + """
class Mine(gantk.Scheduler):
    def rate(self, stage, epoch):
        return 1.0
@gantk.hookimpl
def register_schedulers():
    return {"mine": Mine}
""",
        "scheduler 'mine' cannot have its rate called with stage, role, part, epoch",
        "def rate(self, stage, role, part, epoch)",
    ),
    "newer API": (f"gantk_api = {API + 1}\n{GOOD}", f"version {API + 1} of the plugin API", "pip install -U gantk"),
    "missing dependency": ("import no_such_module_at_all.sub", "ModuleNotFoundError", "no_such_module_at_all`"),
    "what a newer gantk has": ("from gantk import NoSuchThing", "ImportError", "pip install -U gantk"),
}


@pytest.mark.parametrize("how", AT_LOADING)
def test_a_wrong_plugin_is_listed_with_its_reason_and_mend(install: Install, how: str) -> None:
    text, what, mend = AT_LOADING[how]
    install(text)
    found = info()
    assert (found.state, found.distribution, found.version) == ("failed", "wrong-plugin", "1.2")
    assert what in found.reason
    assert mend in found.reason
    assert "\n" not in found.reason
    with pytest.raises(GantkError) as raised:  # the error of a recipe that needs it says why it is not loaded
        load_plugins().registry.get("loss", "mine")
    assert "the plugin wrong_plugin is failed" in str(raised.value)
    assert what in str(raised.value)


def test_name_clash(install: Install) -> None:
    install(GOOD)
    install(GOOD, "zweite_plugin")
    with pytest.raises(PluginError) as raised:
        load_plugins()
    assert "two plugins supply the loss 'mine': wrong_plugin 1.2 and zweite_plugin 1.2" in str(raised.value)
    assert "GANTK_DISABLE_PLUGINS=zweite_plugin" in str(raised.value)
    assert info("zweite_plugin").state == "failed"


def test_the_command_line_stays_usable(install: Install) -> None:
    """All mistakes at once, in a separate process."""
    for number, (text, _, _) in enumerate(AT_LOADING.values()):
        site = install(text, f"wrong_{number}_plugin")
    install(GOOD, "a_good_plugin")
    install(GOOD, "a_second_plugin")
    environment = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-m", "gantk", "list", "losses", "--json"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert {"mine", "l1"} <= {loss["name"] for loss in json.loads(done.stdout)}
    for number, (_, what, mend) in enumerate(AT_LOADING.values()):
        (line,) = (line for line in done.stderr.splitlines() if f"plugin wrong_{number}_plugin is not loaded" in line)
        assert what in line
        assert mend.replace("wrong_plugin.py", f"wrong_{number}_plugin.py") in line
    assert "plugin a_second_plugin is not loaded: two plugins supply the loss 'mine'" in done.stderr
    assert "Traceback" not in done.stderr


# --- found when it is used ----------------------------------------------------------------------------------------


def train(tmp_path: Path, **uses: str) -> Path:
    """The folder of a run of one step."""
    text = RECIPE
    for kind, default in {"DATASET": "brats", "GENERATOR": "unet", "MAP": "uniform", "LOSS": "l1"}.items():
        text = text.replace(kind, uses.get(kind.lower(), default))
    cohort: Any = "own" if "dataset" in uses else "tiny"
    small = [] if "generator" in uses else ["translators.g.generator.levels=2", "translators.g.generator.channels=2"]
    return run_recipe(text, small, steps=1, cohort=cohort, folder=tmp_path / "run").folder


BAD_VALUES = {
    "wrong shape": ("(view.target - view.output).abs()", "gave the shape (2, 1, 32, 32)", "return the mean"),
    "no tensor": ("(view.target - view.output).abs().mean().item()", "gave float", "return the mean"),
    "no gradient": (
        "(view.target - view.output.detach()).abs().mean()",
        "returned a number without a gradient",
        "compute it from view.output",
    ),
    "raises": ("view.output.flip()", "raised TypeError (wrong_plugin.py:7)", "mend the plugin"),
    "misses a module at last": ("__import__('no_such_module')", "ModuleNotFoundError", "pip install no_such_module"),
}


@pytest.mark.parametrize("how", BAD_VALUES)
def test_what_a_loss_gives(install: Install, tmp_path: Path, how: str) -> None:
    value, what, mend = BAD_VALUES[how]
    install(HEAD + LOSS.format(value=value))
    with pytest.raises(PluginError) as raised:
        train(tmp_path, loss="mine")
    said = str(raised.value)
    assert said.startswith("losses.term: the loss 'mine' of the plugin wrong_plugin 1.2")
    assert what in said
    assert mend in said


def test_nan(install: Install, tmp_path: Path) -> None:
    install(HEAD + LOSS.format(value="(view.output * 0 / 0).mean()"))
    with pytest.raises(NonFiniteError) as raised:
        train(tmp_path, loss="mine")
    assert "the term g/term became nan in stage 'training', epoch 0, step 0; it is the loss 'mine' " in str(
        raised.value
    )
    assert "of the plugin wrong_plugin 1.2" in str(raised.value)
    assert "division by 0" in str(raised.value)


MODULE = """
class Mine(torch.nn.Module):
    'A network.'
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(in_channels, out_channels, 3, padding={padding})
    def forward(self, image):
        return self.layer({image})
@gantk.hookimpl
def register_generators():
    return {{"mine": Mine}}
"""
MAP = """
class Mine:
    'A map.'
    def __call__(self, view):
        return view.source
@gantk.hookimpl
def register_weight_maps():
    return {"mine": Mine}
"""
OTHERS = {
    "generator of a wrong shape": (
        MODULE.format(padding=0, image="image"),
        "generator",
        "translators.g.generator: the generator 'mine' of the plugin wrong_plugin 1.2 gave the shape (2, 1, 30, 30)",
        "of the size of the input image",
    ),
    "generator that raises": (
        MODULE.format(padding=1, image="image[:, :1]"),
        "generator",
        "the generator 'mine' of the plugin wrong_plugin 1.2 raised RuntimeError (wrong_plugin.py:",
        "mend the plugin",
    ),
    "generator that cannot be made": (
        MODULE.format(padding="no_such_name", image="image"),
        "generator",
        "the generator 'mine' of the plugin wrong_plugin 1.2 raised NameError",
        "mend the plugin",
    ),
    "map of a wrong shape": (
        MAP,
        "map",
        "maps.m: the weight map 'mine' of the plugin wrong_plugin 1.2 gave the shape (2, 2, 32, 32)",
        "return one weight per pixel",
    ),
}


@pytest.mark.parametrize("how", OTHERS)
def test_other_kinds(install: Install, tmp_path: Path, how: str) -> None:
    text, kind, what, mend = OTHERS[how]
    install(HEAD + text)
    with pytest.raises(PluginError) as raised:
        train(tmp_path, **{kind: "mine"})
    assert what in str(raised.value)
    assert mend in str(raised.value)


def test_not_picklable(install: Install, tmp_path: Path) -> None:
    install(
        HEAD
        + """
from gantk.data.brats import Brats
class Mine(Brats):
    'Patients.'
    def __init__(self) -> None:
        self.choose = lambda name: name
    def subjects(self, progress):
        return []
@gantk.hookimpl
def register_datasets():
    return {"mine": Mine}
"""
    )
    with pytest.raises(PluginError) as raised:
        train(tmp_path, dataset="mine")
    assert "data.dataset: the dataset 'mine' of the plugin wrong_plugin 1.2 cannot be pickled" in str(raised.value)
    assert "remove lambdas" in str(raised.value)


@pytest.mark.parametrize(
    "raised",
    [
        "MemoryError('Unable to allocate 74.5 GiB for an array')",
        'RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can\'t allocate memory")',
        "torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 GiB')",
    ],
)
def test_memory_is_nobodys_fault(install: Install, tmp_path: Path, raised: str) -> None:
    install(HEAD + f"import torch\ndef fail():\n    raise {raised}\n" + LOSS.format(value="fail()"))
    with pytest.raises(MemoryShortage, match=r"not enough memory for a step\..*allocate.*lower data\.crop"):
        train(tmp_path, loss="mine")


def test_a_loss_that_changes_what_others_see(install: Install, tmp_path: Path) -> None:
    install(HEAD + "def changed(view):\n    return view.output.mul_(2).mean()\n" + LOSS.format(value="changed(view)"))
    with pytest.raises(PluginError) as raised:
        train(tmp_path, loss="mine")
    assert "losses.term: the loss 'mine' of the plugin wrong_plugin 1.2 changed a tensor of the step in place" in str(
        raised.value
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("view.features(layers=(0,))[0].mean()", r"asks for features of the layers \[0\].*Needs\(layers=\(0,\)\)"),
        ("view.judge_features(layers=(1,))[1].mean()", r"asks for features of the layers \[1\].*Needs\(judged"),
        (
            "view.project({})[0].mean()",
            "asks for its own module .*, but has none.*build_modules",
        ),
        ("view.pooled(view.fake).mean()", "asks for an image pool, but has none"),
    ],
)
def test_what_a_loss_has_not_declared(install: Install, tmp_path: Path, value: str, said: str) -> None:
    install(HEAD + LOSS.format(value=value))
    with pytest.raises(PluginError, match=f"losses.term: the loss 'mine' of the plugin wrong_plugin 1.2 {said}"):
        train(tmp_path, loss="mine")


# --- found when a run is taken up again ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["loss", "generator"])
def test_a_plugin_that_a_run_needs_is_gone(install: Install, tmp_path: Path, kind: str) -> None:
    site = install(GOOD if kind == "loss" else HEAD + MODULE.format(padding=1, image="image"))
    folder = train(tmp_path, **{kind: "mine"})
    shutil.rmtree(site / "wrong_plugin-1.2.dist-info")
    if kind == "loss":
        gantk.load(folder, device="cpu")  # a prediction needs no losses
    else:
        with pytest.raises(PluginError) as raised:
            gantk.load(folder, device="cpu")
        assert str(raised.value).endswith("pip install wrong-plugin==1.2.")
    with pytest.raises(PluginError) as raised:
        gantk.run(resume=folder, device="cpu")
    assert f"no plugin supplies the {kind} 'mine'" in str(raised.value)
    assert "made with wrong_plugin 1.2" in str(raised.value)
    assert str(raised.value).endswith("pip install wrong-plugin==1.2.")


def test_a_recipe_with_a_former_name_is_warned_of_once(install: Install, tmp_path: Path) -> None:
    install(GOOD + "gantk_renamed = {'loss': {'former': 'mine'}}")
    recipe = tmp_path / "recipe.toml"
    filled = RECIPE.replace("DATASET", "phantom").replace("GENERATOR", "unet").replace("MAP", "uniform")
    recipe.write_text(filled.replace("LOSS", "former"), encoding="utf-8")
    result = CliRunner().invoke(app, ["validate", str(recipe), "--set", "translators.g.generator.levels=2"])
    assert result.exit_code == 0, result.stderr
    said = " ".join(result.stderr.split())
    assert said.count("warning: losses.term.use: the loss 'former' is now called 'mine' (plugin wrong_plugin 1.2)") == 1
    assert ".py" not in said


def test_the_good_one_is_good(install: Install, tmp_path: Path) -> None:
    install(GOOD)
    assert info().state == "loaded"
    train(tmp_path, loss="mine")
