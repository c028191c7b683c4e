"""The bundled model `speech-en`: streaming English speech recognition that starts from Whisper tiny.en's encoder.

    transducer train pipelines/speech_en --data DATA --output runs/speech-en

DATA is a folder with the tables, recordings and texts named in `pipelines.speech_en.data`. The encoder is
Whisper's, but its attention sees one chunk and five seconds before it, and it learns to do with that, in two phases:

1. `ctc`: from all transcripts, CTC on phones, for beam search, and on byte pairs, for greedy search; and to write
   nothing where nobody speaks: on noise, and on music that is made for this.
2. `crf`: the same at lower rates, in rooms and through codecs, too, and another head for phones learns what sets them
   apart from all that the language could have said in their place. It is the one that beam search reads, which has a
   language model.

In both, what the encoder makes of a sound is also to stay near what Whisper's own makes of it, which hears the whole.

With `--quick` it is a smoke run of a minute or two, on a few utterances, from random weights if there are no others.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from pipelines.speech_en.crf import CRFLoss
from pipelines.speech_en.data import measured, pieces, training
from pipelines.speech_en.measures import SpeechErrors, log_prior
from pipelines.speech_en.no_speech import NoSpeech
from pipelines.speech_en.silence import silence
from pipelines.speech_en.speech import Speech
from pipelines.speech_en.teacher import TeacherStates
from pipelines.speech_en.whisper_start import WhisperStart
from pipelines.speech_en.word_lm import PHONES
from pipelines.speech_en.word_lm import main as word_lm
from transducer.cores.sinusoidal_transformer import SinusoidalTransformerConfig
from transducer.data.augment.features import AugmentConfig
from transducer.encoders.conv_stem import ConvStemConfig
from transducer.frontends.logmel import LogMelConfig
from transducer.heads.ctc import CTCConfig
from transducer.model.config import DecodingConfig, ModelConfig
from transducer.model.network import Network
from transducer.search.tokens.word_model import WordModel
from transducer.text.tokenizers.symbols import Symbols
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

MODEL = ModelConfig(
    frontend=LogMelConfig(low_hz=0.0, fft=400),
    encoder=ConvStemConfig(),
    # 20 ms a frame; a chunk is seen whole, and 5.12 s before it.
    core=SinusoidalTransformerConfig(channels=384, heads=6, hidden=1536, layers=4, chunk=32, left_context=256),
    # The first is what greedy search reads; beam search reads the first that has phones. Two frames at a time: 40 ms.
    heads={
        "pieces": CTCConfig("pieces", stack=2),
        "crf": CTCConfig("phones", stack=2),
        "phones": CTCConfig("phones", stack=2),
    },
    decoding=DecodingConfig(
        search="beam",
        chunk_ms=640,
        time_shift=-0.06,
        renew_after=0.64,
        second_pass="whisper-tiny.en",
        draft_beam=100,
    ),
    language="en",
    chunks=(8, 16, 32, 64, 256),  # 160 ms to 5.12 s, one drawn at random for every batch
    card={
        "description": "Streaming English speech recognition: words at once, finals by a second pass",
        "started_from": {"name": "the encoder of Whisper tiny.en, by OpenAI", "licence": "MIT"},
        "pronunciations": {"name": "CMUdict", "licence": "BSD"},
    },
)

AUGMENT = AugmentConfig(
    gain_db=(-12.0, 6.0),
    warp_probability=0.2,
    noise_probability=0.3,
    snr_db=(0.0, 25.0),
    frequency_mask_bins=15,
    time_mask_every=200,
    time_mask_frames=30,
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
    start: Path | None = None,
    ctc_steps: int = 1500,
    ctc_rate: float = 3e-4,
    ctc_final: float = 0.5,
    crf_steps: int = 1000,
    crf_weight: float = 1.0,
    silence_weight: float = 0.2,
    teacher_weight: float = 1.0,
    pieces_count: int = 500,
    pieces_weight: float = 0.5,
    frames_per_batch: int = 12000,
    average_decay: float = 0.99,
    seed: int = 1,
) -> Recipe:
    """What `transducer train` runs; the keyword parameters can be changed by `--set NAME=VALUE`.

    Args:
        data: the folder with `speech`, `noise`, `lexicon` and `text`.
        start: the folder with Whisper's weights, or their name, see `transducer.load`; the bundled ones if None, and
            random ones in a quick run.
        ctc_rate: peak learning rate of AdamW.
        ctc_final: what is left of it at the end of the first phase; the second goes on from there.
        crf_weight, silence_weight, pieces_weight, teacher_weight: of the losses on what the language could have said,
            on sound without speech, on byte pairs, and on the distance from the original encoder, against 1 for CTC on
            phones.
        pieces_count: of the byte pairs.
        frames_per_batch: of 10 ms.
        average_decay: of the averaged weights.
    """
    if start is None and not quick:
        start = Path("whisper-tiny.en")
    if quick:
        ctc_steps, crf_steps, frames_per_batch, pieces_count = 3, 2, 3000, 200
    units = {"pieces": pieces(data, quick, pieces_count), "phones": Symbols(PHONES)}
    heads = {"pieces": "pieces", "phones": "phones", "crf": "phones"}
    learned = partial(training, data, quick, units, heads, frontend=MODEL.frontend, augment=AUGMENT)
    plain = learned()
    varied = learned(variants=(("reverb", 1.0), ("codec", 1.0)), spoken=plain.spoken)
    dev = measured(data, quick, units, heads, frontend=MODEL.frontend, spoken=plain.spoken)
    no_speech = NoSpeech(
        partial(silence, data / "noise" / "noise.tsv", 8 if quick else None, 4 if quick else 120), silence_weight
    )
    taught = () if start is None else (TeacherStates(start, teacher_weight),)
    ctc = Phase(
        "ctc",
        ctc_steps,
        (HeadLoss("phones"), HeadLoss("pieces", pieces_weight), no_speech, *taught),
        batch_frames=frames_per_batch,
        learning_rate=ctc_rate,
        matrix_learning_rate=0.0,  # Muon would make other matrices of Whisper's
        warmup=100,
        final_fraction=ctc_final,
        average_decay=average_decay,
    )
    crf = replace(
        ctc,
        name="crf",
        steps=crf_steps,
        objectives=(*ctc.objectives, CRFLoss("crf", crf_weight)),
        train=varied,
        learning_rate=ctc_rate * ctc_final,
        warmup=20,
        final_fraction=0.02,
    )
    return Recipe(
        name="speech-en",
        model=MODEL,
        units=units,
        train=plain,
        dev=dev,
        phases=(ctc, crf),
        evaluate=SpeechErrors(units),
        initial=None if start is None else WhisperStart(start),
        word_model=partial(words, data, quick, plain),
        auxiliary=("phones",),
        storage="int8",
        workers=0,
        seed=seed,
        evaluate_every=200,
        save_every=50,
    )
