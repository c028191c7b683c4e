"""Finds a recipe: a function in a Python file, called with the data folder and the settings of the command line."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transducer.errors import TransducerError, UsageError
from transducer.training.recipe import Recipe
from transducer.training.settings import apply_settings, convert, parse_settings

FUNCTION = "recipe"


def load_recipe(spec: str, data: Path, quick: bool, settings: Sequence[str] = (), cache: Path | None = None) -> Recipe:
    """Call the function FILE or FILE:FUNCTION: `recipe(data: Path, quick: bool, *, NAME: TYPE = DEFAULT, ...)`.

    A folder stands for its file recipe.py.

    The file may import its neighbours by the name of their folder: `from pipelines.speech_en.word_lm import ...`, in a
    package also `from speech_en.word_lm import ...`.

    Args:
        settings: "NAME=VALUE" for the keyword parameters of the function, or for what all recipes have, see
            `training.settings`.
        cache: a folder for a function with the parameter `cache`.

    Raises:
        UsageError: no such file or function, a file that cannot be run, an unknown setting or one of the wrong type.
    """
    function = _find(spec)
    parameters = inspect.signature(function).parameters.values()
    known = {parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY}
    types = typing.get_type_hints(function)
    values: dict[str, Any] = {"cache": cache} if "cache" in known else {}
    others = {}
    for name, value in parse_settings(settings).items():
        if name in known:
            values[name] = convert(name, value, types.get(name, str))
        else:
            others[name] = value
    recipe = function(data, quick, **values)
    if not isinstance(recipe, Recipe):
        raise UsageError(f"{spec}: the function returned {type(recipe).__name__}, not a Recipe")
    return apply_settings(recipe, others, spec, sorted(known - {"cache"})) if others else recipe


def is_recipe(spec: str) -> bool:
    """Whether this names a recipe and no data: a Python file, a folder with one, or a function."""
    path = Path(spec)
    if not path.exists() and ":" in spec:
        path = Path(spec.rpartition(":")[0])
    return path.suffix == ".py" or (path / f"{FUNCTION}.py").is_file()


def _find(spec: str) -> Callable[..., Any]:
    path, name = Path(spec), FUNCTION
    if not path.exists() and ":" in spec:
        path, name = Path(spec.rpartition(":")[0]), spec.rpartition(":")[2]
    if (path / f"{FUNCTION}.py").is_file():
        path /= f"{FUNCTION}.py"
    if not path.is_file():
        raise UsageError(f"{path}: no such recipe; it is a Python file, such as those in the folder pipelines")
    module_spec = importlib.util.spec_from_file_location(f"transducer_recipe_{path.stem}", path)
    if module_spec is None or module_spec.loader is None:
        raise UsageError(f"{path}: a recipe is a Python file, its name ends in .py")
    module = importlib.util.module_from_spec(module_spec)
    root = home = path.resolve().parent
    while (root / "__init__.py").exists():
        root = root.parent
    # Neighbours go by the name of their folder, those in a package also by that of the folder that it lies in.
    folders = [root.parent] if root == home else [root, root.parent]
    sys.path += [folder for folder in map(str, folders) if folder not in sys.path]
    sys.modules[module.__name__] = module  # dataclasses look their module up, and so does pickle
    try:
        module_spec.loader.exec_module(module)
    except TransducerError:
        raise
    except Exception as error:
        raise UsageError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(f"{path} has no function {name!r}, which would return the recipe")
    return function
