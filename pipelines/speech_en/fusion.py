"""Beam search on pieces with an n-gram model of pieces, and with what the head itself expects taken off.

    python -m pipelines.speech_en.fusion DATA OUTPUT [--order 5] [--beam 8] [--settings "0,0,0" "0.4,0.2,0.5" ...]

The head of the bundled model that greedy search reads is searched with a beam; an n-gram model of its pieces, trained
on transcripts and novels and pruned, is fused at every piece (shallow fusion), and the head's own language model
subtracted (`RNNTBeamSearch.internal_lm`). A setting is the weights of the two, and a bonus for each piece. Printed are
the perplexities of both, for a word of librispeech-dev, and word error rates. OUTPUT/results.json has them, too, and
what is there already is not done again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pipelines.speech_en.aligned import spell
from pipelines.speech_en.comparison import parser, phones_dev, read_results, write_results
from pipelines.speech_en.units import START, posteriors
from pipelines.speech_en.word_lm import read_texts, train_lm
from transducer.evaluation.wer import count_errors
from transducer.heads.cascaded_rnnt import CascadedRNNT
from transducer.model.checkpoint import load_checkpoint
from transducer.search.tokens.beam import BeamConfig
from transducer.search.tokens.rnnt import RNNTBeamSearch
from transducer.text.lm.ngram import SPECIAL, NGram
from transducer.text.tokenizers.tokenizer import Tokenizer

SETTINGS = (
    *("0,0,0", "0,0,0.5", "0,0,1"),
    *("0.3,0,0.5", "0.3,0,1", "0.5,0,1", "0.5,0,1.5"),
    *("0.3,0.2,0.5", "0.5,0.2,1", "0.5,0.4,0.5", "0.5,0.4,1"),
)
IN_DOMAIN = 0.4  # weight of the transcripts against the novels
CUTOFFS = (1, 2, 3, 3)


class PieceNGram:
    """What an n-gram model expects of the next piece: a `transducer.search.tokens.beam.Scorer`.

    Args:
        lm: whose words are the numbers of the pieces. pieces: how many there are.
    """

    def __init__(self, lm: NGram, pieces: int):
        self.lm = lm
        self._ids = np.array([lm.id(str(piece)) for piece in range(pieces)])

    def init(self) -> int:
        return self.lm.start

    def score(self, state: int, token: int) -> tuple[float, int]:
        log_p, after = self.lm.score(np.array([state]), self._ids[[token]])
        return float(log_p[0]), int(after[0])


def train(data: Path, tokenizer: Tokenizer, order: int, threshold: float, quick: bool) -> NGram:
    """The n-gram model of pieces."""

    @cache
    def numbers(word: str) -> list[str]:
        return [str(piece) for piece in spell(word, tokenizer)]

    corpora = [
        [[number for word in sentence for number in numbers(word)] for sentence in corpus]
        for corpus in read_texts(data, quick)
    ]
    words = [*SPECIAL, *map(str, range(1, len(tokenizer)))]
    return train_lm(words, corpora, (IN_DOMAIN, 1 - IN_DOMAIN), order, threshold, CUTOFFS[: order - 1])


def perplexities(lm: NGram, head: CascadedRNNT, tokenizer: Tokenizer, texts: Sequence[str]) -> dict[str, float]:
    """Of a word: of the n-gram model, and of the head where it hears nothing."""
    ngram = internal = 0.0
    for text in texts:
        pieces = [piece for word in text.split() for piece in spell(word, tokenizer)]
        ngram += lm.log_probs(map(str, pieces))[:-1].sum()
        log_probs = head.internal_lm(head.predictor(torch.tensor([pieces]))[0, :-1])
        internal += float(log_probs[range(len(pieces)), pieces].sum())
    words = sum(len(text.split()) for text in texts)
    return {"n-gram": math.exp(-ngram / words), "head": math.exp(-internal / words)}


def errors(
    head: CascadedRNNT,
    decode: Callable[[Sequence[int]], str],
    frames: Sequence[torch.Tensor],
    references: Sequence[str],
    scorer: PieceNGram,
    beam: int,
    setting: str,
) -> dict[str, float]:
    """Word error rate with weights and bonus as in the setting, and insertions and deletions."""
    weight, internal, bonus = map(float, setting.split(","))
    config = BeamConfig(beam, scorer_weight=weight, length_bonus=bonus)
    search = RNNTBeamSearch(
        head.predictor,
        head.joint,
        head.max_symbols,
        config,
        scorer if weight else None,
        internal_lm=head.internal_lm if internal else None,
        internal_weight=internal,
    )
    texts = [
        decode(search.best(search.step(search.init(), part)).tokens)
        for part in track(frames, setting, console=Console(stderr=True))
    ]
    counts = count_errors(references, texts)
    return {"wer": counts.wer, "insertions": counts.insertions, "deletions": counts.deletions}


@torch.inference_mode()
def main(arguments: Sequence[str] | None = None) -> None:
    command = parser(__doc__)
    command.add_argument("--order", type=int, default=5)
    command.add_argument("--threshold", type=float, default=2e-8, help="of pruning (relative entropy)")
    command.add_argument("--beam", type=int, default=8)
    command.add_argument("--settings", nargs="+", default=list(SETTINGS))
    command.add_argument("--cache", type=Path, help="of features; OUTPUT/cache by default")
    command.add_argument("--quick", action="store_true", help="a small part of the texts, to try it")
    options = command.parse_args(arguments)
    results = read_results(options.output)
    network, units = load_checkpoint(START)
    name = next(iter(network.config.heads))
    head, tokenizer = network.heads[name], units[network.config.heads[name].units]
    path = options.output / "pieces.ngram"
    if not path.exists():
        train(options.data, tokenizer, options.order, options.threshold, options.quick).save(path)
    lm = NGram.load(path)
    dev = phones_dev(options.data)
    dev.prepare(options.cache or options.output / "cache")
    references = [item.text for item in dev.store.utterances]
    perplexity = perplexities(lm, head, tokenizer, references)
    todo = [setting for setting in options.settings if setting not in results]
    if todo:
        frames = []
        for log_probs in posteriors(network, dev):
            mask = torch.ones(1, len(log_probs), dtype=torch.bool)
            frames.append(head.project(log_probs[None], mask)[0][0])
    scorer = PieceNGram(lm, len(tokenizer))
    for setting in todo:
        results[setting] = errors(head, tokenizer.decode, frames, references, scorer, options.beam, setting)
        write_results(options.output, results)
    table = Table(
        *("n-gram", "own", "bonus", "word error rate", "insertions", "deletions"),
        title=f"librispeech-dev, beam of {options.beam}; perplexities of a word: "
        + ", ".join(f"{key} {value:.0f}" for key, value in perplexity.items()),
    )
    for setting in options.settings:
        row = results[setting]
        rate = f"{100 * row['wer']:.1f} %"
        table.add_row(*setting.split(","), rate, f"{row['insertions']:.0f}", f"{row['deletions']:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
