"""The folder of a run: what lies where, which run it belongs to, and that only one process works in it."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transducer.atomic import atomic_write
from transducer.errors import UsageError
from transducer.model.config import to_json
from transducer.training.pairs import PairRecipe
from transducer.training.recipe import Recipe

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

    def alignments(self, phase: str) -> Path:
        """The table of alignments that were made after a phase."""
        return self.root / "phases" / f"{phase}.alignments.tsv"

    def check(self, resume: bool) -> bool:
        """Whether it has a run. Raises UsageError where that, or what else it has, does not go with `resume`."""
        if self.root.exists() and not self.root.is_dir():
            raise UsageError(f"{self.root} is no folder: choose another --output")
        begun = self.description.exists()
        if begun and not resume:
            raise UsageError(f"{self.root} has a run already: go on with it by --resume, or choose another --output")
        if resume and not begun:
            raise UsageError(f"{self.root} has no run to go on with: leave out --resume to start one")
        strange = {path.name for path in self.root.iterdir()} - _BEFORE if self.root.is_dir() else set()
        if not begun and strange:
            raise UsageError(f"{self.root} has files in it that are no run: choose another --output")
        return begun

    @contextmanager
    def claim(self, recipe: Recipe | PairRecipe, resume: bool) -> Iterator[None]:
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
            if begun:
                self._compare(json.loads(json.dumps(describe(recipe))))
            yield

    def begin(self, recipe: Recipe | PairRecipe) -> None:
        """Write down what the run is; from now on the folder has one."""
        with atomic_write(self.description) as file:
            json.dump(describe(recipe), file, indent=1)
            file.write("\n")

    def _compare(self, wanted: dict[str, Any]) -> None:
        try:
            found = json.loads(self.description.read_text())
        except ValueError:
            raise UsageError(f"{self.description} is damaged: start again in another --output") from None
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


def describe(recipe: Recipe | PairRecipe) -> dict[str, Any]:
    """What a run depends on, as JSON data; files by their names, so that a data folder may move."""
    if isinstance(recipe, PairRecipe):
        return recipe.describe()
    dev, noise = ([table] if table else [] for table in (recipe.dev, recipe.noise))
    return {
        "name": recipe.name,
        "model": to_json(recipe.model),
        "units": {name: list(tokenizer.tokens) for name, tokenizer in recipe.units.items()},
        "data": {
            "train": [[table.path.name, table.rows] for table in recipe.train],
            "dev": [[table.path.name, table.rows] for table in dev],
            "noise": [[table.path.name, table.rows] for table in noise],
            **{
                name: path.name if (path := getattr(recipe, name)) else None
                for name in ("lexicon", "alignments", "initial")
            },
            "normalise": recipe.normalise,
            "speeds": list(recipe.speeds),
        },
        "seed": recipe.seed,
        "phases": {phase.name: asdict(phase) for phase in recipe.phases},
    }
