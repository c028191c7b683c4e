"""What the scripts that compare variants of `speech-en` share."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from transducer.atomic import atomic_write
from transducer.training.recipe import Recipe

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


def phones_only(base: Recipe, **changes: Any) -> Recipe:
    """A recipe that trains nothing but the phones, and measures nothing on the way; `changes` to its parts."""
    model = changes.pop("model", base.model)
    return replace(
        base,
        model=replace(model, heads={"phones": model.heads["phones"]}),
        units={"phones": base.units["phones"]},
        auxiliary=(),
        silence=None,
        texts=None,
        word_model=None,
        storage="float16",
        evaluate_every=0,
        **changes,
    )


def fastest(work: Callable[[], object]) -> float:
    """Seconds that it takes, the least of some rounds."""
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)
