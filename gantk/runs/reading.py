"""Reading side files of a run: checked content, or the reason why a file cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gantk.runs.lines import record_of
from gantk.runs.names import ENVIRONMENT, STATUS

__all__ = ["Bad", "absent", "last_line", "read", "read_object", "read_typed"]

_TYPES: dict[str, dict[str, tuple[type, ...]]] = {
    STATUS: {
        **dict.fromkeys(("state", "message", "recipe", "id", "split", "stage"), (str,)),
        **dict.fromkeys(("epoch", "step"), (int,)),
        **dict.fromkeys(("started", "seconds", "updated"), (int, float)),
    },
    ENVIRONMENT: {
        **dict.fromkeys(("device", "precision"), (str,)),
        "plugins": (list,),
        "packages": (dict,),
        "git": (dict, type(None)),
    },
}


class Bad(Exception):
    """The reason why a file cannot be used."""


def absent(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Bad("is missing") from None
    except OSError as error:
        raise Bad(f"cannot be read ({error.strerror or error})") from None
    except ValueError:
        raise Bad("is no text") from None


def read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read(path))
    except (ValueError, RecursionError):
        raise Bad("is truncated or not JSON") from None
    if not isinstance(content, dict):
        raise Bad("does not have the content that gantk writes")
    return content


def read_typed(path: Path) -> dict[str, Any]:
    content = read_object(path)
    for name, kinds in _TYPES[path.name].items():
        if name in content and (not isinstance(content[name], kinds) or type(content[name]) is bool):
            raise Bad(f"does not have the content that gantk writes ({name} is {content[name]!r})")
    return content


def last_line(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            file.seek(max(file.seek(0, 2) - 65536, 0))
            lines = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        raise Bad("is missing") from None
    except OSError as error:
        raise Bad(f"cannot be read ({error.strerror or error})") from None
    try:
        return record_of(lines[-1] + b"\n")
    except (ValueError, IndexError):
        raise Bad("is damaged at its end" if lines else "is empty or is not a journal") from None
