"""`transducer train`: a recipe, or pairs that a recipe is made for, from the command line."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from transducer.errors import TransducerError, UsageError
from transducer.training.device import choose_device
from transducer.training.folder import RunFolder
from transducer.training.frame.choices import Choices
from transducer.training.interrupt import Interrupt
from transducer.training.progress import say
from transducer.training.recipe import Recipe
from transducer.training.recipe_file import is_recipe, load_recipe
from transducer.training.run import train
from transducer.training.settings import apply_settings, parse_settings

DATA_VARIABLE = "TRANSDUCER_DATA"
SLOTS = ("core.", "head.", "encoder.", "frontend.")


def train_command(
    what: str,
    data: str | None = None,
    output: str | None = None,
    resume: bool = False,
    quick: bool = False,
    settings: Sequence[str] = (),
    threads: int | None = None,
    cache: str | None = None,
    device: str = "cpu",
    choices: Choices | None = None,
) -> int:
    """Train from the command line; returns the exit status.

    Args:
        what: a recipe, FILE or FILE:FUNCTION, see `recipe_file.load_recipe`; or pairs, see `data.examples`.
        data: the folder or table with a recipe's data; $TRANSDUCER_DATA, or else this folder, if None.
        output: the run's folder; runs/NAME if None.
        resume: go on with the run in that folder.
        quick: a smoke run, as the recipe has it.
        settings: "NAME=VALUE", see `recipe_file.load_recipe` and, of pairs, `Choices.settings`.
        threads: CPU threads; torch's default if None.
        cache: a folder for caches of features and clips that runs share; one below the output if None.
        device: "auto", "cpu" or "cuda".
        choices: of a model for pairs.
    """
    choose_device(device)  # a wrong one is told before anything is made
    if threads is not None:
        torch.set_num_threads(threads)
    choices = choices or Choices()
    pairs = not is_recipe(what)
    _check(what, pairs, data, choices)
    if output:
        RunFolder(Path(output)).check(resume)  # before anything is made for it
    own_cache = Path(cache) if cache else RunFolder(Path(output)).cache if output else None
    root, interrupt = Path(output) if output else Path("runs"), Interrupt()
    try:
        if pairs:
            root = Path(output) if output else root / Path(what).resolve().stem
            plan = _from_pairs(Path(what), choices, settings, own_cache or RunFolder(root).cache, quick)
        else:
            plan = load_recipe(what, Path(data or os.environ.get(DATA_VARIABLE) or "."), quick, settings, own_cache)
            root = Path(output) if output else root / (f"{plan.name}-quick" if quick else plan.name)
        options = [
            *(["--data", data] if data else []),
            *("--output", str(root)),
            *(["--quick"] if quick else []),
            *(part for name in choices.given for part in (OPTIONS.get(name, f"--{name}"), str(getattr(choices, name)))),
            *(part for setting in settings for part in ("--set", setting)),
            *(["--cache", cache] if cache else []),
            *(["--threads", str(threads)] if threads else []),
            *(["--device", device] if device != "cpu" else []),
        ]
        with interrupt:
            folder = train(
                plan,
                root,
                resume=resume,
                cache=Path(cache) if cache else None,
                command=["transducer", "train", what, *options],
                stop=interrupt,
                device=device,
            )
    except OSError as error:
        raise TransducerError(f"{error.filename or root}: {error.strerror or error}") from error
    if folder is None:
        interrupt.again()
        return 130
    return 0


OPTIONS = {"output": "--output-tokens", "held_out": "--held-out"}  # where they are not the names of the choices


def _check(what: str, pairs: bool, data: str | None, choices: Choices) -> None:
    """Raises UsageError for options of the other kind."""
    if pairs and data is not None:
        raise UsageError(f"{what} is no recipe, and --data is for recipes: a recipe is a Python file")
    if not pairs and choices.given:
        name = choices.given[0]
        raise UsageError(
            f"{OPTIONS.get(name, f'--{name}')} is for pairs, and {what} is a recipe: it has --set NAME=VALUE"
        )


def _from_pairs(path: Path, choices: Choices, settings: Sequence[str], cache: Path, quick: bool) -> Recipe:
    from transducer.training.frame.recipe import frame_recipe
    from transducer.training.frame.shown import show

    given = parse_settings(settings)
    parts = {name: value for name, value in given.items() if name.startswith(SLOTS)}
    others = {name: value for name, value in given.items() if name not in parts}
    first = not int(os.environ.get("RANK", "0"))  # of torchrun's processes, one talks
    framed = frame_recipe(
        path,
        dataclasses.replace(choices, settings=parts),
        cache,
        quick,
        (lambda line: say(f"transducer: warning: {line}")) if first else lambda line: None,
    )
    recipe = apply_settings(framed.recipe, others, str(path), []) if others else framed.recipe
    if first:
        show(framed._replace(recipe=recipe))
    return recipe
