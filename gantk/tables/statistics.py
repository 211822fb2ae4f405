"""Paired comparison of two methods over patients, with a confidence interval and a test.

The interval is a bootstrap of the mean difference (Efron, 1987: bias-corrected and accelerated), the test Wilcoxon's
signed-rank test, two-sided; both are scipy's. Several comparisons of one metric are corrected after Holm (1979).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

__all__ = ["FEWEST", "METHOD", "PairedDifference", "Values", "holm", "paired_difference", "paired_differences"]

FEWEST = 6
"""Patients below which no interval is given: the smallest number with which two-sided p can fall below 0.05."""
LEVEL = 0.95
RESAMPLES = 9999
SEED = 0
METHOD = (
    "95 % interval of the mean difference: BCa bootstrap over {}s, 9,999 resamples, seed 0; "
    "p: two-sided Wilcoxon signed-rank test, zeros left out; both take the trained networks as given"
)
"""How intervals and p are made, with a place for what a subject is called."""

Values = Mapping[str, Mapping[str, float]]
"""By column and patient, one method's values."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class PairedDifference:
    """What one method's values are above another's, patient by patient.

    Args:
        n: patients with a finite value of both.
        mean: of the differences; NaN without a patient.
        low: of the 95 % interval of the mean; None below `FEWEST` patients.
        high: as `low`.
        p: of the signed-rank test; None without a patient.
        holm: p corrected for the other comparisons of the metric; None where nothing was corrected.
        remarks: what a reader must know to read the numbers rightly.
    """

    n: int
    mean: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    holm: float | None = None
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """JSON-like; a number that does not exist is null."""
        return asdict(self) | {"mean": self.mean if math.isfinite(self.mean) else None, "remarks": list(self.remarks)}


def paired_difference(
    values: Mapping[str, float], reference: Mapping[str, float], noun: str = "patient"
) -> PairedDifference:
    """`values` minus `reference`, over the patients that have both; never NaN or a warning where there are few.

    Args:
        values: by patient.
        reference: by patient.
        noun: what remarks call a patient.
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
        # every change of signs gives the same data, so the exact p is 1
        bound = 0.0 if n >= FEWEST else None
        return PairedDifference(n, 0.0, bound, bound, 1.0, remarks=(*remarks, f"equal in every {noun}"))
    p = float(stats.wilcoxon(changed).pvalue)
    if len(changed) < FEWEST:
        only = f"{n} {noun}s" if len(changed) == n else f"{len(changed)} of {n} differences other than 0"
        remarks.append(f"with {only} p cannot fall below {2 * 0.5 ** len(changed):.3g}")
    if n < FEWEST:
        return PairedDifference(n, mean, p=p, remarks=(*remarks, f"no interval from fewer than {FEWEST} {noun}s"))
    low, high, how = _interval(differences, noun)
    return PairedDifference(n, mean, low, high, p, remarks=(*remarks, *how))


def paired_differences(
    pairs: Mapping[Key, tuple[Values, Values]], columns: Sequence[str], noun: str = "patient"
) -> dict[Key, dict[str, PairedDifference]]:
    """Each method's difference from its reference by column, p corrected after Holm over the methods of a column.

    A column of which no patient has both values, such as a metric that a baseline does not have, is left out.

    Args:
        pairs: by method, its values and those of its reference.
        columns: what is compared; every method has them.
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
    """Holm's step-down correction, in the order given; a test that could not be made does not count.

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
    """The interval and, where it is not the usual one, how it was made."""
    import numpy as np
    from scipy import stats

    data = np.asarray(differences)
    if np.ptp(data) == 0:
        return float(data[0]), float(data[0]), (f"the same difference in every {noun}",)
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a degenerate BCa says so with NaN, which is what is looked at
            found = stats.bootstrap(
                (data,), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL, method=method,
                rng=np.random.default_rng(SEED),
            ).confidence_interval  # fmt: skip
        if math.isfinite(found.low) and math.isfinite(found.high):
            break
    remark = () if method == "BCa" else ("percentile interval: BCa does not exist for these data",)
    return float(found.low), float(found.high), remark
