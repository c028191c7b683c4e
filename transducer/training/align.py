"""Forced alignment of transcripts, with the frame posteriors of a network's intermediate head."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from transducer.data.features import FeatureStore
from transducer.heads.ctc import CONDITIONING
from transducer.model.network import Network
from transducer.model.sequence import Aux
from transducer.model.torchaudio import torchaudio_functional
from transducer.training.targets import Alignment, Targets


@torch.inference_mode()
def align_all(
    network: Network,
    store: FeatureStore,
    targets: Targets,
    skip: Container[str] = (),
    units: str = "phones",
    bf16: bool = True,
) -> Iterator[tuple[str, Alignment]]:
    """Align every utterance whose pronunciation is known, at its original speed.

    The topology is CTC's with silence as the blank: silence may stand between any two phones. Features are
    normalised by the network's own front-end statistics.

    Args:
        skip: ids of utterances to leave out.
    """
    network.eval()
    mean, std = network.frontend.mean.numpy(), network.frontend.std.numpy()
    variant = int(np.argmin(np.abs(store.speeds - 1)))
    seconds = network.hop / network.config.frontend.rate
    for index, utterance in enumerate(store.utterances):
        tokens = None if utterance.id in skip else targets.tokens(utterance.text, units)
        if not tokens:
            continue
        features = torch.from_numpy((store.features(index, variant).astype(np.float32) - mean) / std)[None]
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            aux: Aux = {}
            network.encoder(features, torch.ones(features.shape[:2], dtype=torch.bool), aux=aux)
        path = best_path(aux[CONDITIONING][0].float().log_softmax(dim=-1)[0], tokens)
        if path is not None:
            yield utterance.id, path_to_alignment(path, seconds)


def best_path(log_probs: Tensor, tokens: Sequence[int]) -> Tensor | None:
    """The token or blank (0) of every frame, (T,), on the best CTC alignment; None where the tokens do not fit.

    Viterbi search by torchaudio's forced_align.

    Args:
        log_probs: (T, V).
    """
    forced_align = torchaudio_functional().forced_align

    repeats = sum(a == b for a, b in pairwise(tokens))
    if not tokens or len(tokens) + repeats > len(log_probs):
        return None
    path, _ = forced_align(log_probs[None], torch.tensor([list(tokens)], dtype=torch.int32), blank=0)
    return path[0]


def path_to_alignment(path: Tensor, seconds: float) -> Alignment:
    """(T,) token of each frame -> runs with their times, for frames of so many seconds."""
    labels = path.numpy()
    first = np.flatnonzero(np.diff(labels, prepend=-1))
    ends = np.append(first[1:], len(labels))
    return Alignment(labels[first], first * seconds, ends * seconds)
