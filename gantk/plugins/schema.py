"""The JSON Schema of recipes, composed from the recipe's models and the registered components.

Editors read it (`#:schema FILE` on a recipe's first line). A table that names a component has exactly the
parameters of this component; a table without a name (the parent names it) may have those of any component of its kind.
Only recipes without `extends` must have all required keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from gantk.names import ID, LONGEST, PATTERN
from gantk.plugins.registry import Registry
from gantk.plugins.schema_tables import NESTED, TEXT, Schema, Tables
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

DIALECT = "http://json-schema.org/draft-07/schema#"
TEXTS: Schema = {"type": "array", "items": TEXT}
#: Tables of recipes with one table per name, and the kind of component that these tables name.
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
        self.tables = Tables(registry)

    def recipe(self) -> Schema:
        """The whole schema."""
        own = self.tables.model(Recipe)["properties"]
        tables = self._tables()
        sections = {
            key: {"description": attribute_docs(Recipe).get(key, ""), **own[key]}
            for key in ("name", "description", "predict")
        } | tables
        extends = {**TEXT, "description": "Parent recipe, as a path relative to this file; its keys are the defaults."}
        without = {**TEXTS, "description": "Keys of the parent to remove, dotted, such as losses.NAME."}
        dotted = dict(self._dotted(tables, ""))
        variant: Schema = {
            "type": "object",
            "description": "Changes for a separate run, as dotted keys in quotes or as tables.",
            "properties": {
                **sections,
                "label": {**TEXT, "description": "Name of the variant in tables; default: its key."},
                "report": {
                    "anyOf": [TEXTS, {"type": "object", "additionalProperties": {**TEXT, "minLength": 1}}],
                    "description": "Roles that become rows of tables: a list, or a table with a name for each row.",
                },
                "extends": {**TEXT, "description": "Parent recipe of this variant, instead of the sweep's."},
                "without": without,
                "sweep": {"$ref": "#/$defs/sweep"},
            },
            "patternProperties": dotted,
            "additionalProperties": False,
        }
        self.tables.defs["variant"] = variant
        self.tables.defs["sweep"] = {
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
                    "description": "For sweeps: title or label of the row that tables test the other rows against.",
                },
            },
            "additionalProperties": False,
            "required": ["name"],
            "if": {"required": ["extends"]},
            "else": self._whole(),
        }
        return {**whole, "$defs": self._used(whole)}

    def _used(self, schema: Schema) -> Schema:
        """The definitions that a schema refers to, directly or through other definitions."""
        used: Schema = {}
        look = [schema]
        while look:
            for name in re.findall(r'"#/\$defs/([^"]+)"', json.dumps(look.pop())):
                if name not in used:
                    used[name] = self.tables.defs[name]
                    look.append(used[name])
        return used

    def _tables(self) -> Schema:
        tables: Schema = {
            "run": self.tables.model(RunSettings),
            "data": self.tables.table("data", "dataset", DataSettings, selector="dataset"),
            "translators": _by_name(self._translator()),
        }
        sampler = {**self.tables.table("sampler", "sampler", Selection), "required": ["use"]}
        tables["data"]["properties"]["sampler"] |= {"anyOf": [sampler, {"type": "null"}]}
        for key, (kind, model) in NAMED.items():
            table = self.tables.table(key, kind, model)
            if key == "losses":
                self.tables.defs["weight"] = self.tables.table("weight", "weight_schedule", Selection)
                number, _ = table["properties"]["weight"]["anyOf"]
                table["properties"]["weight"] |= {"anyOf": [number, {"$ref": "#/$defs/weight"}]}
            tables[key] = _by_name(table)
        tables["balance"] = self.tables.table("balance", "balance", BalanceSettings)
        tables["schedule"] = self.tables.table("schedule", "scheduler", ScheduleSettings)
        also = {**self.tables.table("also", "scheduler", Selection), "required": ["use"]}
        tables["schedule"]["properties"]["also"] |= {"items": also}
        tables["training"] = self.tables.model(TrainingSettings)
        tables["evaluation"] = self.tables.model(EvaluationSettings)
        table = {**self.tables.table("metrics", "metric", Selection), "required": ["use"]}
        one: Schema = {"if": {"type": "object"}, "then": table, "else": {"enum": self.tables.registry.names("metric")}}
        metrics = {"type": "array", "items": one}
        tables["evaluation"]["properties"]["metrics"] |= metrics
        tables["inference"] = self.tables.model(InferenceSettings)
        tables["tracking"] = self.tables.model(TrackingSettings)
        for key, table in tables.items():
            self.tables.defs[key] = table
        return {key: {"$ref": f"#/$defs/{key}"} for key in tables}

    def _translator(self) -> Schema:
        table = self.tables.model(TranslatorSettings)
        words = {"takes": "targets", "gives": "inputs"}
        for key, word in words.items():
            names = {k: v for k, v in table["properties"][key].items() if k != "anyOf"}
            table["properties"][key] = {**names, "anyOf": [{**TEXTS, "minItems": 1}, {"const": word}]}
        for part in ("generator", "discriminator"):
            self.tables.defs[part] = self.tables.table(part, part, Selection)
            table["properties"][part] = {"$ref": f"#/$defs/{part}"}
        self.tables.defs["shown"] = self.tables.table("shown", "augmentation", Selection)
        table["properties"]["shown"] = {"$ref": "#/$defs/shown"}
        self.tables.defs["optimizer"] = self.tables.table("optimizer", "optimizer", OptimizerSettings)
        table["properties"]["optimizer"] = {"$ref": "#/$defs/optimizer"}
        table["properties"]["like"] = {**TEXT, "description": "Translator, defined above, whose table is copied."}
        return table

    def _whole(self) -> Schema:
        """The keys that are required if nothing is inherited."""

        def each(required: Schema) -> Schema:
            return {"additionalProperties": required}

        def selected(key: str, *names: str) -> Schema:
            needed = self.tables.required[key]
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
            yield f"^{path}\\..+$", {}  # tables of components can nest without limit
            return
        if "properties" in there:
            yield from self._dotted(there["properties"], f"{path}\\.")
        if isinstance(there.get("additionalProperties"), dict):
            yield from self._below(there["additionalProperties"], f"{path}\\.[^.]+")
        for other in map(self._resolved, there.get("anyOf", ())):
            yield from self._dotted(other.get("properties", {}), f"{path}\\.")

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self.tables.defs[schema["$ref"].removeprefix("#/$defs/")]
        return schema


def _by_name(schema: Schema, pattern: str = PATTERN) -> Schema:
    """An object schema of tables by name, all with one schema."""
    names = {"pattern": pattern, "maxLength": LONGEST}
    return {"type": "object", "propertyNames": names, "additionalProperties": schema}
