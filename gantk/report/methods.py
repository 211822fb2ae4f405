"""The methods paragraph of a paper, from a run's folder, with BibTeX entries of the used methods."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from gantk.errors import EvaluationError
from gantk.evaluation.results import Evaluation, is_evaluated
from gantk.evaluation.subjects import Subjects
from gantk.progress import duration
from gantk.runs.files import RunFiles, is_run
from gantk.runs.names import EVALUATION
from gantk.tables.model import region_title

__all__ = ["Methods", "describe"]

REFERENCES = "references.bib"
GROUP = "gantk"
ALWAYS = "always"
_PICTURES = ("images", "image_table")  # datasets of a run that was not evaluated yet


@dataclass(frozen=True)
class Methods:
    """The methods section of a run for a paper.

    Attributes:
        paragraphs: the sentences by heading.
        bibtex: entries of the methods, metrics, data and software that the run used.
    """

    paragraphs: Mapping[str, str]
    bibtex: str

    @property
    def text(self) -> str:
        """The paragraphs, each preceded by its heading."""
        return "\n\n".join(f"{heading}. {said}" for heading, said in self.paragraphs.items())


def describe(run: Path) -> Methods:
    """Describe a run's data, preprocessing, networks, training, evaluation and software as its folder records them.

    Raises:
        EvaluationError: the folder is not a run.
        RecipeError: the recipe is damaged and there is no checkpoint to restore it from.
    """
    files = RunFiles(run)
    if not is_run(run):
        raise EvaluationError("this is not the folder of a run", where=run, mend="name a folder below runs/")
    recipe = files.recipe()
    evaluation = Evaluation.read(run / EVALUATION) if is_evaluated(run / EVALUATION) else None
    noun = evaluation.subjects.noun if evaluation else "patient"
    said = {
        "Data": _data(files, recipe, evaluation.subjects if evaluation else Subjects()),
        "Preprocessing": _preprocessing(recipe, noun),
        "Networks": _networks(recipe),
        "Training": _training(files, recipe),
        "Evaluation": _evaluation(recipe, evaluation, noun),
        "Software": _software(files),
    }
    return Methods(said, "\n\n".join(_entries(_used(recipe))))


def _data(files: RunFiles, recipe: Mapping[str, Any], subjects: Subjects) -> str:
    data, split, noun = recipe["data"], files.split(), subjects.noun
    targets = [data["target"]] if isinstance(data["target"], str) else data["target"]
    said = f"{_and(targets)} was synthesized from {_and(data['inputs'])} (dataset {data['dataset']})."
    if split is None:
        return said
    kinds = {
        "for training with inputs and target": split.paired,
        "for training with inputs only": split.unpaired,
        "for training with targets only": split.target,
        "for validation": split.validation,
        "for testing": split.test,
    }
    parts = [f"{len(ids)} {kind}" for kind, ids in kinds.items() if ids]
    if split.on_training:
        return f"{said} All {len(split.subjects)} {noun}s were used for both training and evaluation."
    used = f"{len(split.subjects)} {noun}s were used: {_and(parts)}."
    used += f" {subjects.omitted}." if subjects.omitted else ""
    return f"{said} {used} The split is by patient (hash {split.hash})."


def _preprocessing(recipe: Mapping[str, Any], noun: str) -> str:
    data = recipe["data"]
    height, width = data["crop"]
    if noun != "patient" or data["dataset"] in _PICTURES:
        return f"Pictures were resized and cropped to {height} × {width} pixels and mapped to [-1, 1]."
    rule = data.get("normalisation", {})
    return (
        f"Volumes were brought to LPS orientation; {_grid(data)}. "
        f"Inside the foreground, intensities up to {rule.get('reach', 2):g} times their percentile "
        f"{rule.get('percentile', 80):g} were mapped linearly to [-1, 0.9] and those above to [0.9, 1], for each "
        "volume or, if numbers mean the same in all patients, with one scale for the cohort; the background is -1."
    )


def _grid(data: Mapping[str, Any]) -> str:
    """The geometric preprocessing, as the end of a sentence."""
    spacing, (height, width) = data.get("spacing"), data["crop"]
    sizes = [f"{size:g}" for size in ([spacing] if isinstance(spacing, int | float) else spacing or [])]
    whole = data.get("dimensions", 2) == 3
    along = "along z, y and x" if len(sizes) == 3 else "along all axes" if whole else "in plane"
    resampled = f"resampled to {' × '.join(sizes)} mm {along} and " if sizes else ""
    onto = data.get("resample")
    before = f"images on other grids were resampled to that of {onto.removeprefix('to:')}; " if onto else ""
    near = data.get("neighbours", 0)
    said = f"{before}{data.get('plane', 'axial')} slices were {resampled}cropped or padded to {height} × {width} pixels"
    said += f", with {near} slice{'s' if near > 1 else ''} on each side as additional channels" if near else ""
    if whole:
        patch = " × ".join(map(str, data["patch"]))
        said += f" and stacked to volumes; training used patches of {patch} voxels (slices, height, width)"
    return said


def _networks(recipe: Mapping[str, Any]) -> str:
    said = []
    for role, settings in recipe["translators"].items():
        if settings.get("average_of"):
            said.append(f"{role} is an exponential moving average of {settings['average_of']}")
            continue
        judge = settings.get("discriminator")
        text = f"{role}: generator {_component(settings['generator'])}"
        if settings.get("residual"):
            text += f", which predicts a change of {settings['residual']}"
        if settings.get("auxiliary"):
            text += ", whose output is no image"
        text += _begun(settings.get("weights"))
        said.append(text + (f", discriminator {_component(judge)}" if judge else ", no discriminator"))
    return "; ".join(said) + "."


def _begun(weights: str | Mapping[str, Any] | None) -> str:
    """The weights that a generator starts with, in the middle of a sentence."""
    given = {"source": weights} if isinstance(weights, str) else weights or {}
    if not given:
        return ""
    mark = f" (SHA-256 {given['sha256'][:12]}…)" if given.get("sha256") else ""
    fit = ", as far as they fit" if given.get("shared") else ""
    return f", initialized with the weights of {given['source'].rpartition('/')[2]}{mark}{fit}"


def _training(files: RunFiles, recipe: Mapping[str, Any]) -> str:
    terms = [
        f"{name} ({loss['use']} on {loss['on']}, weight {_weight(loss.get('weight', 1))}"
        + (f", map {loss['map']})" if loss.get("map") else ")")
        for name, loss in recipe["losses"].items()
        if loss.get("enabled", True)
    ]
    optimizers = dict.fromkeys(
        _component(settings["optimizer"]) for settings in recipe["translators"].values() if "optimizer" in settings
    )
    batch = [f"{count} {group}" for group, count in recipe["data"].get("batch", {}).items()]
    noun = "patches" if recipe["data"].get("dimensions") == 3 else "slices"
    status, run = files.status(), recipe.get("run", {})
    maps = _enabled(recipe, "maps")
    changes = _enabled(recipe, "transforms")
    ema, parent = recipe.get("training", {}).get("ema"), recipe.get("parent")
    steps, seconds = status.get("step"), status.get("seconds")
    took = f" in {duration(seconds)}" if isinstance(seconds, int | float) else ""
    device = files.environment().get("device")
    took += f" on {device}" if device else ""
    took += f", after {parent['step']:,} steps of the run {parent['run']}, which this run continued" if parent else ""
    steps = steps - parent["step"] if isinstance(steps, int) and parent else steps
    parts = [
        f"The objective was the sum of {_and(terms)}.",
        f"Weight maps: {'; '.join(maps)}." if maps else "",
        f"Training batches were randomly transformed by {_and(changes)}." if changes else "",
        f"The evaluated weights are an exponential moving average with decay {ema:g}." if ema else "",
        f"Optimizer: {' and '.join(optimizers)}." if optimizers else "",
        f"Schedule: {_component(recipe['schedule'])}.",
        f"Each step used {_and(batch)} {noun}; training took {steps:,} steps{took}." if isinstance(steps, int) else "",
        f"Precision {run.get('precision', 'fp32')}, seed {run.get('seed', 0)}.",
    ]
    return " ".join(part for part in parts if part)


def _enabled(recipe: Mapping[str, Any], table: str) -> list[str]:
    """The enabled components of a table, each with its name if that differs from the component's."""
    told = {"use", "enabled", "on_request", "groups", "stages"}
    return [
        _component({"use": name if name == one["use"] else f"{name}, {one['use']}"} | _without(one, told))
        for name, one in recipe.get(table, {}).items()
        if one.get("enabled", True)
    ]


def _without(table: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}


def _evaluation(recipe: Mapping[str, Any], evaluation: Evaluation | None, noun: str) -> str:
    if evaluation is None:
        return "The run was not evaluated."
    titles = dict.fromkeys(column.title for column in evaluation.columns.values())
    regions = dict.fromkeys(region_title(column.region) for column in evaluation.columns.values())
    count = len({row.patient for row in evaluation.rows})
    weights = f" Evaluated checkpoint: {evaluation.checkpoint}." if evaluation.checkpoint else ""
    return (
        f"{_and(list(titles))} were measured on {_and(list(regions))} of {count} {evaluation.subjects.measured} and "
        f"are given as mean and standard deviation over {noun}s.{weights}"
    )


def _software(files: RunFiles) -> str:
    environment = files.environment()
    packages = {name: version for name, version in (environment.get("packages") or {}).items() if version}
    commit = (environment.get("git") or {}).get("commit")
    python = environment.get("python")
    listed = ", ".join(f"{name} {version}" for name, version in packages.items())
    return f"Python {python}, {listed}{f'; commit {commit}' if commit else ''}."


def _component(table: Mapping[str, Any]) -> str:
    parameters = [f"{key} {_value(value)}" for key, value in table.items() if key != "use" and value not in ([], {})]
    return f"{table['use']} ({', '.join(parameters)})" if parameters else str(table["use"])


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return " and ".join(f"{_value(one)} ({key})" for key, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _weight(weight: object) -> str:
    return _component(weight) if isinstance(weight, Mapping) else _value(weight)


def _and(items: Sequence[object]) -> str:
    *most, last = map(str, items)
    return f"{', '.join(most)} and {last}" if most else last


def _used(recipe: Mapping[str, Any]) -> set[str]:
    """The components that a recipe uses, as `kind:name`."""
    kinds = {
        "generator": [settings.get("generator") for settings in recipe["translators"].values()],
        "discriminator": [settings.get("discriminator") for settings in recipe["translators"].values()],
        "optimizer": [settings.get("optimizer") for settings in recipe["translators"].values()],
        "loss": [table for table in recipe["losses"].values() if table.get("enabled", True)],
        "weight_map": [table for table in recipe.get("maps", {}).values() if table.get("enabled", True)],
        "transform": [table for table in recipe.get("transforms", {}).values() if table.get("enabled", True)],
        "scheduler": [recipe["schedule"], *recipe["schedule"].get("also", [])],
        "balance": [recipe.get("balance")],
        "augmentation": [settings.get("shown") for settings in recipe["translators"].values()],
        "metric": [one if isinstance(one, Mapping) else {"use": one} for one in recipe["evaluation"]["metrics"]],
        "dataset": [{"use": recipe["data"]["dataset"]}],
    }
    return {f"{kind}:{table['use']}" for kind, tables in kinds.items() for table in tables if table and "use" in table}


def _entries(used: set[str]) -> Iterator[str]:
    """The BibTeX entries of the installed plugins whose keywords name a used component; each once."""
    seen = set()
    for file in _bibliographies():
        for entry in re.findall(r"^@\w+\{.*?^\}", file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            keywords = re.search(r"^\s*keywords\s*=\s*\{(.*?)\},?\s*$", entry, re.MULTILINE)
            named = {word.strip() for word in keywords[1].split(",")} if keywords else set()
            plain = entry if keywords is None else entry.replace(keywords[0].strip("\n") + "\n", "")
            if named & {*used, ALWAYS} and plain not in seen:
                seen.add(plain)
                yield plain


def _bibliographies() -> list[Path]:
    """`references.bib` of gantk and of every installed plugin's package, without importing it."""
    packages = dict.fromkeys(point.value.partition(":")[0].partition(".")[0] for point in entry_points(group=GROUP))
    found = []
    for package in packages:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            if (Path(folder) / REFERENCES).is_file():
                found.append(Path(folder) / REFERENCES)
    return found
