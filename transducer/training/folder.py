"""The folder of a run: what lies where, which run it belongs to, and that only one process works in it."""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transducer.atomic import atomic_write
from transducer.data.pairs import PairSource, fingerprint
from transducer.errors import TransducerError, UsageError
from transducer.model.config import ModelConfig, from_json, to_json
from transducer.training.recipe import Phase, Recipe

# Of states, of files that take their name when they are whole, and of checkpoints that do.
_TEMPORARY = ".transducer-*.tmp"
_LEFT_OVER = ("phases/*.partial", _TEMPORARY, f"phases/{_TEMPORARY}", ".*-????????.new", ".*-????????.old")
_OLD = 24 * 3600  # seconds after which nobody is still writing a file
_BEFORE = {"lock", "cache"}  # what a folder may have before its run begins: data can turn out to be wrong


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its things."""

    root: Path

    @property
    def description(self) -> Path:
        """What the run was started with, as JSON."""
        return self.root / "run.json"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def phases(self) -> Path:
        """The state of each phase, NAME.pt."""
        return self.root / "phases"

    @property
    def log(self) -> Path:
        return self.root / "log.jsonl"

    @property
    def tensorboard(self) -> Path:
        return self.root / "tensorboard"

    def check(self, resume: bool) -> bool:
        """Whether it has a run. Raises UsageError where that, or what else it has, does not go with `resume`."""
        if self.root.exists() and not self.root.is_dir():
            raise UsageError(f"{self.root} is no folder: choose another --output")
        begun = self.description.exists()
        if begun and not resume:
            raise UsageError(f"{self.root} has a run already: go on with it by --resume, or choose another --output")
        if resume and not begun:
            raise UsageError(f"{self.root} has no run to go on with: leave out --resume to start one")
        names = {path.name for path in self.root.iterdir()} if self.root.is_dir() else set()
        strange = {name for name in names - _BEFORE if not name.startswith(".transducer-")}
        if not begun and strange:
            raise UsageError(f"{self.root} has files in it that are no run: choose another --output")
        return begun

    @contextmanager
    def claim(self, recipe: Recipe, resume: bool) -> Iterator[None]:
        """Make the folder this run's own, for as long as the context is open.

        Raises:
            UsageError: it has a run and `resume` is False, or has none and it is True; its run was started with
                another recipe; another process works in it; it is something else than a run's folder.
        """
        begun = self.check(resume)
        self.root.mkdir(parents=True, exist_ok=True)
        with open(self.root / "lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(f"{self.root}: another process is training in this folder") from None
            self.tidy()
            if begun:
                self._compare(json.loads(json.dumps(describe(recipe))))
            yield

    def tidy(self) -> None:
        """Remove what a process that was killed left half written; the folder must be claimed.

        In the cache that is what nobody can be at any more: features go on where they stopped, and other runs may
        share it.
        """
        for pattern in _LEFT_OVER:
            for path in self.root.glob(pattern):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        for path in self.cache.rglob(_TEMPORARY):
            if path.stat().st_mtime < time.time() - _OLD:
                path.unlink(missing_ok=True)

    def shards(self) -> int:
        """That the batches of the run in it are cut into; 1 where there is none."""
        return json.loads(self.description.read_text()).get("shards", 1) if self.description.exists() else 1

    def begin(self, recipe: Recipe, shards: int = 1) -> None:
        """Write down what the run is, and how many shards its batches have; from now on the folder has one."""
        with atomic_write(self.description) as file:
            json.dump({**describe(recipe), "shards": shards}, file, indent=1)
            file.write("\n")

    def _compare(self, wanted: dict[str, Any]) -> None:
        try:
            found = json.loads(self.description.read_text())
        except ValueError:
            raise UsageError(f"{self.description} is damaged: start again in another --output") from None
        with suppress(TransducerError):  # then it is another model in any case
            # Parts may have got settings since then: what the run began with are their defaults.
            found["model"] = json.loads(json.dumps(to_json(from_json(found.get("model"), ModelConfig))))
        fixed = [part for part in ("model", "units", "data", "seed") if found.get(part) != wanted[part]]
        # Phases that have not begun may still change.
        fixed += [
            f"phase {name}"
            for name in found.get("phases", {})
            if (self.phases / f"{name}.pt").exists() and found["phases"][name] != wanted["phases"].get(name)
        ]
        if fixed:
            raise UsageError(
                f"{self.root} was started with another recipe (other {', '.join(fixed)}): "
                "resume with the same recipe and settings, or choose another --output"
            )


def describe(recipe: Recipe) -> dict[str, Any]:
    """What a run depends on, as JSON data; files by their names, so that a data folder may move."""
    return {
        "name": recipe.name,
        "model": to_json(recipe.model),
        "units": {name: list(tokenizer.tokens) for name, tokenizer in recipe.units.items()},
        "data": {
            "train": _source(recipe.train),
            "dev": _source(recipe.dev),
            "initial": recipe.initial.name if recipe.initial else None,
        },
        "seed": recipe.seed,
        "phases": {phase.name: _phase(phase) for phase in recipe.phases},
    }


def _phase(phase: Phase) -> dict[str, Any]:
    apart = ("objectives", "train", "batches", "after")
    return {
        **{name: value for name, value in vars(phase).items() if name not in apart},
        "objectives": [objective.describe() for objective in phase.objectives],
        "train": _source(phase.train),
    }


def _source(source: PairSource | None) -> Any:
    return None if source is None else fingerprint(source)
