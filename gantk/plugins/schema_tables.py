"""The JSON Schema of one table of a recipe: a model's keys, and the parameters of the component that it names."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import PydanticJsonSchemaWarning

from gantk.plugins.component import Component
from gantk.plugins.docstring import parse
from gantk.plugins.nested import KIND
from gantk.plugins.registry import Registry
from gantk.recipe.schema import attribute_docs
from gantk.recipe.values import Selection

__all__ = ["NESTED", "TEXT", "Schema", "Tables"]

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
#: Prefix of the definitions of tables of nested components.
NESTED = "#/$defs/nested."


class Tables:
    """Writes the schemas of tables, and collects the definitions that they refer to.

    Attributes:
        defs: the definitions that schemas refer to, by name.
        required: the required parameters of each component as conditions, by the table's path.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.defs: Schema = {}
        self.required: dict[str, list[Schema]] = {}

    def table(self, place: str, kind: str, model: type[BaseModel], selector: str = "use") -> Schema:
        """A table that names a component: its own keys, and the component's parameters."""
        own = self.model(model)["properties"]
        components = [c for c in self.registry if c.kind == kind]
        own[selector] = {
            "description": f"Name of the {kind.replace('_', ' ')}; `gantk list` shows the available names.",
            **({"enum": sorted(name for c in components for name in (c.name, *c.formerly))} if components else TEXT),
        }
        any_of: dict[str, list[Schema]] = {}
        branches, self.required[place] = [], []
        for component in components:
            parameters = self._parameters(component)
            for name, schema in parameters.items():
                any_of.setdefault(name, []).append({"component": component.name, "schema": schema})
            named: Schema = {"properties": {selector: {"enum": [component.name, *component.formerly]}}}
            named["required"] = [selector]
            keys = dict.fromkeys(own, True)
            branches.append(
                {"if": named, "then": {"properties": {**keys, **parameters}, "additionalProperties": False}}
            )
            if needed := [p.name for p in component.parameters if p.required]:
                self.required[place].append({"if": named, "then": {"required": needed}})
        union = {name: _union(found) for name, found in any_of.items()}
        return {
            "type": "object",
            "properties": {**union, **own},  # suggestions for editors; the constraints are in the branches
            "if": {"required": [selector]},
            "then": {"allOf": branches} if branches else {},
            "else": {"properties": dict.fromkeys([*union, *own], True), "additionalProperties": False},
        }

    def _parameters(self, component: Component) -> dict[str, Schema]:
        """A component's parameters; constraints that JSON Schema cannot express are omitted."""
        written = _json_schema(component.schema, f"{component.kind}.{component.name}.", self.defs)
        docs = parse(component.doc).arguments
        found = {}
        for parameter in component.parameters:
            schema = dict(self._naming(written.get("properties", {}).get(parameter.name, {})))
            schema.pop("title", None)
            found[parameter.name] = schema | ({"description": docs[parameter.name]} if parameter.name in docs else {})
        return found

    def _naming(self, schema: Any) -> Any:
        """A parameter's schema, with tables of the components that it names."""
        if isinstance(schema, list):
            return [self._naming(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        if KIND not in schema:
            return {key: self._naming(value) for key, value in schema.items()}
        if (name := f"nested.{schema[KIND]}") not in self.defs:
            self.defs[name] = {}  # it may name other components of its kind
            self.defs[name] = {**self.table(name, schema[KIND], Selection), "required": ["use"]}
        return {"$ref": f"#/$defs/{name}"}

    def model(self, model: type[BaseModel]) -> Schema:
        """A table with a fixed set of keys, none required; inner tables are fixed, too."""
        written = _json_schema(model, "", self.defs)
        docs = attribute_docs(model)
        for name, schema in written.get("properties", {}).items():
            schema.pop("title", None)
            if name in docs:
                schema["description"] = docs[name]
        closed = model.model_config.get("extra") == "forbid"
        return {
            "type": "object",
            "properties": written.get("properties", {}),
            **({"additionalProperties": False} if closed else {}),
        }


def _json_schema(model: type[BaseModel], prefix: str, defs: Schema) -> Schema:
    """A model's schema, with its definitions added under a prefix; unconstrained if it could not be loaded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PydanticJsonSchemaWarning)  # defaults that JSON cannot express are left out
            written = model.model_json_schema(ref_template=f"#/$defs/{prefix}{{model}}")
    except PydanticInvalidForJsonSchema:
        return {}
    for name, schema in written.pop("$defs", {}).items():
        defs[prefix + name] = schema
    return written


def _union(found: Iterable[Mapping[str, Any]]) -> Schema:
    """A parameter that several components have, with the description from each."""
    said = [f"{f['component']}: {f['schema'].get('description', '')}".rstrip(": ") for f in found]
    bare = [{k: v for k, v in f["schema"].items() if k not in ("description", "default")} for f in found]
    kinds = [schema for number, schema in enumerate(bare) if schema not in bare[:number]]
    return {"description": "\n\n".join(said), **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})}
