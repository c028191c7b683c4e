"""What to write with, behind the same phones: byte pairs or characters, RNN-T or CTC, trained alike and a little.

    python -m pipelines.speech_en.units DATA OUTPUT [--steps 250] [--heads rnnt-pieces-2000 ctc-characters ...]

Every head has three Conformer layers (that of `speech-en` for greedy search has five), starts from nothing, reads the
posteriors of the bundled model's phones, and learns as phase `pieces` of `pipelines/speech_en` does, but from as
much of recordings as of spliced sentences. Printed are word error rates of librispeech-dev, greedy at 640 ms.
OUTPUT/results.json has them, too, and what is there already is not done again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table as Grid
from torch import Tensor, nn

from pipelines.speech_en import recipe as speech_en
from pipelines.speech_en.aligned import aligned_loss, pad
from pipelines.speech_en.comparison import parser, phones_dev, phones_recordings, read_results, write_results
from pipelines.speech_en.data import pieces, sentences
from pipelines.speech_en.posteriors import PosteriorBank, Row, hear
from pipelines.speech_en.sentences import AlignedBatches
from pipelines.speech_en.speech import Speech
from transducer.evaluation.wer import count_errors
from transducer.heads.cascaded_rnnt import CascadedRNNT
from transducer.heads.ctc import CTC, ctc_nll
from transducer.heads.head import Loss
from transducer.model.checkpoint import load_checkpoint
from transducer.model.network import Network
from transducer.model.sequence import lengths_to_mask
from transducer.search.tokens.ctc import CTCGreedySearch
from transducer.search.tokens.hypothesis import Search
from transducer.search.tokens.rnnt_greedy import RNNTGreedySearch
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.tokenizer import Tokenizer
from transducer.training.evaluation import outputs
from transducer.training.objectives import HeadLoss
from transducer.training.optimizer import Average, Optimizers
from transducer.training.progress import Progress
from transducer.training.recipe import Phase

START = Path(__file__).resolve().parents[2] / "transducer" / "checkpoints" / "speech-en"
SOURCE, UNITS = "phones", "phones"
CHUNK = 16  # encoder frames: 640 ms
PASSES = (speech_en.NOISY_AUGMENT, speech_en.LIGHT_AUGMENT)
HEADS = {
    "rnnt-characters": ("rnnt", 0),
    "rnnt-pieces-500": ("rnnt", 500),
    "rnnt-pieces-2000": ("rnnt", 2000),
    "rnnt-pieces-5000": ("rnnt", 5000),
    "ctc-characters": ("ctc", 0),
    "ctc-pieces-500": ("ctc", 500),
}
WINDOWS = (None, 2, 4)  # of the blank, for RNN-T; the best is chosen on what is reported


class Given(NamedTuple):
    """What all heads share: data, what the network hears in it, and dev's log-probabilities (T, V) with its texts."""

    speech: Speech
    bank: PosteriorBank
    dev: list[Tensor]
    references: list[str]


class CascadedCTC(nn.Module):
    """The encoder of `CascadedRNNT` at 40 ms a step, with a CTC head: characters need more steps than words."""

    def __init__(self, channels: int, sources: int, tokens: int):
        super().__init__()
        cascade = CascadedRNNT(channels, sources, 2, stack=1, kernel=15, chunk=CHUNK, left_context=64)
        self.core = cascade.core
        self.heads = nn.ModuleDict({"ctc": CTC(cascade.frames.in_features, tokens)})

    def forward(self, log_probs: Tensor, mask: Tensor) -> Tensor:
        return self.heads["ctc"](*self.core(log_probs, mask))[0]

    def loss(self, rows: Sequence[Row], tokenizer: Tokenizer) -> Loss:
        log_probs, lengths = pad(rows)
        targets = [tokenizer.encode(" ".join(row.words)) for row in rows]
        with torch.autocast("cpu", torch.bfloat16):
            outputs = self(log_probs, lengths_to_mask(lengths, log_probs.shape[1]))
        return Loss(ctc_nll(outputs, lengths, targets).sum(), sum(map(len, targets)))


def prepare(data: Path, cache: Path) -> Given:
    """Let the bundled network hear everything."""
    network, _ = load_checkpoint(START)
    speech = phones_recordings(data, texts=partial(sentences, data))
    dev = phones_dev(data, speech)
    for source in (speech, dev):
        source.prepare(cache)
    heard = [item for seed, config in enumerate(PASSES) for item in hear(network, SOURCE, speech, config, seed)]
    words = {word for item in heard for word in item.words}
    bank = PosteriorBank(heard, {word: speech.spoken.tokens(word, UNITS) for word in words})
    return Given(speech, bank, list(posteriors(network, dev)), [item.text for item in dev.store.utterances])


def posteriors(network: Network, dev: Speech) -> Iterator[Tensor]:
    """Log-probabilities (T, V) of dev's utterances, each as a whole."""
    for _, found in outputs(network, dev, [SOURCE], CHUNK, bf16=True):
        yield found[SOURCE]


def train_head(name: str, data: Path, given: Given, steps: int, seed: int = 1) -> dict[str, float]:
    """Train a head from nothing; word error rates, seconds, and its weights' number."""
    kind, size = HEADS[name]
    tokenizer: Tokenizer = pieces(data, False, size) if size else Characters()
    phase = Phase(
        name,
        steps,
        (HeadLoss(name),),
        learning_rate=1.2e-3,
        matrix_learning_rate=0.012,
        warmup=30,
        clip=2.0,
        average_decay=0.98,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        channels, sources = speech_en.MODEL.core.channels, given.dev[0].shape[1]
        head = (CascadedRNNT if kind == "rnnt" else CascadedCTC)(channels, sources, len(tokenizer))
    optimizers, average = Optimizers(head, phase), Average(head, phase.average_decay)
    speech = given.speech
    batches = AlignedBatches(lambda: given.bank, speech.texts, speech.spoken, UNITS, tokenizer, seed, 3000, 3000)
    stream, started = batches.stream(), time.monotonic()
    with Progress(name, steps) as progress:
        for step in range(steps):
            begun, batch = time.monotonic(), next(stream)
            rng = np.random.default_rng(batch.seed)
            parts = [
                aligned_loss(head, rows, tokenizer, rng) if kind == "rnnt" else head.loss(rows, tokenizer)
                for rows in batch.parts
            ]
            loss = sum((part.total for part in parts), torch.zeros(())) / sum(part.count for part in parts)
            optimizers.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(head.parameters(), phase.clip)
            optimizers.step(step)
            average.update(head)
            heard = sum(len(row.log_probs) for rows in batch.parts for row in rows)
            progress(step + 1, {"loss": loss.item(), "frames_per_second": heard / (time.monotonic() - begun)})
    stream.close()
    seconds = time.monotonic() - started
    head.load_state_dict(average.weights)
    windows = WINDOWS if kind == "rnnt" else WINDOWS[:1]
    rates = {f"blank window {window}": _errors(head.eval(), tokenizer, given, window) for window in windows}
    weights = sum(value.numel() for key, value in head.state_dict().items() if not key.startswith("source."))
    return {"wer": min(rates.values()), **rates, "seconds": seconds, "weights": weights}


@torch.inference_mode()
def _errors(head: CascadedRNNT | CascadedCTC, tokenizer: Tokenizer, given: Given, window: int | None) -> float:
    hypotheses = []
    for log_probs in given.dev:
        mask = torch.ones(1, len(log_probs), dtype=torch.bool)
        search: Search
        if isinstance(head, CascadedRNNT):
            outputs = head.project(log_probs[None], mask)[0][0]
            search = RNNTGreedySearch(head.predictor, head.joint, head.max_symbols, blank_window=window)
        else:
            outputs, search = head(log_probs[None], mask)[0], CTCGreedySearch()
        hypotheses.append(tokenizer.decode(search.best(search.step(search.init(), outputs.numpy())).tokens))
    return count_errors(given.references, hypotheses).wer


def main(arguments: Sequence[str] | None = None) -> None:
    command = parser(__doc__, steps=250)
    command.add_argument("--heads", nargs="+", choices=list(HEADS), default=list(HEADS))
    command.add_argument("--cache", type=Path, help="of features; OUTPUT/cache by default")
    options = command.parse_args(arguments)
    results = read_results(options.output)
    todo = [name for name in options.heads if name not in results]
    given = prepare(options.data, options.cache or options.output / "cache") if todo else None
    for name in todo:
        results[name] = train_head(name, options.data, given, options.steps)
        write_results(options.output, results)
    grid = Grid("head", "word error rate", "weights", "seconds", title=f"librispeech-dev after {options.steps} steps")
    for name in options.heads:
        row = results[name]
        grid.add_row(name, f"{100 * row['wer']:.1f} %", f"{row['weights'] / 1e6:.1f} M", f"{row['seconds']:.0f}")
    Console().print(grid)


if __name__ == "__main__":
    main()
