"""How wide and how deep: encoders of several sizes, trained alike on frame labels, a little.

    python -m pipelines.speech_en.sizes DATA OUTPUT [--steps 300] [--sizes 8x192 ...]

Every size goes through the first phase of `pipelines/speech_en`, cross-entropy on the frames of 1.7 hours, from
nothing, with as much sound. Printed are phone error rates of librispeech-dev at 640 ms (what the labels of frames say,
with repeats taken out), the time that the encoder takes, as a multiple of that of the bundled size, and that of
training. OUTPUT/results.json has them, too, and what is there already is not done again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table as Grid

from pipelines.speech_en import recipe as speech_en
from pipelines.speech_en.compare import CHUNK
from pipelines.speech_en.comparison import (
    fastest,
    parser,
    phone_error_rate,
    phones_dev,
    phones_recipe,
    phones_recordings,
    read_results,
    write_results,
)
from pipelines.speech_en.frame_labels import FrameLabels
from pipelines.speech_en.speech import Part
from transducer.model.checkpoint import load_checkpoint
from transducer.model.network import Network
from transducer.model.packing import pack_linears
from transducer.training.recipe import Phase, Recipe
from transducer.training.run import train

BUNDLED = "8x192"
SIZES = ("4x192", BUNDLED, "12x192", "8x128", "8x256")
_BATCH = 4000  # frames: small ones, because what counts here is to have taken many steps
_FRAMES = 6000  # a minute of features


def recipe(data: Path, size: str, steps: int) -> Recipe:
    """The first phase for LAYERSxCHANNELS; the intermediate head stays in the middle."""
    layers, channels = map(int, size.split("x"))
    model = replace(
        speech_en.MODEL,
        core=replace(speech_en.MODEL.core, layers=layers, channels=channels, hidden=channels * 8 // 3),
        conditioning=replace(speech_en.MODEL.conditioning, after=layers // 2),
    )
    train = phones_recordings(data, variants=())
    phase = Phase(
        "frames",
        steps,
        (FrameLabels(weight=0.5), FrameLabels("phones")),
        Part(train, speech_en.FRAMES_AUGMENT, aligned=True),
        batch_frames=_BATCH,
    )
    return phones_recipe(train, phase, model)


@torch.inference_mode()
def seconds(network: Network) -> float:
    """What the encoder takes for a minute of sound, packed as in use: the fastest of some rounds."""
    pack_linears(network)
    x, mask = torch.randn(1, _FRAMES, network.frontend.bins), torch.ones(1, _FRAMES, dtype=torch.bool)
    return fastest(lambda: network.encoder(x, mask))


def main(arguments: Sequence[str] | None = None) -> None:
    command = parser(__doc__, steps=300)
    command.add_argument("--sizes", nargs="+", default=list(SIZES), metavar="LAYERSxCHANNELS")
    command.add_argument("--cache", type=Path, help="of features; OUTPUT/cache by default")
    options = command.parse_args(arguments)
    torch.set_num_threads(1)
    cache, results = options.cache or options.output / "cache", read_results(options.output)
    plan = partial(recipe, options.data, steps=options.steps)
    dev = phones_dev(options.data)
    dev.prepare(cache)
    for size in options.sizes:
        if size not in results:
            started = time.monotonic()
            folder = train(plan(size), options.output / size, cache=cache)
            trained = time.monotonic() - started
            network, _ = load_checkpoint(folder)
            results[size] = {
                "per": phone_error_rate(network, dev, CHUNK),
                "training": trained,
                "weights": sum(value.numel() for value in network.state_dict().values()),
            }
            write_results(options.output, results)
    # All in one go, so that they can be compared.
    spent = {size: seconds(load_checkpoint(options.output / size / "speech-en")[0]) for size in options.sizes}
    unit = spent.get(BUNDLED, min(spent.values()))
    grid = Grid("layers x channels", "weights", "phone error rate", "encoder's time", "training")
    for size in options.sizes:
        row = results[size]
        grid.add_row(
            size,
            f"{row['weights'] / 1e6:.1f} M",
            f"{100 * row['per']:.1f} %",
            f"{spent[size] / unit:.2f}",
            f"{row['training']:.0f} s",
        )
    Console().print(grid)


if __name__ == "__main__":
    main()
