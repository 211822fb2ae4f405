"""Formatting numbers of an evaluation: lists, titles, significant digits, and the best of a column."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from gantk.evaluation.results import Column, Statistic, is_baseline

__all__ = [
    "best_of",
    "column_title",
    "decimals",
    "listed",
    "method_title",
    "write_p",
    "write_statistic",
    "write_value",
]

Key = TypeVar("Key", bound=Hashable)


def method_title(method: str) -> str:
    """A method's display name in tables, figures and MLflow; it marks baselines as such."""
    return f"baseline/{method}" if is_baseline(method) else method


def column_title(column: Column) -> str:
    """Such as `SSIM ↑` or `MSE tumour ↓`: the arrow points to better values."""
    region = "" if column.region == "image" else f" {column.region}"
    return f"{column.title}{region} {'↑' if column.higher_is_better else '↓'}"


def decimals(means: Iterable[float], significant: int = 3) -> int:
    """Decimals that show `significant` digits of a column's largest mean and one digit fewer of its smallest.

    At most two more than the largest mean needs, so that a value near zero does not widen the column.
    """
    places = [-math.floor(math.log10(abs(m))) for m in means if math.isfinite(m) and m != 0]
    if not places:
        return 3
    largest = min(places) + significant - 1
    return max(0, min(max(largest, max(places) + significant - 2), largest + 2, 8))


def listed(values: Iterable[object]) -> str:
    """Values joined by commas: `1, 2, 3`."""
    return ", ".join(map(str, values))


def write_value(value: float, digits: int) -> str:
    """A number with `digits` decimals, or a dash if it is not finite."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def write_p(p: float | None) -> str:
    """A p value with three decimals, or a dash if there is none."""
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def write_statistic(statistic: Statistic, digits: int) -> str:
    """Such as `0.895 ± 0.021`; without deviation if there is none."""
    mean = write_value(statistic.mean, digits)
    return f"{mean} ± {write_value(statistic.std, digits)}" if math.isfinite(statistic.std) else mean


def best_of(means: Mapping[Key, float], column: Column, digits: int) -> set[Key]:
    """The keys of a column's best means after rounding to `digits` decimals; empty if fewer than two are finite."""
    written = {key: round(mean, digits) for key, mean in means.items() if math.isfinite(mean)}
    if len(written) < 2:
        return set()
    top = (max if column.higher_is_better else min)(written.values())
    return {key for key, mean in written.items() if mean == top}
