"""From TOML to a recipe: parents, overrides, errors that say where, and the way back."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantk.errors import RecipeError, UsageError
from gantk.recipe import Recipe, dump_recipe, load_recipe, located, recipe_from_table
from gantk.recipe.merge import merge
from gantk.recipe.overrides import _override
from gantk.recipe.values import Selection

BASE = """\
name = "base"

[run]
seed = 3

[data]
dataset = "phantom"
subjects = 12
inputs = ["t1", "t2"]
target = "t1ce"
batch = { paired = 2, unpaired = 3 }

[translators.a]
generator = { use = "resnet", channels = 8, blocks = 2 }
discriminator = { use = "patchgan", layers = 2 }

[translators.a.optimizer]
use = "adamw"
rates = { generator = 6e-4, discriminator = 3e-4 }

[translators.b]
like = "a"
generator.channels = 16

[maps.edges]
use = "edges"
strength = 2.0

[losses.pixelwise]
use = "l1"
on = "a"
map = "edges"
weight = 100

[losses.structure]
use = "ssim"
on = "b"
window = 7

[schedule]
use = "linear_decay"
epochs = 20
decay_epochs = 5
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "base.toml").write_text(BASE)

    def make(text: str, name: str = "child.toml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return make


@pytest.fixture
def base(write: Write) -> Path:
    return write(BASE, "base.toml")


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


# --- parents ----------------------------------------------------------------------------------------


def test_a_child_lays_its_keys_over_its_parents(write: Write) -> None:
    recipe = load_recipe(
        write('extends = "base.toml"\nname = "child"\n[run]\nprecision = "bf16"\n[losses.pixelwise]\nweight = 5')
    )
    assert recipe.name == "child"
    assert recipe.run.seed == 3
    assert recipe.run.precision == "bf16"
    assert recipe.losses["pixelwise"].weight == 5
    assert recipe.losses["pixelwise"].map == "edges"
    assert list(recipe.losses) == ["pixelwise", "structure"]


def test_parents_have_parents_and_paths_are_relative_to_the_file(write: Write) -> None:
    write('extends = "../base.toml"\nname = "middle"\nrun.seed = 4', "below/middle.toml")
    recipe = load_recipe(write('extends = "middle.toml"\nname = "last"', "below/last.toml"))
    assert (recipe.name, recipe.run.seed, recipe.data.inputs) == ("last", 4, ["t1", "t2"])


def test_a_circle_of_parents_is_an_error(write: Write) -> None:
    write('extends = "two.toml"', "one.toml")
    with pytest.raises(RecipeError, match="circle"):
        load_recipe(write('extends = "one.toml"', "two.toml"))


def test_a_missing_parent_is_named_with_the_nearest(write: Write) -> None:
    with pytest.raises(RecipeError, match=r"basse\.toml: no such recipe; did you mean 'base.toml'"):
        load_recipe(write('extends = "basse.toml"'))


def test_a_table_that_names_another_component_starts_afresh(write: Write) -> None:
    child = write(
        'extends = "base.toml"\n'
        '[schedule]\nuse = "constant"\n'
        '[translators.a]\ngenerator = { use = "unet" }\n'
        '[losses.pixelwise]\nuse = "l2"\n'
        '[losses.structure]\nuse = "l2"\n'
        '[data]\ndataset = "brats"\nroot = "there"\n'
    )
    recipe = load_recipe(child)
    assert recipe.schedule.parameters == {}
    assert recipe.translators["a"].generator.parameters == {}
    assert recipe.losses["structure"].parameters == {}  # window was ssim's
    assert recipe.losses["pixelwise"].weight == 100  # the table's own keys stay
    assert recipe.losses["pixelwise"].map == "edges"
    assert recipe.data.parameters == {"root": "there"}  # subjects was the phantom's
    assert recipe.data.inputs == ["t1", "t2"]
    assert recipe.translators["a"].discriminator.parameters == {"layers": 2}


def test_a_table_that_names_the_same_component_keeps_its_parameters(write: Write) -> None:
    recipe = load_recipe(write('extends = "base.toml"\n[schedule]\nuse = "linear_decay"\nepochs = 3'))
    assert recipe.schedule.parameters == {"epochs": 3, "decay_epochs": 5}


def test_another_optimizer_keeps_the_rates(write: Write) -> None:
    child = (
        load_recipe(write('extends = "base.toml"\n[translators.a.optimizer]\nuse = "sgd"')).translators["a"].optimizer
    )
    base = load_recipe(write(BASE, "base.toml")).translators["a"].optimizer
    assert child.use == "sgd"
    assert child.rates == base.rates


def test_without_takes_out_what_a_parent_has(write: Write) -> None:
    keys = ["losses.structure", "translators.b", "data.batch.unpaired", "losses.pixelwise.map", "maps.edges"]
    recipe = load_recipe(write(f'extends = "base.toml"\nwithout = {keys}'))
    assert list(recipe.losses) == ["pixelwise"]
    assert list(recipe.translators) == ["a"]
    assert recipe.data.batch == {"paired": 2}
    assert recipe.losses["pixelwise"].map is None
    assert recipe.maps == {}


def test_what_is_taken_out_can_be_put_in_afresh(write: Write) -> None:
    child = 'extends = "base.toml"\nwithout = ["losses.pixelwise"]\n[losses.pixelwise]\nuse = "l1"\non = "b"'
    assert load_recipe(write(child)).losses["pixelwise"].weight == 1


@pytest.mark.parametrize("key", ["losses.pixelwis", "loses.pixelwise", "name.first", "run.seed.first"])
def test_taking_out_what_is_not_there_is_an_error(write: Write, key: str) -> None:
    with pytest.raises(RecipeError, match=rf"child\.toml:3: cannot leave out '{key}'"):
        load_recipe(write(f'extends = "base.toml"\n\nwithout = ["{key}"]'))


def test_without_is_a_list(write: Write) -> None:
    with pytest.raises(RecipeError, match="`without` must be a list of keys"):
        load_recipe(write('extends = "base.toml"\nwithout = "losses.structure"'))


# --- like ---------------------------------------------------------------------------------------------


def test_like_copies_a_role_and_lays_the_rest_over_it(base: Path) -> None:
    a, b = load_recipe(base).translators.values()
    assert b.generator.parameters == {"channels": 16, "blocks": 2}
    assert a.generator.parameters == {"channels": 8, "blocks": 2}
    assert b.discriminator == a.discriminator
    assert b.optimizer == a.optimizer


def test_a_change_to_the_model_reaches_those_like_it(base: Path) -> None:
    recipe = load_recipe(base, ["translators.a.generator.blocks=5", "translators.a.optimizer.weight_decay=0.5"])
    assert recipe.translators["b"].generator.parameters == {"channels": 16, "blocks": 5}
    assert recipe.translators["b"].optimizer.parameters == {"weight_decay": 0.5}


def test_a_like_role_may_use_another_component(write: Write) -> None:
    recipe = load_recipe(write(BASE.replace("generator.channels = 16", 'generator.use = "unet"'), "base.toml"))
    assert recipe.translators["b"].generator.parameters == {}
    assert recipe.translators["a"].generator.parameters == {"channels": 8, "blocks": 2}


def test_what_is_no_table_cannot_be_copied(base: Path) -> None:
    for key in ('like="b"', 'average_of="b", decay=0.9'):
        with pytest.raises(RecipeError, match=r"translators.c.*'b', which is not a name of a translator above it"):
            load_recipe(base, ["translators.b=true", f"translators.c={{{key}}}"])


def test_an_average_has_the_generator_that_it_follows(base: Path) -> None:
    mean = ['translators.mean={average_of="a", decay=0.9}', "translators.a.generator.blocks=5"]
    recipe = load_recipe(base, mean)
    assert recipe.translators["mean"].generator == recipe.translators["a"].generator
    assert recipe.translators["mean"].discriminator is None
    assert recipe.learning == ("a", "b")
    assert recipe.answering == ("a", "b", "mean")
    assert recipe_from_table(tomllib.loads(dump_recipe(recipe))) == recipe


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            ['translators.mean={average_of="aa", decay=0.9}'],
            "average of 'aa', which is not a name of a translator",
        ),
        (['translators.mean={average_of="a"}'], "decay"),
        (["translators.b.decay=0.9"], "average_of"),
        (['translators.mean={average_of="a", decay=1.0}'], "less than 1"),
        (['translators.mean={average_of="a", decay=0.9, discriminator={use="patchgan"}}'], "no discriminator of its"),
        (['translators.mean={average_of="a", decay=0.9, generator={blocks=3}}'], "no generator of its own"),
        (
            ['translators.mean={average_of="a", decay=0.9}', 'translators.mean2={average_of="mean", decay=0.9}'],
            "'mean' is an average itself",
        ),
        (['translators.mean={average_of="a", decay=0.9}', "losses.pixelwise.on=mean"], "no term trains"),
    ],
)
def test_what_an_average_cannot_be(base: Path, wrong: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load_recipe(base, wrong)


def test_processes_that_translate_other_patients_do_not_wait_for_one_another(base: Path) -> None:
    wrong = ["training.sync_batch_norm=true", "translators.a.at_test=train"]
    with pytest.raises(RecipeError, match=r"translators.a.at_test: batch norms are to be synchronized"):
        load_recipe(base, wrong)
    assert load_recipe(base, wrong[:1]).training.sync_batch_norm


@pytest.mark.parametrize("said", ["t1ce", "run:", ":teacher", "weights.pt"])
def test_weights_are_of_a_run_or_a_file(base: Path, said: str) -> None:
    with pytest.raises(RecipeError, match=r"translators\.a\.weights \(it is .*names no weights; write \"RUN:ROLE\""):
        load_recipe(base, [f"translators.a.weights='{said}'"])


def test_a_weight_may_be_a_table(base: Path) -> None:
    ramp = "losses.pixelwise.weight={use='ramp', to=2, steps=9}"
    weight = load_recipe(base, [ramp, "losses.pixelwise.weight.to=3"]).losses["pixelwise"].weight
    assert isinstance(weight, Selection)
    assert (weight.use, weight.parameters) == ("ramp", {"to": 3, "steps": 9})
    other = load_recipe(base, [ramp, "losses.pixelwise.weight.use=other"]).losses["pixelwise"].weight
    assert isinstance(other, Selection)
    assert other.use == "other"
    assert load_recipe(base, [ramp, "losses.pixelwise.weight=4"]).losses["pixelwise"].weight == 4
    with pytest.raises(RecipeError, match=r"losses\.pixelwise\.weight\.use.* is missing"):
        load_recipe(base, ["losses.pixelwise.weight={to=2}"])


def test_like_must_name_a_role_above(write: Write) -> None:
    text = BASE.replace('like = "a"', 'like = "aa"')
    with pytest.raises(RecipeError, match=rf"base\.toml:{line_of(text, 'like')}: translators.b is like 'aa'.*'a'"):
        load_recipe(write(text, "base.toml"))


# --- overrides ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("x.y=1", 1),
        ("x.y=1.5", 1.5),
        ("x.y = 2e-4", 2e-4),
        ("x.y=true", True),
        ("x.y=[1, 2]", [1, 2]),
        ("x.y={a = 1}", {"a": 1}),
        ('x.y="1"', "1"),
        ("x.y=lsgan", "lsgan"),
        ("x.y=paired.target", "paired.target"),
        ("x.y=/data/of the patients", "/data/of the patients"),
        ("x.y=a=b", "a=b"),
    ],
)
def test_overrides_are_typed_as_toml(override: str, value: Any) -> None:
    read = _override(override, "--set")["x"]["y"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("override", ["x.y", "=1", "x..y=1", "x y=1", ".x=1", ""])
def test_an_override_that_cannot_be_read(override: str) -> None:
    with pytest.raises(UsageError, match="--set: cannot read the override"):
        _override(override, "--set")


@pytest.mark.parametrize("turned", [False, True])
def test_overrides_are_one_change_in_whatever_order(base: Path, turned: bool) -> None:
    overrides = ["schedule.use=cosine", "schedule.epochs=7"]
    recipe = load_recipe(base, overrides[::-1] if turned else overrides)
    assert recipe.schedule.use == "cosine"
    assert recipe.schedule.parameters == {"epochs": 7}


def test_the_later_override_wins(base: Path) -> None:
    assert load_recipe(base, ["run.seed=1", "run.seed=2"]).run.seed == 2


def test_an_override_of_the_wrong_type(base: Path) -> None:
    with pytest.raises(RecipeError, match=r"run\.seed \(it is 'x'\).*integer"):
        load_recipe(base, ["run.seed=x"])


# --- errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "wrong", "key", "mend"),
    [
        ("seed = 3", "sede = 3", "run.sede", "did you mean 'seed'"),
        ("[run]", "[runs]", "runs", "did you mean 'run'"),
        ("discriminator = {", "discriminater = {", "translators.a.discriminater", "did you mean 'discriminator'"),
        ('name = "base"', 'name = "base"\nzzz = 1', "zzz", "known: balance, data, description"),
    ],
)
def test_unknown_keys(write: Write, right: str, wrong: str, key: str, mend: str) -> None:
    text = BASE.replace(right, wrong)
    line = line_of(text, wrong.splitlines()[-1])
    with pytest.raises(RecipeError) as raised:
        load_recipe(write(text, "base.toml"))
    assert f"base.toml:{line}: unknown key '{key}'" in str(raised.value)
    assert mend in str(raised.value)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("seed = 3", 'seed = "three"', "run.seed (it is 'three'): Input should be a valid integer"),
        ("seed = 3", "seed = -1", "run.seed (it is -1): Input should be greater than or equal to 0"),
        ("batch = { paired = 2, unpaired = 3 }", "batch = { paired = 0 }", "data.batch.paired (it is 0)"),
        ('inputs = ["t1", "t2"]', 'inputs = ["t1", "t1"]', "data.inputs (it is ['t1', 't1']): names must differ"),
        ('target = "t1ce"', 'target = "t2"', "the target 't2' is also an input"),
        ("weight = 100", 'weight = "much"', "losses.pixelwise.weight (it is 'much')"),
        ('name = "base"', 'name = "a/b"', "name (it is 'a/b')"),
    ],
)
def test_wrong_values(write: Write, right: str, wrong: str, message: str) -> None:
    text = BASE.replace(right, wrong)
    line = line_of(text, wrong)
    with pytest.raises(RecipeError) as raised:
        load_recipe(write(text, "base.toml"))
    assert f"base.toml:{line}: {message}" in str(raised.value)


def test_a_wrong_part_of_the_rates(write: Write) -> None:
    text = BASE.replace("rates = { generator", "rates = { generater")
    with pytest.raises(RecipeError, match=rf"base\.toml:{line_of(text, 'rates')}: .*rates\.generater"):
        load_recipe(write(text, "base.toml"))


@pytest.mark.parametrize(
    ("left_out", "message"),
    [('use = "l1"', "the key 'losses.pixelwise.use' is missing"), ('name = "base"', "the key 'name' is missing")],
)
def test_missing_keys(write: Write, left_out: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(BASE.replace(left_out, "", 1), "base.toml"))


@pytest.mark.parametrize(
    ("rates", "complete"),
    [
        ("{ generator = 6e-4, discriminator = 3e-4 }", (6e-4, 6e-4, 3e-4)),
        ("{ heads = 1e-3 }", (2e-4, 1e-3, 2e-4)),
        ("{}", (2e-4, 2e-4, 2e-4)),
    ],
)
def test_every_part_has_a_rate(write: Write, rates: str, complete: tuple[float, ...]) -> None:
    text = BASE.replace("{ generator = 6e-4, discriminator = 3e-4 }", rates)
    found = load_recipe(write(text, "base.toml")).translators["a"].optimizer.rates
    assert tuple(found[part] for part in ("generator", "heads", "discriminator")) == complete


def test_updates_name_both_networks(base: Path) -> None:
    with pytest.raises(RecipeError, match="each at least once"):
        load_recipe(base, ['training.updates=["generator", "generator"]'])
    three = 'training.updates=["generator", "generator", "discriminator"]'
    assert load_recipe(base, [three]).training.updates == ("generator", "generator", "discriminator")
    with pytest.raises(RecipeError, match="each side once"):
        load_recipe(base, [three, "training.accumulate=2"])


def test_what_is_measured_is_what_is_not_shown(base: Path) -> None:
    everything = ['data.inputs=["t1", "t2"]', 'data.target=["t1", "t2", "t1ce"]']
    assert load_recipe(base, everything).measured == ("t1ce",)
    assert load_recipe(base, [*everything, 'evaluation.missing=["t2"]']).measured == ("t2", "t1ce")
    hidden = [*everything, 'evaluation.missing=["t1", "t2"]']
    assert load_recipe(base, [*hidden, 'evaluation.targets=["t1"]']).measured == ("t1",)
    with pytest.raises(RecipeError, match="the target 't1' is also an input"):
        load_recipe(base, [*everything, 'evaluation.targets=["t1"]'])
    for key, said in (("missing", "no input"), ("targets", "no target")):
        with pytest.raises(RecipeError, match=said):
            load_recipe(base, [*everything, f'evaluation.{key}=["pd"]'])


def test_translators_that_do_not_make_what_is_measured_do_not_answer(base: Path) -> None:
    backwards = ['translators.b={like="a"}', 'translators.b.takes=["t1ce"]', 'translators.b.gives=["t1"]']
    recipe = load_recipe(base, backwards)
    assert recipe.answering == recipe.evaluated == ("a",)
    assert recipe.predict_role == "a"
    with pytest.raises(RecipeError, match="no translator gives t1ce"):
        load_recipe(base, ['translators.a.gives=["t1"]'])


@pytest.mark.parametrize(("text", "message"), [("a = [", "not valid TOML"), ("a = 1\na = 2", "not valid TOML")])
def test_no_toml(write: Write, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(text))


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        load_recipe(tmp_path / "nowhere" / "x.toml")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "binary.toml")


def test_a_mistake_of_a_parent_is_placed_in_the_parent(write: Write) -> None:
    text = BASE.replace("strength = 2.0", "strength = 2.0\nenabled = 7")
    write(text, "base.toml")
    child = write('extends = "base.toml"\n[maps.edges]\nstrength = 3')
    with pytest.raises(RecipeError, match=rf"base\.toml:{line_of(text, 'enabled')}: maps\.edges\.enabled"):
        load_recipe(child)


def test_errors_of_components_get_the_line_of_their_key(write: Write) -> None:
    text = BASE.replace("window = 7", "windwo = 7")
    error = RecipeError(
        "loss 'ssim' has no parameter 'windwo'", where="losses.structure.windwo", mend="did you mean 'window'?"
    )
    shown = str(located(error, load_recipe(write(text, "base.toml"))))
    assert f"base.toml:{line_of(text, 'windwo')}: losses.structure.windwo: loss 'ssim' has no parameter" in shown
    assert "did you mean 'window'" in shown
    assert located(error, recipe_from_table(tomllib.loads(text))) is error  # of no file
    elsewhere = RecipeError("no such folder", where="/data/of the patients")
    assert located(elsewhere, load_recipe(write(text, "base.toml"))) is elsewhere


# --- there and back ----------------------------------------------------------------------------------------


def shipped() -> list[str]:
    folder = Path(__file__).parents[2] / "recipes"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.toml"))


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_loads_and_comes_back(recipes: Path, tmp_path: Path, name: str) -> None:
    recipe = load_recipe(recipes / name)
    (tmp_path / "dumped.toml").write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "dumped.toml") == recipe


def test_the_dump_is_complete(base: Path) -> None:
    dumped = tomllib.loads(dump_recipe(load_recipe(base)))
    assert dumped["translators"]["b"]["generator"] == {"use": "resnet", "channels": 16, "blocks": 2}
    assert dumped["training"]["updates"] == ["discriminator", "generator"]  # defaults are written out
    assert "like" not in dumped["translators"]["b"]


def test_inputs_and_targets_stand_for_the_names_in_data(base: Path) -> None:
    """So that a recipe runs on other data with the table `[data]` changed alone."""
    words = [
        "translators.b.takes=targets",
        "translators.b.gives=inputs",
        'evaluation.baselines=["input", "training_mean"]',
    ]
    recipe = load_recipe(base, words)
    assert recipe.translators["b"].takes == ["t1ce"]
    assert recipe.translators["b"].gives == ["t1", "t2"]
    assert recipe.translators["a"].takes is None
    assert recipe.evaluation.baselines == ["input:t1", "training_mean"]
    other = load_recipe(base, [*words, 'data.inputs=["a"]', 'data.target=["b", "c"]'])
    assert other.translators["b"].takes == ["b", "c"]
    assert other.evaluation.baselines[0] == "input:a"
    assert load_recipe(base, words).translators["a"].gives is None


def test_the_predicted_role_is_the_last_unless_said(base: Path) -> None:
    assert load_recipe(base).predict_role == "b"
    assert load_recipe(base, ["predict=a"]).predict_role == "a"


words = st.text("abcdefgh_", min_size=1, max_size=6)
scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8).filter(lambda t: t.isprintable()),
    st.lists(st.integers(0, 9), max_size=3),
)
parameters = st.dictionaries(words.map(lambda w: f"p_{w}"), scalars, max_size=4)


@given(
    generator=parameters,
    loss=parameters,
    schedule=parameters,
    dataset=parameters,
    seed=st.integers(0, 2**31),
    fraction=st.floats(0, 1, exclude_min=True),
    weight=st.floats(-1e6, 1e6),
    description=st.text(max_size=20),
    stages=st.none() | st.lists(words, min_size=1, max_size=2, unique=True),
)
def test_any_recipe_comes_back(
    generator: dict[str, Any],
    loss: dict[str, Any],
    schedule: dict[str, Any],
    dataset: dict[str, Any],
    seed: int,
    fraction: float,
    weight: float,
    description: str,
    stages: list[str] | None,
) -> None:
    recipe = Recipe.model_validate(
        {
            "name": "any",
            "description": description,
            "run": {"seed": seed},
            "data": {"dataset": "d", "inputs": ["a"], "target": "b", "paired_fraction": fraction, **dataset},
            "translators": {"one": {"generator": {"use": "g", **generator}}},
            "losses": {"l": {"use": "x", "on": "one", "weight": weight, "stages": stages, **loss}},
            "schedule": {"use": "s", **schedule},
        }
    )
    again = recipe_from_table(tomllib.loads(dump_recipe(recipe)))
    assert again == recipe
    assert again.losses["l"].parameters == loss
    assert again.data.parameters == dataset


tables = st.recursive(scalars, lambda inner: st.dictionaries(words, inner, max_size=3), max_leaves=8)
trees = st.dictionaries(words, tables, max_size=4)


@given(trees, trees)
def test_merging_keeps_both_and_prefers_the_change(base: dict[str, Any], change: dict[str, Any]) -> None:
    def merged(a: Any, b: Any) -> Any:
        if isinstance(a, dict) and isinstance(b, dict):
            return {k: merged(a.get(k), b[k]) if k in b else a[k] for k in {**a, **b}}
        return b

    expected = merged(base, change)
    merge(base, change)
    assert base == expected


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("data.split=nobody", r"data\.split \(it is 'nobody'\): a split is a table with ratio and seed, or \"none\""),
        ("data.split.sed=1", r"unknown key 'data\.split\.sed'; did you mean 'seed'"),
        ("data.split.seed=-1", r"data\.split\.seed \(it is -1\)"),
    ],
)
def test_a_split_is_a_table_or_a_word(base: Path, override: str, said: str) -> None:
    recipe = load_recipe(base, ["data.split=none"])
    assert recipe.data.split == "none"
    assert recipe_from_table(tomllib.loads(dump_recipe(recipe))) == recipe
    with pytest.raises(RecipeError, match=said):
        load_recipe(base, [override])


def test_another_schedule_keeps_what_acts_beside_it(write: Write) -> None:
    also = '[[schedule.also]]\nuse = "early_stop"\nrole = "r"'
    write(f'extends = "base.toml"\n[schedule]\nuse = "cosine"\n{also}', "mid.toml")
    recipe = load_recipe(write('extends = "mid.toml"\n[schedule]\nuse = "linear_decay"\nepochs = 3'))
    assert recipe.schedule.parameters == {"epochs": 3}
    assert [(also.use, also.parameters) for also in recipe.schedule.also] == [("early_stop", {"role": "r"})]
