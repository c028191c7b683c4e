"""What more data would do for `speech-en`: the finished model trained on, a little, on one mixture after the other.

    python -m pipelines.speech_en.compare DATA OUTPUT [--steps 150] [--mixtures real half-synthetic ...]

Every mixture starts from the same weights and takes as many steps of as much sound. Printed are phone error rates of
librispeech-dev, greedy at 640 ms: as it is, with noise at 10 dB, in simulated rooms, and through codecs and
telephones. OUTPUT/results.json has them, too, and what is there already is not done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Grid

from pipelines.speech_en import recipe as speech_en
from pipelines.speech_en.comparison import parser, phones_only, read_results, write_results
from pipelines.speech_en.synthetic import synthetic
from transducer.data.augment.features import AugmentConfig, FeatureAugment
from transducer.data.features import FeatureConfig, FeatureStore
from transducer.data.loader import Augment
from transducer.data.table import read_table
from transducer.model.checkpoint import load_checkpoint
from transducer.model.network import Network
from transducer.training.corpus import Corpus, open_corpus
from transducer.training.evaluate import error_rates, greedy_texts
from transducer.training.recipe import Phase, Recipe, Table
from transducer.training.run import train

START = Path(__file__).resolve().parents[1] / "transducer" / "checkpoints" / "speech-en"
PLAIN = AugmentConfig(gain_db=(0, 0), warp_probability=0, noise_probability=0, band_limit_probability=0)
NO_MASKS = replace(speech_en.NOISY_AUGMENT, frequency_masks=0, time_mask_every=0)
NO_NOISE = replace(speech_en.NOISY_AUGMENT, noise_probability=0.0)
TELEPHONE = replace(speech_en.NOISY_AUGMENT, band_limit_probability=0.3)
ROOMS, CODECS = ("reverb", 1.0), ("codec", 1.0)
SYNTHETIC_HOURS = {"a fifth synthetic": 2.4, "half synthetic": 9.6}

CHUNK = 16  # encoder frames: 640 ms

# name -> (augmentation, further copies of the recordings)
MIXTURES: dict[str, tuple[AugmentConfig, tuple[tuple[str, float], ...]]] = {
    "real": (speech_en.NOISY_AUGMENT, ()),
    "a fifth synthetic": (speech_en.NOISY_AUGMENT, ()),
    "half synthetic": (speech_en.NOISY_AUGMENT, ()),
    "rooms": (speech_en.NOISY_AUGMENT, (ROOMS,)),
    "codecs": (speech_en.NOISY_AUGMENT, (CODECS,)),
    "band limits": (TELEPHONE, ()),
    "no SpecAugment": (NO_MASKS, ()),
    "no noise": (NO_NOISE, ()),
}
CONDITIONS: dict[str, tuple[tuple[str, float], AugmentConfig | None]] = {
    "clean": (("speed", 1.0), None),
    "noise, 10 dB": (
        ("speed", 1.0),
        replace(PLAIN, noise_probability=1.0, snr_db=(10, 10), frequency_masks=0, time_mask_every=0),
    ),
    "rooms": (("reverb", 99.0), None),
    "codecs": (("codec", 99.0), None),
}


def recipe(data: Path, output: Path, mixture: str, steps: int) -> Recipe:
    """The bundled model trained on, with another mixture."""
    base = speech_en.recipe(data)
    augment, variants = MIXTURES[mixture]
    hours = SYNTHETIC_HOURS.get(mixture)
    more: tuple[Table, ...] = (synthetic(data, output / f"synthetic-{hours}", hours),) if hours else ()
    phase = Phase(
        "more",
        steps,
        {"ctc:phones": 1.0},
        frames_per_batch=12000,
        learning_rate=4e-4,
        matrix_learning_rate=2.5e-3,
        warmup=30,
        augment=augment,
        average_decay=0.98,
    )
    return phones_only(
        base,
        train=base.train + more,
        variants=variants,
        phases=(phase,),
        initial=START,
        alignments=None,
    )


class Augmented:
    """A store whose features are augmented, each utterance always the same way."""

    def __init__(self, store: FeatureStore, augment: Augment):
        self._store, self._augment = store, augment

    def __len__(self) -> int:
        return len(self._store)

    def features(self, utterance: int) -> np.ndarray:
        x = self._store.features(utterance).astype(np.float32)[None]
        return self._augment(x, np.array([x.shape[1]]), np.random.default_rng(utterance))[0]


def phone_error_rate(network: Network, store: FeatureStore, corpus: Corpus, augment: Augment | None) -> float:
    """Greedy, of the utterances whose words all have a pronunciation."""
    sounds = store if augment is None else Augmented(store, augment)
    heard = greedy_texts(network, sounds, corpus.targets.units, CHUNK, ["phones"], bf16=False)
    return error_rates({"phones": corpus.dev_texts("phones")}, heard, [])["per:phones"]


def evaluate(folder: Path, corpus: Corpus, cache: Path, data: Path) -> dict[str, float]:
    """The phone error rate of a checkpoint in every condition."""
    network, _ = load_checkpoint(folder)
    dev = read_table(data / "speech" / "librispeech-dev.tsv", needs="text").items
    return {
        name: phone_error_rate(
            network,
            FeatureStore.build(dev, cache, FeatureConfig(variants=(variant,)), progress=False),
            corpus,
            augment and FeatureAugment(augment, corpus.noise, mean=network.frontend.mean.numpy()),
        )
        for name, (variant, augment) in CONDITIONS.items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    command = parser(__doc__, steps=150)
    command.add_argument("--mixtures", nargs="+", choices=list(MIXTURES), default=list(MIXTURES))
    options = command.parse_args(arguments)
    cache, results = options.output / "cache", read_results(options.output)
    plan = partial(recipe, options.data, options.output, steps=options.steps)
    corpus = open_corpus(plan(mixture="real"), cache)
    for name in ["before", *options.mixtures]:
        if name in results:
            continue
        folder = START
        if name != "before":
            folder = train(plan(mixture=name), options.output / name.replace(" ", "-"), cache=cache)
        results[name] = evaluate(folder, corpus, cache, options.data)
        write_results(options.output, results)
        grid = Grid("trained on with", *CONDITIONS, title="Phone error rates (%)")
        for row, rates in results.items():
            grid.add_row(row, *(f"{100 * rates[condition]:.1f}" for condition in CONDITIONS))
        Console().print(grid)


if __name__ == "__main__":
    main()
