"""One exception tree: every error that a user can cause says where, what, why and how to fix it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

__all__ = [
    "CacheError",
    "CheckpointError",
    "DataError",
    "EvaluationError",
    "GantkError",
    "GantkWarning",
    "Interrupted",
    "MemoryShortage",
    "NonFiniteError",
    "PluginError",
    "RecipeError",
    "TrackingError",
    "TrainingError",
    "UsageError",
    "nearest",
    "redact",
]


class GantkError(Exception):
    """An error with a place, a cause and a remedy, printed as one paragraph and never as a traceback.

    Args:
        what: what went wrong, a full sentence without its full stop.
        where: file, recipe key or component concerned.
        why: the cause, where `what` does not already say it; of an `OSError` without its number and path.
        mend: what the user can do now.
        command: to be copied; it stands on a line of its own.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        why: object = None,
        mend: str | None = None,
        command: str | None = None,
    ) -> None:
        self.what = redact(what)
        self.where = None if where is None else redact(str(where))
        self.why = None if why is None else redact(str((isinstance(why, OSError) and why.strerror) or why))
        self.mend = mend
        self.command = command
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        said = _sentence(head)
        for more in (self.why, self.mend):
            if more:
                said = f"{said.rstrip('.')}; {_sentence(more)}" if more[0].islower() else f"{said} {_sentence(more)}"
        return f"{said.rstrip('.')}:\n  {self.command}" if self.command else said


def _sentence(text: str) -> str:
    return text if text.endswith(("?", "!")) else text.rstrip(". ") + "."


class GantkWarning(FutureWarning):
    """Something that a user should know but that stops nothing, such as repaired damage; the command line shows it."""


class RecipeError(GantkError):
    """The recipe is wrong: an unknown key, a wrong type, a name that no plugin supplies."""

    exit_code = 2


class UsageError(GantkError):
    """The command line or an argument of the API is wrong."""

    exit_code = 2


class PluginError(GantkError):
    """A plugin clashes with another or breaks a contract of its kind."""


class DataError(GantkError):
    """An image, a patient folder or a cohort cannot be used."""


class CacheError(DataError):
    """The slice cache cannot be read or written."""


class MemoryShortage(GantkError):
    """There is not enough memory for the sizes in a recipe."""


class TrainingError(GantkError):
    """Training cannot go on."""


class NonFiniteError(TrainingError):
    """A loss term became NaN or infinite."""


class CheckpointError(GantkError):
    """A checkpoint is missing, corrupt or belongs to another recipe."""


class EvaluationError(GantkError):
    """An evaluation cannot be computed or compared."""


class TrackingError(GantkError):
    """The tracking store cannot be used (raised by `gantk sync` and `gantk ui`, never while training)."""


class Interrupted(GantkError):
    """The run was interrupted by a signal, and its state was saved."""

    exit_code = 130


_USER = re.compile(r"://(?!/)[^\s'\"]*@")
_SECRET = re.compile(r"([?&;][\w.-]*(?:token|pass|pwd|secret|key|auth|cred|sig|odbc)[\w.-]*=)[^&\s'\"]+", re.IGNORECASE)


def redact(text: str) -> str:
    """The text, with users, passwords and tokens removed from all addresses in it."""
    return _SECRET.sub(r"\1…", _USER.sub("://…@", text))


def nearest(name: str, candidates: Iterable[str]) -> str:
    """A hint such as `did you mean 'x'?` for a misspelled name, or all names if none is similar."""
    names = sorted(candidates)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if names else "none is known"
