"""A whole run: data, phases, the checkpoint and the report. `transducer train` calls `train_command`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from transducer.data.augment.features import AugmentConfig, FeatureAugment
from transducer.data.batches import BatchPlan
from transducer.data.loader import BatchLoader
from transducer.errors import TransducerError, UsageError
from transducer.heads.cascaded_rnnt import CascadedRNNT
from transducer.heads.ctc import CTC
from transducer.model.network import Network
from transducer.model.sequence import set_chunk
from transducer.training.align import align_all
from transducer.training.aligned import AlignedBatches, AlignedTrainer
from transducer.training.corpus import PHONES, Corpus, Subset, open_corpus
from transducer.training.export import config_without, evaluation, export, without
from transducer.training.folder import RunFolder
from transducer.training.initial import take_weights
from transducer.training.interrupt import Interrupt
from transducer.training.log import Log
from transducer.training.loop import PhaseTrainer
from transducer.training.pair_run import train_pairs
from transducer.training.pairs import PairRecipe
from transducer.training.posteriors import PosteriorBank, hear
from transducer.training.progress import Progress, say
from transducer.training.ranks import Ranks
from transducer.training.recipe import Phase, Recipe
from transducer.training.recipe_file import load_recipe
from transducer.training.report import write_report
from transducer.training.silence import Silences
from transducer.training.splice import SpliceBank, SplicedTexts
from transducer.training.targets import read_alignments, write_alignments

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
) -> int:
    """Run a recipe from the command line; returns the exit status.

    Args:
        recipe: FILE or FILE:FUNCTION, see `recipe_file.load_recipe`.
        data: the folder with the recipe's data; $TRANSDUCER_DATA, or else this folder, if None.
        output: the run's folder; runs/NAME if None.
        resume: go on with the run in that folder.
        quick: a smoke run, as the recipe has it.
        settings: "NAME=VALUE", see `recipe_file.load_recipe`.
        threads: CPU threads; torch's default if None.
        cache: a folder for caches of features and clips that runs share; one below the output if None.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if output:
        RunFolder(Path(output)).check(resume)  # before anything is made for it
    own_cache = Path(cache) if cache else RunFolder(Path(output)).cache if output else None
    root, interrupt = Path(output) if output else Path("runs"), Interrupt()
    try:
        plan = load_recipe(recipe, Path(data or os.environ.get(DATA_VARIABLE) or "."), quick, settings, own_cache)
        root = Path(output) if output else root / (f"{plan.name}-quick" if quick else plan.name)
        command = ["transducer", "train", recipe, *(["--data", data] if data else []), "--output", str(root)]
        command += [*(["--quick"] if quick else []), *(part for setting in settings for part in ("--set", setting))]
        command += [*(["--cache", cache] if cache else []), *(["--threads", str(threads)] if threads else [])]
        with interrupt:
            folder = train(
                plan, root, resume=resume, cache=Path(cache) if cache else None, command=command, stop=interrupt
            )
    except OSError as error:
        raise TransducerError(f"{error.filename or root}: {error.strerror or error}") from error
    if folder is None:
        interrupt.again()
        return 130
    return 0


def train(
    recipe: Recipe | PairRecipe,
    output: Path,
    *,
    resume: bool = False,
    cache: Path | None = None,
    command: Sequence[str] = (),
    stop: Callable[[], bool] = lambda: False,
) -> Path | None:
    """Train a model; returns its checkpoint folder, or None where `stop` said so before the end.

    Args:
        output: the folder of the run.
        resume: go on with what is in there; phases that are over are not repeated.
        cache: a folder for features; below `output` if None.
        command: that started this, for the report and for the hint how to go on.
        stop: asked after each step.
    """
    if isinstance(recipe, PairRecipe):
        return train_pairs(recipe, output, resume=resume, command=command, stop=stop)
    folder, ranks = RunFolder(output), Ranks.join()
    try:
        with folder.claim(recipe, resume) if ranks.first else nullcontext():
            ranks.wait()  # nobody touches the folder before it is claimed
            run = _Run(recipe, folder, cache or folder.cache, ranks)
            if ranks.first:
                folder.begin(recipe)
            for number in range(len(recipe.phases)):
                if not run.phase(number, stop) or stop():
                    if command and ranks.first:
                        say(f"To go on: {shlex.join([*command, '--resume'])}")
                    return None
            checkpoint = output / recipe.name
            if ranks.first:
                network = without(run.network, recipe.auxiliary)
                decoders = [name for name in run.trained if name not in recipe.auxiliary]
                results = export(checkpoint, network, recipe, run.corpus, decoders)
                report = write_report(recipe, folder, run.corpus, results, decoders, command)
                say(f"The model is in {checkpoint}, the report in {report}")
            return checkpoint
    finally:
        ranks.leave()


class _Run:
    """The network and the data of a run, while it goes through its phases."""

    def __init__(self, recipe: Recipe, folder: RunFolder, cache: Path, ranks: Ranks):
        self.recipe, self.folder, self.ranks = recipe, folder, ranks
        self.corpus = open_corpus(recipe, cache, torch.get_num_threads(), progress=ranks.first)
        self.given = frozenset(self.corpus.targets.alignments)  # these stay as they are when others are made anew
        self.network = build_network(recipe, self.corpus)
        config_without(self.network.config, recipe.auxiliary)  # a wrong name is told now, not at the end
        self.evaluated = Network(self.network.config)
        self.trained: list[str] = []  # decoders, in the order of the model
        self.steps = 0

    def phase(self, number: int, stop: Callable[[], bool]) -> bool:
        """Go through a phase, or what is left of it; False where `stop` said so before its end."""
        recipe, phase = self.recipe, self.recipe.phases[number]
        heads = {name.partition(":")[2] for name in phase.losses} | set(self.trained)
        self.trained = [name for name in recipe.model.heads if name in heads]
        trainer = self._aligned(number) or self._trainer(number)
        trainer.load()
        if not trainer.finished:
            self._train(trainer, f"phase {number + 1} of {len(recipe.phases)}: {phase.name}", stop)
            if not trainer.finished:
                return False
        self.steps += phase.steps
        self.network.load_state_dict(trainer.average.weights)
        if phase.realign:
            self._align(phase)
        return True

    def _trainer(self, number: int) -> PhaseTrainer:
        return PhaseTrainer(
            self.network,
            self._loader(number),
            self.corpus.targets,
            self.recipe.phases[number],
            self.folder.phases,
            self.recipe.seed + number,
            self.ranks,
            self._texts(number),
            self._silences(number),
        )

    def _aligned(self, number: int) -> AlignedTrainer | None:
        """The trainer of a phase for a cascaded head."""
        recipe, phase, corpus, network = self.recipe, self.recipe.phases[number], self.corpus, self.network
        names = [name.removeprefix("aligned:") for name in phase.losses if name.startswith("aligned:")]
        if not names:
            return None
        head = dict(network.heads.items()).get(names[0])
        if phase.losses.keys() - {f"aligned:{names[0]}", f"lm:{names[0]}"} or not isinstance(head, CascadedRNNT):
            raise UsageError(f'phase {phase.name}: "aligned" goes with "lm" alone, and with a cascaded RNN-T')
        part = network.config.heads[names[0]]
        source = part.source
        head.source.load_state_dict(network.heads[source].state_dict())
        units, seed = network.config.heads[source].units, recipe.seed + number

        def build() -> PosteriorBank:
            heard = [
                item
                for index, augment in enumerate(phase.passes)
                for item in hear(
                    network,
                    source,
                    corpus.train,
                    corpus.targets,
                    self._augment(augment),
                    seed + index,
                    phase.bf16,
                )
            ]
            if not heard:
                raise UsageError(f"phase {phase.name}: no pass over the recordings, or none with known pronunciations")
            words = {word for item in heard for word in item.words}
            return PosteriorBank(heard, {word: corpus.targets.tokens(word, units) for word in words})

        batches = AlignedBatches(
            build,
            corpus.texts,
            corpus.targets,
            units,
            corpus.targets.units[part.units],
            seed,
            phase.frames_per_batch // network.encoder.stride,
            phase.text_frames,
            self.ranks.world,
            self.ranks.rank,
        )
        folder = self.folder.phases
        return AlignedTrainer(network, batches, corpus.targets, phase, folder, seed, self.ranks)

    def _loader(self, number: int) -> BatchLoader:
        recipe, phase, corpus = self.recipe, self.recipe.phases[number], self.corpus
        store = corpus.train
        if phase.aligned_only:
            rows = [row for row, u in enumerate(store.utterances) if u.id in corpus.targets.alignments]
            if not rows:
                raise UsageError(f"phase {phase.name}: none of the utterances has an alignment")
            store = Subset(store, rows)
        plan = BatchPlan(store.frames, phase.frames_per_batch, recipe.seed + number, self.ranks.world, self.ranks.rank)
        mean, std = self._statistics()
        return BatchLoader(store, plan, augment=self._augment(phase.augment), normalise=(mean, std))

    def _texts(self, number: int) -> SplicedTexts | None:
        recipe, phase, corpus = self.recipe, self.recipe.phases[number], self.corpus
        if not any(name.startswith("text:") for name in phase.losses):
            return None
        if not recipe.model.conditioning or not corpus.texts:
            raise UsageError(f"phase {phase.name}: text losses need an intermediate head, and sentences it can spell")

        def build(weights: dict[str, Tensor], seed: int) -> SpliceBank:
            self.evaluated.load_state_dict(weights)
            return SpliceBank.build(self.evaluated, corpus.train, corpus.targets, self._augment(phase.augment), seed)

        return SplicedTexts(
            build, corpus.texts, corpus.targets, recipe.seed + number, phase.text_frames, phase.text_renewal
        )

    def _silences(self, number: int) -> Silences | None:
        if "silence" not in self.recipe.phases[number].losses:
            return None
        return Silences(self.corpus.silence, self._statistics(), self.recipe.seed + number)

    def _statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """The front-end's mean and standard deviation."""
        return self.network.frontend.mean.numpy().copy(), self.network.frontend.std.numpy().copy()

    def _augment(self, config: AugmentConfig | None) -> FeatureAugment | None:
        return config and FeatureAugment(config, self.corpus.noise, mean=self._statistics()[0])

    def _train(self, trainer: PhaseTrainer, title: str, stop: Callable[[], bool]) -> None:
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
                self.evaluated.load_state_dict(trainer.average.weights)
                return evaluation(self.evaluated, self.corpus, self.trained, bf16=trainer.phase.bf16)

            try:
                trainer.run(
                    report,
                    save_every=recipe.save_every,
                    evaluate_every=recipe.evaluate_every,
                    evaluate=evaluate if first and self.corpus.dev and self.trained else None,
                    stop=stop,
                )
            finally:
                if log:
                    log.close()
            if not trainer.finished:
                progress.say(f"{title}: stopped after step {trainer.step}; it is saved")

    def _align(self, phase: Phase) -> None:
        """Alignments of everything that came without, by the network as it is; all ranks read them from one file."""
        path, targets = self.folder.alignments(phase.name), self.corpus.targets
        phones = self.recipe.units[PHONES]
        if self.ranks.first and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            set_chunk(self.network.encoder, max(self.network.config.chunks))
            made = align_all(self.network, self.corpus.train, targets, self.given, bf16=phase.bf16)
            write_alignments(path, dict(made), phones)
        self.ranks.wait()
        targets.alignments.update(read_alignments(path, phones))


def build_network(recipe: Recipe, corpus: Corpus) -> Network:
    """The network before the first phase: drawn at random from the seed, or taken from the recipe's `initial`."""
    units = {name: len(tokenizer) for name, tokenizer in recipe.units.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = Network(replace(recipe.model, units=units))
        for head in network.heads.values():
            if isinstance(head, CTC):
                # Nearly uniform at first: otherwise the first steps go into unlearning random preferences.
                nn.init.normal_(head.module[0].weight, std=0.02)
    if recipe.initial:
        take_weights(network, recipe.initial)
    else:
        mean, std = corpus.train.statistics()
        network.frontend.mean.copy_(torch.from_numpy(mean))
        network.frontend.std.copy_(torch.from_numpy(std))
    return network
