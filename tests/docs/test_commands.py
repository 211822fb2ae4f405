"""Every command of the documentation is run, on small data, or is listed here with the reason why not.

All of them, those that are only named in a sentence included, are read by the command line's own parser.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from gantk.cli.main import app

ROOT = Path(__file__).parents[2]

NOT_RUN = {
    "gantk run recipes/ds3_semi.toml": "ten minutes",
    "gantk run recipes/unet_residual.toml": "two minutes",
    "gantk run recipes/volumes/pix2pix.toml": "ten minutes; the same",
    "gantk run recipes/volumes/ds3_semi.toml": "ten minutes; the same",
    "gantk run recipes/ds3_semi.toml --set name=slices-ds3-semi --set data.voxel=4.0 --set data.spacing=4.0 "
    "--set data.crop=[48,40] --set translators.first.generator.levels=3 --set translators.estimator.generator.levels=3 "
    "--set translators.teacher.generator.stages=3 --set losses.feature_distillation.layers=[0,1,2] "
    "--set evaluation.volumes=true": "five minutes",
    "gantk run recipes/volumes/unet_l1.toml": "ten minutes; tests/test_recipes.py trains it on small volumes",
    "gantk run recipes/unet_residual.toml --set name=slices --set data.voxel=4.0 --set data.spacing=4.0 "
    "--set data.crop=[48,40] --set data.subjects=60 --set translators.generator.generator.levels=3 "
    "--set evaluation.volumes=true": "two minutes",
    "gantk run recipes/ds3_published.toml --set run.seed=$seed": "ten minutes, three times",
    "gantk run recipes/ds3_semi.toml --set run.seed=$seed": "ten minutes, three times",
    "gantk run recipes/ds3_semi.toml --set name=two-pairs --set data.paired_fraction=0.03 "
    '--set "data.split={ratio=[70,10,20],seed=$seed}"': "ten minutes, twice",
    "gantk run recipes/ds3_semi.toml --set name=many --set run.seed=$seed --set data.subjects=200 "
    '--set "data.split={ratio=[70,10,120]}"': "half an hour, three times",
    "gantk run recipes/ds3_semi.toml --set name=real --set data.dataset=brats --set data.root=DIR "
    '--set data.paired_fraction=0.25 --set "data.split={ratio=[8,2,6],seed=$split}" --set run.seed=$seed': "patients",
    "gantk run recipes/pix2pix.toml --processes 4 --set data.batch.paired=8": "tests/api/test_processes.py runs two",
    "gantk run recipes/pix2pix.toml --set data.batch.paired=8": "torchrun's part of the same",
    "gantk run RECIPE.toml": "needs two machines",
    "gantk run recipes/unet_l1.toml --set schedule.epochs=2 --set schedule.decay_epochs=1": "minutes",
    "gantk ui": "serves until Ctrl-C; tests/tracking starts and ends it",
    "gantk ui --runs runs --port 5001": "serves until Ctrl-C",
    "gantk run mine.toml --tracking-uri http://127.0.0.1:5000": "needs a server",
    "gantk run mine.toml --set tracking.enabled=false": "the same as `gantk run mine.toml`, which is run so",
    "gantk predict RUN patients -o made": "tests/api/test_predict.py predicts cohorts",
    "gantk predict RUN cohort.csv -o made --flips": "the same",
    "gantk predict RUN bids -o bids/derivatives/gantk --ensemble RUN2 --ensemble RUN3": "the same",
    'gantk data table scans -o cohort.csv --layout dicom --pattern "t1ce=*mprage*gd*"': "tests/data/dicom",
    "gantk data check patients -o data-check": "tests/data/check/test_cohort.py checks cohorts",
    "gantk run --resume RUN --extend schedule.epochs=300": "tests/api/test_extension.py extends runs",
    "gantk sync RUN": "creates an MLflow database; tests/tracking does it",
    "gantk sync RUN --tracking-uri http://127.0.0.1:5000": "needs a server",
    "gantk run recipes/pix2pix.toml --device cuda": "needs a GPU, and minutes",
    "gantk run recipes/pix2pix.toml --device cuda:1": "needs two GPUs, and minutes",
    "gantk run recipes/pix2pix.toml --set run.precision=bf16": "minutes",
    "gantk run recipes/pix2pix.toml --set run.precision=fp16": "minutes",
    "gantk run ablation.toml": "hours; --list is run",
    "gantk run ablation.toml --workers 2": "hours",
    "gantk run ablation.toml --set run.seed=0": "hours",
    "gantk run recipes/tables/methods.toml --workers 2": "more than an hour; --list is run by tests/test_recipes.py",
    "gantk run recipes/ablations/ds3.toml --workers 2": "an hour",
    "gantk run recipes/tables/table1.toml --workers 2": "an hour",
    "gantk run recipes/ablations/few_patients.toml --workers 2 --set run.seed=0": "ten minutes",
    "gantk run my-loss/recipe.toml": "needs `pip install -e my-loss`; tests/test_stranger.py does it",
    "gantk run recipes/tables/table1.toml --launcher submitit --launch partition=gpu "
    "--launch gpus_per_node=1": "a cluster",
    "gantk run recipes/tables/table1.toml --launcher submitit --launch partition=gpu --launch nodes=2 --launch "
    "gpus_per_node=4": "a cluster",
}
SMALL = {
    "gantk run mine.toml": [
        "tracking.enabled=false", "data.crop=[32, 32]", "data.steps_per_epoch=1", "data.batch.paired=2",
        "translators.generator.generator.channels=4", "translators.generator.discriminator.channels=4",
        "schedule.epochs=1", "training.validation_slices=2", "training.panel_slices=1", "evaluation.examples=1",
    ],
}  # fmt: skip
"""Overrides that make a command small."""
INSTEAD = {
    "gantk table runs/ds3-published-* --role teacher --role student": "gantk table RUN OTHER_RUN --role generator",
    'gantk table runs/many-* --role teacher --role student --reference "many, teacher"': "gantk table RUN",
    "gantk table runs/many-* --role teacher --role student --reference baseline/input:t1": "gantk table RUN",
    "gantk table runs/ds3-semi-* --role teacher --role student --reference baseline/input:t1": "gantk table RUN",
    "gantk table runs/slices-ds3-semi-* runs/volumes-ds3-semi-* --role teacher --role student "
    '--reference "volumes-ds3-semi, student"': "gantk table RUN",
    "gantk table table2": "gantk table SWEEP --reference DS³",
    "gantk table table2 --json": "gantk table SWEEP --json",
    "gantk table table1": "gantk table SWEEP",
    "gantk table few-patients": "gantk table SWEEP",
    "gantk table methods --format md": "gantk table SWEEP --format md",
}
"""The same on what there is, where a command speaks of runs of hours."""
CHEAP = {"--list", "--dry-run", "--resume"}
"""Options with which `gantk run` trains nothing new."""
ALSO = {"gantk data phantom": ["--subjects", "1", "--spacing", "8"]}
"""Options that make a command small, by its beginning."""


def fenced(pages: dict[str, str]) -> list[str]:
    """The commands in blocks of shell, each once."""
    found = []
    own = [text for name, text in pages.items() if not name.startswith("examples/")]  # tests/docs/test_examples.py
    for text in own:
        for block in re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
            found += re.findall(r"(?:^|[\s/;&])(gantk (?:(?![;&|#]).)*)", block, re.MULTILINE)
    return list(dict.fromkeys(" ".join(line.split()) for line in found))


def named(pages: dict[str, str]) -> Iterator[str]:
    """The commands in spans of code; optional parts count."""
    for text in pages.values():
        for span in re.findall(r"`(gantk [^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)):
            yield span.replace("[", " ").replace("]", " ").replace("\\|", " ")


def command_of(words: Sequence[str]) -> tuple[Any, list[str]]:
    """The command that words begin with, and the rest of them."""
    command, rest = get_command(app), list(words)
    while hasattr(command, "commands") and rest and rest[0] in command.commands:
        command = command.commands[rest.pop(0)]
    return command, rest


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, write_files: Callable[..., list[Path]]
) -> Iterator[Callable[[str], Any]]:
    """Runs a command in a folder that has what the pages speak of: recipes, patients, runs, a sweep."""
    from gantk.testing import write_cohort, write_pictures

    folder = tmp_path_factory.mktemp("reader")
    (folder / "recipes").symlink_to(ROOT / "recipes")
    write_files(folder, "recipes.md", "ablations.md", "your-data.md")
    write_cohort(folder / "data")
    write_pictures(folder / "pictures")
    for name, there in (("mine.toml", folder / "data"), ("pictures.toml", folder / "pictures")):
        recipe = folder / name
        recipe.write_text(re.sub(r'root = ".*"', f'root = "{there.as_posix()}"', recipe.read_text()))
    (folder / "PATIENT_DIR").symlink_to(folder / "data" / "P0")
    runner = CliRunner()

    def run(line: str) -> Any:
        words = shlex.split(INSTEAD.get(line, line))[1:]
        for beginning, more in ALSO.items():
            words += more if line.startswith(beginning) else []
        for override in SMALL.get(line, ()):
            words += ["--set", override]
        done = runner.invoke(app, words)
        if line in SMALL:
            furnish(folder / "runs")
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield run


def furnish(runs: Path) -> None:
    """Give the run of `mine.toml` the names that the pages use, and make a sweep of two of it."""
    (run,) = runs.glob("mine-*")
    run.rename(runs / "RUN")
    shutil.copytree(runs / "RUN", runs / "OTHER_RUN")
    children = []
    for number, label in enumerate(("DS³", "Pix2Pix")):
        child = runs / "SWEEP" / "children" / f"child-{number}"
        shutil.copytree(runs / "RUN", child)
        about = {"id": child.name, "variant": f"v{number}", "changes": {"run.seed": 0}, "label": label}
        (child / "child.json").write_text(json.dumps({**about, "parent": "SWEEP"}))
        children.append({**about, "report": ["generator"]})
    (runs / "SWEEP" / "sweep.json").write_text(
        json.dumps({"name": "SWEEP", "description": "", "recipe": "s.toml", "children": children})
    )
    labels = "".join(f'\n[variants.{child["variant"]}]\nlabel = "{child["label"]}"\n' for child in children)
    (runs / "SWEEP" / "recipe.toml").write_text((runs / "RUN" / "recipe.toml").read_text() + labels)


def test_commands_are_run(place: Callable[[str], Any], pages: dict[str, str]) -> None:
    lines = [line for line in fenced(pages) if line not in NOT_RUN]
    assert len(lines) > 20
    trains = [line for line in lines if line.startswith("gantk run") and not CHEAP.intersection(shlex.split(line))]
    assert set(trains) <= SMALL.keys(), "made small in SMALL, or listed in NOT_RUN"
    failed = {}
    for line in sorted(lines, key=lambda line: line not in SMALL):
        done = place(line)
        if done.exit_code != 0:
            failed[line] = f"{done.exit_code}: {done.output[-1500:]} {done.exception!r}"
    assert not failed, "\n".join(f"{line}\n{said}" for line, said in failed.items())


def test_what_is_not_run_stands_in_the_pages(pages: dict[str, str]) -> None:
    assert NOT_RUN.keys() <= set(fenced(pages)), NOT_RUN.keys() - set(fenced(pages))


def test_commands_are_understood(pages: dict[str, str]) -> None:
    for line in fenced(pages):
        command, rest = command_of(shlex.split(line)[1:])
        assert not hasattr(command, "commands"), f"{line}: there is no such command"
        command.make_context(line, rest)  # raises where an option or argument is wrong


def test_named_commands_and_options_exist(pages: dict[str, str]) -> None:
    seen = 0
    for span in named(pages):
        words = span.split()[1:]
        if words[0].isupper():
            continue
        command, _ = command_of(words)
        verbs = getattr(command, "commands", None)
        options = {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
        if verbs is not None and not words[0].startswith("-"):
            assert words[0] in get_command(app).commands, span
        for word in words:
            if word.startswith("-"):
                assert word.rstrip(",.;:") in options, span
        seen += 1
    assert seen > 20
