"""Tiny models of random weights that still write text: loud noise makes letters, digital silence makes blanks."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from transducer.cores.conformer import ConformerConfig
from transducer.cores.recurrent import RecurrentConfig
from transducer.cores.transformer import TransformerConfig
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.engine.model import Model, load
from transducer.frontends.logmel import LogMelConfig
from transducer.heads.cascaded_rnnt import CascadedRNNT, CascadedRNNTConfig
from transducer.heads.ctc import CTC, CTCConfig, SelfConditioningConfig
from transducer.heads.rnnt import RNNTConfig
from transducer.model.checkpoint import save_checkpoint
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.model.sequence import Streaming
from transducer.text.tokenizers.characters import Characters

RATE, HOP = 1600, 64  # samples a second, and an encoder frame of 40 ms
LETTERS = Characters("abc")

CONFORMER = ConformerConfig(channels=8, heads=2, hidden=12, layers=2, kernel=5, chunk=4, left_context=6)
TRANSFORMER = TransformerConfig(channels=8, heads=2, hidden=12, layers=2, chunk=2, left_context=6, look_ahead=1)
LSTM = RecurrentConfig("lstm", channels=8, layers=2)
PLAIN = ModelConfig(
    frontend=LogMelConfig(rate=RATE, bins=6, window=40, hop=16),
    encoder=ConvSubsamplingConfig(hidden=3),
    core=CONFORMER,
    heads={"ctc": CTCConfig("letters")},
    units={"letters": len(LETTERS)},
    chunks=(2, 4, 8),
)
CASCADE = CascadedRNNTConfig("letters", "ctc", 2, 8, 2, 12, 1, 5, 2, 6, 6)
# name -> (config, a seed of weights that write varied text)
MODELS = {
    "ctc": (replace(PLAIN, conditioning=SelfConditioningConfig(1, "letters")), 0),
    "ctc, look-ahead": (replace(PLAIN, core=TRANSFORMER, chunks=(2, 4)), 0),
    "ctc, recurrent": (replace(PLAIN, core=LSTM), 0),
    "rnnt, stateless": (replace(PLAIN, heads={"rnnt": RNNTConfig("letters", "stateless", 6)}), 6),
    "rnnt, lstm": (replace(PLAIN, heads={"rnnt": RNNTConfig("letters", "lstm", 6)}), 11),
    "rnnt, cascaded": (replace(PLAIN, heads={"written": CASCADE, "ctc": CTCConfig("letters")}), 28),
}


def build_network(config: ModelConfig, seed: int = 0) -> Network:
    """Random weights but for the head's blank, which is fitted to silence, so that noise gives text."""
    torch.manual_seed(seed)
    network = Network(config).eval().requires_grad_(False)
    network.frontend.mean.fill_(-8.0)
    network.frontend.std.fill_(4.0)
    for name, parameter in network.named_parameters():
        parameter += 0.1 * torch.randn_like(parameter)
        if "embedding" in name:
            parameter *= 0.7
    head = next(iter(network.heads.values()))
    out = head.module[0] if isinstance(head, CTC) else head.out
    out.weight *= 10.0
    samples = np.concatenate([speech(seed) for seed in range(1000, 1006)])
    inputs = inputs_of_head(network, samples)  # (N, T, C)
    audible = np.add.reduceat(np.abs(samples), np.arange(0, len(samples), HOP * head.stride)) > 0
    loud, quiet = inputs[:, audible].flatten(0, 1), inputs[:, ~audible].flatten(0, 1)
    out.bias -= out(loud).mean(dim=0)  # every letter has its turn
    # Ridge regression in float64: rounding, which may differ from run to run, must not reach the float32 weights.
    known = torch.nn.functional.pad(torch.cat([loud, quiet]).double(), (0, 1), value=1.0)
    silence = torch.cat([-torch.ones(len(loud)), torch.ones(len(quiet))]).double()
    normal = known.T @ known + 1e-2 * len(known) * torch.eye(known.shape[1]).double()
    blank = 15.0 * torch.linalg.solve(normal, known.T @ silence)
    out.weight[0], out.bias[0] = blank[:-1], blank[-1]
    found = out(loud)
    out.bias[0] += (found[:, 1:].amax(dim=1) - found[:, 0]).quantile(0.3 if isinstance(head, CTC) else 0.6)
    return network


def inputs_of_head(network: Network, samples: np.ndarray) -> torch.Tensor:
    """(N, T, C): what the first head's last layer sees; of an RNN-T after N ways to begin."""
    head = next(iter(network.heads.values()))
    own = (head.source, head.core) if isinstance(head, CascadedRNNT) else ()
    encoded = run(samples, network.frontend, network.encoder, *own)
    if isinstance(head, CTC):
        return encoded[None]
    predicted = []
    for token in range(head.tokens):
        output, state = head.predictor.extend([token], head.predictor.start())
        predicted += [output, head.predictor.extend([token], state)[0]]
    return torch.tanh(head.frames(encoded) + torch.stack(predicted))


def forward(network: Network, samples: np.ndarray) -> np.ndarray:
    """(T, V): what the first head puts out, for a whole recording at once."""
    return run(samples, network.frontend, network.encoder, next(iter(network.heads.values()))).numpy()


def run(samples: np.ndarray, *stages: Streaming) -> torch.Tensor:
    x = torch.from_numpy(samples)[None, :, None]
    mask = torch.ones(1, len(samples), dtype=torch.bool)
    for stage in stages:
        x, mask = stage(x, mask)
    return x[0]


def noise(seconds: float, seed: int) -> np.ndarray:
    """float32 (N,): band noise whose colour changes ten times a second."""
    rng = np.random.default_rng(seed)
    count, piece = round(seconds * RATE), RATE // 10
    pieces = []
    for _ in range(-(-count // piece)):
        spectrum = np.fft.rfft(rng.standard_normal(piece))
        low = rng.integers(0, 3 * len(spectrum) // 4)
        spectrum[:low] *= 0.1
        spectrum[low + len(spectrum) // 4 :] *= 0.1
        pieces.append(np.fft.irfft(spectrum) * 0.3)
    return np.concatenate([*pieces, np.zeros(0)])[:count].astype(np.float32)


def speech(seed: int, words: int = 4) -> np.ndarray:
    """Bursts of noise with silence between them, some of it long enough for an endpoint; no whole number of frames."""
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(words):
        parts.append(noise(rng.uniform(0.1, 0.8), 100 * seed + number))
        parts.append(np.zeros(int(rng.choice([0.1, 0.3, 1.3]) * RATE) + int(rng.integers(0, HOP)), np.float32))
    return np.concatenate(parts)


@lru_cache
def tiny_model(name: str) -> Model:
    """One of `MODELS`, written to a folder and loaded again."""
    config, seed = MODELS[name]
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder, name), build_network(config, seed), config, {"letters": LETTERS})
        return load(Path(folder, name))
