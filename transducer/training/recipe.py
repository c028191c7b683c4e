"""What a training run is, as data: a recipe under pipelines/ is a function that returns a `Recipe`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from transducer.data.augment.features import AugmentConfig
from transducer.model.config import ModelConfig
from transducer.search.tokens.word_model import WordModel
from transducer.text.english.lexicon import Pronunciations
from transducer.text.tokenizers.tokenizer import Tokenizer

Pronounce = Callable[[Sequence[str], Pronunciations], Pronunciations]


@dataclass(frozen=True)
class Table:
    """A table of recordings (see `transducer.data.table`).

    Attributes:
        path: of the table, JSON lines or TSV.
        name, licence: as the model's card is to name them; the name is the file's without its ending if empty.
        rows: at most so many, spread evenly over the table; None takes all.
    """

    path: Path
    name: str = ""
    licence: str = ""
    rows: int | None = None

    @property
    def title(self) -> str:
        return self.name or self.path.stem


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one objective and one learning-rate curve.

    Attributes:
        name: for the log and the files of its state.
        steps: optimizer steps.
        losses: name of a loss -> weight. "ctc:NAME" and "rnnt:NAME" train decoder NAME; "crf:NAME" a CTC decoder on
            what sets its target apart from all else that might have been said (see `training.crf`). "frames" is
            cross-entropy of the intermediate head, "frames:NAME" of decoder NAME, on frame labels (alignments).
            "text:NAME" trains decoder NAME and the layers above the intermediate head on sentences of the recipe's
            `texts`, spliced from features of recorded phones (see `training.splice`). "silence" makes the blanks of all
            CTC heads likely on the recipe's `silence` (see `training.silence`). "aligned:NAME" trains the cascaded
            RNN-T NAME on what the head that it reads says of the recordings, and of sentences of the recipe's `texts`
            spliced from that; "lm:NAME" may join it, and lets its predictor read these texts alone (see
            `training.aligned`). A phase with these has no other losses.
        aligned_only: use only the utterances whose alignment is given.
        frames_per_batch: features (10 ms) in a batch, padding counted.
        learning_rate: of AdamW, at the peak; `matrix_learning_rate`: of Muon, at the peak.
        warmup: steps of linear rise; then the rate falls linearly to `final_fraction` of the peak, at the last step.
        clip: norm of the gradient, at most.
        augment: None trains on the features as they are.
        average_decay: of the exponential moving average of the weights that is evaluated and shipped.
        bf16: compute the network in bfloat16 where autocast does; weights and losses stay float32.
        text_frames: encoder frames in a batch of spliced sentences.
        passes: for "aligned": how the recordings are augmented, each time that the network hears them all.
        text_renewal: steps after which the features that they are spliced from are computed anew.
        realign: after the phase, align every utterance with a pronunciation anew, for the phases that follow.
    """

    name: str
    steps: int
    losses: Mapping[str, float]
    aligned_only: bool = False
    frames_per_batch: int = 16000
    learning_rate: float = 2e-3
    matrix_learning_rate: float = 0.02
    weight_decay: float = 0.01
    warmup: int = 50
    final_fraction: float = 0.02
    clip: float = 5.0
    augment: AugmentConfig | None = field(default_factory=AugmentConfig)
    average_decay: float = 0.99
    bf16: bool = True
    text_frames: int = 2200
    text_renewal: int = 700
    passes: tuple[AugmentConfig, ...] = ()
    realign: bool = False


@dataclass(frozen=True)
class Recipe:
    """A whole run: the model, the data and the phases.

    Attributes:
        name: of the checkpoint folder.
        model: what is trained; its `chunks` are drawn from at random, one a batch. The run fills in `units` and
            the card.
        units: name of units -> tokenizer. Those called "phones" need `lexicon`; all others spell the text itself.
        train: tables of recordings.
        dev: table for the error rates on the way, or None.
        phases: in order; each starts from the averaged weights of the one before.
        noise: table of noise clips to mix in.
        silence: makes a table of recordings without speech, for the "silence" loss, in a folder that it may keep
            files in.
        lexicon: a pronouncing dictionary in CMUdict's format, for the units "phones".
        pronounce: for words that the lexicon lacks: (words, lexicon) -> word -> pronunciations, the likeliest first.
            Without it, utterances with such words are not trained on phones.
        alignments: a table of phone alignments (utterance, phones, starts, ends), for the "frames" losses.
        texts: gives the sentences for the "text" losses, spelled as transcripts are.
        initial: a checkpoint folder to start from; parts that it lacks, or has in other shapes, start anew.
        normalise: whether texts go through `text.english.normalise` first; False for units that are no plain text.
        word_model: makes the lexicon and language model of the beam search, in a folder that it may keep files in.
        auxiliary: decoders that help to train the rest, and are not in the checkpoint.
        storage: of the weights on disk, "float16" or "int8".
        speeds: of the copies of each recording to train on.
        variants: further copies, ("reverb", seed) in a simulated room, ("codec", seed) through a codec or telephone;
            an epoch has one of all the copies of a recording.
        seed: of everything random.
        evaluate_every, save_every: in steps; both also happen at the end of a phase.
    """

    name: str
    model: ModelConfig
    units: Mapping[str, Tokenizer]
    train: tuple[Table, ...]
    dev: Table | None
    phases: tuple[Phase, ...]
    noise: Table | None = None
    silence: Callable[[Path], Table] | None = None
    lexicon: Path | None = None
    pronounce: Pronounce | None = None
    alignments: Path | None = None
    texts: Callable[[], Sequence[str]] | None = None
    initial: Path | None = None
    normalise: bool = True
    word_model: Callable[[Path], WordModel] | None = None
    auxiliary: tuple[str, ...] = ()
    storage: str = "float16"
    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    variants: tuple[tuple[str, float], ...] = ()
    seed: int = 1
    evaluate_every: int = 200
    save_every: int = 50
