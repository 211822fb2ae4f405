"""The JSON Schema of recipes, composed from the recipe's models and the components that are registered.

Editors read it (`#:schema FILE` on a recipe's first line). A table that names a component takes that component's
parameters and no others; one that names none, because a parent does, takes those of any component of its kind.
What a whole recipe must have is asked of recipes without `extends` alone.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import PydanticJsonSchemaWarning

from gantk.names import ID, LONGEST, PATTERN
from gantk.plugins.component import Component
from gantk.plugins.docstring import parse
from gantk.plugins.nested import KIND
from gantk.plugins.registry import Registry
from gantk.recipe.data import DataSettings
from gantk.recipe.evaluation import EvaluationSettings
from gantk.recipe.inference import InferenceSettings
from gantk.recipe.model import (
    BalanceSettings,
    LossSettings,
    MapSettings,
    Recipe,
    RunSettings,
    ScheduleSettings,
    TrackingSettings,
    TrainingSettings,
    TransformSettings,
)
from gantk.recipe.schema import attribute_docs
from gantk.recipe.translators import OptimizerSettings, TranslatorSettings
from gantk.recipe.values import Selection

__all__ = ["DIALECT", "recipe_schema"]

Schema = dict[str, Any]
DIALECT = "http://json-schema.org/draft-07/schema#"
TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
#: Where the tables are of components that others name.
NESTED = "#/$defs/nested."
#: Tables of recipes that hold one table per name, with the kind of component that these name.
NAMED: dict[str, tuple[str, type[BaseModel]]] = {
    "losses": ("loss", LossSettings),
    "maps": ("weight_map", MapSettings),
    "transforms": ("transform", TransformSettings),
}


def recipe_schema(registry: Registry) -> Schema:
    """The schema of recipes that name these components, of sweeps too, as JSON."""
    return _Writer(registry).recipe()


class _Writer:
    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.defs: Schema = {}
        self.required: dict[str, list[Schema]] = {}

    def recipe(self) -> Schema:
        """The whole schema."""
        own = self._model(Recipe)["properties"]
        tables = self._tables()
        sections = {
            key: {"description": attribute_docs(Recipe).get(key, ""), **own[key]}
            for key in ("name", "description", "predict")
        } | tables
        extends = {**TEXT, "description": "The recipe that this one is laid over, by its path from here."}
        without = {**TEXTS, "description": "Keys of the parent that are left out, dotted: losses.NAME."}
        dotted = dict(self._dotted(tables, ""))
        variant: Schema = {
            "type": "object",
            "description": "Changes that make a run of their own: dotted keys in quotes, or tables.",
            "properties": {
                **sections,
                "label": {**TEXT, "description": "How tables call it; its name where absent."},
                "report": {
                    "anyOf": [TEXTS, {"type": "object", "additionalProperties": {**TEXT, "minLength": 1}}],
                    "description": "Roles that become rows of tables, or a table of them with the rows' names.",
                },
                "extends": {**TEXT, "description": "Another recipe in place of the one that the sweep extends."},
                "without": without,
                "sweep": {"$ref": "#/$defs/sweep"},
            },
            "patternProperties": dotted,
            "additionalProperties": False,
        }
        self.defs["variant"] = variant
        self.defs["sweep"] = {
            "type": "object",
            "description": "A grid: dotted keys in quotes, each with a list of values.",
            "patternProperties": {key: {"type": "array", "items": value} for key, value in dotted.items()},
            "additionalProperties": False,
        }
        whole = {
            "$schema": DIALECT,
            "title": "gantk recipe",
            "type": "object",
            "properties": {
                **sections,
                "extends": extends,
                "without": without,
                "variants": _by_name({"$ref": "#/$defs/variant"}, ID),
                "sweep": {"$ref": "#/$defs/sweep"},
                "reference": {
                    **TEXT,
                    "minLength": 1,
                    "description": "Of a sweep: the row that tables test the others against, by title or label.",
                },
            },
            "additionalProperties": False,
            "required": ["name"],
            "if": {"required": ["extends"]},
            "else": self._whole(),
        }
        return {**whole, "$defs": self._used(whole)}

    def _used(self, schema: Schema) -> Schema:
        """The definitions that a schema refers to, and those that these refer to."""
        used: Schema = {}
        look = [schema]
        while look:
            for name in re.findall(r'"#/\$defs/([^"]+)"', json.dumps(look.pop())):
                if name not in used:
                    used[name] = self.defs[name]
                    look.append(used[name])
        return used

    def _tables(self) -> Schema:
        tables: Schema = {
            "run": self._model(RunSettings),
            "data": self._table("data", "dataset", DataSettings, selector="dataset"),
            "translators": _by_name(self._translator()),
        }
        sampler = {**self._table("sampler", "sampler", Selection), "required": ["use"]}
        tables["data"]["properties"]["sampler"] |= {"anyOf": [sampler, {"type": "null"}]}
        for key, (kind, model) in NAMED.items():
            table = self._table(key, kind, model)
            if key == "losses":
                self.defs["weight"] = self._table("weight", "weight_schedule", Selection)
                number, _ = table["properties"]["weight"]["anyOf"]
                table["properties"]["weight"] |= {"anyOf": [number, {"$ref": "#/$defs/weight"}]}
            tables[key] = _by_name(table)
        tables["balance"] = self._table("balance", "balance", BalanceSettings)
        tables["schedule"] = self._table("schedule", "scheduler", ScheduleSettings)
        also = {**self._table("also", "scheduler", Selection), "required": ["use"]}
        tables["schedule"]["properties"]["also"] |= {"items": also}
        tables["training"] = self._model(TrainingSettings)
        tables["evaluation"] = self._model(EvaluationSettings)
        table = {**self._table("metrics", "metric", Selection), "required": ["use"]}
        one: Schema = {"if": {"type": "object"}, "then": table, "else": {"enum": self.registry.names("metric")}}
        metrics = {"type": "array", "items": one}
        tables["evaluation"]["properties"]["metrics"] |= metrics
        tables["inference"] = self._model(InferenceSettings)
        tables["tracking"] = self._model(TrackingSettings)
        for key, table in tables.items():
            self.defs[key] = table
        return {key: {"$ref": f"#/$defs/{key}"} for key in tables}

    def _translator(self) -> Schema:
        table = self._model(TranslatorSettings)
        words = {"takes": "targets", "gives": "inputs"}
        for key, word in words.items():
            names = {k: v for k, v in table["properties"][key].items() if k != "anyOf"}
            table["properties"][key] = {**names, "anyOf": [{**TEXTS, "minItems": 1}, {"const": word}]}
        for part in ("generator", "discriminator"):
            self.defs[part] = self._table(part, part, Selection)
            table["properties"][part] = {"$ref": f"#/$defs/{part}"}
        self.defs["shown"] = self._table("shown", "augmentation", Selection)
        table["properties"]["shown"] = {"$ref": "#/$defs/shown"}
        self.defs["optimizer"] = self._table("optimizer", "optimizer", OptimizerSettings)
        table["properties"]["optimizer"] = {"$ref": "#/$defs/optimizer"}
        table["properties"]["like"] = {**TEXT, "description": "A translator above this one, whose table is copied."}
        return table

    def _whole(self) -> Schema:
        """What must be there where nothing is inherited."""

        def each(required: Schema) -> Schema:
            return {"additionalProperties": required}

        def selected(key: str, *names: str) -> Schema:
            needed = self.required[key]
            return {"required": list(names)} | ({"allOf": needed} if needed else {})

        return {
            "required": ["data", "translators", "losses", "schedule"],
            "properties": {
                "data": selected("data", "dataset", "inputs", "target"),
                "translators": each(
                    {
                        "if": {"anyOf": [{"required": ["like"]}, {"required": ["average_of"]}]},
                        "else": {
                            "required": ["generator"],
                            "properties": {part: selected(part, "use") for part in ("generator", "discriminator")},
                        },
                    }
                ),
                "losses": each(selected("losses", "use", "on")),
                "maps": each(selected("maps", "use")),
                "transforms": each(selected("transforms", "use")),
                "schedule": selected("schedule", "use"),
            },
        }

    # -- tables -----------------------------------------------------------------------------------------------

    def _table(self, place: str, kind: str, model: type[BaseModel], selector: str = "use") -> Schema:
        """A table that names a component: its own keys, and the component's parameters."""
        own = self._model(model)["properties"]
        components = [c for c in self.registry if c.kind == kind]
        own[selector] = {
            "description": f"Which {kind.replace('_', ' ')}: `gantk list` shows what there is.",
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
            "properties": {**union, **own},  # what editors offer; what holds is in the branches
            "if": {"required": [selector]},
            "then": {"allOf": branches} if branches else {},
            "else": {"properties": dict.fromkeys([*union, *own], True), "additionalProperties": False},
        }

    def _parameters(self, component: Component) -> dict[str, Schema]:
        """A component's parameters; what JSON Schema cannot say of a type is left open."""
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
            self.defs[name] = {}  # it may name others of its kind
            self.defs[name] = {**self._table(name, schema[KIND], Selection), "required": ["use"]}
        return {"$ref": f"#/$defs/{name}"}

    def _model(self, model: type[BaseModel]) -> Schema:
        """A table with a fixed set of keys; none of them required, and those of tables within closed too."""
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

    # -- dotted keys ------------------------------------------------------------------------------------------

    def _dotted(self, tables: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Schema]]:
        """Patterns of dotted keys below these tables, each with the schema of its value."""
        for name, schema in tables.items():
            yield from self._below(schema, prefix + re.escape(name), top=not prefix)

    def _below(self, schema: Any, path: str, top: bool = False) -> Iterator[tuple[str, Schema]]:
        if not isinstance(schema, dict):
            return
        there = self._resolved(schema)
        if not top:
            yield f"^{path}$", schema
        if any(str(one.get("$ref", "")).startswith(NESTED) for one in (schema, *schema.get("anyOf", ()))):
            yield f"^{path}\\..+$", {}  # tables of components nest without end
            return
        if "properties" in there:
            yield from self._dotted(there["properties"], f"{path}\\.")
        if isinstance(there.get("additionalProperties"), dict):
            yield from self._below(there["additionalProperties"], f"{path}\\.[^.]+")
        for other in map(self._resolved, there.get("anyOf", ())):
            yield from self._dotted(other.get("properties", {}), f"{path}\\.")

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self.defs[schema["$ref"].removeprefix("#/$defs/")]
        return schema


def _by_name(schema: Schema, pattern: str = PATTERN) -> Schema:
    """Tables by name, each of a schema."""
    names = {"pattern": pattern, "maxLength": LONGEST}
    return {"type": "object", "propertyNames": names, "additionalProperties": schema}


def _json_schema(model: type[BaseModel], prefix: str, defs: Schema) -> Schema:
    """A model's schema, its definitions put among the others under a prefix; open where it cannot be had."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PydanticJsonSchemaWarning)  # defaults that are no JSON are left out
            written = model.model_json_schema(ref_template=f"#/$defs/{prefix}{{model}}")
    except PydanticInvalidForJsonSchema:
        return {}
    for name, schema in written.pop("$defs", {}).items():
        defs[prefix + name] = schema
    return written


def _union(found: Iterable[Mapping[str, Any]]) -> Schema:
    """A parameter that several components have, with what each says of it."""
    said = [f"{f['component']}: {f['schema'].get('description', '')}".rstrip(": ") for f in found]
    bare = [{k: v for k, v in f["schema"].items() if k not in ("description", "default")} for f in found]
    kinds = [schema for number, schema in enumerate(bare) if schema not in bare[:number]]
    return {"description": "\n\n".join(said), **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})}
