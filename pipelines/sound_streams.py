"""Events with times in a stream of sound, learned from short recordings that are laid into noise.

    transducer train pipelines/sound_streams.py --data noise.tsv --output runs/sound-streams
    transducer label street.wav --model runs/sound-streams/events

The table is that of pipelines/sound_events.py. Every example is composed anew: up to four pieces of ESC-10 at random
places of ten seconds of background, 5 to 20 dB louder than it. What is measured are streams made of a held-out fold,
by frames and by F1 of events: one is right that has its label and overlaps the true one by half (intersection over
union). A model of single sounds is a good start: `--set initial=runs/sound-events/sounds`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipelines.sound_events import BACKGROUND, FRONTEND, LICENCE, by_fold
from transducer.cores.tcn import TCNConfig
from transducer.data.augment.features import DB, AugmentConfig, FeatureAugment, mel_edges, spectral_power
from transducer.data.features import FeatureStore, feature_config
from transducer.data.item import Item
from transducer.data.pairs import Pair, PairSource, fixed_pair
from transducer.data.table import read_table
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.errors import UsageError
from transducer.evaluation.events import SegmentCounts, count_segments, frame_accuracy
from transducer.heads.framewise import FramewiseConfig
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.search.events.rules import EventRules
from transducer.search.events.search import build_event_search
from transducer.text.tokenizers.labels import Labels
from transducer.training.evaluation import outputs
from transducer.training.objectives import HeadLoss, target_of
from transducer.training.recipe import Phase, Recipe

STEPS = 500  # of 20 ms in a stream
LENGTH = (40, 150)  # of an event, in the same steps
GAP = 15  # between two events, at least
RULES = EventRules("spans", high=0.5, low=0.3, merge=2, min_frames=4)

AUGMENT = AugmentConfig(noise_probability=0.0, frequency_mask_bins=8)


def recipe(
    data: Path,
    quick: bool = False,
    *,
    held_out: int = 5,
    unseen: int = 0,
    channels: int = 96,
    layers: int = 4,
    hidden: int = 32,
    dropout: float = 0.2,
    steps: int = 1000,
    batch_frames: int = 4000,
    learning_rate: float = 2e-3,
    matrix_learning_rate: float = 0.01,
    initial: str = "",
    seed: int = 1,
) -> Recipe:
    """A causal convolutional network, and a label for every 80 ms.

    Args:
        data: the table.
        held_out: the fold that is measured. unseen: a fold that is left out altogether; 0 for none.
        initial: a checkpoint to start from; none if empty.
    """
    items = read_table(data, needs="label").items
    labels = Labels(sorted({item.label for item in items if item.label and item.label != BACKGROUND}))
    numbers = {name: labels.id(name) for name in labels.names}
    noise = [item for item in items if item.label == BACKGROUND]
    train, dev = by_fold([item for item in items if item.label in numbers], held_out, unseen)
    if not train or not dev or not noise:
        raise UsageError(f"{data}: it needs sounds in fold {held_out}, in others, and some with the label {BACKGROUND}")
    phase = Phase(
        "train",
        10 if quick else steps,
        (HeadLoss("labels"),),
        batch_frames=2000 if quick else batch_frames,
        learning_rate=learning_rate,
        matrix_learning_rate=matrix_learning_rate,
        weight_decay=0.05,
        average_decay=0.99,
    )
    return Recipe(
        name="events",
        model=ModelConfig(
            frontend=FRONTEND,
            encoder=ConvSubsamplingConfig(hidden),
            core=TCNConfig(channels, 2 * channels, layers, dropout=dropout),
            heads={"labels": FramewiseConfig("labels")},
            events=RULES,
            chunks=(8,),
        ),
        units={"labels": labels},
        train=Streams(train, noise, numbers, 2000, AUGMENT, "streams of ESC-10", LICENCE),
        dev=Streams(dev, noise, numbers, 10 if quick else 60, None, f"streams of fold {held_out} of ESC-10"),
        phases=(phase,),
        evaluate=event_f1,
        initial=Path(initial) if initial else None,
        seed=seed,
        workers=0,
        evaluate_every=250,
        save_every=250,
    )


class Streams:
    """A `PairSource` of streams that are composed of sounds and background, by its random numbers."""

    enters = "encoder"

    def __init__(
        self,
        sounds: Sequence[Item],
        noise: Sequence[Item],
        numbers: Mapping[str, int],
        count: int,
        augment: AugmentConfig | None,
        title: str,
        licence: str = "",
    ):
        self.sounds, self.noise, self.augment, self.title = list(sounds), list(noise), augment, title
        self.licence, self.count = licence, count
        self.lengths = np.full(count, STEPS)
        self._targets = [numbers[item.label or ""] for item in sounds]
        self.fingerprint = [title, count, [item.id for item in self.sounds], repr(augment)]

    def prepare(self, cache: Path, progress: bool = True) -> None:
        config = feature_config(FRONTEND, (("speed", 1.0),))
        self._sounds = FeatureStore.build(self.sounds, cache, config, workers=1, progress=progress)
        self._noise = FeatureStore.build(self.noise, cache, config, workers=1, progress=progress)
        self._edges = mel_edges(FRONTEND.rate, FRONTEND.bins)
        self._change: FeatureAugment | None = None
        if self.augment:
            mean = np.mean([fixed_pair(self, index).x.mean(axis=0) for index in range(20)], axis=0)
            self._change = FeatureAugment(self.augment, None, mean, self._edges)

    def __len__(self) -> int:
        return self.count

    def describe(self) -> list[dict[str, object]]:
        return [{"name": self.title, "licence": self.licence, "recordings": len(self.sounds) + len(self.noise)}]

    def media(self) -> list[Path]:
        return [item.path for item in self.sounds]

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        clip = self._noise.features(int(rng.integers(len(self.noise))))
        x = clip[(int(rng.integers(len(clip))) + np.arange(STEPS)) % len(clip)].astype(np.float32)
        y, start = np.zeros(STEPS, np.int64), 0
        floor = spectral_power(x, self._edges)
        for _ in range(int(rng.integers(1, 5))):
            number = int(rng.integers(len(self.sounds)))
            piece = loudest(self._sounds.features(number).astype(np.float32), int(rng.integers(*LENGTH)))
            start += int(rng.integers(GAP, STEPS // 3))
            end = start + len(piece)
            if end > STEPS:
                break
            power = max(spectral_power(piece, self._edges), 1e-12)
            piece += np.float32(np.log(max(floor, 1e-12) / power) + rng.uniform(5, 20) * DB)
            x[start:end] = np.logaddexp(x[start:end], piece)
            y[start:end] = self._targets[number]
            start = end
        if self._change is not None:
            x = self._change(x[None], [STEPS], rng)[0]
        return Pair(x, y, f"stream {index}")


def loudest(features: np.ndarray, length: int) -> np.ndarray:
    """The stretch of at most so many steps that has the most power, without quiet steps at its ends: (T, C), a copy."""
    power = np.exp(features).sum(axis=1, dtype=np.float64)
    length = min(length, len(power))
    sums = np.convolve(power, np.ones(length), "valid")
    start = int(sums.argmax())
    loud = np.flatnonzero(power[start : start + length] > 0.01 * power[start : start + length].max())  # 20 dB
    return np.array(features[start + loud[0] : start + loud[-1] + 1])


def event_f1(network: Network, source: PairSource) -> dict[str, float]:
    """The share of the frames, and F1 of the events that a stream would give, at an overlap of a half."""
    search = build_event_search(("", *map(str, range(1, network.heads["labels"].size))), RULES)
    truths, guesses, counts = [], [], SegmentCounts()
    for pair, found in outputs(network, source, ["labels"]):
        log_probs = found["labels"].numpy()
        truth = target_of(network, "labels", pair, len(log_probs))
        state, events = search.step(search.init(), log_probs)
        guess = np.zeros(len(truth), np.int64)
        for event in [*events, *search.finish(state)]:
            guess[event.start : event.end + 1] = int(event.label)
        counts += count_segments(truth, guess, 0.5)
        truths.append(truth)
        guesses.append(log_probs.argmax(axis=1))
    return {"accuracy:labels": frame_accuracy(truths, guesses) or 0.0, "f1:events": counts.f1 or 0.0}
