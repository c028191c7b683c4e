"""What a training run is, as data: a recipe under pipelines/ is a function that returns a `Recipe`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from transducer.data.pairs import PairSource
from transducer.errors import UsageError
from transducer.model.config import HeadConfig, ModelConfig
from transducer.model.network import Network
from transducer.search.tokens.word_model import WordModel
from transducer.text.tokenizers.tokenizer import Tokenizer
from transducer.training.checks import check_name, check_number, check_type, check_whole
from transducer.training.objectives import Objective

if TYPE_CHECKING:
    from transducer.heads.ctc import SelfConditioningConfig
    from transducer.training.context import Batches, Context

# (network, examples) -> name -> a fraction, such as "accuracy:labels" or "wer:words".
Evaluate = Callable[[Network, PairSource], Mapping[str, float]]


class Start(Protocol):
    """Puts weights into a network before it learns; the name tells runs apart."""

    @property
    def name(self) -> str: ...
    def __call__(self, network: Network) -> None: ...


STORAGES = ("float32", "float16", "int8")


@dataclass(frozen=True)
class Phase:
    """A stretch of training with the same objectives and one learning-rate curve.

    Attributes:
        name: for the log and the files of its state.
        steps: of the optimizer.
        objectives: what is learned, see `training.objectives`; the sum of their losses times their weights.
        train: the examples of this phase; None takes the recipe's.
        batch_frames: steps of x in a batch, of all processes together, padding counted; a longer example is a batch
            of its own.
        buckets: where lengths are not known, batches are cut from so many batches' worth of examples.
        learning_rate: of AdamW, at the peak; matrix_learning_rate: of Muon, at the peak.
        weight_decay: of both.
        warmup: steps of linear rise; then the rate falls linearly to `final_fraction` of the peak, at the last step.
        clip: norm of the gradient, at most.
        average_decay: of the exponential moving average of the weights that is evaluated and shipped.
        bf16: compute the network in bfloat16 where autocast does, and where the device has it; weights and losses stay
            float32.
        patience: the phase is over when so many evaluations on held-out examples have brought no progress, and its
            result is the best of them; 0 goes on to the last step, and takes what is there then.
        frozen: beginnings of the names of weights that do not learn, such as "encoder.stages.0.", from this phase on.
        batches: makes the phase's own batches, where its objectives read no pairs.
        after: called at the end of the phase, and again when a run that is past it goes on.
    """

    name: str
    steps: int
    objectives: tuple[Objective, ...]
    train: PairSource | None = None
    batch_frames: int = 3000
    buckets: int = 4
    learning_rate: float = 2e-3
    matrix_learning_rate: float = 0.02
    weight_decay: float = 0.01
    warmup: int = 50
    final_fraction: float = 0.02
    clip: float = 5.0
    average_decay: float = 0.99
    bf16: bool = True
    patience: int = 0
    frozen: tuple[str, ...] = ()
    batches: Callable[[Context], Batches] | None = None
    after: Callable[[Context], None] | None = None

    def __post_init__(self) -> None:
        check_name("a phase", self.name)
        owner = f"phase {self.name}"
        for name, least in (("steps", 1), ("batch_frames", 1), ("buckets", 1), ("warmup", 0), ("patience", 0)):
            check_whole(owner, name, getattr(self, name), least)
        for name in ("learning_rate", "matrix_learning_rate", "weight_decay"):
            check_number(owner, name, getattr(self, name))
        check_number(owner, "final_fraction", self.final_fraction, most=1.0)
        check_number(owner, "clip", self.clip, above=True)
        check_number(owner, "average_decay", self.average_decay, most=1.0)
        check_type(owner, "bf16", self.bf16, bool, "true or false")
        check_type(owner, "objectives", self.objectives, tuple, "a tuple of objectives")
        for objective in self.objectives:
            check_type(owner, "an objective", objective, Objective, "an Objective")
        names = [objective.name for objective in self.objectives]
        if not names or len(set(names)) < len(names):
            raise UsageError(f"{owner}: it needs objectives, each with a name of its own; it has {names}")


@dataclass(frozen=True)
class Recipe:
    """A whole run: the model, the data and the phases.

    Attributes:
        name: of the checkpoint folder.
        model: what is trained; its `chunks` are drawn from at random, one a batch. The run fills in `units`.
        units: name of units -> tokenizer.
        train: the examples, see `data.pairs`.
        dev: for the evaluations on the way and at the end; evaluated with the same random numbers every time.
        phases: in order; each starts from the averaged weights of the one before.
        evaluate: None measures each trained head by its own metric, see `training.evaluation`.
        initial: a checkpoint folder to start from, where parts that it lacks, or has in other shapes, start anew; or
            what puts weights from elsewhere into the network.
        card: what the model's card is to say, beside what the run knows itself.
        auxiliary: heads that help to train the rest, and are not in the checkpoint.
        word_model: makes the lexicon and language model of a beam search, in a folder that it may keep files in.
        storage: of the weights on disk, "float32", "float16" or "int8".
        workers: processes that make the examples; 0 makes them in a thread.
        seed: of everything random.
        shards: that a batch is cut into, at least, each computed by itself: as many processes, or a part of them, train
            the same bit for bit.
        evaluate_every, save_every: in steps; both also happen at the end of a phase, and 0 leaves it at that.
    """

    name: str
    model: ModelConfig
    units: Mapping[str, Tokenizer]
    train: PairSource
    dev: PairSource | None
    phases: tuple[Phase, ...]
    evaluate: Evaluate | None = None
    initial: Path | Start | None = None
    card: dict[str, Any] = field(default_factory=dict)
    auxiliary: tuple[str, ...] = ()
    word_model: Callable[[Path, Network], WordModel | None] | None = None
    storage: str = "float16"
    workers: int = 1
    seed: int = 1
    shards: int = 1
    evaluate_every: int = 200
    save_every: int = 50

    def __post_init__(self) -> None:
        check_name("a recipe", self.name)
        owner = f"recipe {self.name}"
        check_type(owner, "model", self.model, ModelConfig, "a ModelConfig")
        check_type(owner, "phases", self.phases, tuple, "a tuple of phases")
        for phase in self.phases:
            check_type(owner, "a phase", phase, Phase, "a Phase")
        names = [phase.name for phase in self.phases]
        if not names or len(set(names)) < len(names):
            raise UsageError(f"{owner}: it needs phases, each with a name of its own; it has {names}")
        for name in ("workers", "seed", "evaluate_every", "save_every"):
            check_whole(owner, name, getattr(self, name), 0)
        check_whole(owner, "shards", self.shards, 1)
        if self.storage not in STORAGES:
            raise UsageError(f"{owner}: storage is {self.storage!r}; there are {', '.join(STORAGES)}")
        heads, units = self.model.heads, {name: len(tokenizer) for name, tokenizer in self.units.items()}
        parts: dict[str, HeadConfig | SelfConditioningConfig | None] = {
            f"head {name}": part for name, part in heads.items()
        }
        parts["the intermediate head"] = self.model.conditioning
        for name, part in parts.items():
            if part is not None and part.units not in units:
                known = ", ".join(units) or "none"
                raise UsageError(f"{owner}: {name} writes {part.units!r}; the units are {known}")
        if strange := set(self.auxiliary) - heads.keys():
            raise UsageError(f"auxiliary: the model has no head {min(strange)!r}, but {', '.join(heads)}")
        model = replace(self.model, units=units)
        for phase in self.phases:
            for objective in phase.objectives:
                objective.check(model)

    @property
    def sources(self) -> list[PairSource]:
        """What is trained on, each once: the recipe's own, and those of the phases in their order."""
        found: list[PairSource] = []
        for source in (self.train, *(self.source(phase) for phase in self.phases)):
            if not any(source is known for known in found):
                found.append(source)
        return found

    def source(self, phase: Phase) -> PairSource:
        """What a phase is trained on."""
        return self.train if phase.train is None else phase.train

    def trained_heads(self, phases: int | None = None) -> list[str]:
        """The heads that the first so many phases train, or all of them, in the order of the model."""
        objectives = [objective for phase in self.phases[:phases] for objective in phase.objectives]
        heads = {head for objective in objectives for head in objective.heads}
        return [name for name in self.model.heads if name in heads]
