"""Attribution of exceptions: an exception in a component becomes an error that names its plugin and the line."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gantk.errors import GantkError, PluginError, TrainingError
from gantk.memory import is_shortage

__all__ = ["blame", "mend_of", "place_of"]

CORE = Path(__file__).parents[1]


@contextmanager
def blame(origin: str, where: object = None, mend: str | None = None) -> Iterator[None]:
    """A context in which a component works.

    Args:
        origin: the component, as `Component.origin` names it.
        where: the recipe's key that placed it.
        mend: what the user can do; default: fix the plugin.

    Raises:
        PluginError: the component raised, and its exception is the cause. Errors of gantk and of memory pass unchanged.
        TrainingError: the step lacks something that the component asked for; the error names the key and the component.
    """
    try:
        yield
    except TrainingError as error:
        if error.where is not None:
            raise
        why = error.why or f"the {origin} asked for it"
        raise type(error)(error.what, where=where, why=why, mend=error.mend) from error
    except GantkError:
        raise
    except Exception as error:
        if is_shortage(error):  # no plugin is at fault
            raise
        place = place_of(error)
        said = " ".join(str(error).split())
        reason = f"{type(error).__name__}{f' ({place})' if place else ''}{f': {said}' if said else ''}"
        mend = f"{mend or mend_of(error)}; `gantk --debug …` shows the traceback"
        raise PluginError(f"the {origin} raised {reason}", where=where, mend=mend) from error


def place_of(error: BaseException) -> str:
    """`FILE:LINE` where the plugin raised; empty if no line of it is known."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if not _known(frame.filename)]
    if not outside:
        return ""
    last = [frame for frame in outside if frame.filename == outside[0].filename][-1]
    return f"{Path(last.filename).name}:{last.lineno}"


def _known(file: str) -> bool:
    """Frames of gantk, of torch and pluggy, and of the import machinery."""
    path = Path(file)
    between = {"torch", "pluggy", "importlib", "importlib_metadata"}
    return file.startswith("<") or CORE in path.parents or bool(between & set(path.parts))


def mend_of(error: BaseException) -> str:
    """The advice for an exception that a plugin raised."""
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("gantk"):
        missing = error.name.partition(".")[0]
        return f"install what it needs, `pip install {missing}`, and let the plugin's pyproject.toml depend on it"
    if isinstance(error, ImportError) and (error.name or "").startswith("gantk"):
        return "it was written for another gantk: upgrade gantk, `pip install -U gantk`, or the plugin"
    return "mend the plugin, or tell its authors"
