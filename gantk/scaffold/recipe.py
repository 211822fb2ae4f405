"""New recipes, copied from the recipes of gantk."""

from __future__ import annotations

import re
from pathlib import Path

import tomli_w

import gantk
from gantk.errors import UsageError, nearest
from gantk.files import write_text
from gantk.names import check_id, path_in
from gantk.recipe.load import chain, load_recipe
from gantk.recipe.merge import fold
from gantk.recipe.shipped import shipped_recipes
from gantk.recipe.toml import read_text
from gantk.recipe.variants import is_sweep

__all__ = ["SCHEMA", "new_recipe", "shipped_recipes", "write_new"]

SCHEMA = "gantk.schema.json"
"""What a recipe's first line names where this file lies beside it."""


def new_recipe(name: str, like: str, parent: Path = Path()) -> Path:
    """Write NAME.toml, a complete copy of another recipe, to be changed freely.

    A recipe without `extends` is copied with its comments; a recipe with `extends` is merged with its parents, without
    comments.

    Args:
        name: of the recipe and its file.
        like: a recipe that comes with gantk (see `shipped_recipes`), or a file.
        parent: the folder to write to.

    Raises:
        UsageError: there is no such recipe, it describes several runs, or the file is there already.
        RecipeError: the other recipe is wrong.
    """
    try:
        check_id(name)
    except ValueError as error:
        raise UsageError(f"a recipe cannot be called {name!r}", why=error) from None
    known = shipped_recipes()
    path = known.get(like.removesuffix(".toml"), Path(like))
    if not path.is_file():
        raise UsageError(f"there is no recipe {like!r}", where="--like", mend=nearest(like, known))
    if is_sweep(path):
        raise UsageError(
            f"{like!r} describes several runs",
            where="--like",
            mend=f'write a recipe with extends = "{path}", a name, and its own [variants] or [sweep]',
        )
    files = chain(path)
    if len(files) == 1:
        text = _named(read_text(path), name)
    else:
        table = {key: value for key, value in fold(files).items() if key != "without"}
        text = f"# As {like} of gantk {gantk.__version__}, with what it extends.\n"
        text += tomli_w.dumps({**table, "name": name})
    out = path_in(parent, f"{name}.toml")
    if (parent / SCHEMA).is_file():
        text = f"#:schema {SCHEMA}\n{text}"
    write_new(out, text)
    load_recipe(out)
    return out


def write_new(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a file that is not there yet.

    Raises:
        UsageError: it is there and not to be replaced, or it cannot be written.
    """
    if path.exists() and not replace:
        raise UsageError("this file already exists", where=path, mend="give another name, or remove it")
    try:
        write_text(path, text)
    except OSError as error:
        raise UsageError("the file cannot be written", where=path, why=error) from error


def _named(text: str, name: str) -> str:
    """The recipe under another name; a line for the schema of another place goes."""
    text = re.sub(r"\A#:schema .*\n", "", text)
    return re.sub(r"^name\s*=.*$", lambda _: f'name = "{name}"', text, count=1, flags=re.MULTILINE)
