"""Turns pydantic's findings into sentences that tell a musician what would be right."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

__all__ = ["explain"]

_WANTED = {
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "too_long": "at most {max_length} entries",
    "tuple_type": "a list",
    "model_type": "an object with fields of its own",
    "string_too_short": "at least {min_length} character(s)",
    "string_too_long": "at most {max_length} characters",
    "literal_error": "{expected}",
    "finite_number": "a finite number",
}


def explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return one sentence a problem: the field, what came, what would be right, and what the field means."""
    return list(dict.fromkeys(_sentence(dict(item), model) for item in error.errors(include_url=False)))


def _sentence(item: dict[str, Any], model: type[BaseModel]) -> str:
    loc = [str(part) for part in item["loc"]]
    name = ".".join(part for part in loc if part and not part.startswith(("function-", "literal[", "float")))
    kind = item["type"]
    if kind == "extra_forbidden":
        return _unknown_field(loc, model)
    parent = _model_at(loc[:-1], model)
    field = (parent or model).model_fields.get(loc[-1] if parent else loc[0]) if loc else None
    meaning = f" ({field.description})" if field is not None and field.description else ""
    if kind == "missing":
        return f"{name}: missing{meaning}"
    if kind == "value_error":
        text = str(item["ctx"]["error"])
        return f"{name}: {text}" if name else text
    if name == "prompt" and kind == "string_too_short":
        return "prompt: empty; an empty prompt would switch the model's guidance off, so say what the music should be"
    wanted = _WANTED.get(kind)
    if wanted:
        return f"{name}: {_shown(item['input'])} is not allowed; it must be {wanted.format(**item.get('ctx', {}))}{meaning}"
    return f"{name}: {_shown(item['input'])} cannot be used: {_lower_first(item['msg'])}{meaning}"


def _unknown_field(loc: list[str], model: type[BaseModel]) -> str:
    unknown = loc[-1]
    parent = _model_at(loc[:-1], model)
    known = list(parent.model_fields) if parent else []
    close = difflib.get_close_matches(unknown, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    listing = f"; known are {', '.join(known)}" if known and not close else ""
    return f"{'.'.join(loc)}: unknown field{hint}{listing}"


def _model_at(loc: list[str], model: type[BaseModel]) -> type[BaseModel] | None:
    """Return the model whose fields a place inside the request names; the numbers of entries are passed over."""
    for part in loc:
        field = model.model_fields.get(part)
        inner = None if field is None else _model_in(field.annotation)
        if field is not None and inner is None:
            return None
        model = inner or model
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except RecursionError:
        return "what is nested too deeply"
    return text if len(text) <= 60 else f"{text[:57]}…"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
