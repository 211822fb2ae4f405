"""Recognition of data set layouts by file names, for errors about an unexpected layout."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from gantk.files import walk_folders

__all__ = ["Recognized", "is_dicom", "recognize"]

_FOLDERS = 20_000  # the number of folders to search at most
_NIFTI = r"\.nii(?:\.gz)?$"
_LINK = (
    "make a new folder that contains a folder for each patient with links to the scans, such as "
    "{case}/{case}_{modality}.nii.gz, and set the new folder as data.root"
)
_CONVERT = "convert each series to NIfTI, such as X/X_t1.nii.gz, and set the parent folder as data.root"


def _table(options: str, root: str = "root") -> str:
    """Advice on how to list a folder.

    Braces of patterns are doubled; `{root}` and `{above}` are placeholders.
    """
    return (
        f"write a table of it with `gantk data table {{{root}}} -o cohort.csv --layout {options}`, and use the table "
        'with dataset = "table" and file = "cohort.csv" in the recipe'
    )


_DICOM = _table("dicom").replace("write a table of it", "convert its series and list them in a table")


def _flat(*patterns: str) -> str:
    return " ".join(["flat", *(f'--pattern "{pattern}{{end}}"' for pattern in patterns)])


# the layout's name, the pattern of its files below the root, the advice
_LAYOUTS = tuple(
    (name, re.compile(pattern, re.IGNORECASE), mend)
    for name, pattern, mend in (
        (
            "nnU-Net's layout",
            r"(?:^|/)(?:images|labels)t[rs]/(?P<case>[^/]+)_\d{4}" + _NIFTI,
            _table(_flat("imagesTr/{{patient}}_{{modality}}", "seg=labelsTr/{{patient}}"), "above"),
        ),
        (
            "the Medical Segmentation Decathlon's layout, all modalities of a patient in one file",
            r"(?:^|/)(?:images|labels)t[rs]/(?P<case>[^/]+)" + _NIFTI,
            _table("msd", "above"),
        ),
        (
            "BraTS 2023 or later, but in a folder of another name",
            r"(?:^|/)(?P<case>brats-[a-z]+-\d+-\d+)-(?P<modality>[^/]+)" + _NIFTI,
            _table(_flat("{{patient}}-{{visit}}-{{modality}}")),
        ),
        (
            "UCSF-PDGM, in a folder of another name",
            r"(?:^|/)(?P<case>ucsf-pdgm-\d+)_(?P<modality>[^/]+)" + _NIFTI,
            _table(_flat("{modality}={{patient}}_{written}")) + ", with a pattern for each modality",
        ),
        (
            "BIDS",
            r"(?:^|/)(?P<case>sub-[^/_]+)(?:_[^/_-]+-[^/_]+)*_(?P<modality>[^/_-]+)" + _NIFTI,
            _table("bids"),
        ),
        (
            "IXI's layout, a folder for each modality",
            r"(?:^|/)(?P<case>ixi\d+-[a-z]+-\d+)-(?P<modality>[^/]+)" + _NIFTI,
            _table(_flat("{{patient}}-{{modality}}")),
        ),
        (None, r"(?:^|/)[^/]+(?P<mark>[_-])[^/_-]+" + _NIFTI, _table(_flat("{{patient}}{mark}{{modality}}"))),
        (None, r"^[^/]+/[^/]+/[^/]+" + _NIFTI, _table(_flat("{{patient}}/{{modality}}"))),
        (None, _NIFTI, _LINK),
        ("DICOM", r"\.(?:dcm|dicom|ima)$|(?:^|/)dicomdir$|(?:^|/)(?:mr|ct)\.\d[^/]+$", _DICOM),
        ("a volume that is not NIfTI", r"\.(?:mha|mhd|nrrd|mgh|mgz|mnc|hdr|nii\.(?:bz2|zst|xz|zip))$", _CONVERT),
        ("pictures", r"\.(?:png|jpe?g|tiff?|bmp)$", 'set dataset = "images" in the recipe'),
    )
)


@dataclass(frozen=True)
class Recognized:
    """A layout that a folder's files resemble.

    Attributes:
        layout: the layout's name, to follow "it looks like"; None for NIfTI files in an unknown layout.
        file: one of the files.
        mend: how to read such files.
    """

    layout: str | None
    file: Path
    mend: str


def recognize(folder: Path, root: Path | None = None) -> Recognized | None:
    """The layout that the files below a folder resemble; None if no file could be an image.

    Args:
        folder: the folder to search.
        root: the data set's folder for the advice; default: `folder`.
    """
    found: dict[str | None, Recognized] = {}
    root = root or folder
    top = folder.absolute().name
    with suppress(OSError):  # if a folder cannot be read, use the findings so far
        for _, files in islice(walk_folders(folder), _FOLDERS):
            for file in files:
                path = f"{top}/{file.relative_to(folder).as_posix()}"
                layout = _layout_of(root, path, file)
                if layout is not None:
                    found.setdefault(layout.layout, layout)
    return next((found[name] for name, *_ in _LAYOUTS if name in found), None)


def _layout_of(root: Path, path: str, file: Path) -> Recognized | None:
    for name, pattern, mend in _LAYOUTS:
        if match := pattern.search(path):
            words = {"case": "X", "modality": "t1"} | {key: word for key, word in match.groupdict().items() if word}
            words |= {"written": words["modality"], "modality": words["modality"].lower()}
            words |= {"root": shlex.quote(str(root)), "above": shlex.quote(str(file.parent.parent))}
            end = ".nii.gz" if file.name.lower().endswith(".gz") else ".nii"
            return Recognized(name, file, mend.format(**words, end=end))
    return Recognized("DICOM", file, _DICOM.format(root=shlex.quote(str(root)))) if is_dicom(file) else None


def is_dicom(file: Path) -> bool:
    """Whether a file is DICOM, whatever its name: scanners write names such as IM0001, or UIDs."""
    with suppress(OSError):
        if file.is_file():
            with file.open("rb") as handle:
                return handle.read(132)[128:] == b"DICM"
    return False
