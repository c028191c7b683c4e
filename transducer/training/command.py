"""`transducer train`: a recipe from the command line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from transducer.errors import TransducerError
from transducer.training.device import choose_device
from transducer.training.folder import RunFolder
from transducer.training.interrupt import Interrupt
from transducer.training.recipe_file import load_recipe
from transducer.training.run import train

DATA_VARIABLE = "TRANSDUCER_DATA"


def train_command(
    recipe: str,
    data: str | None = None,
    output: str | None = None,
    resume: bool = False,
    quick: bool = False,
    settings: Sequence[str] = (),
    threads: int | None = None,
    cache: str | None = None,
    device: str = "cpu",
) -> int:
    """Run a recipe from the command line; returns the exit status.

    Args:
        recipe: FILE or FILE:FUNCTION, see `recipe_file.load_recipe`.
        data: the folder or table with the recipe's data; $TRANSDUCER_DATA, or else this folder, if None.
        output: the run's folder; runs/NAME if None.
        resume: go on with the run in that folder.
        quick: a smoke run, as the recipe has it.
        settings: "NAME=VALUE", see `recipe_file.load_recipe`.
        threads: CPU threads; torch's default if None.
        cache: a folder for caches of features and clips that runs share; one below the output if None.
        device: "auto", "cpu" or "cuda".
    """
    choose_device(device)  # a wrong one is told before anything is made
    if threads is not None:
        torch.set_num_threads(threads)
    if output:
        RunFolder(Path(output)).check(resume)  # before anything is made for it
    own_cache = Path(cache) if cache else RunFolder(Path(output)).cache if output else None
    root, interrupt = Path(output) if output else Path("runs"), Interrupt()
    try:
        plan = load_recipe(recipe, Path(data or os.environ.get(DATA_VARIABLE) or "."), quick, settings, own_cache)
        root = Path(output) if output else root / (f"{plan.name}-quick" if quick else plan.name)
        options = [
            *(["--data", data] if data else []),
            *("--output", str(root)),
            *(["--quick"] if quick else []),
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
                command=["transducer", "train", recipe, *options],
                stop=interrupt,
                device=device,
            )
    except OSError as error:
        raise TransducerError(f"{error.filename or root}: {error.strerror or error}") from error
    if folder is None:
        interrupt.again()
        return 130
    return 0
