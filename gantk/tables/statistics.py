"""Paired comparison of two methods over patients, with a confidence interval and a test.

The interval is a bootstrap of the mean difference (Efron, 1987: bias-corrected and accelerated); the test is Wilcoxon's
two-sided signed-rank test; both from scipy. Several comparisons of one metric are corrected after Holm (1979).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

__all__ = ["FEWEST", "METHOD", "PairedDifference", "Values", "holm", "paired_difference", "paired_differences"]

FEWEST = 6
"""Fewest patients for an interval: the smallest number with which two-sided p can fall below 0.05."""
LEVEL = 0.95
RESAMPLES = 9999
SEED = 0
METHOD = (
    "95 % interval of the mean difference: BCa bootstrap over {}s, 9,999 resamples, seed 0; "
    "p: two-sided Wilcoxon signed-rank test, differences of 0 left out; both treat the trained networks as fixed"
)
"""A description of intervals and p, with a placeholder for the word for a subject."""

Values = Mapping[str, Mapping[str, float]]
"""One method's values by column and patient."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class PairedDifference:
    """The paired difference of one method's values from another's.

    Args:
        n: number of patients with finite values of both methods.
        mean: mean of the differences; NaN without patients.
        low: lower end of the 95 % interval of the mean; None below `FEWEST` patients.
        high: upper end of this interval.
        p: p of the signed-rank test; None without patients.
        holm: p corrected for the other comparisons of the metric; None without correction.
        remarks: remarks on the validity of the numbers.
    """

    n: int
    mean: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    holm: float | None = None
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """JSON-like data; missing numbers are null."""
        return asdict(self) | {"mean": self.mean if math.isfinite(self.mean) else None, "remarks": list(self.remarks)}


def paired_difference(
    values: Mapping[str, float], reference: Mapping[str, float], noun: str = "patient"
) -> PairedDifference:
    """`values` minus `reference`, over the patients that have both; few patients cause neither NaN nor warnings.

    Args:
        values: values by patient.
        reference: the reference's values by patient.
        noun: the word for a patient in remarks.
    """
    import numpy as np
    from scipy import stats

    common = [patient for patient in values if patient in reference]
    finite = [p for p in common if math.isfinite(values[p]) and math.isfinite(reference[p])]
    remarks = []
    if left_out := len(values.keys() | reference.keys()) - len(finite):
        remarks.append(f"{left_out} {noun}s without two finite values left out")
    differences = np.array([values[p] - reference[p] for p in finite], dtype=np.float64)
    n = len(differences)
    if n == 0:
        return PairedDifference(0, math.nan, remarks=(*remarks, f"no {noun} in common"))
    mean = float(differences.mean())
    changed = differences[differences != 0]
    if not len(changed):
        # all differences are 0: every change of signs gives the same data, so the exact p is 1
        bound = 0.0 if n >= FEWEST else None
        return PairedDifference(n, 0.0, bound, bound, 1.0, remarks=(*remarks, f"equal in every {noun}"))
    p = float(stats.wilcoxon(changed).pvalue)
    if len(changed) < FEWEST:
        only = f"{n} {noun}s" if len(changed) == n else f"{len(changed)} of {n} differences not equal to 0"
        remarks.append(f"with {only} p cannot fall below {2 * 0.5 ** len(changed):.3g}")
    if n < FEWEST:
        return PairedDifference(n, mean, p=p, remarks=(*remarks, f"no interval from fewer than {FEWEST} {noun}s"))
    low, high, how = _interval(differences, noun)
    return PairedDifference(n, mean, low, high, p, remarks=(*remarks, *how))


def paired_differences(
    pairs: Mapping[Key, tuple[Values, Values]], columns: Sequence[str], noun: str = "patient"
) -> dict[Key, dict[str, PairedDifference]]:
    """Each method's differences from its reference by column; p is Holm-corrected over the methods of a column.

    A column is omitted if no patient has both values, for example a metric that a baseline does not have.

    Args:
        pairs: by method, its values and its reference's values.
        columns: the columns to compare; every method has them.
        noun: what remarks call a patient.
    """
    found: dict[Key, dict[str, PairedDifference]] = {}
    for key, (own, other) in pairs.items():
        tested = {column: paired_difference(own[column], other[column], noun) for column in columns}
        found[key] = {column: difference for column, difference in tested.items() if difference.n}
    for column in columns:
        having = [by_column for by_column in found.values() if column in by_column]
        corrected = holm([by_column[column].p for by_column in having])
        for by_column, value in zip(having, corrected, strict=True):
            by_column[column] = replace(by_column[column], holm=value)
    return found


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction, in the given order; missing p values are not counted.

    The i-th smallest of m values is multiplied by m - i + 1, never below its predecessor and never above 1.
    """
    known = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    least = 0.0
    for rank, (p, i) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        corrected[i] = least
    return corrected


def _interval(differences: object, noun: str) -> tuple[float, float, tuple[str, ...]]:
    """The interval, and a remark if it is not a BCa interval."""
    import numpy as np
    from scipy import stats

    data = np.asarray(differences)
    if np.ptp(data) == 0:
        return float(data[0]), float(data[0]), (f"the same difference in every {noun}",)
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a degenerate BCa returns NaN, which is checked below
            found = stats.bootstrap(
                (data,), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL, method=method,
                rng=np.random.default_rng(SEED),
            ).confidence_interval  # fmt: skip
        if math.isfinite(found.low) and math.isfinite(found.high):
            break
    remark = () if method == "BCa" else ("percentile interval: BCa does not exist for these data",)
    return float(found.low), float(found.high), remark
