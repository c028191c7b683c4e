"""wav2vec 2.0 and HuBERT with an output for CTC: one step of letters every 20 ms.

Sources: see `transducer.encoders.wav2vec2`. Names of weights are those of transformers' `Wav2Vec2ForCTC` and
`HubertForCTC`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from transducer.cores.none import NoCoreConfig
from transducer.encoders.identity import IdentityConfig
from transducer.encoders.wav2vec2 import NORMS, Wav2Vec2EncoderConfig
from transducer.errors import CheckpointError, UsageError
from transducer.frontends.waveform import RATE, WaveformConfig
from transducer.heads.segment import SegmentConfig
from transducer.model.config import ModelConfig
from transducer.published.model import Adapted, Names, Published
from transducer.text.json_file import read_json
from transducer.text.tokenizers.letters import BLANK_NAME, Letters

UNITS, HEAD = "letters", "segment"
SECONDS = 30  # of a segment, at most
CTC = "ctc.module.0"
TABLE = {
    "feature_extractor.conv_layers.{}.conv": "features.{}.conv",
    "feature_extractor.conv_layers.{}.layer_norm": "features.{}.norm",
    "feature_projection.layer_norm": "projection_norm",
    "feature_projection.projection": "projection",
    "encoder.pos_conv_embed.conv": "positions",
    "encoder.layer_norm": "norm",
    "encoder.layers.{}.layer_norm": "layers.{}.self_norm",
    "encoder.layers.{}.final_layer_norm": "layers.{}.feed_norm",
    "encoder.layers.{}.feed_forward.intermediate_dense": "layers.{}.feed_forward.0",
    "encoder.layers.{}.feed_forward.output_dense": "layers.{}.feed_forward.2",
    **{
        f"encoder.layers.{{}}.attention.{part}_proj": f"layers.{{}}.self_attention.{full}"
        for part, full in (("q", "query"), ("k", "key"), ("v", "value"), ("out", "out"))
    },
}
# What else there may be in a config that changes what is computed, and the only value that is known here.
_PLAIN: dict[str, Any] = {
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "layer_norm_eps": 1e-5,
    "add_adapter": False,
    "adapter_attn_dim": None,
    "conv_pos_batch_norm": False,
}
# The two names of the weights that a weight norm keeps, before and after torch 2.0.
_NORMED = (("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1"))


def adapt(published: Published) -> Adapted:
    """wav2vec 2.0 or HuBERT as a model of ours.

    Raises:
        CheckpointError: its files do not belong together, it has no output for CTC, or it computes something else.
    """
    path, family = published.path, str(published.config.get("model_type"))
    table = {f"{family}.{theirs}": f"encoder.{ours}" for theirs, ours in TABLE.items()}
    names = Names({**table, "lm_head": CTC}, f"heads.{HEAD}.")
    published.only(_PLAIN)
    if "lm_head.weight" not in published.tensors:
        raise CheckpointError(f"{path} has no output for CTC (lm_head.weight): take one that was trained to write text")
    sound = read_json(path / "preprocessor_config.json") if (path / "preprocessor_config.json").is_file() else {}
    if sound.get("sampling_rate", RATE) != RATE:
        raise CheckpointError(f"{path} hears sound of {sound['sampling_rate']!r} Hz: only {RATE} is known")
    encoder = _encoder(published, sound.get("do_normalize", True) is True)
    hop = 1
    for stride in encoder.strides:
        hop *= stride
    tokenizer, order = read_letters(path, published.config.get("pad_token_id", 0), published.size("vocab_size"))
    weights = names.rename(_folded(published.tensors, f"{family}.encoder.pos_conv_embed.conv."), path)
    for leaf in ("weight", "bias"):
        name = f"heads.{HEAD}.{CTC}.{leaf}"
        if name in weights and len(weights[name]) == len(order):
            weights[name] = weights[name][order]
    config = ModelConfig(
        frontend=WaveformConfig(hop),
        encoder=IdentityConfig(),
        core=NoCoreConfig(hop),
        heads={HEAD: SegmentConfig(UNITS, encoder, None, max_steps=SECONDS * RATE // hop, padding=0)},
        units={UNITS: len(tokenizer)},
        chunks=tuple(max(1, step * RATE // (hop * 1000)) for step in (160, 320, 640)),
        card={"family": "wav2vec 2.0" if family == "wav2vec2" else "HuBERT", "format": published.format},
    )
    return Adapted(config, weights, {UNITS: tokenizer}, names.published)


def read_letters(folder: Path, pad: Any, size: int) -> tuple[Letters, list[int]]:
    """The letters of a folder, and the published number of each of them: its padding, which is CTC's blank, is first.

    Args:
        pad: the number of the padding where the folder's tokenizer does not name it.
        size: how many there have to be.

    Raises:
        CheckpointError: files are missing or damaged, or say something else.
    """
    path = folder / "vocab.json"
    settings: dict[str, Any] = {}
    if not path.is_file():
        raise CheckpointError(f"{folder} has no letters: vocab.json is missing; copy it there, or get the model again")
    numbers = read_json(path)
    if any(isinstance(value, Mapping) for value in numbers.values()):
        raise CheckpointError(
            f"{path} has letters for each of several languages, which cannot be read: take a model of one"
        )
    # Tokenizers add some to be able to begin and end texts, which the model has no output for.
    extra = _optional(folder / "added_tokens.json")
    added = {letter: number for letter, number in extra.items() if type(number) is int and number < size}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        settings |= _optional(folder / name)
    numbers = {**numbers, **added}
    letters = sorted(numbers, key=lambda letter: str(numbers[letter]).zfill(9))
    if [numbers[letter] for letter in letters] != list(range(len(letters))):
        raise CheckpointError(f"{path} is damaged: letters have numbers from 0 on, each its own")
    if len(letters) != size:
        raise CheckpointError(
            f"{folder} writes {size} letters, and {path.name} has {len(letters)}: they do not go together"
        )
    blank = numbers.get(_named(settings, "pad_token", "<pad>"), pad)
    if type(blank) is not int or not 0 <= blank < size:
        raise CheckpointError(f"{folder} does not say which letter is CTC's blank: {json.dumps(blank)[:40]} is none")
    delimiter = numbers.get(_named(settings, "word_delimiter_token", "|"))
    if delimiter is None:
        raise CheckpointError(f"{path} has no letter that stands between words, such as |: this model cannot be read")
    marks = {
        _named(settings, f"{name}_token", f"<{short}>") for name, short in (("bos", "s"), ("eos", "/s"), ("unk", "unk"))
    }
    special = ({numbers[mark] for mark in marks if mark in numbers} | set(added.values())) - {blank, delimiter}
    order = [blank, *(number for number in range(size) if number != blank)]
    lower = settings.get("do_lower_case") is True
    spelled = [letters[number].lower() if lower and number not in special else letters[number] for number in order[1:]]
    try:
        places = {number: place for place, number in enumerate(order)}
        return Letters([BLANK_NAME, *spelled], places[delimiter], [places[number] for number in special]), order
    except UsageError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from None


def _encoder(published: Published, normalise: bool) -> Wav2Vec2EncoderConfig:
    config, size = published.config, published.size
    norm = config.get("feat_extract_norm", NORMS[0])
    if norm not in NORMS:
        raise CheckpointError(f"{published.path} has the unknown norm {norm!r:.40} in its convolutions")
    return Wav2Vec2EncoderConfig(
        size("hidden_size"),
        size("num_hidden_layers"),
        size("num_attention_heads"),
        size("intermediate_size"),
        published.sizes("conv_dim"),
        published.sizes("conv_kernel"),
        published.sizes("conv_stride"),
        config.get("conv_bias") is True,
        norm,
        size("num_conv_pos_embeddings"),
        size("num_conv_pos_embedding_groups"),
        config.get("feat_proj_layer_norm", True) is True,
        config.get("do_stable_layer_norm") is True,
        normalise,
    )


def _folded(tensors: Mapping[str, Tensor], conv: str) -> dict[str, Tensor]:
    """Tensors with a convolution's weight norm (Salimans & Kingma 2016) worked in: its length and direction for each
    place of the kernel. What masked steps in training is left out."""
    found = {name: tensor for name, tensor in tensors.items() if not name.endswith(".masked_spec_embed")}
    for length, direction in _NORMED:
        if conv + length in found and conv + direction in found:
            lengths, directions = found.pop(conv + length), found.pop(conv + direction)
            found[f"{conv}weight"] = torch._weight_norm(directions, lengths, 2)
    return found


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _named(settings: Mapping[str, Any], name: str, default: str) -> str:
    """A token that a tokenizer's settings name, by itself or with how it is treated."""
    value = settings.get(name) or default
    return str(value.get("content") if isinstance(value, Mapping) else value)
