"""What is measured of `speech-en` while it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipelines.speech_en.speech import Speech
from pipelines.speech_en.targets import PHONES
from transducer.data.pairs import PairSource
from transducer.model.network import Network
from transducer.text.tokenizers.tokenizer import Tokenizer
from transducer.training.evaluation import default_chunk, measure
from transducer.training.words import WordErrors


@dataclass(frozen=True)
class SpeechErrors:
    """`Recipe.evaluate`: word and character error rates of heads that spell, phone error rates of the others."""

    units: Mapping[str, Tokenizer]

    def __call__(self, network: Network, source: PairSource) -> dict[str, float]:
        phones = [name for name, part in network.config.heads.items() if part.units == PHONES]
        spelling = [name for name in network.heads if name not in phones]
        found = WordErrors(self.units, spelling)(network, source) if spelling else {}
        rates = {name: metric.rate for name, metric in measure(network, source, phones).items()}
        return {**found, **{f"phone error rate:{name}": rate for name, rate in rates.items()}}


@torch.inference_mode()
def log_prior(network: Network, speech: Speech, head: str, utterances: int = 100) -> Tensor:
    """(V,) logarithm of the mean posterior of each token over some of the training data, at the original speed."""

    network.set_chunk(default_chunk(network))
    network.eval()
    total, frames = torch.zeros(()), 0
    for index in np.random.default_rng(0).permutation(len(speech.store))[:utterances]:
        x = torch.from_numpy(speech.store.features(int(index), speech.plain).astype(np.float32))
        x = ((x - network.frontend.mean) / network.frontend.std)[None]
        encoded, mask = network.encoder(x, torch.ones(x.shape[:2], dtype=torch.bool))
        log_probs, _ = network.heads[head](encoded, mask)
        total, frames = total + log_probs[0].exp().sum(0), frames + log_probs.shape[1]
    return (total / frames).log()
