"""Errors point to what said the wrong thing: a line of the right file, an override, a variant, a grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gantk.errors import RecipeError
from gantk.plugins import Registry
from gantk.recipe import load_recipe, recipe_from_table
from gantk.recipe.overrides import SetOptions
from gantk.recipe.variants import Sweep, described, load_sweep

BASE = """\
name = "base"
[data]
dataset = "phantom"
inputs = ["t1"]
target = "t1ce"
crop = [32, 32]
[translators.a]
generator = { use = "resnet", channels = 8, blocks = 1 }
[translators.a.optimizer]
rates = { generator = 1e-4 }
[losses.l]
use = "ssim"
on = "a"
window = 7
[schedule]
use = "constant"
epochs = 1
"""
CHILD = """\
extends = "base.toml"
name = "child"
[training]
ema = 0.9
"""
SWEEP = """\
extends = "child.toml"
name = "many"

[variants.one]
"training.ema" = 0.5

[variants.two]
[variants.two.losses.l]
weight = 3

[variants.three]
sweep = { "training.ema" = [0.1] }

[sweep]
"data.crop" = [[32, 32], [64, 64]]
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(**texts: str) -> Path:
        path = tmp_path
        for name, text in ({"base": BASE, "child": CHILD} | texts).items():
            path = tmp_path / f"{name}.toml"
            path.write_text(text)
        return path

    return make


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        described(path, SetOptions(overrides))
    return str(caught.value).removeprefix(f"{path.parent}/")


@pytest.mark.parametrize(
    ("override", "beginning"),
    [
        ("run.seed=-1", "--set run.seed (it is -1): "),
        ("translators.a.optimizer.rates.generator=-1", "--set translators.a.optimizer.rates.generator (it is -1): "),
        ("translators.a.optimizer={rates={heads=-1}}", "--set translators.a.optimizer.rates.heads (it is -1): "),
        ("data.crop=[48]", "--set data.crop (it is [48]): 2 values are expected. Height and width"),
        ("training.emma=1", "--set training.emma: unknown key 'training.emma'"),
        ("losses.l.on=b", "--set losses.l.on: there is no translator 'b'"),
        ("losses.k.weight=2", "--set losses.k.weight: the key 'losses.k.use' is missing"),
        ("data.target=t1", "--set data.target: the target 't1' is also an input"),
        ("training.updates=['generator']", "--set training.updates: training: updates must name"),
        ("losses={}", "--set losses: the empty table 'losses' changes nothing"),
        ("losses.l={}", "--set losses.l: the empty table 'losses.l' changes nothing"),
    ],
)
def test_an_override_is_blamed_for_what_it_says(write: Write, override: str, beginning: str) -> None:
    said = refusal(write(), override)
    assert said.startswith(beginning)
    assert ".toml" not in said


def test_an_override_is_not_blamed_for_what_others_say(write: Write) -> None:
    path = write(child=CHILD.replace("0.9", "9"))
    assert refusal(path, "run.seed=1", "training.compile=true").startswith("child.toml:4: training.ema (it is 9): ")


def test_the_file_that_says_it_last_is_blamed(write: Write) -> None:
    path = write(base=BASE + "[training]\nema = 0.5\ncompile = 3\n", child=CHILD.replace("0.9", "9"))
    assert refusal(path).startswith("child.toml:4: training.ema (it is 9)")
    path = write(base=BASE + "[training]\nema = 0.5\ncompile = 3\n")
    assert refusal(path).startswith("base.toml:20: training.compile (it is 3)")


def test_tables_that_a_child_empties_are_told(write: Write) -> None:
    assert refusal(write(child=CHILD + "[losses]\n")).startswith("child.toml:5: the empty table 'losses'")
    assert load_recipe(write(child=CHILD + "[evaluation]\n")).name == "child"  # a header whose keys are comments


@pytest.mark.parametrize(
    ("old", "new", "beginning"),
    [
        ("0.5", "5", "sweep.toml:5: training.ema (it is 5): variant 'one': "),
        ("weight = 3", 'weight = "x"', "sweep.toml:9: losses.l.weight (it is 'x'): variant 'two': "),
        ("weight = 3", 'on = "x"', "sweep.toml:9: losses.l.on: variant 'two': there is no translator 'x'"),
        ("[0.1]", "[0.1, 9]", """sweep.toml:12: variants.three.sweep."training.ema" (it is 9): variant 'three': """),
        ("[64, 64]]", "[64]]", """sweep.toml:15: sweep."data.crop" (it is [64]): variant 'one': 2 values"""),
        ("data.crop", "run.crop", """sweep.toml:15: sweep."run.crop": variant 'one': unknown key"""),
    ],
)
def test_variants_and_grids_are_blamed(write: Write, old: str, new: str, beginning: str) -> None:
    assert refusal(write(sweep=SWEEP.replace(old, new))).startswith(beginning)


def test_overrides_and_parents_of_a_sweep_are_blamed(write: Write) -> None:
    path = write(sweep=SWEEP)
    assert isinstance(described(path), Sweep)
    assert refusal(path, "training.compile=3").startswith("--set training.compile (it is 3): variant 'one': ")
    path = write(child=CHILD.replace("ema = 0.9", "compile = 3"), sweep=SWEEP)
    assert refusal(path).startswith("child.toml:4: training.compile (it is 3): variant 'one': ")


def test_a_variant_in_a_parent_is_found_there(write: Write) -> None:
    path = write(sweep=SWEEP.replace("0.5", "5"), mine='extends = "sweep.toml"\nname = "mine"\n')
    assert refusal(path).startswith("sweep.toml:5: training.ema (it is 5): variant 'one'")


def test_mistakes_that_components_find_are_placed_alike(write: Write, registry: Registry) -> None:
    from gantk.api.checks import build

    def refused(*overrides: str) -> str:
        with pytest.raises(RecipeError) as caught:
            build(load_recipe(path, SetOptions(overrides)), registry)
        return str(caught.value).removeprefix(f"{path.parent}/")

    path = write()
    assert refused("losses.l.windwo=3").startswith("--set losses.l.windwo: loss 'ssim' has no parameter 'windwo'")
    assert refused("losses.l.use=ssmi").startswith("--set losses.l.use: no plugin supplies the loss 'ssmi'")
    path = write(base=BASE.replace("window", "windwo"))
    assert refused("losses.l.weight=3").startswith("base.toml:14: losses.l.windwo: loss 'ssim' has no parameter")
    child = load_sweep(write(sweep=SWEEP.replace("[variants.two]", '[variants.two]\n"losses.l.windwo" = 3'))).children
    with pytest.raises(RecipeError) as caught, child[-3].named():
        build(child[-3].recipe, registry)
    assert str(caught.value).endswith("did you mean 'window'?")
    assert "sweep.toml:8: losses.l.windwo: variant 'two': loss 'ssim'" in str(caught.value)


def test_where_a_key_comes_from_is_no_part_of_a_recipe(write: Write) -> None:
    import tomllib

    path = write()
    alone = recipe_from_table(tomllib.loads(BASE))
    assert alone == load_recipe(path.with_name("base.toml"))
    assert alone.origins.where(("run",)) is None
    assert load_recipe(path).model_copy(update={"name": "x"}).origins.where(("name",)) == f"{path}:2"


def test_of_keys_that_do_not_agree_the_one_said_last_is_blamed(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(BASE)
    (tmp_path / "child.toml").write_text(CHILD)
    keys = ("data.crop", "training.ema")
    assert load_recipe(tmp_path / "base.toml").origins.latest(*keys) == "data.crop"
    assert load_recipe(tmp_path / "child.toml").origins.latest(*keys) == "training.ema"
    assert load_recipe(tmp_path / "child.toml", ["data.crop=[64, 64]"]).origins.latest(*keys) == "data.crop"
    assert load_recipe(tmp_path / "child.toml", ["data.crop=[64, 64]"]).origins.latest(*keys[::-1]) == "data.crop"
    assert (
        load_recipe(tmp_path / "base.toml").origins.latest("translators.a.generator", *keys[:1]).endswith("generator")
    )
