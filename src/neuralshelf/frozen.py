"""Frozen values read from files: unknown keys refused with the nearest name, errors that name file and key."""

import difflib
from collections.abc import Mapping
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from neuralshelf.errors import ConfigError


class Frozen(BaseModel):
    """Base of every configuration value: immutable, strict, closed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    @classmethod
    def parse(cls, data: Mapping[str, Any], source: str) -> Self:
        """Validate `data`, read from the file `source`.

        Raises:
            ConfigError: one line naming file, key and what is wrong; the first fault of several, with their count.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as fault:
            raise _config_error(cls, fault, data, source) from None


def _config_error(model: type[BaseModel], fault: ValidationError, data: Mapping[str, Any], source: str) -> ConfigError:
    errors = fault.errors(include_input=False, include_url=False)
    # a misspelt key is reported as unknown and as missing: the first says more
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    key = ".".join(_written(first["loc"], data))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if first["type"] == "extra_forbidden":
        unknown = str(first["loc"][-1])
        known = _keys_beside(model, first["loc"][:-1])
        near = difflib.get_close_matches(unknown, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys here: {', '.join(sorted(known))}"
        return ConfigError(f"{source}: unknown key {key!r}{more}", hint=hint)
    text = first["msg"].removeprefix("Value error, ")
    return ConfigError(f"{source}: {key or 'document'}: {text}{more}", hint=f"correct it in {source}")


def _written(path: tuple[int | str, ...], data: Any) -> list[str]:
    """The path as it stands in the file: pydantic puts discriminator tags into it, which are no keys."""
    shown = []
    for number, part in enumerate(path):
        inside = data[part] if isinstance(data, Mapping) and part in data else None
        if inside is None and isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
            inside = data[part]
        if inside is not None or number == len(path) - 1:
            shown.append(str(part))
            data = inside
    return shown


def _keys_beside(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Field names of the model reached by `path` from `model`; a discriminator tag in the path picks its variant."""
    candidates: list[type[BaseModel]] = [model]
    for part in path:
        fields = [c.model_fields[str(part)].annotation for c in candidates if str(part) in c.model_fields]
        if fields:
            candidates = [m for annotation in fields for m in _models_in(annotation)]
        else:
            tagged = [c for c in candidates if _tag_of(c) == part]
            candidates = tagged or candidates
    return sorted({name for c in candidates for name in c.model_fields})


def _tag_of(model: type[BaseModel]) -> object:
    kind = model.model_fields.get("kind")
    return get_args(kind.annotation)[0] if kind and get_args(kind.annotation) else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for argument in get_args(annotation) for m in _models_in(argument)]
