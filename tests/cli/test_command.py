"""What holds for every verb: speed, help, exit codes, errors without tracebacks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import gantk
from gantk.cli import errors
from gantk.cli.main import app
from gantk.errors import DataError, GantkError, Interrupted, RecipeError
from gantk.recipe import load_recipe

VERBS = [
    "new",
    "show",
    "schema",
    "run",
    "validate",
    "predict",
    "compare",
    "table",
    "figure",
    "report",
    "ui",
    "sync",
    "list",
    "plugins",
    "doctor",
    "data",
    "recipes",
]
HEAVY = ["torch", "mlflow", "numpy", "nibabel", "rich.progress"]


def call(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["data", "phantom", "--help"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from gantk.cli.main import main\n"
        f"sys.argv = ['gantk', *{arguments}]\n"
        "try: main()\n"
        f"finally: print('loaded:', [m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("loaded: []\n")


RIGHT = """\
name = "right"
[data]
dataset = "phantom"
inputs = ["t1"]
target = "t1ce"
[translators.a]
generator.use = "resnet"
[losses.l]
use = "l1"
on = "a"
[schedule]
use = "constant"
"""
SWEEP = f"{RIGHT}[variants.x]\n[variants.y]\n[sweep]\n'data.crop' = [[32, 32], [64, 64]]\n"


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        (RIGHT, ["validate", "--set", "training.emma=1"], "--set training.emma: unknown key"),
        (RIGHT.replace("[data]", "[daat]"), ["validate"], "unknown key 'daat'"),
        (RIGHT.replace('"a"', '"b"'), ["run", "--dry-run"], "there is no translator 'b'"),
        (RIGHT, ["run", "--set", "data.crop=[48]"], "--set data.crop (it is [48])"),
        (SWEEP, ["run", "--list", "--set", "run.sed=1"], "variant 'x': unknown key"),
        (SWEEP.replace("[64, 64]]", "[64]]"), ["run"], "2 values are expected"),
        (SWEEP.replace("[variants.y]", '[variants.y]\n"training.ema" = 3'), ["run", "--dry-run"], "variant 'y'"),
    ],
)
def test_what_the_core_can_tell_is_told_without_torch(
    tmp_path: Path, text: str, arguments: list[str], said: str
) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    verb, *rest = arguments
    code = (
        "import sys; from gantk.cli.main import main\n"
        f"sys.argv = ['gantk', {verb!r}, 'recipe.toml', *{rest}]\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == "False\n"


def test_a_wrong_change_of_an_evaluation_is_told_without_torch(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RIGHT)
    code = (
        "import sys; from gantk.cli.main import main\n"
        "sys.argv = ['gantk', 'evaluate', '.', '--set', 'evaluation.regions=[]']\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert "--set evaluation.regions (it is [])" in done.stderr
    assert (done.returncode, done.stdout) == (2, "False\n")


def pages(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from pages(inner, (*path, name))


@pytest.mark.parametrize(
    ("path", "command"), [pytest.param(*page, id=" ".join(page[0])) for page in pages(get_command(app))]
)
def test_help_says_all_that_is_written(path: tuple[str, ...], command: Any) -> None:
    """No bracket taken for markup, no sentence cut."""
    page = " ".join(call(*path, "--help").stdout.split())
    texts = [command.help or "", *(getattr(p, "help", None) or "" for p in command.params if not p.hidden)]
    texts += [inner.help.partition("\n\n")[0] for inner in getattr(command, "commands", {}).values()]
    assert command.help
    for text in filter(None, texts):
        assert " ".join(text.split()) in page
        assert all(paragraph.endswith(".") for paragraph in text.split("\n\n")), text
        assert not re.search(r"\(\)|\[\]|``|\w  \w| [,.;:](\s|$)", text), text
    assert "..." not in page.replace("]...", "").replace("}...", "")
    assert "…" not in page


@pytest.mark.parametrize(
    ("path", "command"), [pytest.param(*page, id=" ".join(page[0])) for page in pages(get_command(app))]
)
def test_every_argument_and_option_says_what_it_is(path: tuple[str, ...], command: Any) -> None:
    shells = {"install_completion", "show_completion"}
    for parameter in command.params:
        if parameter.name in shells | {"help"}:
            continue
        assert re.match(r"[A-Z]", getattr(parameter, "help", None) or ""), f"{path} {parameter.name}"
        assert not parameter.secondary_opts, "a flag that is off by default needs no --no-…"


def test_examples_of_overrides_are_right(recipes: Path) -> None:
    options = (parameter for _, command in pages(get_command(app)) for parameter in command.params)
    examples = {found for option in options for found in re.findall(r"--set (\S+=\S+?)\.? ", f"{option.help} ")}
    assert {example.partition("=")[0] for example in examples} == {"training.ema", "evaluation.batch"}
    load_recipe(recipes / "pix2pix.toml", sorted(examples))


def test_every_verb_is_listed_and_has_help() -> None:
    overview = call("--help").stdout
    for verb in VERBS:
        assert verb in overview
        assert call(verb, "--help").exit_code == 0


@pytest.mark.parametrize(
    "arguments", [["fly"], ["run", "--fly"], ["run"], ["predict", "x"], ["ui", "--port", "many"], ["compare"]]
)
def test_wrong_usage_exits_2(arguments: list[str]) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RecipeError("the key is unknown", where="r.toml", mend="did you mean 'x'?"), 2),
        (DataError("the file is cut off", where="a.nii.gz"), 1),
        (Interrupted("the run was interrupted"), 130),
        (KeyboardInterrupt(), 130),
    ],
)
def test_what_a_user_can_mend_is_one_paragraph(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setitem(vars(gantk), "validate", fail)
    result = call("validate", "r.toml")
    assert result.exit_code == code
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    if isinstance(error, GantkError):
        assert str(error) in result.stderr.replace("\n", " ").replace("  ", " ")


def test_an_unexpected_error_leaves_a_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by [zero]")

    monkeypatch.setitem(vars(gantk), "validate", fail)
    monkeypatch.setattr("gantk.cli.errors._log", lambda: tmp_path / "error.log")
    result = call("validate", "r.toml")
    assert result.exit_code == 1
    assert "ZeroDivisionError: by [zero]" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in (tmp_path / "error.log").read_text()
    assert "Traceback" in call("--debug", "validate", "r.toml").stderr


def test_validate_speaks_json_of_right_and_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    class Checked:
        name = "tiny"

        def model_dump(self, mode: str) -> dict[str, str]:
            return {"name": "tiny"}

    seen: list[object] = []

    def check(path: Path, overrides: object) -> Checked:
        seen.append((path, overrides))
        if path.name == "wrong.toml":
            raise RecipeError("wrong")
        return Checked()

    monkeypatch.setitem(vars(gantk), "validate", check)
    right = call("validate", "right.toml", "--set", "a.b=1", "--set", "c=2", "--json")
    assert json.loads(right.stdout)["valid"] is True
    assert seen == [(Path("right.toml"), ("a.b=1", "c=2"))]
    wrong = call("validate", "wrong.toml", "--json")
    assert (wrong.exit_code, json.loads(wrong.stdout)["valid"]) == (2, False)
    assert call("validate", "right.toml").stdout == "right.toml: recipe 'tiny' is valid\n"


def test_doctor_looks_at_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    result = call("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert {
        "python",
        "torch",
        "device",
        "threads",
        "memory",
        "cache",
        "runs",
        "packages",
        "mlflow",
    } <= checks.keys()
    assert str(tmp_path / "cache") in checks["cache"]["found"]
    assert result.exit_code == int(any(check["state"] == "fail" for check in checks.values()))
    assert list(tmp_path.iterdir()) == []


def test_doctor_shows_what_the_dead_left_and_what_is_damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path / "cache"))
    left = [tmp_path / "runs/a/panels/.1-2-3.partial-x.png", tmp_path / "cache/slices/.1-2-3.partial-y"]
    for path in left:
        path.mkdir(parents=True)
        os.utime(path, (0, 0))
    (tmp_path / "runs" / "a" / "recipe.toml").write_text("half = ")
    for name in ("began", "mine", ".1-2-3.partial-new"):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "split.csv").write_text("")
    (tmp_path / "runs" / "mine" / "precious.txt").write_text("")
    found = json.loads(call("doctor", "--json").stdout)
    mends = {check["found"]: check["mend"] for check in found if check["name"] == "leftovers"}
    assert mends == {
        "2 half-written files of killed processes": f"rm -r {left[0]} {left[1]}",
        "1 folder of runs that never began": f"rm -r {tmp_path / 'runs' / 'began'}",
    }
    (damaged,) = [check["found"] for check in found if check["name"] == "run a"]
    assert "recipe.toml is no TOML" in damaged


def test_doctor_names_what_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path / "file" / "cache"))
    result = call("doctor", "--json", "--tracking-uri", "http://127.0.0.1:1")
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert checks["cache"]["state"] == "fail"
    assert "GANTK_CACHE" in checks["cache"]["mend"]
    assert checks["mlflow"]["state"] == "warn"
    assert result.exit_code == 1


def test_sync_and_friends_say_that_there_is_no_such_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ["sync", "none"],
        ["report", "none"],
        ["compare", "none"],
        ["predict", "none", ".", "-o", "x.nii"],
    ):
        result = call(*arguments)
        assert result.exit_code == 2, arguments
        assert "there is no run 'none'" in result.stderr
        assert "Traceback" not in result.stderr
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.parametrize("verb", ["run", "predict", "compare", "evaluate", "sync", "report", "figure", "table", "ui"])
def test_one_flag_names_the_folder_of_the_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verb: str) -> None:
    monkeypatch.chdir(tmp_path)
    more = {"run": ["--resume", "none"], "predict": ["none", ".", "-o", "x.nii"], "ui": []}.get(verb, ["none"])
    result = call(verb, *more, "--runs", tmp_path / "elsewhere")
    assert result.exit_code == 2
    assert str(tmp_path / "elsewhere") in result.stderr
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_data_phantom_checks_its_arguments(tmp_path: Path) -> None:
    assert call("data", "phantom", tmp_path, "--subjects", "0").exit_code == 2
    assert call("data", "phantom", tmp_path, "--spacing", "0.1").exit_code == 2


def test_a_warning_ends_in_one_full_stop(capsys: pytest.CaptureFixture[str]) -> None:
    with errors._spoken_warnings():
        warnings.warn(errors.GantkWarning("a sentence."), stacklevel=1)
        warnings.warn(errors.GantkWarning("a clause"), stacklevel=1)
    assert capsys.readouterr().err == "warning: a sentence.\nwarning: a clause.\n"


@pytest.mark.parametrize(
    ("verb", "meant"),
    [("train", "run"), ("trian", "run"), ("infer", "predict"), ("runn", "run"), ("resume", "run --res")],
)
def test_a_wrong_verb_gets_a_suggestion(verb: str, meant: str) -> None:
    done = call(verb, "x")
    assert done.exit_code == 2
    assert f"error: there is no command '{verb}'; did you mean 'gantk {meant}" in done.output
    assert "Usage" not in done.output


def test_a_verb_that_is_like_none_gets_the_list() -> None:
    assert "there is no command 'xyzzy'; see `gantk --help`" in call("xyzzy").output


def test_the_version_by_one_letter() -> None:
    assert call("-V").stdout == f"gantk {gantk.__version__}\n"


def test_recipes_are_listed_with_a_line_each() -> None:
    found = {recipe["name"]: recipe["description"] for recipe in json.loads(call("recipes", "--json").stdout)}
    assert found["pix2pix"].startswith("Pix2Pix")
    assert all(found.values())


def test_a_shipped_recipe_is_named_when_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("run", "pix2pix", "--set", "run.sed=1")
    assert "recipe pix2pix, which comes with gantk:" in done.stderr
    (tmp_path / "pix2pix").write_text("nonsense")
    assert "comes with gantk" not in call("run", "pix2pix").stderr


def test_an_error_of_run_is_json_too(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('nam = "x"')
    done = call("run", tmp_path / "r.toml", "--json")
    assert done.exit_code == 2
    assert "nam" in json.loads(done.stdout)["error"]


def test_a_command_to_copy_stands_alone() -> None:
    error = Interrupted("it was stopped", where="x", mend="go on with", command="gantk run --resume x")
    assert str(error).splitlines() == ["x: it was stopped; go on with:", "  gantk run --resume x"]


@pytest.mark.parametrize(
    ("words", "start", "found"),
    [("run", "pix2p", "pix2pix"), ("list", "loss", "losses"), ("show losses", "patch", "patch_nce")],
)
def test_completion(words: str, start: str, found: str) -> None:
    asked = {"_GANTK_COMPLETE": "complete_bash", "COMP_WORDS": f"gantk {words} {start}"}
    asked["COMP_CWORD"] = str(len(words.split()) + 1)
    done = CliRunner().invoke(app, [], prog_name="gantk", env=asked)
    assert found in done.stdout.split()
