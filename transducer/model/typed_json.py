"""JSON data as values of the types that the fields of a config have: strict, with an error that names the place."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from transducer.errors import CheckpointError

LARGEST = 2**31 - 1  # of integers in a config


def value_of(hint: Any, data: Any, where: str, part: Callable[[type, Any, str], Any]) -> Any:
    """Data as a value of a type: scalars, tuples, mappings, classes, unions of them; nothing is converted but lists.

    Args:
        where: names the value in messages.
        part: makes a value of a class, out of it, the data and `where`.

    Raises:
        CheckpointError: it is of another type.
    """
    origin = get_origin(hint)
    if hint is Any:
        return data
    if origin in (Union, UnionType):
        options = [option for option in get_args(hint) if _shallow(option, data)]
        if not options:
            raise wrong(where, " or ".join(map(_name, get_args(hint))), data)
        return value_of(options[0], data, where, part)
    if not _shallow(hint, data):
        raise wrong(where, _name(hint), data)
    if origin is tuple:
        kinds = get_args(hint)
        if kinds[-1] is Ellipsis:
            return tuple(value_of(kinds[0], value, where, part) for value in data)
        if len(kinds) != len(data):
            raise wrong(where, f"{len(kinds)} values", data)
        return tuple(value_of(kind, value, where, part) for kind, value in zip(kinds, data, strict=True))
    if origin in (dict, Mapping):
        return {key: value_of(get_args(hint)[1], value, f"{where}.{key[:40]}", part) for key, value in data.items()}
    if hint is float:
        return float(data)
    if hint in (int, bool, str, NoneType):
        return data
    return part(hint, data, where)


def _shallow(hint: Any, data: Any) -> bool:
    """Whether data may be a value of a type, as far as can be told without looking inside."""
    origin = get_origin(hint) or hint
    if origin is tuple:
        return isinstance(data, list)
    if origin in (dict, Mapping):
        return isinstance(data, dict)
    if origin is int:
        return type(data) is int and abs(data) <= LARGEST
    if origin is float:
        return type(data) in (int, float) and abs(data) <= LARGEST and math.isfinite(data)
    if origin in (bool, str, NoneType):
        return type(data) is origin
    return isinstance(data, dict)


def _name(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return "a list"
    if get_origin(hint) in (dict, Mapping):
        return "an object"
    names = {int: "an integer", float: "a number", bool: "true or false", str: "a text", NoneType: "null"}
    return names.get(hint, f"a {getattr(hint, '__name__', hint)}")


def wrong(where: str, wanted: str, data: Any) -> CheckpointError:
    """The error of a value of another type than was wanted."""
    got = "null" if data is None else f"a {type(data).__name__}" if isinstance(data, dict | list) else _short(data)
    return CheckpointError(f"the config's {where or 'model'} must be {wanted}, got {got}")


def _short(data: Any) -> str:
    # Thousands of digits cannot even be written down.
    return "a huge number" if isinstance(data, int) and abs(data) > LARGEST else repr(data)[:60]
