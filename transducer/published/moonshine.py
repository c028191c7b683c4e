"""Moonshine, tiny and base, of any language.

Source: see `transducer.encoders.moonshine`. Names of weights are those of transformers'
`MoonshineForConditionalGeneration`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from transducer.cores.none import NoCoreConfig
from transducer.encoders.identity import IdentityConfig
from transducer.encoders.moonshine import MoonshineEncoderConfig
from transducer.errors import CheckpointError, UsageError
from transducer.frontends.waveform import RATE, WaveformConfig
from transducer.heads.decoders.transformer import TransformerDecoderConfig
from transducer.heads.segment import SegmentConfig, SpecialTokens
from transducer.model.config import ModelConfig, SegmentEncoderConfig
from transducer.published.model import Adapted, Names, Published
from transducer.published.vocabulary import read_pieces
from transducer.text.tokenizers.pieces import Pieces

UNITS, HEAD = "tokens", "segment"
HOP = 128  # samples of a step: a third of what the encoder makes one of, so that whole steps are 320 ms
SECONDS = 30  # of a segment, at most
CHUNKS = (160, 320, 640)  # in milliseconds
_ATTENTION = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "o_proj": "out"}
DECODER = {
    "decoder.embed_tokens": "decoder.embedding",
    "decoder.norm": "decoder.norm",
    "decoder.layers.{}.input_layernorm": "decoder.layers.{}.self_norm",
    "decoder.layers.{}.post_attention_layernorm": "decoder.layers.{}.cross_norm",
    "decoder.layers.{}.final_layernorm": "decoder.layers.{}.feed_norm",
    "decoder.layers.{}.mlp.fc1": "decoder.layers.{}.feed_forward.0",
    "decoder.layers.{}.mlp.fc2": "decoder.layers.{}.feed_forward.3",
    **{
        f"decoder.layers.{{}}.{attention}.{theirs}": f"decoder.layers.{{}}.{name}.{ours}"
        for attention, name in (("self_attn", "self_attention"), ("encoder_attn", "cross_attention"))
        for theirs, ours in _ATTENTION.items()
    },
}
TABLE = {
    **DECODER,
    "encoder.conv1": "encoder.conv1",
    "encoder.conv2": "encoder.conv2",
    "encoder.conv3": "encoder.conv3",
    "encoder.groupnorm": "encoder.wave_norm",
    "encoder.layer_norm": "encoder.norm",
    "encoder.layers.{}.input_layernorm": "encoder.layers.{}.self_norm",
    "encoder.layers.{}.post_attention_layernorm": "encoder.layers.{}.feed_norm",
    "encoder.layers.{}.mlp.fc1": "encoder.layers.{}.feed_forward.0",
    "encoder.layers.{}.mlp.fc2": "encoder.layers.{}.feed_forward.2",
    **{
        f"encoder.layers.{{}}.self_attn.{theirs}": f"encoder.layers.{{}}.self_attention.{ours}"
        for theirs, ours in _ATTENTION.items()
    },
}
OUTPUT, EMBEDDING = "proj_out.weight", "model.decoder.embed_tokens.weight"
_TURNED = re.compile(r"(encoder|decoder)\.layers\.\d+\.self_attn\.[qk]_proj\.weight")


def adapt(published: Published) -> Adapted:
    """Moonshine as a model of ours.

    Raises:
        CheckpointError: its files do not belong together, or are of a variant that computes something else.
    """
    size, channels = published.size, published.size("hidden_size")
    published.only({"encoder_hidden_act": "gelu", "decoder_hidden_act": "silu", "attention_bias": False})
    heads = {side: size(f"{side}_num_attention_heads") for side in ("encoder", "decoder")}
    for side, count in heads.items():
        if published.config.get(f"{side}_num_key_value_heads") not in (None, count):
            raise CheckpointError(f"{published.path} shares keys between heads of its {side}, which cannot be run")
    rotary, base = read_rotary(published, 0.9)
    hidden = size("intermediate_size")
    encoder = MoonshineEncoderConfig(
        channels, size("encoder_num_hidden_layers"), heads["encoder"], hidden, rotary=rotary, base=base
    )
    tensors = dict(published.tensors)
    tied = untied_output(tensors, published)
    decoder = TransformerDecoderConfig(
        channels,
        size("decoder_num_hidden_layers"),
        heads["decoder"],
        hidden,
        "rotary",
        size("max_position_embeddings"),
        tied,
        bias=False,
        gated=True,
        rotary=rotary,
        base=base,
    )
    turned = {
        name: paired(tensor, heads[name.split(".")[1]], rotary, published.path) if _TURNED.search(name) else tensor
        for name, tensor in tensors.items()
    }
    return assembled(published, encoder, decoder, turned, TABLE, HOP)


def assembled(
    published: Published,
    encoder: SegmentEncoderConfig,
    decoder: TransformerDecoderConfig,
    tensors: Mapping[str, Tensor],
    table: Mapping[str, str],
    hop: int,
    steps: int = SECONDS * RATE,
) -> Adapted:
    """The model of an encoder and a decoder, on steps of so many samples.

    Args:
        table: names without the "model." that those in `tensors` begin with.
        steps: samples of a segment, at most.
    """
    names = Names(
        {**{f"model.{theirs}": ours for theirs, ours in table.items()}, "proj_out": "decoder.out"}, f"heads.{HEAD}."
    )
    tokenizer = _tokenizer(published)
    head = SegmentConfig(
        UNITS,
        encoder,
        decoder,
        SpecialTokens(_token(published, "decoder_start_token_id", "bos_token_id"), _token(published, "eos_token_id")),
        longest=decoder.longest,
        max_steps=min(steps, SECONDS * RATE) // hop,
        padding=0,
    )
    config = ModelConfig(
        frontend=WaveformConfig(hop),
        encoder=IdentityConfig(),
        core=NoCoreConfig(hop),
        heads={HEAD: head},
        units={UNITS: len(tokenizer)},
        chunks=tuple(milliseconds * RATE // (1000 * hop) for milliseconds in CHUNKS),
        card={"family": published.config["model_type"].replace("_", " ").title(), "format": published.format},
    )
    return Adapted(config, names.rename(tensors, published.path), {UNITS: tokenizer}, names.published)


def read_rotary(published: Published, usual: float) -> tuple[float, float]:
    """The share of channels that rotary positions turn, and their base.

    Raises:
        CheckpointError: positions of another kind.
    """
    config = published.config
    rope: Any = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(rope, Mapping) or rope.get("rope_type", "default") != "default":
        raise CheckpointError(f"{published.path} has rotary positions of a kind that cannot be run: {rope!r:.60}")
    share = rope.get("partial_rotary_factor", config.get("partial_rotary_factor", usual))
    base = rope.get("rope_theta", config.get("rope_theta", 10000.0))
    if not all(isinstance(value, int | float) and value > 0 for value in (share, base)) or share > 1:
        raise CheckpointError(
            f"{published.path} has rotary positions that make no sense: {share!r:.20} and {base!r:.20}"
        )
    return float(share), float(base)


def untied_output(tensors: dict[str, Tensor], published: Published) -> bool:
    """Whether the output is the embedding; where it is, it is left out of the tensors."""
    output, embedding = tensors.get(OUTPUT), tensors.get(EMBEDDING)
    tied = output is None or (embedding is not None and torch.equal(output, embedding))
    if tied:
        tensors.pop(OUTPUT, None)
    return tied


def paired(weight: Tensor, heads: int, share: float, path: Path) -> Tensor:
    """Rows of queries or keys, in whose heads channels 2 i and 2 i + 1 turn together, for `rotate`: i and i + D / 2 do.

    Scores stay what they are, because queries and keys change places alike.

    Raises:
        CheckpointError: a share of channels that is no number of pairs.
    """
    size = len(weight) // heads
    if len(weight) != heads * size or size % 2:
        return weight  # no network has such a shape, as will be said of all of them
    if int(size * share) % 2:
        raise CheckpointError(f"{path} turns {int(size * share)} channels of each head, which are no pairs")
    order = torch.cat([torch.arange(0, size, 2), torch.arange(1, size, 2)])
    return weight.reshape(heads, size, -1)[:, order].reshape(weight.shape)


def _tokenizer(published: Published) -> Pieces:
    size, path = published.size("vocab_size"), published.path
    vocabulary = read_pieces(Path(published.folder))
    if len(vocabulary.tokens) != size:
        raise CheckpointError(f"{path} has {size} tokens, and the file with their spelling {len(vocabulary.tokens)}")
    try:
        return Pieces(*vocabulary)
    except UsageError as error:
        raise CheckpointError(f"the tokens of {path} cannot be used: {error}") from None


def _token(published: Published, *names: str) -> int:
    """The first of these tokens that the files name."""
    found = [
        value
        for name in names
        for value in (published.generation.get(name), published.config.get(name))
        if value is not None
    ]
    if not found or type(found[0]) is not int or not 0 <= found[0] < published.size("vocab_size"):
        raise CheckpointError(f"{published.path} does not say which token is its {names[-1].removesuffix('_token_id')}")
    return found[0]
