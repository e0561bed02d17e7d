"""JSON schema of a study file as people write it: editors complete and check with it.

It knows what can be said of one field alone. How fields depend on each other (a mode and its settings, a search and its budget) is
checked by `study.spec.resolve.resolve_study` only.
"""

import json
from typing import Any

from acl.config import SelfSupervisedConfig, SupervisedConfig, describe_settings
from study.spec.files import INCLUDE
from study.spec.objectives import DIRECTIONS
from study.spec.study import Study

Schema = dict[str, Any]


def schema_text() -> str:
    """The schema as indented JSON."""
    return json.dumps(study_schema(), indent=2, ensure_ascii=False)


def study_schema() -> Schema:
    """The schema (draft 2020-12)."""
    full = Study.model_json_schema()
    parts = {name: part for name, part in full["$defs"].items() if name not in ("Sweep", "Dimension")} | _parts()
    sweep = _sweep_fields(full["$defs"]["Sweep"]["properties"])
    own = {name: field for name, field in full["properties"].items() if name != "sweeps"}
    shared = {name: field for name, field in sweep.items() if name != "name"}
    file = {"type": "string", "description": "a file beside this one, or the name of a shipped study"}
    include = {"anyOf": [file, {"type": "array", "items": file}], "description": "what this file builds on; its own content wins"}
    sweeps = {
        "type": "array",
        "minItems": 1,
        "items": _object(sweep),
        "description": "several; the other fields are their defaults",
    }
    file_fields = _object({INCLUDE: include, **own, **shared, "sweeps": sweeps})
    file_fields["properties"] |= {name: own[name] for name in ("name", "question")}  # these cannot be absent
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "acl-study: study file",
        **file_fields,
        "anyOf": [{"required": [INCLUDE]}, {"required": ["name", "question"]}],
        "$defs": parts,
    }


def _parts() -> dict[str, Schema]:
    """What is referred to more than once: every setting, every dimension, and the mappings of them."""
    settings = setting_schemas()
    searched = {name: schema for name, schema in settings.items() if name not in ("mode", "data.root")}
    return {
        **{f"setting:{name}": schema for name, schema in settings.items()},
        **{f"dimension:{name}": _dimension(name, schema) for name, schema in searched.items()},
        "when": _when(),
        "base": _object({name: _refer(f"setting:{name}") for name in settings}),
        "space": _object({name: _refer(f"dimension:{name}") for name in searched}),
        "point": {**_object({name: _refer(f"setting:{name}") for name in searched}), "minProperties": 1},
    }


def _sweep_fields(fields: dict[str, Schema]) -> dict[str, Schema]:
    """Fields of a sweep in their short forms."""
    objective = {"enum": list(DIRECTIONS)}
    schedulers = fields["scheduler"]["discriminator"]["mapping"]
    special: dict[str, Schema] = {
        "base": _refer("base"),
        "space": _refer("space"),
        "enqueue": {"type": "array", "items": _refer("point")},
        "scheduler": {"anyOf": [{"enum": list(schedulers)}, *({"$ref": reference} for reference in schedulers.values())]},
        "objective": {"anyOf": [objective, {"type": "array", "items": objective, "minItems": 1, "uniqueItems": True}]},
        "seeds": {**fields["seeds"], "uniqueItems": True},
    }
    described = {name: {"description": fields[name]["description"]} for name in special if "description" in fields[name]}
    return {**fields, **{name: {**schema, **described.get(name, {})} for name, schema in special.items()}}


def setting_schemas() -> dict[str, Schema]:
    """Dotted name -> schema of every setting of either mode but the seed, which is a field of sweeps."""
    found: dict[str, list[Schema]] = {}
    for config_class in (SupervisedConfig, SelfSupervisedConfig):
        whole = config_class.model_json_schema()
        described = describe_settings(config_class.model_fields["mode"].default)
        for name, field in whole["properties"].items():
            section = whole["$defs"][field["$ref"].rpartition("/")[2]]["properties"] if "$ref" in field else None
            leaves = {name: field} if section is None else {f"{name}.{leaf}": schema for leaf, schema in section.items()}
            for dotted, schema in leaves.items():
                cleaned = {key: value for key, value in schema.items() if key not in ("title", "default")}
                cleaned["description"] = described[dotted].words
                if cleaned not in found.setdefault(dotted, []):
                    found[dotted].append(cleaned)
    return {name: schemas[0] if len(schemas) == 1 else {"anyOf": schemas} for name, schemas in found.items() if name != "seed"}


def _dimension(name: str, setting: Schema) -> Schema:
    """Values of one setting; intervals are for settings that take any number."""
    values = {"type": "array", "items": _refer(f"setting:{name}"), "minItems": 1, "uniqueItems": True}
    kinds: dict[str, Schema] = {"grid": values, "choice": values}
    if "number" in (part.get("type") for part in setting.get("anyOf", [setting])):
        ends = {"type": "array", "items": _refer(f"setting:{name}"), "minItems": 2, "maxItems": 2}
        kinds |= {"uniform": ends, "loguniform": ends}
    described = {"description": setting["description"]} if "description" in setting else {}
    return {**_object({**kinds, "when": _refer("when")}), "oneOf": [{"required": [kind]} for kind in kinds], **described}


def _when() -> Schema:
    scalar = {"type": ["boolean", "number", "string"]}
    values = {"anyOf": [scalar, {"type": "array", "items": scalar, "minItems": 1}]}
    return {"type": "object", "additionalProperties": values, "description": "searched only where other settings have these values"}


def _refer(part: str) -> Schema:
    return {"$ref": f"#/$defs/{part}"}


def _object(properties: dict[str, Schema]) -> Schema:
    """A mapping of these names; one with nothing behind it counts as absent."""
    return {
        "type": "object",
        "properties": {name: {"anyOf": [schema, {"type": "null"}]} for name, schema in properties.items()},
        "additionalProperties": False,
    }
