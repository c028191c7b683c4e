"""Settings that every recipe has, beside those of its function's parameters: NAME=VALUE on the command line."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from transducer.errors import UsageError
from transducer.training.recipe import Phase, Recipe

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_SCALARS: dict[Any, type] = {"int": int, "float": float, "bool": bool, "str": str}


def _scalars(kind: type, *but: str) -> dict[str, Any]:
    """Field -> type, of those fields that are numbers, texts, or true or false."""
    hints = {item.name: item.type for item in fields(kind)}
    return {name: _SCALARS[hint] for name, hint in hints.items() if hint in _SCALARS and name not in but}


RUN = _scalars(Recipe, "name")
PHASE = _scalars(Phase, "name")


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """Name -> value of "NAME=VALUE"; hyphens in names are underscores. Raises UsageError for what is none."""
    found = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set {setting}: a setting is NAME=VALUE")
        found[name.strip().replace("-", "_")] = value.strip()
    return found


def apply_settings(recipe: Recipe, settings: Mapping[str, str], spec: str, known: Sequence[str]) -> Recipe:
    """A recipe with some settings changed.

    Args:
        settings: of the run, such as workers or seed; of the phases, such as steps, for all of them or, as PHASE.NAME,
            for one.
        spec: of the recipe, and known: the settings of its own, for messages.

    Raises:
        UsageError: an unknown setting, or a value that makes no sense.
    """
    phases = {phase.name.replace("-", "_"): phase for phase in recipe.phases}
    for name, value in settings.items():
        phase, dot, inner = name.rpartition(".")
        if name in RUN:
            recipe = replace(recipe, **{name: convert(name, value, RUN[name])})
        elif inner in PHASE and (not dot or phase in phases):
            for chosen in [phase] if dot else list(phases):
                phases[chosen] = replace(phases[chosen], **{inner: convert(name, value, PHASE[inner])})
        else:
            of_all = ", ".join(sorted({*RUN, *PHASE} - set(known)))
            raise UsageError(
                f"{spec} has no setting {name!r}; it has {', '.join(sorted(known)) or 'none'}, "
                f"and what all recipes have: {of_all}"
            )
    return replace(recipe, phases=tuple(phases.values()))


def convert(name: str, value: str, kind: Any) -> Any:
    """A value as its setting's type. Raises UsageError where it is none."""
    options = [option for option in typing.get_args(kind) if option is not type(None)] or [kind]
    if type(None) in typing.get_args(kind) and value.lower() in ("", "none"):
        return None
    for option in options:
        try:
            return _TRUTH[value.lower()] if option is bool else option(value)
        except (KeyError, ValueError, TypeError):
            continue
    wanted = " or ".join(getattr(option, "__name__", str(option)) for option in options)
    raise UsageError(f"--set {name}={value}: {value!r} is no {wanted}")
