"""What the scripts that compare variants of `speech-en` share."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.speech_en import recipe as speech_en
from pipelines.speech_en.data import measured, training
from pipelines.speech_en.speech import Speech
from pipelines.speech_en.targets import Targets
from pipelines.speech_en.word_lm import PHONES
from transducer.atomic import atomic_write
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.text.tokenizers.symbols import Symbols
from transducer.training.evaluation import measure
from transducer.training.recipe import Phase, Recipe

UNITS = {"phones": Symbols(PHONES)}
HEADS = {"phones": "phones"}

_ROUNDS = 5
Results = dict[str, dict[str, float]]  # variant -> what was measured


def parser(documentation: str | None, steps: int | None = None) -> argparse.ArgumentParser:
    """The arguments that all have; `--steps` only where there is something to train."""
    result = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("data", type=Path)
    result.add_argument("output", type=Path)
    if steps is not None:
        result.add_argument("--steps", type=int, default=steps)
    return result


def read_results(output: Path) -> Results:
    """What OUTPUT/results.json has; the folder is made."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / "results.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write_results(output: Path, results: Results) -> None:
    with atomic_write(output / "results.json") as file:
        file.write(json.dumps(results, indent=1) + "\n")


def phones_recordings(data: Path, **options: Any) -> Speech:
    """What `speech-en` is trained on, for phones alone; options of `data.training`."""
    return training(data, False, UNITS, HEADS, **options)


def phones_dev(data: Path, train: Speech | None = None, **options: Any) -> Speech:
    """What is measured, for phones alone; options of `Speech`."""
    return measured(data, False, UNITS, HEADS, train.spoken if train else Targets(UNITS), **options)


def phones_recipe(
    train: Speech, phase: Phase, model: ModelConfig = speech_en.MODEL, initial: Path | None = None
) -> Recipe:
    """One phase that trains nothing but the phones, and measures nothing."""
    return Recipe(
        name="speech-en",
        model=replace(model, heads={"phones": model.heads["phones"]}),
        units=UNITS,
        train=train,
        dev=None,
        phases=(phase,),
        initial=initial,
        workers=0,
        save_every=100,
    )


def phone_error_rate(network: Network, dev: Speech, chunk: int) -> float:
    """Greedy, of the recordings whose words all have a pronunciation, in chunks of so many encoder frames."""
    return measure(network, dev, ["phones"], chunk)["phones"].rate


def fastest(work: Callable[[], object]) -> float:
    """Seconds that it takes, the least of some rounds."""
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)
