"""Properties of all commands: speed, help, exit codes, errors without tracebacks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import gantk
from base_recipe import LEAST
from command_line import alone, call
from gantk.cli.main import app
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
HEAVY = ("torch", "mlflow", "numpy", "nibabel", "rich.progress")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["data", "phantom", "--help"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    done, loaded = alone(*arguments, heavy=HEAVY)
    assert done.returncode == 0, done.stderr
    assert loaded == []


SWEEP = f"{LEAST}[variants.x]\n[variants.y]\n[sweep]\n'data.crop' = [[32, 32], [64, 64]]\n"


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        (LEAST, ["validate", "--set", "training.emma=1"], "--set training.emma: unknown key"),
        (LEAST.replace("[data]", "[daat]"), ["validate"], "unknown key 'daat'"),
        (LEAST.replace('"a"', '"b"'), ["run", "--dry-run"], "there is no translator 'b'"),
        (LEAST, ["run", "--set", "data.crop=[48]"], "--set data.crop (it is [48])"),
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
    done, loaded = alone(verb, "recipe.toml", *rest, folder=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert (done.stdout, loaded) == ("", [])


def test_a_wrong_change_of_an_evaluation_is_told_without_torch(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(LEAST)
    done, loaded = alone("evaluate", ".", "--set", "evaluation.regions=[]", folder=tmp_path)
    assert "--set evaluation.regions (it is [])" in done.stderr
    assert (done.returncode, done.stdout, loaded) == (2, "", [])


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


@pytest.mark.parametrize("verb", ["run", "predict", "compare", "evaluate", "sync", "report", "figure", "table", "ui"])
def test_one_flag_names_the_folder_of_the_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verb: str) -> None:
    monkeypatch.chdir(tmp_path)
    more = {"run": ["--resume", "none"], "predict": ["none", ".", "-o", "x.nii"], "ui": []}.get(verb, ["none"])
    result = call(verb, *more, "--runs", tmp_path / "elsewhere")
    assert result.exit_code == 2
    assert str(tmp_path / "elsewhere") in result.stderr
    assert os.listdir(tmp_path) == []  # noqa: PTH208


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


def test_an_error_of_run_is_json_too(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('nam = "x"')
    done = call("run", tmp_path / "r.toml", "--json")
    assert done.exit_code == 2
    assert "nam" in json.loads(done.stdout)["error"]


#: The command with an object that Python's finalization ends, and a thread and a function that end before.
KEPT = """
import atexit
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from gantk.cli.main import main

class Kept:
    def __del__(self):
        print("finalized")

kept = Kept()
atexit.register(print, "exit functions")
threading.Thread(target=lambda: (threading.main_thread().join(), time.sleep(1), print("thread"))).start()
pool = ThreadPoolExecutor()  # its threads wait for work until Python ends them
pool.submit(time.sleep, 0)
main()
"""


@pytest.mark.parametrize(("processes", "finalized"), [("1", True), ("2", False)])
@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["evaluate", "runs/none"], 2)])
def test_one_of_several_processes_ends_without_finalization(
    arguments: list[str], code: int, processes: str, finalized: bool, tmp_path: Path
) -> None:
    environment = os.environ | {"WORLD_SIZE": processes, "RANK": "0"}
    command = [sys.executable, "-c", KEPT, *arguments]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == code
    assert ended.stdout.startswith("gantk ") or ended.stderr.startswith("error: ")
    assert "thread\nexit functions" in ended.stdout
    assert ("finalized" in ended.stdout) is finalized
