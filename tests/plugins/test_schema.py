"""The schema of recipes: editors accept every shipped recipe and flag what `gantk validate` refuses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gantk.errors import RecipeError
from gantk.plugins import Component, Registry, load_plugins
from gantk.plugins.schema import recipe_schema
from gantk.recipe import Recipe

RECIPES = Path(__file__).parents[2] / "recipes"
SHIPPED = sorted(path.relative_to(RECIPES).as_posix() for path in RECIPES.rglob("*.toml"))
TAPLO = shutil.which("taplo", path=str(Path(sys.executable).parent)) or "taplo"

Lint = Callable[[str | Path], tuple[bool, str]]


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "gantk.schema.json"
    path.write_text(json.dumps(recipe_schema(load_plugins().registry)), encoding="utf-8")
    return path


@pytest.fixture
def lint(schema: Path, tmp_path: Path) -> Lint:
    """Taplo's verdict on a recipe, which names the schema on its first line as an editor finds it."""

    def check(recipe: str | Path) -> tuple[bool, str]:
        text = recipe.read_text(encoding="utf-8") if isinstance(recipe, Path) else recipe
        shutil.copy(schema, tmp_path / "gantk.schema.json")
        (tmp_path / "recipe.toml").write_text(f"#:schema gantk.schema.json\n{text}", encoding="utf-8")
        done = subprocess.run(
            [TAPLO, "lint", "--no-auto-config", "--colors", "never", "recipe.toml"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        return done.returncode == 0, done.stdout + done.stderr

    return check


def test_every_table_of_a_recipe_is_in_the_schema(schema: Path) -> None:
    known = json.loads(schema.read_text(encoding="utf-8"))
    tables = set(Recipe.model_fields) - {"parent"}  # written by gantk alone
    assert tables <= set(known["properties"])
    assert {"window", "overlap", "blend", "batch", "gather"} == set(known["$defs"]["inference"]["properties"])


@pytest.mark.parametrize("recipe", SHIPPED)
def test_every_shipped_recipe_is_accepted(lint: Lint, recipe: str) -> None:
    good, said = lint(RECIPES / recipe)
    assert good, said


PIX2PIX = (RECIPES / "pix2pix.toml").read_text(encoding="utf-8")
DS3 = (RECIPES / "ablations" / "ds3.toml").read_text(encoding="utf-8")
CHILD = 'extends = "pix2pix.toml"\nname = "child"\n'
WRONG = {
    "a key of a table": (PIX2PIX.replace("seed = 0", "sead = 0"), "'sead' was unexpected"),
    "a key of the recipe": (PIX2PIX.replace("[schedule]", "[shedule]"), "'shedule' was unexpected"),
    "a parameter of a loss": (
        PIX2PIX.replace("discriminator_weight", "discriminator_wieght"),
        "'discriminator_wieght'",
    ),
    "another loss's parameter": (PIX2PIX.replace('use = "l1"', 'use = "l1"\ntemperature = 1'), "'temperature' was"),
    "a parameter of a generator": (PIX2PIX.replace("levels = 4", "levles = 4"), "'levles' was unexpected"),
    "a parameter of the dataset": (PIX2PIX.replace("inputs =", "voxle = 2.0\ninputs ="), "'voxle' was unexpected"),
    "a parameter of the schedule": (PIX2PIX.replace("decay_epochs", "decay_epohcs"), "'decay_epohcs' was unexpected"),
    "a component": (PIX2PIX.replace('use = "l1"', 'use = "l11"'), '"l11" is not one of'),
    "a metric": (PIX2PIX + 'metrics = ["sism"]\n', '"sism" is not one of'),
    "a type": (PIX2PIX.replace("crop = [96, 80]", 'crop = "96"'), '"96" is not of type "array"'),
    "a missing table": (PIX2PIX.partition("[schedule]")[0], '"schedule" is a required property'),
    "a missing key": (PIX2PIX.replace('target = "t1ce"', ""), '"target" is a required property'),
    "a missing parameter": (PIX2PIX.replace('"l1"', '"cycle"'), '"back" is a required property'),
    "what a child changes": (CHILD + "[losses.pixelwise]\nwieght = 1\n", "'wieght' was unexpected"),
    "a variant": (DS3.replace("maps.difficulty.enabled", "maps.difficulty.enalbed"), "'maps.difficulty.enalbed' was"),
    "a variant's own key": (DS3.replace("report =", "reprot ="), "'reprot' was unexpected"),
    "a row's name": (DS3.replace("report = {", "report = { predict = 1,"), "is not valid"),
    "a reference": (re.sub("reference = .*", "reference = 3", DS3), "3 is not of type"),
    "a row": (re.sub("report = .*", 'report = "teacher"', DS3), "is not valid"),
    "a grid": (DS3.replace('"run.seed"', '"run.sead"'), "'run.sead' was unexpected"),
    "a grid's values": (DS3.replace("[0, 1, 2]", '["a"]'), '"a" is not of type "integer"'),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_misspelt_is_flagged(lint: Lint, what: str) -> None:
    text, message = WRONG[what]
    good, said = lint(text)
    assert not good
    assert message in said


@pytest.mark.parametrize(
    "change",
    [
        "[losses.pixelwise]\nweight = 1\n",
        "[translators.generator]\ngenerator = { levels = 3 }\n",
        '[translators.other]\nlike = "generator"\ntakes = "targets"\n',
        'without = ["losses.adversarial"]\n',
        '[schedule]\ndecay_epochs = 1\n[sweep]\n"losses.pixelwise.weight" = [1, 10.0]\n',
        '[variants.a]\n"losses.x.use" = "l2"\n[variants.a.data]\nslices = "all"\n',
        '[variants.a]\nreport = { generator = "Ours" }\n[variants.b]\nreport = ["generator"]\n',
        'reference = "a"\n[variants.a]\n',
    ],
)
def test_a_child_need_not_repeat_its_parent(lint: Lint, change: str) -> None:
    good, said = lint(CHILD + change)
    assert good, said


def test_editors_are_told_what_keys_mean(schema: Path) -> None:
    keys = json.loads(schema.read_text(encoding="utf-8"))["$defs"]["losses"]["additionalProperties"]["properties"]
    assert {"number", "object"} <= {way.get("type", "object") for way in keys["weight"]["anyOf"]}
    assert keys["map"]["description"] == "Weight map that multiplies the term's error at each pixel; default: none."
    assert "patch_nce: τ, the temperature" in keys["temperature"]["description"]


def test_the_schema_is_of_the_registered_components() -> None:
    class Odd:
        """A loss with a parameter that JSON has no word for."""

        def __init__(self, of: type = int, size: int = 1) -> None: ...

    registry = Registry()
    registry.add(Component("odd", "loss", Odd, "p", "1", formerly=("strange",)))
    keys = recipe_schema(registry)["$defs"]["losses"]["additionalProperties"]["properties"]
    assert keys["use"]["enum"] == ["odd", "strange"]
    assert {"of", "size"} <= keys.keys()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("weight = 100", "wieght = 100", "38: losses.pixelwise.wieght: loss 'l1' has no parameter 'wieght'"),
        ("levels = 4", "levles = 4", "generator 'unet' has no parameter 'levles'; did you mean 'levels'?"),
        ("decay_epochs = 10", "decay_epohcs = 10", "scheduler 'linear_decay' has no parameter 'decay_epohcs'"),
    ],
)
def test_validate_reports_the_error_of_the_right_branch(tmp_path: Path, old: str, new: str, message: str) -> None:
    import gantk

    recipe = tmp_path / "recipe.toml"
    recipe.write_text(PIX2PIX.replace(old, new), encoding="utf-8")
    with pytest.raises(RecipeError) as raised:
        gantk.validate(recipe)
    assert message in str(raised.value)
