"""Greedy word and character error rates while training, on cached features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch

from transducer.data.features import FeatureStore
from transducer.evaluation.wer import count_errors
from transducer.model.network import Network
from transducer.search.build import build_greedy_search
from transducer.text.tokenizers.tokenizer import Tokenizer


@torch.inference_mode()
def greedy_texts(
    network: Network,
    store: FeatureStore,
    units: Mapping[str, Tokenizer],
    chunk: int,
    decoders: Iterable[str],
    bf16: bool = True,
) -> dict[str, list[str]]:
    """What each of these decoders hears in each utterance: greedy, offline, at one chunk size in encoder frames."""
    network.eval()
    network.set_chunk(chunk)
    mean, std = network.frontend.mean.numpy(), network.frontend.std.numpy()
    texts: dict[str, list[str]] = {name: [] for name in decoders}
    for index in range(len(store)):
        features = torch.from_numpy((store.features(index).astype(np.float32) - mean) / std)[None]
        mask = torch.ones(features.shape[:2], dtype=torch.bool)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            frames, mask = network.encoder(features, mask)
            outputs = {name: network.heads[name](frames, mask)[0][0].float() for name in texts}
        for name, output in outputs.items():
            search = build_greedy_search(network, name)
            tokens = search.best(search.step(search.init(), output.numpy())).tokens
            texts[name].append(units[network.config.heads[name].units].decode(tokens))
    return texts


def error_rates(
    references: Mapping[str, Sequence[str]], hypotheses: Mapping[str, Sequence[str]], spelled: Iterable[str]
) -> dict[str, float]:
    """`wer:NAME` and `cer:NAME` of the decoders `spelled` in letters, `per:NAME` of the others, as fractions.

    Args:
        references, hypotheses: decoder -> the text of each utterance; a reference that is "" is left out.
    """
    result, spelled = {}, set(spelled)
    for name, heard in hypotheses.items():
        pairs = [pair for pair in zip(references[name], heard, strict=True) if pair[0]]
        if not pairs:
            continue
        counts = count_errors(*zip(*pairs, strict=True))
        result[f"wer:{name}" if name in spelled else f"per:{name}"] = counts.wer
        if name in spelled:
            result[f"cer:{name}"] = counts.cer
    return result
