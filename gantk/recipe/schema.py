"""The keys that a recipe may have at a path, and their descriptions."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
import types
from collections.abc import Sequence
from functools import cache
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel


def keys_at(model: type[BaseModel], place: Sequence[str]) -> list[str]:
    """The keys of the table at `place` below `model`; empty where it is no table of fixed keys."""
    found = _model(annotation_at(model, place))
    return list(found.model_fields) if found else []


def annotation_at(model: type[BaseModel], place: Sequence[str]) -> Any:
    """The type of the key at `place` below `model`; None where there is no such key."""
    annotation: Any = model
    for part in place:
        annotation = _step(annotation, part)
    return annotation


def doc_of(model: type[BaseModel], place: Sequence[str]) -> str | None:
    """The description of the key at `place` below `model`, if there is one."""
    table = _model(annotation_at(model, place[:-1]))
    return attribute_docs(table).get(place[-1]) if table and place else None


def _step(annotation: Any, part: str) -> Any:
    if (found := _model(annotation)) is not None:
        field = found.model_fields.get(part)
        return field.annotation if field else None
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    return None


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType):
        return next((m for m in map(_model, get_args(annotation)) if m), None)
    return None


@cache
def attribute_docs(model: type) -> dict[str, str]:
    """What the strings below a model's attributes say of them, by attribute; those of its bases included."""
    docs: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if base.__module__.startswith("gantk."):
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
            assert isinstance(body, ast.ClassDef)
            for statement, text in itertools.pairwise(body.body):
                match statement, text:
                    case ast.AnnAssign(target=ast.Name(name)), ast.Expr(value=ast.Constant(value=str(said))):
                        docs[name] = " ".join(said.split())
    return docs
