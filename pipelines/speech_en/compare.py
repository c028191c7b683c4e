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

from rich.console import Console
from rich.table import Table as Grid

from pipelines.speech_en import recipe as speech_en
from pipelines.speech_en.comparison import (
    parser,
    phone_error_rate,
    phones_dev,
    phones_recipe,
    phones_recordings,
    read_results,
    write_results,
)
from pipelines.speech_en.speech import Part
from pipelines.speech_en.synthetic import synthetic
from transducer.data.augment.features import AugmentConfig
from transducer.model.checkpoint import load_checkpoint
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe
from transducer.training.run import train

START = Path(__file__).resolve().parents[2] / "transducer" / "checkpoints" / "speech-en"
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
    augment, variants = MIXTURES[mixture]
    hours = SYNTHETIC_HOURS.get(mixture)
    more = (synthetic(data, output / f"synthetic-{hours}", hours),) if hours else ()
    train = phones_recordings(data, more=more, variants=variants, aligned=False)
    phase = Phase(
        "more",
        steps,
        (HeadLoss("phones"),),
        Part(train, augment),
        batch_frames=12000,
        learning_rate=4e-4,
        matrix_learning_rate=2.5e-3,
        warmup=30,
        average_decay=0.98,
    )
    return phones_recipe(train, phase, initial=START)


def evaluate(folder: Path, data: Path, cache: Path) -> dict[str, float]:
    """The phone error rate of a checkpoint in every condition."""
    network, found, known = load_checkpoint(folder)[0], {}, None
    for name, ((kind, value), augment) in CONDITIONS.items():
        copies = {"speeds": (value,)} if kind == "speed" else {"speeds": (), "variants": ((kind, value),)}
        dev = phones_dev(data, known, augment=augment, **copies)
        dev.prepare(cache, progress=False)
        found[name], known = phone_error_rate(network, dev, CHUNK), dev
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    command = parser(__doc__, steps=150)
    command.add_argument("--mixtures", nargs="+", choices=list(MIXTURES), default=list(MIXTURES))
    options = command.parse_args(arguments)
    cache, results = options.output / "cache", read_results(options.output)
    plan = partial(recipe, options.data, options.output, steps=options.steps)
    for name in ["before", *options.mixtures]:
        if name in results:
            continue
        folder = START
        if name != "before":
            folder = train(plan(mixture=name), options.output / name.replace(" ", "-"), cache=cache)
        results[name] = evaluate(folder, options.data, cache)
        write_results(options.output, results)
        grid = Grid("trained on with", *CONDITIONS, title="Phone error rates (%)")
        for row, rates in results.items():
            grid.add_row(row, *(f"{100 * rates[condition]:.1f}" for condition in CONDITIONS))
        Console().print(grid)


if __name__ == "__main__":
    main()
