"""The files of predictions: permitted names, files that are never replaced, and the names in a cohort."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gantk.data.layouts.bids import derivative_name
from gantk.data.volumes import Subject
from gantk.errors import PluginError, UsageError
from gantk.files import unwritable
from gantk.names import path_in

__all__ = ["Outputs", "check_file", "check_folder", "check_writes", "takes_the_place", "write_image"]

_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|]')


def check_writes(dataset: Any, name: str) -> None:
    """Check that a dataset (with this name in recipes) can write images.

    Raises:
        PluginError: it cannot.
    """
    if not hasattr(dataset, "write"):
        raise PluginError(
            f"the dataset {name!r} cannot write an image",
            where="data.dataset",
            mend="define write(path, image, like) in it, or predict without a file",
        )


def check_file(out: Path, source: Path | Subject, dataset: Any, overwrite: bool) -> None:
    """Report before the network runs whatever would prevent a file from being written.

    Raises:
        UsageError: it cannot be written, lies with the inputs, or exists and is not to be replaced.
    """
    if out.is_dir():
        raise _not_writable(out, "it is a folder")
    check_folder(out.absolute().parent)
    writes: tuple[str, ...] = getattr(dataset, "writes", ())
    if writes and not out.name.lower().endswith(writes):
        raise UsageError(
            "images of this dataset have other file endings",
            where=out,
            mend=f"choose a name that ends in {' or '.join(writes)}",
        )
    if out.exists() and _lies_with(out, source):
        raise takes_the_place(out)
    if out.exists() and not overwrite:
        raise UsageError("this file exists", where=out, mend="give another name, or --overwrite (overwrite=True)")


def check_folder(folder: Path) -> None:
    """Check that files can be written to a folder, which need not exist.

    Raises:
        UsageError: they cannot.
    """
    if why := unwritable(folder):
        raise _not_writable(folder, why)


def _not_writable(out: Path, why: str) -> UsageError:
    return UsageError(
        "the prediction cannot be written",
        where=out,
        why=why,
        mend="name a file in a folder that can be written to",
    )


def _lies_with(out: Path, source: Path | Subject) -> bool:
    """Whether an existing file is one of a subject's, or lies in the subject's folder."""
    if isinstance(source, Subject):
        files = [*source.files.values(), *filter(None, [source.segmentation])]
        return any(file.exists() and out.samefile(file) for file in files)
    beside = out.parent if source.is_dir() else out
    return source.exists() and beside.samefile(source)


def takes_the_place(out: Path) -> UsageError:
    """The error that a prediction would replace a possible input."""
    return UsageError(
        "a prediction never replaces a file among its inputs",
        where=out,
        why="there may be no copy of it",
        mend="give another name or folder with -o",
    )


def write_image(dataset: Any, out: Path, image: np.ndarray, like: Path) -> None:
    """Write an image by its dataset; atomic.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        dataset.write(out, image, like)
    except OSError as error:
        raise UsageError(
            "the prediction cannot be written",
            where=out,
            why=error,
            mend="free disk space, or name another place",
        ) from error


@dataclass(frozen=True)
class Outputs:
    """The files of a cohort's predictions.

    Attributes:
        folder: holds them all.
        dataset: writes them.
        target: the modality that is made.
        suffix: the text after a subject's name; None for the default: `_TARGET` for a patient, nothing for a picture,
            and the name of a derivative if the inputs are named by BIDS.
    """

    folder: Path
    dataset: Any
    target: str
    suffix: str | None = None

    def stem(self, case: Path | Subject, beside: str = "") -> str:
        """The path below the folder, without extension, of a case's prediction or of an image written beside it."""
        label = "".join(sign for sign in beside if sign.isalnum())
        if (derivative := self._derivative(case, f"synthetic{label}")) is not None:
            return derivative
        if isinstance(case, Subject):
            name = _NOT_IN_NAMES.sub("_", case.id)
        else:
            name = case.stem if case.is_file() else case.name
        return f"{name}{self._suffix}{f'_{beside}' if beside else ''}"

    def in_bids(self, case: Path | Subject) -> bool:
        """Whether a case's prediction has the name of a BIDS derivative."""
        return self._derivative(case, "synthetic") is not None

    def _derivative(self, case: Path | Subject, description: str) -> str | None:
        if self.suffix is not None or not isinstance(case, Subject):
            return None
        return derivative_name(case, self.target, description)

    @property
    def _suffix(self) -> str:
        if self.suffix is not None:
            return self.suffix
        return "" if self._named is not None else f"_{self.target}"

    @property
    def _named(self) -> Any:
        return getattr(self.dataset, "named", None)

    def there(self, case: Path | Subject) -> Path | None:
        """The existing prediction of a case, if there is one."""
        stem = self.stem(case)
        return next((path for end in self.dataset.writes if (path := self.folder / f"{stem}{end}").is_file()), None)

    def file(self, case: Path | Subject, image: np.ndarray, beside: str = "") -> Path:
        """The file of a case's image.

        Raises:
            UsageError: a subject's name cannot be the name of a file.
        """
        ending = self.dataset.writes[0]
        if self._named is not None:
            source = case if isinstance(case, Path) else next(iter(case.files.values()))
            ending = Path(self._named(source, image)).suffix
        path = self.folder / f"{self.stem(case, beside)}{ending}"
        return path_in(path.parent, path.name)
