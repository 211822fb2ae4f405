"""The runs of a table: ordinary runs, or the children of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gantk.errors import EvaluationError, GantkError
from gantk.evaluation.results import Evaluation, is_baseline, is_evaluated
from gantk.files import read_json
from gantk.recipe.dotted import leaves, value_at
from gantk.recipe.rows import Rows, read_rows, title
from gantk.runs.files import SWEEP, RunFiles, is_sweep, warn_of_damage
from gantk.runs.names import CHILD, EVALUATION
from gantk.runs.sweeps import child_folder, children_of, sweep_head
from gantk.tables.alike import SILENT

__all__ = [
    "FOLD",
    "SEED",
    "Member",
    "Members",
    "answering",
    "read_members",
    "to_compare",
    "trained",
]

SEED = "run.seed"
FOLD = "data.split.fold"


@dataclass(frozen=True)
class Member:
    """A run, described for the rows of a table.

    Args:
        folder: the run's folder.
        source: the sweep's name, or the run's own id.
        sweep: the sweep's folder, empty for an ordinary run.
        variant: runs of the same variant with equal changes differ only in their seed.
        label: the variant's name in tables.
        changes: the changed values by dotted key, without the seed.
        seed: `run.seed`.
        report: roles that become rows, with the rows' names; empty: the predicting role.
        recipe: the resolved recipe, empty if there is none.
        evaluation: the evaluation; None if there is none or it cannot be read.
        problem: why there is no evaluation, or what else is wrong with the run.
        others: the folders of runs of other folds whose test patients are pooled with this run's.
    """

    folder: Path
    source: str
    variant: str
    label: str
    changes: dict[str, Any]
    seed: int
    sweep: str = ""
    report: Rows = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict, repr=False)
    evaluation: Evaluation | None = field(default=None, repr=False)
    problem: str = ""
    others: tuple[Path, ...] = ()

    @property
    def folders(self) -> tuple[Path, ...]:
        """The run's folder, and those of other folds."""
        return (self.folder, *self.others)

    @property
    def id(self) -> str:
        return self.folder.name

    def title(self, role: str, *, alone: bool) -> str:
        """The title of a role's row; `alone`: the role represents the run, and no other row belongs to the run."""
        return title(self.report, role, self.label, alone=alone)


@dataclass(frozen=True)
class Members:
    """The members found in some folders.

    Args:
        members: in table order.
        title: the sweep's title; may be empty.
        grid: the dotted keys, without the seed, in which members of one variant may differ.
        notes: sentences on what was left out.
    """

    members: tuple[Member, ...]
    title: str
    grid: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read_members(folders: Sequence[Path]) -> Members:
    """Read runs and sweeps; an unfinished run becomes a member with a problem.

    Raises:
        EvaluationError: a sweep's own files are damaged.
    """
    members: list[Member] = []
    runs: list[Member] = []
    titles: list[str] = []
    grid: list[str] = []
    notes: list[str] = []
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        if is_sweep(folder):
            found = _sweep(folder)
            members += found.members
            titles.append(found.title)
            grid += found.grid
            notes += found.notes
        else:
            runs.append(_run(folder))
    told, keys = _told_apart(runs)
    members += told
    title = "; ".join(titles) if titles else "Results"
    return Members(tuple(members), title, tuple(dict.fromkeys([*grid, *keys])), tuple(notes))


def trained(recipe: Mapping[str, Any], methods: Sequence[str]) -> list[str]:
    """The methods among the given ones that the run trained."""
    roles = recipe.get("translators") or {}
    return [m for m in methods if (m in roles if roles else not is_baseline(m))]


def answering(recipe: Mapping[str, Any], methods: Sequence[str]) -> str | None:
    """The method among the given ones that represents the run."""
    own, named = trained(recipe, methods), recipe.get("predict")
    return named if named in own else own[-1] if own else None


def to_compare(said: Sequence[str]) -> str:
    """Advice on how to make runs with these differences comparable."""
    settings = [phrase for phrase in said if phrase.startswith("different evaluation settings")]
    ways = ["evaluate them with the same settings (`gantk evaluate`)"] if settings else []
    ways += ["train them with the same data and data.split"] if len(settings) < len(said) else []
    return f"{' and '.join(ways)}, or use --force"


def _sweep(folder: Path) -> Members:
    head = sweep_head(folder)
    recipe = RunFiles(folder).recipe()
    name = str(head.get("name") or recipe.get("name") or folder.name)
    variants = recipe.get("variants") or {}
    members = []
    for entry in head["children"]:
        child = child_folder(folder, entry["id"])
        facts = read_json(child / CHILD) | entry
        variant = str(facts.get("variant") or "")
        settings = variants.get(variant) or {}
        changes = dict(facts.get("changes") or {})
        seed = changes.pop(SEED, None)
        member = _read(
            Member(
                folder=child,
                source=name,
                variant=variant,
                label=_label(settings, variant, facts, name, known=bool(recipe)),
                changes=changes,
                seed=0 if seed is None else int(seed),
                sweep=str(folder),
                report=_rows(facts.get("report") or settings.get("report") or [], folder),
            )
        )
        members.append(member if seed is not None else replace(member, seed=_seed(member.recipe)))
    stale = sorted({child.name for child in children_of(folder)} - {entry["id"] for entry in head["children"]})
    notes = [f"Left out because the latest recipe does not list them: {', '.join(stale)}"] if stale else []
    description = str(head.get("description") or recipe.get("description") or "")
    title = f"{name}: {description}" if description else name
    return Members(tuple(members), title, _grid(recipe, members), tuple(notes))


def _label(settings: Mapping[str, Any], variant: str, facts: Mapping[str, Any], sweep: str, *, known: bool) -> str:
    """A variant's name; a child's own label is avoided because it contains grid values, which tables show anyway."""
    if settings or known:
        return str(settings.get("label") or variant or sweep)
    return str(facts.get("label") or variant or sweep)


def _rows(said: Any, sweep: Path) -> Rows:
    try:
        return read_rows(said)
    except ValueError as error:
        raise EvaluationError(f"report {error}", where=sweep / SWEEP, mend="run the sweep again") from None


def _grid(recipe: Mapping[str, Any], members: Sequence[Member]) -> tuple[str, ...]:
    """The keys of the grids, and keys that vary inside a variant."""
    grids = [recipe.get("sweep") or {}]
    grids += [v.get("sweep") or {} for v in (recipe.get("variants") or {}).values() if isinstance(v, Mapping)]
    keys = [key for grid in grids for key, _ in _flat(grid)]
    for member in members:
        same = [other for other in members if other.variant == member.variant]
        keys += [k for k, value in member.changes.items() if any(other.changes.get(k) != value for other in same)]
    return tuple(key for key in dict.fromkeys(keys) if key != SEED)


def _run(folder: Path) -> Member:
    member = _read(Member(folder, folder.name, folder.name, folder.name, {}, 0))
    name = str(member.recipe.get("name") or folder.name)
    return replace(member, variant=name, label=name, seed=_seed(member.recipe))


def _told_apart(runs: Sequence[Member]) -> tuple[list[Member], tuple[str, ...]]:
    """Set the changes of ordinary runs with the same recipe name to the keys in which they differ."""
    told: list[Member] = []
    keys: list[str] = []
    flat = {run.folder: dict(_flat(run.recipe)) for run in runs}
    for run in runs:
        same = [flat[other.folder] for other in runs if other.variant == run.variant]
        names = dict.fromkeys(key for one in same for key in one)
        differing = [k for k in names if any(one.get(k) != same[0].get(k) for one in same)]
        keys += differing
        told.append(replace(run, changes={k: flat[run.folder][k] for k in differing if k in flat[run.folder]}))
    return told, tuple(dict.fromkeys(keys))


def _flat(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The dotted keys of a recipe that may change a result."""
    for key, value in leaves(table):
        silent = any(f"{key}.".startswith(f"{one}.") for one in (SEED, *SILENT))
        if not silent and value != {}:
            yield key, value


def _read(member: Member) -> Member:
    """The member with the contents of its folder."""
    if not member.folder.is_dir():
        return replace(member, problem="not run yet")
    files = RunFiles(member.folder)
    recipe, status = files.recipe(), files.status()
    warn_of_damage(member.folder)
    if not status and not (member.folder / EVALUATION).is_dir():
        return replace(member, recipe=recipe, problem="not run yet")
    state, message = str(status.get("state") or ""), str(status.get("message") or "")
    said = f"{state}: {message}" if state and message else state
    if not is_evaluated(member.folder / EVALUATION):
        reason = said if state and state != "finished" else "has no evaluation"
        return replace(member, recipe=recipe, problem=reason)
    try:
        evaluation = Evaluation.read(member.folder / EVALUATION)
    except GantkError as error:
        file = Path(error.where or "").name
        return replace(member, recipe=recipe, problem=f"unreadable evaluation ({file}: {error.why or error.what})")
    problem = f"{said}, but its evaluation exists and is shown" if state and state != "finished" else ""
    return replace(member, recipe=recipe, evaluation=evaluation, problem=problem)


def _seed(recipe: Mapping[str, Any]) -> int:
    return int(value_at(recipe, SEED) or 0)
