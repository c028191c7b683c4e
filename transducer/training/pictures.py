"""An example of speech for the report: its spectrogram, its tokens in time, and what a head thinks of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch

from transducer.data.loader import collate
from transducer.data.pairs import enters, fixed_pair
from transducer.frontends.logmel import LogMel
from transducer.heads.ctc import CTC
from transducer.training.alignment import best_path, runs_of
from transducer.training.encoded import Encoded
from transducer.training.evaluation import default_chunk
from transducer.training.export import Results
from transducer.training.objectives import is_known
from transducer.training.recipe import Recipe

_EXAMPLES = 200  # among which one is looked for
_PICTURED = 4.5  # seconds: an example of about this length fits a picture


class Picture(NamedTuple):
    """What `plots.plot_alignment` draws."""

    features: np.ndarray
    runs: list[tuple[str, float, float]]
    posteriors: np.ndarray
    tokens: Sequence[str]
    text: str


@torch.inference_mode()
def alignment_of(recipe: Recipe, results: Results) -> Picture | None:
    """A dev example, or one that was trained on, with its tokens aligned; None for models of no sound, or without a
    CTC head."""
    network = results.network
    head = next((name for name in recipe.trained_heads() if isinstance(dict(network.heads).get(name), CTC)), None)
    if head is None or not isinstance(network.frontend, LogMel):
        return None
    source = recipe.train if recipe.dev is None else recipe.dev
    pairs = [fixed_pair(source, index) for index in range(min(len(source), _EXAMPLES))]
    pairs = [pair for pair in pairs if is_known(pair.target(head))]
    if not pairs:
        return None
    stride = 1 if enters(source) == "encoder" else network.frontend.stride
    step = network.frontend.stride / network.frontend.rate / stride  # seconds
    pair = min(pairs, key=lambda pair: abs(len(pair.x) * step - _PICTURED))
    network.set_chunk(default_chunk(network))
    encoded = Encoded(network, collate([pair], enters(source)).to(next(network.parameters()).device), bf16=False)
    log_probs, tokens = encoded.outputs(head)[0][0].float().cpu(), list(cast("Sequence[int]", pair.target(head)))
    features = encoded.features[0][0] * network.frontend.std + network.frontend.mean
    units, seconds = recipe.units[network.config.heads[head].units], network.hop / network.frontend.rate
    path, runs = best_path(log_probs, tokens), []
    for token, start, end in zip(*runs_of(path), strict=True) if path is not None else ():
        if token:
            spelled = "␣" if units.tokens[token] == " " else units.tokens[token]
            runs.append((spelled, float(start * seconds), float(end * seconds)))
    return Picture(features.cpu().numpy(), runs, log_probs.exp().numpy(), units.tokens, units.decode(tokens))
