"""Errors at the command line: a paragraph and an exit code for a user's mistake, a log file for anything else."""

from __future__ import annotations

import difflib
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from gantk.cli.pages import Group
from gantk.errors import GantkError, GantkWarning, UsageError, redact
from gantk.ranks import rank

__all__ = ["Verbs"]

INTERRUPTED = 130
#: Seconds that other processes wait, so that the first process can report its error before they do.
DEFERENCE = 3.0
#: Commands of other tools, and the corresponding commands here.
ELSEWHERE = {
    "train": "run", "fit": "run", "start": "run", "resume": "run --resume", "sweep": "run",
    "test": "evaluate", "eval": "evaluate", "measure": "evaluate", "check": "validate", "lint": "validate",
    "infer": "predict", "inference": "predict", "synthesize": "predict", "translate": "predict", "generate": "predict",
    "ls": "list", "components": "list", "info": "show", "init": "new", "create": "new",
    "mlflow": "ui", "server": "ui", "upload": "sync", "plot": "figure", "version": "--version", "help": "--help",
}  # fmt: skip


class Verbs(Group):
    """The group of all commands; turns exceptions into a message and an exit code.

    0 done, 1 failed, 2 bad recipe or usage, 130 interrupted. With `--json`, a JSON document also has the message.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command; for a misspelled command or one of another tool, suggest the command to use."""
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            near = difflib.get_close_matches(args[0], [*known, *ELSEWHERE], n=1)
            meant = ELSEWHERE.get(near[0], near[0]) if near else ""
            mend = f"did you mean 'gantk {meant}'?" if meant else "see `gantk --help`"
            raise UsageError(f"there is no command {args[0]!r}", mend=mend)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            with _spoken_warnings():
                return super().invoke(ctx)
        except GantkError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            _say("interrupted" if error.exit_code == INTERRUPTED else "error", str(error))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            _say("interrupted", "Everything that was saved before is kept.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            sys.stderr.close()  # the reader of the pipe has ended, so a message would fail, too
            raise typer.Exit(1) from None
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:
            if isinstance(error, _usage_errors()):
                raise
            _unexpected(error, debug=bool(ctx.params.get("debug")))
            raise typer.Exit(1) from None


@contextmanager
def _spoken_warnings() -> Iterator[None]:
    """Show warnings of gantk as one line, without file and source line."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", GantkWarning)
        show = warnings.showwarning

        def speak(message: Any, category: type[Warning], *rest: Any, **named: Any) -> None:
            if issubclass(category, GantkWarning):
                _say("warning", f"{str(message).rstrip('.')}.")
            else:
                show(message, category, *rest, **named)

        warnings.showwarning = speak
        yield


def _usage_errors() -> tuple[type[BaseException], ...]:
    """The exceptions that the command-line library raises and prints for wrong usage."""
    return tuple(base for base in typer.BadParameter.__mro__ if base.__module__.startswith(("typer", "click")))


def _say(kind: str, text: str) -> None:
    from rich.text import Text

    from gantk.cli.console import console

    style = "bold red" if kind == "error" else "yellow"
    out = console()
    if rank() and kind == "error":
        time.sleep(DEFERENCE)  # if the first process fails, too, torchrun ends this one before it repeats the error
        out.quiet, text = False, f"process {rank()}: {text}"
    out.print(Text.assemble((f"{kind}: ", style), text), soft_wrap=True)


def _unexpected(error: Exception, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    reason = redact(": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])).rstrip(".")
    try:
        log = _log()
        log.write_text(redact(f"{sys.argv}\n\n{traceback.format_exc()}"), encoding="utf-8")
        place = f"The traceback is in {log}"
    except OSError:
        place = "The traceback could not be written"
    _say("error", f"gantk failed unexpectedly: {reason}. {place}; `gantk --debug …` shows it here.")


def _log() -> Path:
    from platformdirs import user_log_path

    stamp = f"{datetime.now():%Y%m%d-%H%M%S-%f}"
    try:
        folder = user_log_path("gantk", ensure_exists=True)
        return folder / f"error-{stamp}.log"
    except OSError:
        return Path(tempfile.gettempdir()) / f"gantk-error-{stamp}.log"
