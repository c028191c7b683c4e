"""Checkpoints of older formats, brought to the newest step by step: the document in config.json, names of weights.

A step works on JSON data and knows nothing of classes, so that it stays right when they change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

Value = TypeVar("Value")

FORMAT = 3


class Step(NamedTuple):
    """From one format to the next."""

    document: Callable[[dict[str, Any]], dict[str, Any]]
    weight: Callable[[str], str]


def migrate_document(document: dict[str, Any], version: Any) -> dict[str, Any]:
    """A document of a format -> what it is in the newest.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is not what its format says.
    """
    if type(version) is not int or version < 1:
        raise ValueError(f"there is no format {version!r}")
    for number in range(version, FORMAT):
        document = STEPS[number].document(document)
    return document


def migrate_weights(weights: Mapping[str, Value], version: int) -> dict[str, Value]:
    """The weights of a checkpoint of a format, under the names of the newest."""
    result = dict(weights)
    for number in range(version, FORMAT):
        result = {STEPS[number].weight(name): value for name, value in result.items()}
    return result


def _heads_and_types(document: dict[str, Any]) -> dict[str, Any]:
    """Format 1 to 2: decoders are called heads; what programs read is not on the card, which stands by itself."""
    model = dict(document["model"])
    card = dict(model.pop("card", {}))
    if "decoders" in model:
        model["heads"] = model.pop("decoders")
    defaults = dict(card.pop("defaults", {}))
    known = ("search", "chunk_ms", "time_shift", "blank_window", "renew_after", "fast_decoding")
    if decoding := {name: defaults.pop(name) for name in known if name in defaults}:
        model["decoding"] = {"type": "decoding", **decoding}
    if defaults:
        card["defaults"] = defaults
    if "events" in card:
        first = next(iter(model["heads"].values()), {"type": None})["type"]
        kind = {"framewise": "dense", "pooled": "clip"}.get(str(first), "sequence")
        model["events"] = {"type": "event_rules", "kind": kind, **card.pop("events")}
    if card.get("languages") == ["English"]:
        del card["languages"]
        model["language"] = "en"
    elif isinstance(card.get("language"), str):
        model["language"] = card.pop("language")
    return {**document, "model": model, "card": card}


def _same(value: Any) -> Any:
    """Format 2 to 3: weights may have six bits, see `transducer.model.quantization`; nothing else is new."""
    return value


STEPS = {1: Step(_heads_and_types, lambda name: re.sub(r"^decoders\.", "heads.", name)), 2: Step(_same, _same)}
