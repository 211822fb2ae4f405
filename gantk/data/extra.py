"""Extra inputs of networks: one value per image, or categories per pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gantk.data.labels import Labels
from gantk.data.slices import Slices, categories_of
from gantk.data.volumes import Subject
from gantk.errors import DataError
from gantk.recipe.data import SEGMENTATION, ExtraSettings

__all__ = ["blank", "encoded", "of_image", "of_pixels", "planes"]


def of_image(name: str, settings: ExtraSettings, facts: Mapping[str, object], subject: str) -> float:
    """The extra value of a subject's images: a number, or the index of a category.

    Raises:
        DataError: the subject has no value, or the value is not one of the categories.
    """
    said = facts.get(settings.of or name, settings.value)
    try:
        if said is None:
            raise ValueError("the data set does not provide it")
        return settings.code(said)
    except ValueError as error:
        raise DataError(
            f"the value of {name!r} is not known for {subject!r}",
            where=f"data.extra.{name}",
            why=error,
            mend=f"provide it for every subject, for example in a column of the data set's table, or set "
            f"data.extra.{name}.value; add a missing category to data.extra.{name}.categories",
        ) from None


def of_pixels(name: str, settings: ExtraSettings, labels: np.ndarray, subject: str) -> np.ndarray:
    """The category index of each label, uint8 of the same shape.

    Raises:
        DataError: a label is not one of the categories.
    """
    categories = [int(category) for category in settings.categories or ()]
    strange = np.setdiff1d(labels, categories)
    if strange.size:
        raise DataError(
            f"{name!r} holds {strange[0]:g} in {subject!r}, which is not one of its categories",
            where=f"data.extra.{name}.categories",
            mend="list all categories, or correct the labels",
        )
    order = np.argsort(categories)
    return order[np.searchsorted(categories, labels, sorter=order)].astype(np.uint8)


def encoded(settings: ExtraSettings, values: Tensor) -> Tensor:
    """A group's values as network inputs, float: `(B, K, *spatial)` per pixel, `(B, K)` per image.

    Categories are one-hot; K = 1 for numbers.
    """
    if settings.categories is None:
        return values.float()[:, None]
    hot = F.one_hot(values.long().squeeze(1) if values.ndim > 1 else values.long(), settings.width)
    return hot.movedim(-1, 1).float()


def blank(settings: ExtraSettings, batch: int, size: Sequence[int]) -> Tensor:
    """Example values of a group, without data.

    Per pixel: the categories in turn along rows. Per image: the first category.
    """
    if settings.per == "pixel":
        return (torch.arange(size[-1]) % settings.width).to(torch.uint8).expand(batch, 1, *size)
    return torch.zeros(batch, dtype=torch.float32 if settings.categories is None else torch.int64)


def planes(
    extra: Mapping[str, ExtraSettings], slices: Slices, labels: Labels, subject: Subject
) -> dict[str, np.ndarray]:
    """The extra values per pixel of a subject's slices, by name: category indices, uint8 (Z, H, W).

    Raises:
        DataError: a segmentation is needed and the subject has none, or a label is not one of the categories.
    """
    found = {}
    for name, settings in extra.items():
        if settings.per == "pixel":
            of = settings.of or name
            if of != SEGMENTATION:
                codes = categories_of(slices.images[of].reshape(slices.foreground.shape), slices.scales[of])
            elif slices.segmentation is not None:
                codes = labels.canonical(slices.segmentation)
            else:
                raise DataError(f"{subject.id!r} has no segmentation, but {name!r} needs one", where=subject.folder)
            found[name] = of_pixels(name, settings, codes, subject.id)
    return found
