"""Conformance of metrics that score slices one by one, and of metrics over all patients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor

from gantk.evaluation.evaluate import evaluate
from gantk.evaluation.protocols import CohortMetric, Metric
from gantk.evaluation.results import Evaluation
from gantk.progress import QuietProgress
from gantk.testing.batches import make_group, make_image
from gantk.testing.checks import check_equal, check_finite, pickled
from gantk.testing.failures import expect, skip
from gantk.testing.spatial import SpatialConformance

if TYPE_CHECKING:
    from gantk.data.batch import Group

__all__ = ["MetricConformance"]


class MetricConformance(SpatialConformance):
    """Conformance of a metric; see `Conformance` for how to use it.

    As in an evaluation, every metric measures slices, and metrics that declare `dimensions` measure volumes, too. A
    metric with a method `collect` is a metric over all patients. It receives only slices and is tested by evaluations
    of a few small patients.

    Attributes:
        size: H and W of slices.
        volume: D, H and W of volumes.
    """

    kind = "metric"
    volume: ClassVar[tuple[int, int, int]] = (8, 12, 32)

    @property
    def works_in(self) -> tuple[int, ...]:
        """The numbers of dimensions in which evaluations measure with it."""
        return (2,) if hasattr(self.registered.cls, "collect") else super().works_in

    def images(self, batch: int = 3, channels: int = 1, *, background: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Prediction, target, both in [0, 1], and the whole image as mask."""
        target = (make_image(batch, channels, self.spatial, background=background) + 1) / 2
        noise = torch.rand(target.shape, generator=torch.Generator().manual_seed(3)) - 0.5
        share = torch.linspace(0.1, 0.3, batch)[(..., *[None] * (target.ndim - 1))]
        prediction = target if background else (target + share * noise).clamp(0, 1)
        return prediction, target, torch.ones(batch, 1, *self.spatial, dtype=torch.bool)

    def by_slice(self) -> Metric:
        """The metric, if it scores slices one by one."""
        metric: Metric | CohortMetric = self.make()
        if isinstance(metric, CohortMetric):
            raise skip("it is a metric over all patients")
        return metric

    def over_patients(self) -> CohortMetric:
        """The metric, if it is a metric over all patients."""
        metric: Metric | CohortMetric = self.make()
        if not hasattr(metric, "collect"):
            raise skip("it scores slices one by one")
        lacking = [name for name in ("title", "higher_is_better", "paired", "columns") if not hasattr(metric, name)]
        expect(isinstance(metric, CohortMetric), f"it has no {', '.join(lacking)}", "set these attributes")
        return cast("CohortMetric", metric)

    def evaluated(self, metric: CohortMetric, *, paired: bool = True) -> Evaluation:
        """The values of a perfect and a poor prediction of four patients; without pairs, of two without target."""
        groups = {f"p{i}": make_group(3, 2, 1, self.spatial, seed=i) for i in range(4)}
        answers = {i: group.target for i, group in groups.items()}
        for i, group in groups.items():
            group.patients, group.slices = (i,) * 3, (0, 1, 2)
            if not paired and i in ("p0", "p1"):
                group.target = None
        random = torch.Generator().manual_seed(5)

        def poor(group: Group) -> Tensor:
            answer = answers[group.patients[0]]
            assert answer is not None
            return torch.where(group.foreground, torch.rand(answer.shape, generator=random) - 0.5, -1.0)

        def perfect(group: Group) -> Tensor:
            answer = answers[group.patients[0]]
            assert answer is not None
            return answer

        return evaluate(
            {"perfect": perfect, "poor": poor},
            lambda patient: iter([groups[patient]]),
            [*groups] if paired else ["p0", "p1"],
            {self.registered.name: metric},
            ["image"],
            device="cpu",
            progress=QuietProgress(),
            split_hash="",
            paired=paired,
            targets=() if paired else ("p2", "p3"),
        )

    def test_values(self) -> None:
        """One finite number per image, for one target and for two, and for a batch of one."""
        for batch, channels in ((3, 1), (3, 2), (1, 1)):
            check_values(self.by_slice()(*self.images(batch, channels)), batch)

    def test_says_what_is_better(self) -> None:
        """`higher_is_better` is right: a perfect prediction has the best value, a worse one a worse value."""
        metric: Metric | CohortMetric = self.make()
        mend = "set the attributes title (a string) and higher_is_better (True or False)"
        for name, kind in (("title", str), ("higher_is_better", bool)):
            expect(isinstance(getattr(metric, name, None), kind), f"it has no {name}", mend)
        if isinstance(metric, CohortMetric):
            return  # only the metric knows which differences between predictions it can measure
        prediction, target, mask = self.images()
        sign = 1 if metric.higher_is_better else -1
        perfect, good, poor = (
            sign * metric(p, target, mask)
            for p in (target, prediction, (target + 3 * (prediction - target)).clamp(0, 1))
        )
        expect(
            bool((perfect > good).all() and (good > poor).all()),
            f"a perfect, a good and a poor answer score {(sign * perfect).tolist()}, {(sign * good).tolist()} and "
            f"{(sign * poor).tolist()} while higher_is_better is {metric.higher_is_better}",
            "correct higher_is_better, or the metric",
        )

    def test_images_are_scored_one_by_one(self) -> None:
        """An image's value does not depend on its batch."""
        prediction, target, mask = self.images()
        together = self.by_slice()(prediction, target, mask)
        alone = torch.cat(
            [self.by_slice()(prediction[i : i + 1], target[i : i + 1], mask[i : i + 1]) for i in range(3)]
        )
        mend = "reduce over channels and pixels, not over the batch"
        check_equal(alone, together, "an image alone scores otherwise than in a batch", mend, 1e-5)

    def test_mask(self) -> None:
        """Pixels far outside of the mask do not count, pixels inside do."""
        prediction, target, mask = self.images()
        width = self.spatial[-1]
        mask[..., : width // 4] = False
        mask[..., -(width // 2) :] = False
        inside, outside = prediction.clone(), prediction.clone()
        outside[..., -2:] = 1 - outside[..., -2:]
        centre = int(mask.flatten(0, -2)[0].nonzero().float().mean())
        inside[..., centre] = 1 - inside[..., centre]
        metric = self.by_slice()
        value = metric(prediction, target, mask)
        mend = "average over the pixels of the mask (B, 1, *spatial) alone"
        check_equal(metric(outside, target, mask), value, "pixels outside of the mask count", mend, 1e-4)
        expect(bool((metric(inside, target, mask) != value).all()), "pixels inside of the mask do not count", mend)

    def test_background(self) -> None:
        """A perfect prediction of nothing but background has a finite value."""
        check_values(self.by_slice()(*self.images(background=True)), 3)

    def test_evaluation(self) -> None:
        """A metric over all patients has a value for each method in every column, also in a second evaluation."""
        metric = self.over_patients()
        first, second = (self.evaluated(metric).summary for _ in range(2))
        expect(bool(metric.columns), "it has no column", "say in `columns` what it finds")
        for method in ("perfect", "poor"):
            for column in metric.columns:
                value, again = first[method][column].mean, second[method][column].mean
                what = f"{column} of the {method} answer is {value}"
                expect(math.isfinite(value), what, "give each method a number, or say why it has none")
                mend = "draw from seeds of your own, and keep nothing from one evaluation to the next"
                expect(value == again, f"{what}, the second time {again}", mend)

    def test_without_pairs(self) -> None:
        """A metric that declares to need no pairs works without them."""
        metric = self.over_patients()
        if metric.paired:
            raise skip("it needs pairs")
        summary = self.evaluated(metric, paired=False).summary
        for column in metric.columns:
            value = summary["poor"][column].mean
            expect(math.isfinite(value), f"{column} without pairs is {value}", "set paired = True, or do without them")

    def test_pickle(self) -> None:
        """A pickled copy scores the same."""
        mend = "keep no state outside plain attributes"
        metric: Metric | CohortMetric = self.make()
        if isinstance(metric, CohortMetric):
            one, other = (repr(self.evaluated(m).summary) for m in (metric, pickled(metric)))
            expect(one == other, "a pickled copy scores otherwise", mend)
            return
        images = self.images()
        check_equal(pickled(metric)(*images), metric(*images), "a pickled copy scores otherwise", mend)


def check_values(values: Tensor, batch: int) -> None:
    """One finite float per image."""
    shown = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
    expect(shown == (batch,), f"it gives {shown} where ({batch},) is wanted", "return one number per image")
    expect(values.is_floating_point(), f"its values are {values.dtype}", "return floats")
    check_finite("its values", values)
