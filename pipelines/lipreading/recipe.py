"""Reading lips: from frames of a talking face to the words spoken, and what that adds to hearing in noise.

    transducer train pipelines/lipreading --data DATA --output runs/lips
    transducer train pipelines/lipreading --data DATA --output runs/lips-words \\
        --set task=words --set start=runs/lips/labels

DATA is a folder with `video/grid-s1.tsv`: 1000 sentences of one speaker of the GRID corpus (Cooke et al. 2006), 51
words timed by frame. The first run learns which word every frame belongs to, by cross-entropy. The second one goes on
from there and learns the words in a row, by CTC on the same encoder; its head starts as that for the frames. CTC alone,
from nothing, finds out where in a sentence words tend to be, and never looks at the lips.

For sound and noise, DATA also has the tables named below. Two encoders then feed one core; they start as they are in
the models for one input. A quarter of the examples have no picture, lest the core rely on what it knows by heart.

    transducer train pipelines/lipreading --data DATA --output runs/ears --set inputs=sound
    transducer train pipelines/lipreading --data DATA --output runs/both --set inputs=both \\
        --set start=runs/lips/labels --set sound=runs/ears/labels

Measured on 100 sentences that nothing learned from. With `--set measured=dev` these are 50 others, for choosing
settings. With `--quick` it is a smoke run.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from pipelines.lipreading.data import SAMPLES, LipClips, hold_out, load_clips, read_noises, read_sentences
from transducer.cores.tcn import TCNConfig
from transducer.data.pairs import PairSource
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.encoders.frame_cnn import FrameCNNConfig
from transducer.encoders.fusion import FusionConfig
from transducer.errors import UsageError
from transducer.frontends.audio_visual import AudioVisualConfig
from transducer.frontends.frames import FramesConfig
from transducer.frontends.logmel import LogMelConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.heads.metrics import edits
from transducer.model.checkpoint import load_checkpoint, save_checkpoint
from transducer.model.config import HeadConfig, ModelConfig
from transducer.model.network import Network
from transducer.search.events.frames import DenseSearch
from transducer.search.events.rules import EventRules
from transducer.text.tokenizers.labels import Labels
from transducer.training.evaluation import outputs
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe
from transducer.training.words import greedy_tokens

# Top, left, bottom and right of the speaker's mouth and chin in pictures of 180x144, with room for a moving head: where
# the pictures change most from frame to frame.
BOX = (88, 57, 132, 105)
NOISES = (
    ("sounds", "noise/noise.tsv"),
    ("voices", "speech/librispeech-train.tsv"),
    ("voices", "speech/librispeech-dev.tsv"),
)
CONDITIONS = (("babble", -5.0), ("noise", -5.0), ("babble", 5.0), ("babble", 20.0))
LOOK_AHEAD = 12  # frames, 0.48 s


def recipe(
    data: Path,
    quick: bool = False,
    *,
    inputs: str = "picture",
    task: str = "labels",
    start: str | None = None,
    sound: str | None = None,
    measured: str = "test",
    table: str = "video/grid-s1.tsv",
    steps: int | None = None,
    channels: int = 192,
    learning_rate: float | None = None,
    cache: Path | None = None,
    seed: int = 1,
) -> Recipe:
    """What `transducer train` runs; the keyword parameters can be changed by `--set NAME=VALUE`.

    Args:
        inputs: "picture", "sound" or "both". Sound is drowned in other voices, or in noise, at -8 to 15 dB.
        task: "labels" of frames, or "words" in a row.
        start: a checkpoint folder of this recipe to start from: with the same inputs, or, for both, with pictures.
        sound: one with sound, for both.
        measured: "test", or "dev" to leave the test sentences alone. Neither is trained on.
        learning_rate: at its peak; by default less for what does not start from nothing.
        cache: a folder for the decoded clips.
    """
    for name, value, known in (
        ("inputs", inputs, ("picture", "sound", "both")),
        ("task", task, ("labels", "words")),
        ("measured", measured, ("test", "dev")),
    ):
        if value not in known:
            raise UsageError(f"{name}={value}: there are {', '.join(known)}")
    joining = inputs == "both" and task == "labels"
    if bool(start) != (task == "words" or joining) or bool(sound) != joining:
        raise UsageError(
            "task=words starts from a model of frames' labels: --set start=...; inputs=both from two of these: "
            "--set start=... for pictures, --set sound=... for sound; anything else starts from nothing"
        )
    sentences = read_sentences(data / table)
    labels = Labels(sorted({word for sentence in sentences for word in sentence.words}))
    test, dev, rest = hold_out(sentences, len(sentences) // 10, len(sentences) // 20)
    held_out = dev if measured == "dev" else test
    steps = steps or {"picture": 1400, "sound": 800, "both": 800}[inputs]
    if quick:
        rest, held_out, steps = rest[:8], held_out[:2], 3
    cache = (cache or Path("runs") / "cache") / "lips"
    clips = [tuple(load_clips(part, BOX, cache, _progress(len(part)))) for part in (rest, held_out)]
    noises = [None, None]
    if inputs != "picture":
        noises = [read_noises(data, NOISES, measuring, most=4 if quick else 150) for measuring in (False, True)]
    config = model(inputs, task, channels, len(labels))
    peak = learning_rate or (1e-3 if start else 2e-3)
    objectives = (HeadLoss("labels"), HeadLoss("words", 0.5)) if task == "words" else (HeadLoss("labels"),)
    phase = Phase(
        "train",
        steps,
        objectives,
        batch_frames=16 * 90 * (SAMPLES if inputs == "sound" else 1),
        learning_rate=peak,
        matrix_learning_rate=10 * peak,
        warmup=min(50, steps // 3),
    )
    return Recipe(
        name=task,
        model=config,
        units={"words": labels},
        train=LipClips(clips[0], labels, inputs, noises[0], augment=True),
        dev=LipClips(clips[1], labels, inputs, noises[1]),
        phases=(phase,),
        evaluate=evaluate,
        initial=join(config, labels, Path(start), Path(sound) if sound else None, cache / "start") if start else None,
        card={
            "description": f"The words of GRID sentences, speaker 1, from {inputs}",
            "trained_on": [{"name": "GRID corpus, speaker 1", "licence": "CC BY 4.0", "clips": len(rest)}],
        },
        seed=seed,
        evaluate_every=max(1, steps // 4) if measured == "dev" else steps,
        save_every=50,
    )


def model(inputs: str, task: str, channels: int, words: int) -> ModelConfig:
    """One core on an encoder for pictures, for sound, or on both."""
    top, left, bottom, right = BOX
    frames = FramesConfig(bottom - top, right - left, fps=25.0)
    cnn = FrameCNNConfig(widths=(24, 48, 96), grid=(6, 6), difference=False, dropout=0.1)
    frontend, encoder = {
        "picture": (frames, cnn),
        "sound": (LogMelConfig(), ConvSubsamplingConfig()),
        "both": (AudioVisualConfig(frames, LogMelConfig(), SAMPLES), FusionConfig(cnn, ConvSubsamplingConfig())),
    }[inputs]
    words_too: dict[str, HeadConfig] = {"words": CTCConfig("words")} if task == "words" else {}
    return ModelConfig(
        frontend=frontend,
        encoder=encoder,
        core=TCNConfig(channels, 2 * channels, layers=8, look_ahead=LOOK_AHEAD, dropout=0.1),
        heads={**words_too, "labels": FramewiseConfig("words")},
        events=EventRules("sequence") if task == "words" else EventRules("dense", min_frames=2),
        language="en",
        units={"words": words},
        chunks=(1,),
    )


def join(config: ModelConfig, labels: Labels, start: Path, sound: Path | None, folder: Path) -> Path:
    """A checkpoint to start from, in `folder`, with what model `start` knows.

    A head for words starts as the one for labels, for which CTC's blank is no word. With `sound`, the encoders come
    from the two models, and what they feed starts from nothing.

    Raises:
        UsageError: the models are for other inputs or of another size.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = Network(config)
    known = load_checkpoint(start)[0]
    try:
        if sound:
            heard, fusion = load_checkpoint(sound)[0], network.encoder.stages[0]
            fusion.video.load_state_dict(known.encoder.stages[0].state_dict())
            fusion.audio.load_state_dict(heard.encoder.stages[0].state_dict())
            network.frontend.audio.load_state_dict(heard.frontend.state_dict())
        else:
            network.frontend.load_state_dict(known.frontend.state_dict())
            network.encoder.load_state_dict(known.encoder.state_dict())
            for name, head in network.heads.items():
                head.load_state_dict(known.heads[name if name in known.heads else "labels"].state_dict())
    except (RuntimeError, KeyError, AttributeError):
        raise UsageError(f"{start} cannot be started from: it has other inputs, or another size") from None
    save_checkpoint(folder, network, config, {"words": labels})
    return folder


def evaluate(network: Network, source: PairSource) -> Mapping[str, float]:
    """Word error rates of the decoders, greedy; for pictures, also the share of frames with the right label.

    Of sound, at several ratios to noise.
    """
    if source.inputs == "picture":
        return errors(network, source)
    return {
        f"wer:{head}, {kind} at {snr:g} dB": rate
        for kind, snr in CONDITIONS
        for (measure, _, head), rate in (
            (name.partition(":"), rate) for name, rate in errors(network, source.at(kind, snr)).items()
        )
        if measure == "wer"
    }


def errors(network: Network, source: PairSource) -> dict[str, float]:
    """`wer:words`, `wer:labels` and `accuracy:labels`, as fractions, as far as there are these decoders.

    The words of the labels are their runs of two frames or more.
    """
    search = DenseSearch(tuple(source.labels.tokens), EventRules(kind="dense", min_frames=2))
    wrong = dict.fromkeys((f"wer:{head}" for head in network.heads), 0)
    words = right = frames = 0
    for pair, said in outputs(network, source, list(network.heads)):
        wanted = pair.target("words")
        words += len(wanted)
        if "words" in said:
            wrong["wer:words"] += edits(wanted, greedy_tokens(network, "words", said["words"]))
        state, runs = search.step(search.init(), said["labels"].numpy())
        wrong["wer:labels"] += edits(wanted, [source.labels.id(run.label) for run in runs + search.finish(state)])
        right += int((said["labels"].argmax(dim=1).numpy() == pair.target("labels")).sum())
        frames += len(said["labels"])
    return {**{name: count / words for name, count in wrong.items()}, "accuracy:labels": right / frames}


def _progress(total: int):
    """Says on standard error how far decoding has got, where that takes long."""
    done = 0

    def each() -> None:
        nonlocal done
        done += 1
        if done % 200 == 0:
            print(f"decoding: {done} of {total} clips", file=sys.stderr, flush=True)

    return each
