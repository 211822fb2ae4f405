"""How numbers of an evaluation are written: titles, significant digits, and the best of a column."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from gantk.evaluation.results import Column, Statistic

__all__ = [
    "best_of",
    "column_title",
    "decimals",
    "is_baseline",
    "method_title",
    "tops",
    "write_p",
    "write_statistic",
    "write_value",
]

Key = TypeVar("Key", bound=Hashable)


def method_title(method: str) -> str:
    """A method's name for readers; a baseline says what it is."""
    if method.startswith("input:"):
        return f"{method.removeprefix('input:')} as the answer"
    titles = {"training_mean": "training mean", "target:real": "real target", "target:none": "no target"}
    return titles.get(method, method)


def is_baseline(method: str) -> bool:
    """Whether a method's name is a baseline's, `training_mean` or of the form `input:t1`; no role has such a name."""
    return method == "training_mean" or ":" in method


def column_title(column: Column) -> str:
    """`SSIM ↑` or `MSE tumour ↓`: the arrow points to better."""
    region = "" if column.region == "image" else f" {column.region}"
    return f"{column.title}{region} {'↑' if column.higher_is_better else '↓'}"


def decimals(means: Iterable[float], significant: int = 3) -> int:
    """Decimals that show `significant` digits of a column's largest mean and one less of its smallest.

    At most two more than the largest needs, so that a value near zero does not widen the column.
    """
    places = [-math.floor(math.log10(abs(m))) for m in means if math.isfinite(m) and m != 0]
    if not places:
        return 3
    largest = min(places) + significant - 1
    return max(0, min(max(largest, max(places) + significant - 2), largest + 2, 8))


def write_value(value: float, digits: int) -> str:
    """A number with so many decimals, or a dash."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def write_p(p: float | None) -> str:
    """A p value with three decimals, or a dash."""
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def write_statistic(statistic: Statistic, digits: int) -> str:
    """`0.895 ± 0.021`; without the deviation where one patient has none."""
    mean = write_value(statistic.mean, digits)
    return f"{mean} ± {write_value(statistic.std, digits)}" if math.isfinite(statistic.std) else mean


def best_of(
    rows: Sequence[Mapping[str, Statistic]], columns: Mapping[str, Column], digits: Mapping[str, int]
) -> dict[str, frozenset[int]]:
    """By column, the indices of the rows whose mean is the best as it is written; a column without rivals has none."""
    best = {}
    for name, column in columns.items():
        means = {i: row[name].mean for i, row in enumerate(rows) if name in row and math.isfinite(row[name].mean)}
        if len(means) > 1:
            best[name] = frozenset(tops(means, column, digits[name]))
    return best


def tops(means: Mapping[Key, float], column: Column, digits: int) -> list[Key]:
    """Those whose mean is the column's best where it is written with so many decimals."""
    written = {key: round(mean, digits) for key, mean in means.items()}
    top = (max if column.higher_is_better else min)(written.values())
    return [key for key, mean in written.items() if mean == top]
