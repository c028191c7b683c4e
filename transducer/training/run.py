"""A whole run: the sources, the phases, the checkpoint and the report."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path

import torch

from transducer.data.loader import PairLoader
from transducer.data.pairs import Prepared, check_apart
from transducer.data.ranks import Ranks
from transducer.data.workers import PairMaker
from transducer.training.context import Context
from transducer.training.device import choose_device
from transducer.training.export import evaluation, export, without
from transducer.training.folder import RunFolder
from transducer.training.initial import build_network
from transducer.training.log import Log
from transducer.training.loop import Trainer
from transducer.training.progress import Progress, say
from transducer.training.recipe import Recipe
from transducer.training.report import write_report


def train(
    recipe: Recipe,
    output: Path,
    *,
    resume: bool = False,
    cache: Path | None = None,
    command: Sequence[str] = (),
    stop: Callable[[], bool] = lambda: False,
    device: str = "cpu",
) -> Path | None:
    """Train a model; returns its checkpoint folder, or None where `stop` said so before the end.

    Args:
        output: the folder of the run.
        resume: go on with what is in there; phases that are over are not repeated.
        cache: a folder for what sources keep, such as features; below `output` if None.
        command: that started this, for the report and for the hint how to go on.
        stop: asked after each step.
        device: "cpu", "cuda", or "auto" for a GPU where there is one.
    """
    chosen = choose_device(device)
    folder, ranks = RunFolder(Path(output)), Ranks.join(chosen)
    with ExitStack() as stack:
        stack.callback(ranks.leave)
        stack.enter_context(folder.claim(recipe, resume) if ranks.first else nullcontext())
        ranks.wait()  # nobody touches the folder before it is claimed
        # As the first process has it: a run goes on with the shards that it began with, on however many processes.
        ranks = ranks.cut(int(ranks.sum([math.lcm(recipe.shards, folder.shards()) if ranks.first else 0])[0]))
        run = stack.enter_context(_Run(recipe, folder, cache or folder.cache, ranks, chosen))
        if ranks.first:
            folder.begin(recipe, ranks.shards)
        for number in range(len(recipe.phases)):
            if not run.phase(number, stop) or stop():
                if command and ranks.first:
                    say(f"To go on: {shlex.join([*command, '--resume'])}")
                return None
        checkpoint = folder.root / recipe.name
        if ranks.first:
            results = export(checkpoint, run.network, recipe, run.steps)
            report = write_report(recipe, folder, results, command)
            say(f"The model is in {checkpoint}, the report in {report}")
        return checkpoint


class _Run:
    """The network and the examples of a run, while it goes through its phases; a context manager."""

    def __init__(self, recipe: Recipe, folder: RunFolder, cache: Path, ranks: Ranks, device: torch.device):
        self.recipe, self.folder, self.cache, self.ranks, self.device = recipe, folder, cache, ranks, device
        sources = recipe.sources
        for source in [*sources, *([recipe.dev] if recipe.dev is not None else [])]:
            if isinstance(source, Prepared):
                source.prepare(cache, progress=ranks.first)
        check_apart(recipe.dev, sources)
        # Before all that follows: processes are to be forked from one that has no threads.
        self.maker = PairMaker(sources, recipe.workers)
        self.steps = 0

    def __enter__(self) -> _Run:
        try:
            self.network = build_network(self.recipe).to(self.device)
        except BaseException:
            self.maker.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.maker.close()

    def phase(self, number: int, stop: Callable[[], bool]) -> bool:
        """Go through a phase, or what is left of it; False where `stop` said so before its end."""
        recipe, phase = self.recipe, self.recipe.phases[number]
        seed = recipe.seed + number
        context = Context(recipe, phase, self.network, seed, self.folder.phases, self.cache, self.ranks, self.device)
        if phase.batches is not None:
            batches = phase.batches(context)
        else:
            batches = PairLoader(
                recipe.source(phase), self.maker, phase.batch_frames, seed,
                buckets=phase.buckets, ranks=self.ranks,
            )  # fmt: skip
        known = recipe.trained_heads(number + 1)
        self.evaluated = without(self.network, [head for head in self.network.heads if head not in known])
        objectives = [objective.start(context) for objective in phase.objectives]
        trainer = Trainer(self.network, batches, phase, self.folder.phases, seed, self.ranks, objectives)
        trainer.load()
        if not trainer.finished:
            self._train(trainer, f"phase {number + 1} of {len(recipe.phases)}: {phase.name}", stop)
            if not trainer.finished:
                return False
        self.steps += trainer.step
        self.network.load_state_dict(trainer.result)
        if phase.after is not None:
            phase.after(context)
        return True

    def _train(self, trainer: Trainer, title: str, stop: Callable[[], bool]) -> None:
        recipe, first = self.recipe, self.ranks.first
        log = Log(self.folder.log, trainer.phase.name, self.steps, self.folder.tensorboard) if first else None
        with Progress(title, trainer.phase.steps, trainer.step, quiet=not first) as progress:
            if log:
                log.rewind(trainer.step)
            if trainer.step:
                progress.say(f"{title}: going on after step {trainer.step}")

            def report(step: int, numbers: dict[str, float]) -> None:
                if log:
                    log(step, numbers)
                progress(step, numbers)

            def evaluate() -> dict[str, float]:
                weights = trainer.average.weights
                self.evaluated.load_state_dict({name: weights[name] for name in self.evaluated.state_dict()})
                return evaluation(recipe, self.evaluated)

            try:
                trainer.run(
                    report,
                    save_every=recipe.save_every,
                    evaluate_every=recipe.evaluate_every,
                    evaluate=evaluate if first and recipe.dev is not None and len(self.evaluated.heads) else None,
                    stop=stop,
                )
            finally:
                if log:
                    log.close()
            if not trainer.finished:
                progress.say(f"{title}: stopped after step {trainer.step}; it is saved")
