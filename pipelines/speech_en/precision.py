"""Averaged weights, fewer bits on disk, fewer bits in computation: what each costs in phones, and saves in time.

    python -m pipelines.speech_en.precision DATA STATE.pt [--cache FOLDER]

STATE.pt is what a phase of `pipelines/speech_en` leaves in RUN/phases: its newest weights and their average, in
float32. Printed are phone error rates of librispeech-dev at 640 ms, greedy, and what the encoder takes for a minute of
sound in steps of 640 ms, as a multiple of float32.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table as Grid
from torch import Tensor, nn

from pipelines.speech_en import recipe as speech_en
from pipelines.speech_en.compare import CHUNK
from pipelines.speech_en.comparison import fastest, phone_error_rate, phones_dev
from pipelines.speech_en.word_lm import PHONES
from transducer.heads.ctc import CTCConfig
from transducer.model.checkpoint import load_checkpoint, save_checkpoint
from transducer.model.network import Network
from transducer.model.packing import pack_linears
from transducer.text.tokenizers.symbols import Symbols

_STEPS, _STEP = 94, 64  # a minute, in steps of 640 ms of features
DISK = {"float32": torch.float32, "float16": torch.float16, "bytes": torch.int8}


def stored(weights: Mapping[str, Tensor], dtype: torch.dtype) -> Network:
    """The part of the network that hears phones, as it comes back from disk."""
    units = Symbols(PHONES)
    config = replace(speech_en.MODEL, heads={"phones": CTCConfig("phones")}, units={"phones": len(units)})
    network = Network(config)
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder) / "model", network, config, {"phones": units}, dtype)
        return load_checkpoint(Path(folder) / "model")[0]


def packed(network: Network) -> Network:
    pack_linears(network)
    return network


def quantised(network: Network) -> Network:
    """Linear layers that multiply bytes; what they are given is made bytes on the fly."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch means to move it to another package
        return torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, torch.qint8)


@torch.inference_mode()
def seconds(network: Network, precision: Callable[[], AbstractContextManager[object]]) -> float:
    """What the encoder takes for a minute, one stream in steps: the fastest of some rounds."""
    network.set_chunk(CHUNK)
    x, mask = torch.randn(1, _STEP, network.frontend.bins), torch.ones(1, _STEP, dtype=torch.bool)

    def stream() -> None:
        state = network.encoder.init_state(1, x)
        with precision():
            for _ in range(_STEPS):
                _, _, state = network.encoder.step(x, mask, state)

    return fastest(stream)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("state", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="of features")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    dev = phones_dev(options.data)
    dev.prepare(options.cache)
    state = torch.load(options.state, weights_only=True)
    newest, average = state["network"], state["average"]["weights"]
    full, half = nullcontext, partial(torch.autocast, "cpu", torch.bfloat16)
    rows = [
        ("newest weights", "float32", "float32", stored(newest, torch.float32), full),
        *(("average", name, "float32", stored(average, dtype), full) for name, dtype in DISK.items()),
        ("average", "bytes", "bfloat16", stored(average, torch.int8), half),
        ("average", "bytes", "float16 weights (FBGEMM)", packed(stored(average, torch.int8)), full),
        ("average", "bytes", "bytes (dynamic)", quantised(stored(average, torch.int8)), full),
    ]
    unit = seconds(rows[0][3], full)
    grid = Grid("weights", "on disk", "in computation", "phone error rate", "encoder's time")
    for *names, network, precision in rows:
        with precision():
            rate = phone_error_rate(network, dev, CHUNK)
        grid.add_row(*names, f"{100 * rate:.2f} %", f"{seconds(network, precision) / unit:.2f}")
    Console().print(grid)


if __name__ == "__main__":
    main()
