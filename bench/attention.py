"""What a token costs an attention decoder early and late in a text, with its key-value cache and without.

    python bench/attention.py [--width 256] [--layers 4] [--rows 1] [--memory 500]

Medians of CPU time around tokens 10 and 400, taken in turns in one run, so that a busy machine slows both alike.
Without a cache everything that was written is read again at every token.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from transducer.heads.decoders.decoder import Decoder
from transducer.heads.decoders.recurrent import RecurrentDecoder
from transducer.heads.decoders.transformer import TransformerDecoder

EARLY, LATE, AROUND, ROUNDS, TOKENS = 10, 400, 8, 12, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("width", 256), ("layers", 4), ("rows", 1), ("memory", 500)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    width, layers = given.width, given.layers
    decoders: dict[str, Decoder] = {
        "transformer": TransformerDecoder(TOKENS, width, width, width // 64, layers),
        "lstm, additive": RecurrentDecoder(TOKENS, width, width, "lstm", "additive", 1),
        "gru, multi-head": RecurrentDecoder(TOKENS, width, width, "gru", "multihead", 1, width // 64),
    }
    print(f"width {width}, {layers} layers, {given.rows} rows, a memory of {given.memory} steps; ms of CPU a token")
    print(f"| decoder | token {EARLY} | token {LATE} | late / early |\n|---|---|---|---|")
    with torch.inference_mode():
        for name, decoder in decoders.items():
            decoder.eval()
            memory = torch.randn(given.rows, given.memory, width), torch.ones(given.rows, given.memory) > 0
            _print(name, *cached(decoder, *memory))
            if name == "transformer":
                _print(f"{name}, no cache", *uncached(decoder, *memory))


def cached(decoder: Decoder, memory: torch.Tensor, mask: torch.Tensor) -> tuple[float, float]:
    """Seconds of a token early and late."""
    prepared, token = decoder.attend_to(memory, mask), torch.zeros(len(memory), dtype=torch.long)
    early: list[float] = []
    late: list[float] = []
    for _ in range(ROUNDS):
        state = decoder.start(prepared)
        for position in range(LATE + AROUND):
            begun = time.process_time()
            _, _, state = decoder.step(token, prepared, state)
            taken = time.process_time() - begun
            if abs(position - EARLY) < AROUND:
                early.append(taken)
            elif abs(position - LATE) < AROUND:
                late.append(taken)
    return statistics.median(early), statistics.median(late)


def uncached(decoder: Decoder, memory: torch.Tensor, mask: torch.Tensor) -> tuple[float, float]:
    """The same, where each token reads all before it again."""
    prepared = decoder.attend_to(memory, mask)

    def read(count: int) -> Callable[[], object]:
        tokens = torch.zeros(len(memory), count, dtype=torch.long)
        return lambda: decoder(tokens, prepared)

    return _median(read(EARLY)), _median(read(LATE))


def _median(call: Callable[[], object]) -> float:
    taken = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        call()
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def _print(name: str, early: float, late: float) -> None:
    print(f"| {name} | {1000 * early:.2f} | {1000 * late:.2f} | {late / early:.2f} |", flush=True)


if __name__ == "__main__":
    main()
