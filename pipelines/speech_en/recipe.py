"""The bundled model `speech-en`: streaming English speech recognition from 9.6 hours of free recordings.

    transducer train pipelines/speech_en --data DATA --output runs/speech-en

DATA is a folder with the tables, recordings and texts named below. The model is one Conformer with four
heads, and it learns in seven phases, from the recordings at three speeds, in simulated rooms and through codecs:

1. `frames`: from alignments of 1.7 hours, which phone every frame is, by cross-entropy. CTC alone, from nothing,
   takes far longer to find out that letters follow sounds. The model then aligns everything else.
2. `joint`: from all transcripts, CTC on characters and on phones, with the phones of every frame as a third task for
   an intermediate head. What that head thinks is fed back into the upper half of the network. Then it aligns again.
3. `texts`: the same, and the upper half also learns to spell sentences that nobody read out: novels, spliced from
   the inner features of recorded phones.
4. `silence`: the same at lower rates and in more noise, and to write nothing where nobody speaks: on noise, and on
   music that is made for this.
5. `phones`: phones alone, because the characters have done what they were there for, and do not ship.
6. `crf`: the same, and another head for phones learns what sets them apart from all that the language could have
   said in their place. It is the one that beam search reads, which has a language model.
7. `pieces`: another head, an RNN-T on the phones' posteriors that writes words in pieces without lexicon or language
   model, for greedy search. It learns from what the finished network says of the recordings, of sentences
   of novels spliced from that, and from the novels themselves; nothing below it changes any more.

With `--quick` it is a smoke run of a minute or two, on a few utterances.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from pipelines.speech_en.crf import CRFLoss
from pipelines.speech_en.data import measured, pieces, sentences, training
from pipelines.speech_en.frame_labels import FrameLabels
from pipelines.speech_en.measures import SpeechErrors, log_prior
from pipelines.speech_en.no_speech import NoSpeech
from pipelines.speech_en.realignment import realign
from pipelines.speech_en.sentences import AlignedLoss, PredictorLoss, Sentences
from pipelines.speech_en.silence import silence
from pipelines.speech_en.speech import Part, Speech
from pipelines.speech_en.splice import SplicedText
from pipelines.speech_en.word_lm import PHONES
from pipelines.speech_en.word_lm import main as word_lm
from transducer.cores.conformer import ConformerConfig
from transducer.data.augment.features import AugmentConfig
from transducer.heads.cascaded_rnnt import CascadedRNNTConfig
from transducer.heads.ctc import CTCConfig, SelfConditioningConfig
from transducer.model.config import DecodingConfig, ModelConfig
from transducer.model.network import Network
from transducer.search.tokens.word_model import WordModel
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.symbols import Symbols
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

MODEL = ModelConfig(
    # 40 ms a frame; a chunk is seen whole, and 2.56 s before it.
    core=ConformerConfig(channels=192, heads=4, hidden=512, layers=8, kernel=15, chunk=16, left_context=64),
    # The first is what greedy search reads; beam search reads the first that has phones.
    heads={
        "pieces": CascadedRNNTConfig("pieces", source="phones", layers=5),
        "crf": CTCConfig("phones"),
        "characters": CTCConfig("characters"),
        "phones": CTCConfig("phones"),
    },
    conditioning=SelfConditioningConfig(after=4, units="phones"),
    # Words begin 90 ms after where alignments of the training data have them: spikes come late.
    decoding=DecodingConfig(search="beam", chunk_ms=640, time_shift=-0.09, blank_window=2),
    language="en",
    chunks=(8, 16, 32),  # 320, 640 and 1280 ms, one drawn at random for every batch
    card={
        "description": "Streaming English speech recognition: clear speech to lower-case words",
        "pronunciations": {"name": "CMUdict", "licence": "BSD"},
    },
)

# Masks of frequencies alone: labels of frames have to stay where their sounds are.
FRAMES_AUGMENT = AugmentConfig(
    gain_db=(0.0, 0.0),
    warp_probability=0.0,
    noise_probability=0.0,
    band_limit_probability=0.0,
    time_mask_every=0,
)

JOINT_AUGMENT = AugmentConfig(
    gain_db=(-10.0, 6.0),
    warp_probability=0.3,
    noise_probability=0.2,
    frequency_mask_bins=15,
    time_mask_every=200,
    time_mask_frames=30,
)

NOISY_AUGMENT = replace(
    JOINT_AUGMENT, warp_probability=0.4, noise_probability=0.35, snr_db=(0.0, 25.0), frequency_mask_bins=18
)

LIGHT_AUGMENT = replace(
    JOINT_AUGMENT, warp_probability=0.2, noise_probability=0.05, frequency_mask_bins=8, time_mask_frames=12
)


def words(data: Path, quick: bool, train: Speech, folder: Path, network: Network) -> WordModel:
    """The lexicon and language model of the beam search, pruned to a few megabytes."""
    if not (folder / "report.json").exists():
        word_lm([str(data), str(folder), "--threshold", "4e-8", *(["--quick"] if quick else [])])
    made = WordModel.load(folder, Symbols(PHONES))
    head = next(name for name, part in network.config.heads.items() if part.units == made.config.units)
    prior = tuple(round(value, 3) for value in log_prior(network, train, head).tolist())
    made.config = replace(made.config, log_prior=prior)
    return made


def recipe(
    data: Path,
    quick: bool = False,
    *,
    frames_steps: int = 270,
    frames_rate: float = 2e-3,
    frames_matrix_rate: float = 0.02,
    joint_steps: int = 1500,
    joint_rate: float = 1e-3,
    joint_matrix_rate: float = 8e-3,
    joint_final: float = 0.5,
    texts_steps: int = 1400,
    texts_rate: float = 5e-4,
    texts_matrix_rate: float = 4e-3,
    text_weight: float = 0.7,
    silence_steps: int = 900,
    silence_rate: float = 4e-4,
    silence_matrix_rate: float = 2.5e-3,
    silence_weight: float = 0.3,
    phones_steps: int = 3000,
    phones_rate: float = 6e-4,
    phones_matrix_rate: float = 4e-3,
    phones_final: float = 0.4,
    crf_steps: int = 2000,
    crf_weight: float = 1.0,
    pieces_count: int = 2000,
    pieces_steps: int = 4000,
    pieces_rate: float = 1.2e-3,
    pieces_matrix_rate: float = 0.012,
    frames_per_batch: int = 12000,
    average_decay: float = 0.995,
    seed: int = 1,
) -> Recipe:
    """What `transducer train` runs; the keyword parameters can be changed by `--set NAME=VALUE`.

    Args:
        data: the folder with `speech`, `noise`, `lexicon` and `text`.
        frames_rate, joint_rate, texts_rate, silence_rate, phones_rate, pieces_rate: peak learning rates
            of AdamW; ..._matrix_rate: of Muon.
        joint_final, phones_final: what is left of these at the end of the second and the fifth phase; the phases after
            them go on from there.
        crf_weight: of the loss on what the language could have said, against 1 for CTC.
        text_weight: of the loss on spliced sentences; silence_weight: of that on sound without speech.
        pieces_count: of the tokens that the last head writes with.
        frames_per_batch: of 10 ms.
        average_decay: of the averaged weights from the second phase on.
    """
    text_frames = 2200
    if quick:
        frames_steps, joint_steps, texts_steps, silence_steps, frames_per_batch, text_frames = 6, 4, 4, 4, 4000, 300
        phones_steps, crf_steps, pieces_steps, pieces_count = 2, 2, 2, 200
    units = {"pieces": pieces(data, quick, pieces_count), "characters": Characters(), "phones": Symbols(PHONES)}
    heads = {"characters": "characters", "phones": "phones", "crf": "phones"}
    train = training(data, quick, units, heads, texts=partial(sentences, data, 500 if quick else None))
    dev = measured(data, quick, units, {**heads, "pieces": "pieces"}, train.spoken)

    frames = Phase(
        "frames",
        frames_steps,
        (FrameLabels(weight=0.5), FrameLabels("phones")),
        Part(train, FRAMES_AUGMENT, aligned=True),
        batch_frames=frames_per_batch,
        learning_rate=frames_rate,
        matrix_learning_rate=frames_matrix_rate,
        warmup=50,
        after=realign,
    )
    on_phones = (HeadLoss("phones", 0.5), HeadLoss("crf", 0.1), FrameLabels(weight=0.5))
    joint = Phase(
        "joint",
        joint_steps,
        (HeadLoss("characters"), *on_phones),
        Part(train, JOINT_AUGMENT),
        batch_frames=frames_per_batch,
        learning_rate=joint_rate,
        matrix_learning_rate=joint_matrix_rate,
        warmup=60,
        final_fraction=joint_final,
        average_decay=average_decay,
        after=realign,
    )
    texts = replace(
        joint,
        name="texts",
        steps=texts_steps,
        objectives=(*joint.objectives, SplicedText("characters", text_weight, JOINT_AUGMENT, text_frames)),
        learning_rate=texts_rate,
        matrix_learning_rate=texts_matrix_rate,
        final_fraction=0.02,
        after=None,
    )
    no_speech = NoSpeech(
        partial(silence, data / "noise" / "noise.tsv", 40 if quick else None, 4 if quick else 120), silence_weight
    )
    noisy = replace(
        texts,
        name="silence",
        steps=silence_steps,
        objectives=(
            *joint.objectives,
            SplicedText("characters", text_weight, NOISY_AUGMENT, text_frames),
            no_speech,
        ),
        train=Part(train, NOISY_AUGMENT),
        learning_rate=silence_rate,
        matrix_learning_rate=silence_matrix_rate,
        after=realign,
    )
    phones = replace(
        noisy,
        name="phones",
        steps=phones_steps,
        objectives=(HeadLoss("phones"), *on_phones[1:], no_speech),
        learning_rate=phones_rate,
        matrix_learning_rate=phones_matrix_rate,
        final_fraction=phones_final,
        after=None,
    )
    crf = replace(
        phones,
        name="crf",
        steps=crf_steps,
        objectives=(*phones.objectives, CRFLoss("crf", crf_weight)),
        learning_rate=phones_rate * phones_final,
        matrix_learning_rate=phones_matrix_rate * phones_final,
        final_fraction=0.02,
    )
    passes = (JOINT_AUGMENT,) if quick else (NOISY_AUGMENT, JOINT_AUGMENT, LIGHT_AUGMENT) * 2
    written = Phase(
        "pieces",
        pieces_steps,
        (AlignedLoss("pieces"), PredictorLoss("pieces")),
        # Frames of the encoder: four thousand of recordings, three times as much of spliced sentences.
        batches=Sentences("pieces", passes, 250 if quick else 4_000, 1000 if quick else 12_000),
        learning_rate=pieces_rate,
        matrix_learning_rate=pieces_matrix_rate,
        warmup=100,
        clip=2.0,
        average_decay=0.998,
    )
    return Recipe(
        name="speech-en",
        model=MODEL,
        units=units,
        train=train,
        dev=dev,
        phases=(frames, joint, texts, noisy, phones, crf, written),
        evaluate=SpeechErrors(units),
        word_model=partial(words, data, quick, train),
        auxiliary=("characters",),
        storage="int8",
        workers=0,  # alignments are made anew between the phases, which processes forked at the beginning would not see
        seed=seed,
        evaluate_every=400,
        save_every=100,
    )
