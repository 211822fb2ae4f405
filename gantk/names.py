"""Names: the names that recipes may use, and the paths made from them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from gantk.errors import UsageError

__all__ = ["ID", "LONGEST", "PATTERN", "apart", "check_id", "check_name", "path_in"]

#: Bytes in UTF-8 that a name may have.
LONGEST = 100
#: Bytes in UTF-8 that a file's name may have, with room for the marks of a file that is being written.
_LONGEST_FILE = 230
#: What no file can be called on Windows, whatever its suffix.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)

_NOT = r'/\\:*?"<>|'
PATTERN = rf"^[^{_NOT}. -]([^{_NOT}]*[^{_NOT}. ])?$"
"""A name as a regular expression of JSON Schema, but for its length and characters that cannot be printed."""
ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""A name that people type in shells: a recipe's, a variant's."""


def check_name(text: str) -> str:
    """The text, if a thing can be called so: a role, term, map, transform, stage, modality, region or metric.

    Raises:
        ValueError: it is empty, too long, or would be unfit as a part of a path; the text says why.
    """
    if fault := _fault(text, LONGEST):
        raise ValueError(f"a name {fault}")
    return text


def check_id(text: str) -> str:
    """The text, if a recipe or variant can be called so.

    Raises:
        ValueError: it is no name, or has other signs than letters, digits, `_`, `.` and `-`.
    """
    if not re.fullmatch(ID, check_name(text)):
        raise ValueError("use letters, digits, `_`, `.` and `-`, and begin with a letter or digit")
    return text


def apart(names: Iterable[str]) -> None:
    """Names of things that are kept in files must differ in more than capitals.

    Raises:
        ValueError: two do not.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise ValueError(f"{other!r} and {name!r} differ only in case, which many file systems ignore")


def path_in(folder: Path, name: str) -> Path:
    """The path of the file or folder of that name directly in a folder.

    Raises:
        UsageError: the name would leave the folder, or some file system does not allow it.
    """
    fault = _fault(name, _LONGEST_FILE)
    if fault is None and _RESERVED.fullmatch(name):
        fault = "must not be one that Windows keeps for devices"
    if fault is not None:
        raise UsageError(f"{name[:80]!r} cannot be the name of a file: a name {fault}", where=folder)
    return folder / name


def _fault(text: str, longest: int) -> str | None:
    if not text:
        return "must not be empty"
    if not text.isprintable():
        return "must not have control characters, line breaks or other signs that cannot be seen"
    if (size := len(text.encode())) > longest:
        return f"has at most {longest} bytes, this one has {size}"
    if re.search(rf"[{_NOT}]", text):
        return 'must not have any of / \\ : * ? " < > |'
    if not re.fullmatch(PATTERN, text):
        return "must not begin with a dot, hyphen or space, nor end with a dot or space"
    return None
