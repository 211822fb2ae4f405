"""The dataset `images`: folders of PNG, JPEG or TIFF files in the common layouts of image translation data sets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gantk.data.dataset import Pattern, no_folder, with_patient
from gantk.data.pictures import Mode, Pictures, Size, files_in
from gantk.data.pixels import Pixels
from gantk.data.volumes import Subject
from gantk.errors import DataError
from gantk.progress import Progress

__all__ = ["Images"]

Side = Literal["a", "b"]
Arrangement = Literal["auto", "halves", "folders", "unaligned"]
Part = Literal["training", "validation", "test"]

_PARTS: dict[str, Part] = {"train": "training", "val": "validation", "valid": "validation", "test": "test"}
_EXPECTED = (
    "the known layouts are train/, val/ and test/ with both images side by side in each file (halves); the folders a/ "
    "and b/ with equal file names (folders); and trainA/, trainB/, testA/ and testB/ (unaligned)"
)


class Images(Pictures):
    """Pictures of two kinds, called `a` and `b`: pairs of them, or some of each.

    The full range of a file's unsigned type is mapped to [-1, 1]; signed, floating-point and 32-bit numbers, as in CT
    and depth maps, need data.intensities.NAME.range. Transparency is ignored; data.spacing and data.normalisation apply
    only to scans. Folders train, val and test are the split's parts.

    Args:
        root: the data set's folder.
        layout: `halves` (a and b side by side in one file: train/0001.jpg), `folders` (pairs of equal name: a/0001.png
            and b/0001.png; train, val and test are the parent folder, a subfolder or, as in trainA, a prefix), or
            `unaligned` (trainA, trainB, testA, testB); `auto` recognizes the layout and treats trainA and trainB as
            unaligned.
        mode: `rgb` or `grey`; images are converted to this mode.
        size: height and width to which images are resized, with antialiasing; default: data.crop.
        left: the image on the left in `halves`.
        patient: if several images show one patient or scene, a regular expression that matches its part of the file
            names from the beginning, such as `[^_]+` for `P1_034.png`; default: every image is its own patient.
    """

    def __init__(
        self,
        root: Path,
        layout: Arrangement = "auto",
        mode: Mode = "rgb",
        size: Size | None = None,
        left: Side = "a",
        patient: Pattern = "",
    ) -> None:
        super().__init__(mode, size)
        self.root = Path(root).expanduser()
        self.layout, self.left, self.patient = layout, left, patient

    @property
    def reading(self) -> dict[str, Any]:
        """The parameters that change what is read from a file."""
        return super().reading | {"left": self.left}

    def subjects(self, progress: Progress) -> list[Subject]:
        """All pictures or pairs, sorted by id (the path below the root without its suffix).

        Raises:
            DataError: the root does not exist or contains no images in a known layout, an image has no partner, or two
                files have the same name.
        """
        if not self.root.is_dir():
            raise no_folder(self.root, "correct data.root in the recipe")
        found = _Folders(self.root)
        layout = self.layout if self.layout != "auto" else found.layout()
        subjects = found.subjects(layout)
        if not subjects:
            raise DataError(
                f"this folder holds no images in the layout {layout!r}",
                where=self.root,
                why=_EXPECTED,
                mend="correct data.root or data.layout in the recipe",
            )
        progress.note(f"{len(subjects)} {'images' if layout == 'unaligned' else 'pairs of images'} in {self.root}")
        owned = [with_patient(subject, self.patient) for subject in subjects]
        return sorted(owned, key=lambda subject: subject.id)

    def subject_at(self, path: Path, modalities: Sequence[str]) -> Subject:
        """The picture in one file, to be translated; the pair, if the file belongs to this data set and has a pair.

        Raises:
            DataError: the file does not exist or is not an image, or several modalities are requested.
        """
        path = Path(path).expanduser()
        if path.is_file() and path.resolve() in self._pairs:
            return Subject(path.stem, {"a": path, "b": path})
        return super().subject_at(path, modalities)

    @cached_property
    def _pairs(self) -> frozenset[Path]:
        """The files of this data set that contain two images side by side."""
        if not self.root.is_dir():
            return frozenset()
        try:
            found = _Folders(self.root)
            halves = (found.layout() if self.layout == "auto" else self.layout) == "halves"
        except DataError:  # the folder is no longer a data set
            return frozenset()
        files = (subject.files["a"] for subject in found.subjects("halves")) if halves else ()
        return frozenset(file.resolve() for file in files)

    def _shown(self, subject: Subject, name: str, pixels: Pixels) -> tuple[np.ndarray, str]:
        """The image as for all pictures; from a file with both images side by side, the half with this image."""
        if len(set(subject.files.values())) == len(subject.files):
            return super()._shown(subject, name, pixels)
        left = name == self.left
        return _half(subject.files[name], pixels.values, left=left), "right half" if left else "left half"


class _Folders:
    """The images below a root, by part and side, both read from the folder names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[tuple[str, Side | None], dict[str, Path]] = {}
        self.joined = False  # whether a folder name such as trainA contains both part and side
        self._add(root, "", None)
        for outer in _subfolders(root):
            part, side = _meaning(outer.name)
            if not part and not side:
                continue
            self._add(outer, part, side)
            self.joined |= bool(part and side)
            for inner in _subfolders(outer):
                its_part, its_side = _meaning(inner.name)
                if (its_part or its_side) and not (part and its_part) and not (side and its_side):
                    self._add(inner, part or its_part, side or its_side)

    def _add(self, folder: Path, part: str, side: Side | None) -> None:
        files = files_in(folder)
        if not files:
            return
        if (part, side) in self.files:
            other = next(iter(self.files[part, side].values())).parent
            raise DataError(
                f"two folders are {part}{(side or '').upper()}",
                where=folder,
                why=f"the other is {other}",
                mend="keep only one of them in this data set",
            )
        self.files[part, side] = files

    def layout(self) -> str:
        """The layout of these folders.

        Raises:
            DataError: the folders match no known layout, or several.
        """
        fitting = ["halves"] if any(side is None for _, side in self.files) else []
        if any(side for _, side in self.files):
            fitting.append("unaligned" if self.joined else "folders")
        if len(fitting) != 1:
            raise DataError(
                f"the images in this folder fit {'several layouts' if fitting else 'no known layout'}",
                where=self.root,
                why=f"they could be {' and '.join(fitting)}" if fitting else _EXPECTED,
                mend="name the layout with data.layout" if fitting else "correct data.root in the recipe",
            )
        return fitting[0]

    def subjects(self, layout: str) -> list[Subject]:
        """The subjects in these folders.

        Raises:
            DataError: an image has no partner.
        """
        if layout == "folders":
            return self._pairs()
        return [
            Subject(
                file.relative_to(self.root).with_suffix("").as_posix(),
                {side: file} if side else {"a": file, "b": file},
                part=_PARTS.get(part),
            )
            for (part, side), files in self.files.items()
            if (side is None) == (layout == "halves")
            for file in files.values()
        ]

    def _pairs(self) -> list[Subject]:
        """Images of equal name in two folders."""
        subjects = []
        for part in sorted({part for part, side in self.files if side}):
            a, b = self.files.get((part, "a"), {}), self.files.get((part, "b"), {})
            lonely = min(a.keys() ^ b.keys(), default=None)
            if lonely is not None:
                raise DataError(
                    "this image has no partner",
                    where=a.get(lonely) or b[lonely],
                    why=f"{part or 'this data set'} has no image {lonely!r} of the kind {'b' if lonely in a else 'a'}",
                    mend='set data.layout = "unaligned" if the images are not pairs; otherwise make a new folder with '
                    "links to the pairs only, and set it as data.root",
                )
            subjects += [
                Subject(f"{part}/{stem}" if part else stem, {"a": a[stem], "b": b[stem]}, part=_PARTS.get(part))
                for stem in a
            ]
        return subjects


def _meaning(name: str) -> tuple[str, Side | None]:
    """The part and the side in a folder's name: `train`, `A`, `trainA`; empty and None if it contains neither."""
    name = name.lower()
    if name in _PARTS:
        return name, None
    side: Side | None = "a" if name.endswith("a") else "b" if name.endswith("b") else None
    return (name[:-1], side) if side and (len(name) == 1 or name[:-1] in _PARTS) else ("", None)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _half(path: Path, pixels: np.ndarray, *, left: bool) -> np.ndarray:
    """The left or right half of (H, W, C)."""
    width = pixels.shape[1]
    if width % 2:
        raise DataError(
            f"this image is {width} pixels wide and cannot hold two images of equal size",
            where=path,
            mend="correct the file, or set data.layout if images are not side by side",
        )
    return pixels[:, : width // 2] if left else pixels[:, width // 2 :]
