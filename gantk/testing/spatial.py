"""Conformance in two and in three dimensions."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar
from unittest import SkipTest

from gantk.plugins.dimensions import ARGUMENT, NOUNS, dimensions_of
from gantk.ranges import Dimensions
from gantk.testing.base import Conformance
from gantk.testing.failures import ConformanceError

__all__ = ["SpatialConformance"]


class SpatialConformance(Conformance):
    """Conformance of components that work on images: each test runs on slices and on volumes, if supported.

    Attributes:
        size: H and W of slices.
        volume: D, H and W of volumes. All sides differ, so that a confusion of axes is noticed.
    """

    size: ClassVar[tuple[int, int]] = (24, 32)
    volume: ClassVar[tuple[int, int, int]] = (8, 16, 24)
    #: The number of dimensions in the current test.
    dimensions: Dimensions = 2
    _one: bool = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, test in list(vars(cls).items()):
            if name.startswith("test_") and inspect.isfunction(test):
                setattr(cls, name, _in_each_dimension(test))

    @property
    def works_in(self) -> tuple[int, ...]:
        """The numbers of dimensions in which the component is tested."""
        return dimensions_of(self.registered)

    @property
    def spatial(self) -> tuple[int, ...]:
        """(H, W) or (D, H, W) of the images in the current test."""
        return self.size if self.dimensions == 2 else self.volume

    def make(self, **supplied: Any) -> Any:
        """An instance, built as from a recipe; `supplied` are the arguments that the core gives."""
        return super().make(**{ARGUMENT: self.dimensions, **supplied})

    def _on_volumes(self, error: Exception) -> ConformanceError:
        """The addition to the message of an error on volumes."""
        if isinstance(error, ConformanceError):
            what, mend = error.what, error.mend
        else:
            what, mend = f"{type(error).__name__}: {error}", "work on images (B, C, D, H, W)"
        if ARGUMENT not in self.registered.arguments:
            mend += f"; or give the constructor the argument {ARGUMENT}: Literal[2] = 2 if it works on slices alone"
        return ConformanceError(f"on {NOUNS[3]}: {what}", mend)


def _in_each_dimension(test: Callable[..., None]) -> Callable[..., None]:
    """A test, run for every number of dimensions in which its component works."""

    @functools.wraps(test)
    def run(self: SpatialConformance, *arguments: Any, **named: Any) -> None:
        if self._one:  # a test that calls another
            return test(self, *arguments, **named)
        skipped: list[SkipTest] = []
        for dimensions in self.works_in:
            one = copy.copy(self)
            one.dimensions, one._one = dimensions, True  # type: ignore[assignment]
            try:
                test(one, *arguments, **named)
            except SkipTest as why:
                skipped.append(why)
            except Exception as error:
                if dimensions == 2:
                    raise
                raise self._on_volumes(error) from error
        if len(skipped) == len(self.works_in):
            raise skipped[0]

    return run
