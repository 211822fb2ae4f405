"""Components: classes that plugins registered, each with a schema made from its constructor's signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError

from gantk.errors import GantkError, PluginError, RecipeError, nearest
from gantk.plugins.blame import blame
from gantk.plugins.dimensions import dimensions_of
from gantk.plugins.kinds import KINDS
from gantk.plugins.names import named
from gantk.plugins.nested import as_tables, made, nested_in, resolved
from gantk.plugins.words import type_words, value_words
from gantk.ranges import plain_numbers

if TYPE_CHECKING:
    from gantk.plugins.registry import Registry

__all__ = ["Component", "Parameter"]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a component, as a recipe gives it."""

    name: str
    type: Any
    default: Any
    required: bool

    @property
    def type_name(self) -> str:
        """The type in words: `number ≥ 0`."""
        return type_words(self.type)


@dataclass(frozen=True)
class Component:
    """A class that a plugin registered under a name.

    Args:
        name: as recipes write it.
        kind: loss, generator, …
        cls: the class.
        plugin: the plugin's name.
        version: of the plugin's distribution.
        distribution: its name for `pip`.
        formerly: old names that recipes may still use, with a warning.
        registry: the components that its parameters may name.
    """

    name: str
    kind: str
    cls: type
    plugin: str
    version: str
    distribution: str = ""
    formerly: tuple[str, ...] = ()
    registry: Registry | None = field(default=None, compare=False, repr=False)

    @property
    def origin(self) -> str:
        """Its description in errors: `loss 'l1' of the plugin my_losses 1.2`."""
        return f"{self.kind.replace('_', ' ')} {self.name!r} of the plugin {self.plugin} {self.version}".rstrip()

    @property
    def doc(self) -> str:
        """The class's docstring."""
        return inspect.getdoc(self.cls) or ""

    @cached_property
    def arguments(self) -> dict[str, Parameter]:
        """All constructor arguments by name, including the arguments that the core supplies."""
        try:
            signature = inspect.signature(self.cls)
            target = self.cls.__init__ if inspect.isclass(self.cls) else self.cls
            hints = get_type_hints(target, include_extras=True)
        except (TypeError, ValueError, NameError) as error:
            raise PluginError(
                f"the signature of {self.kind} {self.name!r} cannot be read", where=f"plugin {self.plugin}", why=error
            ) from None
        found: dict[str, Parameter] = {}
        if getattr(target, "__module__", "") == "torch.nn.modules.module":  # a network without its own constructor
            return found
        for name, parameter in signature.parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
                raise PluginError(
                    f"{self.kind} {self.name!r} takes {parameter}, which no recipe can name",
                    where=f"plugin {self.plugin}",
                    mend="give its constructor named, typed parameters only",
                )
            required = parameter.default is parameter.empty
            found[name] = Parameter(name, hints.get(name, Any), None if required else parameter.default, required)
        return found

    @property
    def parameters(self) -> list[Parameter]:
        """The arguments that a recipe may give."""
        supplied = KINDS[self.kind].supplied
        return [a for a in self.arguments.values() if a.name not in supplied]

    @cached_property
    def schema(self) -> type[BaseModel]:
        """The parameters as a pydantic model."""
        fields: dict[str, Any] = {
            p.name: (as_tables(plain_numbers(p.type)), ... if p.required else p.default) for p in self.parameters
        }
        config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())
        try:
            return create_model(self.cls.__name__, __config__=config, **fields)
        except PydanticSchemaGenerationError as error:
            raise PluginError(
                f"the {self.kind} {self.name!r} has a parameter of a type that no recipe can write",
                where=f"plugin {self.plugin}",
                why=error.message.splitlines()[0].partition(". Set")[0],
                mend="take numbers, texts, lists and tables of them; gantk.Role names a translator",
            ) from None

    def verify(self) -> None:
        """Check that recipes can name the component's parameters, and that the core can call it.

        Raises:
            PluginError: a parameter has the name of a recipe's own key, or a signature cannot be read or used.
        """
        taken = KINDS[self.kind].reserved & set(self.schema.model_fields)
        if taken:
            raise PluginError(
                f"the {self.kind} {self.name!r} has a parameter {min(taken)!r}, a key that recipes use themselves",
                where=f"plugin {self.plugin}",
                mend="rename the parameter",
            )
        dimensions_of(self)
        self._verify_call()

    def _verify_call(self) -> None:
        """Check that instances accept the core's calls; a function that makes instances is not checked."""
        if not inspect.isclass(self.cls):
            return
        for name, given in KINDS[self.kind].methods.items():
            if callable(method := inspect.getattr_static(self.cls, name, None)):
                self._verify_arguments(name, method, given)
        given = KINDS[self.kind].called_with
        if not given:
            return
        mend = f"write def __call__(self, {', '.join(given)}): …"
        call = next((vars(base)["__call__"] for base in self.cls.__mro__ if "__call__" in vars(base)), None)
        instead = KINDS[self.kind].or_has
        if call is None and instead and hasattr(self.cls, instead):
            return
        if call is None:
            raise PluginError(
                f"the {self.kind} {self.name!r} cannot be called", where=f"plugin {self.plugin}", mend=mend
            )
        self._verify_arguments("__call__", call, given)

    def _verify_arguments(self, name: str, method: Callable[..., Any], given: tuple[str, ...]) -> None:
        called = "be called" if name == "__call__" else f"have its {name} called"
        try:
            inspect.signature(method).bind(None, *given)
        except TypeError as error:
            raise PluginError(
                f"the {self.kind} {self.name!r} cannot {called} with {', '.join(given)}",
                where=f"plugin {self.plugin}",
                why=error,
                mend=f"write def {name}(self, {', '.join(given)}): …",
            ) from None
        except ValueError:  # a compiled class has no signature
            return

    def check(self, parameters: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The parameters validated and complete with defaults, paths absolute.

        Raises:
            RecipeError: a parameter is unknown, missing or of the wrong type.
        """
        try:
            model = self.schema.model_validate(dict(parameters))
        except ValidationError as error:
            raise self._explain(error, where) from None
        values = {name: getattr(model, name) for name in self.schema.model_fields}
        values = {k: v.expanduser().absolute() if isinstance(v, Path) else v for k, v in values.items()}
        return {name: resolved(value, f"{where}.{name}", self._beside) for name, value in values.items()}

    def _beside(self, kind: str, name: str, where: str) -> Component:
        """A component from the same registry."""
        if self.registry is None:
            raise PluginError(f"the {self.origin} is in no registry in which {name!r} could be found", where=where)
        return self.registry.get(kind, name, where)

    def _explain(self, error: ValidationError, where: str) -> RecipeError:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = set(self.schema.model_fields) | KINDS[self.kind].reserved
            return RecipeError(
                f"{self.kind} {self.name!r} has no parameter {key!r}",
                where=f"{where}.{key}",
                mend=nearest(key, known),
            )
        if problem["type"] == "missing":
            return RecipeError(f"{self.kind} {self.name!r} needs the parameter {key!r}", where=where)
        why = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "model_type":
            why = 'it names a component, as a table: { use = "NAME" }'
        said = f"parameter {key!r} of {self.kind} {self.name!r} is {problem.get('input')!r}"
        return RecipeError(said, where=f"{where}.{key}", why=why)

    def build(self, parameters: Mapping[str, Any], where: str, **supplied: Any) -> Any:
        """An instance, made from a recipe's parameters and those entries of `supplied` that its constructor takes."""
        return self.make(self.check(parameters, where), where, **supplied)

    def make(self, values: Mapping[str, Any], where: str, **supplied: Any) -> Any:
        """An instance, made from checked parameters.

        Raises:
            RecipeError: the constructor refuses them with an error of gantk.
            PluginError: the constructor raised anything else.
        """
        given = {name: made(value, supplied) for name, value in values.items()}
        supplied = {name: value for name, value in supplied.items() if name in self.arguments}
        changed = [f"{n} = {value_words(v)}" for n, v in values.items() if v != self.arguments[n].default]
        mend = f"correct {', '.join(changed)} in the recipe, or mend the plugin" if changed else None
        try:
            with blame(self.origin, where, mend):
                return self.cls(**supplied, **given)
        except GantkError as error:
            if type(error) not in (GantkError, RecipeError):
                raise
            place = error.where or ""
            inner = f"{where}.{place}" if place in values else where
            where = place if place.startswith(f"{where}.") else inner
            raise RecipeError(error.what, where=where, why=error.why, mend=error.mend) from error

    def named(self, values: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
        """The names from the recipe in checked parameters: the parameter, the type (`gantk.Role`, …) and the name."""
        for parameter in self.parameters:
            for kind, name in named(parameter.type, values[parameter.name]):
                yield parameter.name, kind, name
        for place, nested in nested_in(values):
            for within, kind, name in nested.component.named(nested.values):
                yield f"{place}.{within}", kind, name
