"""Whisper, from tiny to large-v3-turbo, English and multilingual, and what others have distilled from it.

Source: A. Radford et al., "Robust speech recognition via large-scale weak supervision", 2022 (arXiv:2212.04356). Names
of weights are those of openai/whisper, of transformers' `WhisperForConditionalGeneration` and of CTranslate2's
`WhisperSpec`.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from transducer.cores.none import NoCoreConfig
from transducer.encoders.identity import IdentityConfig
from transducer.encoders.whisper import WhisperEncoderConfig
from transducer.errors import CheckpointError
from transducer.frontends.whisper_mel import WhisperMelConfig
from transducer.heads.decoders.transformer import TransformerDecoderConfig
from transducer.heads.segment import SegmentConfig
from transducer.model.config import ModelConfig
from transducer.published.model import Adapted, Names, Published
from transducer.published.whisper_tokens import is_english, special_tokens, whisper_tokenizer

UNITS, HEAD = "tokens", "segment"
HUGGING_FACE = {
    "encoder.conv1": "encoder.conv1",
    "encoder.conv2": "encoder.conv2",
    "encoder.embed_positions.weight": "encoder.positions",
    "encoder.layer_norm": "encoder.norm",
    "decoder.embed_tokens": "decoder.embedding",
    "decoder.embed_positions.weight": "decoder.positions",
    "decoder.layer_norm": "decoder.norm",
    **{
        f"{side}.layers.{{}}.{theirs}": f"{side}.layers.{{}}.{ours}"
        for side, last in (("encoder", 2), ("decoder", 3))
        for theirs, ours in {
            "self_attn_layer_norm": "self_norm",
            "encoder_attn_layer_norm": "cross_norm",
            "final_layer_norm": "feed_norm",
            "fc1": "feed_forward.0",
            "fc2": f"feed_forward.{last}",
            **{
                f"{attention}.{part}_proj": f"{name}.{full}"
                for attention, name in (("self_attn", "self_attention"), ("encoder_attn", "cross_attention"))
                for part, full in (("q", "query"), ("k", "key"), ("v", "value"), ("out", "out"))
            },
        }.items()
    },
}
# Modules of openai/whisper -> those of transformers.
_OPENAI = (
    (r"^(encoder|decoder)\.positional_embedding$", r"\1.embed_positions.weight"),
    (r"^decoder\.token_embedding\.", "decoder.embed_tokens."),
    (r"^encoder\.ln_post\.|^decoder\.ln\.", lambda found: found[0].split(".")[0] + ".layer_norm."),
    (r"\.blocks\.", ".layers."),
    (r"\.attn_ln\.", ".self_attn_layer_norm."),
    (r"\.cross_attn_ln\.", ".encoder_attn_layer_norm."),
    (r"\.mlp_ln\.", ".final_layer_norm."),
    (r"\.mlp\.0\.", ".fc1."),
    (r"\.mlp\.2\.", ".fc2."),
    (r"\.attn\.", ".self_attn."),
    (r"\.cross_attn\.", ".encoder_attn."),
    (r"\.(query|key|value)\.", lambda found: f".{found[1][0]}_proj."),
    (r"_attn\.out\.", "_attn.out_proj."),
)
# Layers and norms of CTranslate2's -> those of transformers; attention is apart.
_CTRANSLATE2 = {
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
    "ffn/layer_norm": "final_layer_norm",
    "self_attention/layer_norm": "self_attn_layer_norm",
    "attention/layer_norm": "encoder_attn_layer_norm",
}


def adapt(published: Published) -> Adapted:
    """Whisper as a model of ours.

    Raises:
        CheckpointError: its files do not belong together, or are of a variant that differs in what it computes.
    """
    path, names = published.path, Names(HUGGING_FACE, f"heads.{HEAD}.")
    tensors = _renamed(published)
    weights = names.rename(tensors, path)
    sizes = _sizes(published)
    tokenizer = whisper_tokenizer(published, sizes["vocab_size"])
    english = is_english(published, sizes["vocab_size"])
    head = SegmentConfig(
        units=UNITS,
        encoder=WhisperEncoderConfig(
            sizes["d_model"],
            sizes["encoder_layers"],
            sizes["encoder_attention_heads"],
            sizes["encoder_ffn_dim"],
            sizes["max_source_positions"],
        ),
        decoder=TransformerDecoderConfig(
            sizes["d_model"],
            sizes["decoder_layers"],
            sizes["decoder_attention_heads"],
            sizes["decoder_ffn_dim"],
            longest=sizes["max_target_positions"],
        ),
        tokens=special_tokens(tokenizer, english, published),
        longest=sizes["max_target_positions"] // 2,
        max_steps=2 * sizes["max_source_positions"],
        silence=-10.0,
    )
    config = ModelConfig(
        frontend=WhisperMelConfig(sizes["num_mel_bins"]),
        encoder=IdentityConfig(),
        core=NoCoreConfig(sizes["num_mel_bins"]),
        heads={HEAD: head},
        units={UNITS: len(tokenizer)},
        chunks=(16, 32, 64),
        language="en" if english else "",
        card={"family": "Whisper", "format": published.format},
    )
    return Adapted(config, weights, {UNITS: tokenizer}, names.published)


def _renamed(published: Published) -> dict[str, Tensor]:
    """Tensors by the names of transformers' inner model."""
    if published.format == "ctranslate2":
        return _of_ctranslate2(published)
    tensors = dict(published.tensors)
    if published.format == "openai":
        for pattern, new in _OPENAI:
            tensors = {re.sub(pattern, new, name): tensor for name, tensor in tensors.items()}
        return tensors
    tensors = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    output, embedding = tensors.pop("proj_out.weight", None), tensors.get("decoder.embed_tokens.weight")
    if output is not None and (embedding is None or not torch.equal(output, embedding)):
        raise CheckpointError(f"{published.path} has an output apart from its embedding, which Whisper does not have")
    return tensors


def _of_ctranslate2(published: Published) -> dict[str, Tensor]:
    """CTranslate2 keeps queries, keys and values in one matrix, with a bias of zeros for the keys."""
    found: dict[str, Tensor] = {}
    for name, value in published.tensors.items():
        if value.ndim == 0 or name.startswith("decoder/projection/") or "alignment_" in name:
            continue  # settings, and what is the embedding
        module, leaf = name.rsplit("/", 1)
        leaf = {"gamma": "weight", "beta": "bias"}.get(leaf, leaf)
        side, _, inner = module.partition("/")
        layer = re.match(r"layer_(\d+)/(.+)", inner)
        if layer is None:
            inner = inner.replace("position_encodings", "embed_positions").replace("embeddings", "embed_tokens")
            found[f"{side}.{inner}.{'weight' if leaf == 'encodings' else leaf}"] = value
            continue
        place, part = f"{side}.layers.{layer[1]}", layer[2]
        if part in _CTRANSLATE2:
            found[f"{place}.{_CTRANSLATE2[part]}.{leaf}"] = value
            continue
        attention, _, linear = part.partition("/")
        kind = "self_attn" if attention == "self_attention" else "encoder_attn"
        for projection, piece in zip(_projections(kind, linear), _pieces(kind, linear, value), strict=True):
            if projection == "k_proj" and leaf == "bias":
                if piece.any():
                    raise CheckpointError(f"{published.path} has a bias for keys, which Whisper does not have")
            else:
                found[f"{place}.{kind}.{projection}.{leaf}"] = piece
    return found


def _projections(kind: str, linear: str) -> tuple[str, ...]:
    if kind == "self_attn":
        return {"linear_0": ("q_proj", "k_proj", "v_proj"), "linear_1": ("out_proj",)}.get(linear, (linear,))
    return {"linear_0": ("q_proj",), "linear_1": ("k_proj", "v_proj"), "linear_2": ("out_proj",)}.get(linear, (linear,))


def _pieces(kind: str, linear: str, value: Tensor) -> tuple[Tensor, ...]:
    return value.chunk(len(_projections(kind, linear)))


def _sizes(published: Published) -> dict[str, int]:
    """By the names of transformers' config."""
    config = published.config
    if published.format == "ctranslate2":
        return _sizes_of_ctranslate2(published)
    if published.format == "openai":
        text, audio = published.size("n_text_state"), published.size("n_audio_state")
        if text != audio:
            raise CheckpointError(f"{published.path} has an encoder of another width than its decoder")
        of = {
            "d_model": "n_text_state",
            "encoder_layers": "n_audio_layer",
            "encoder_attention_heads": "n_audio_head",
            "decoder_layers": "n_text_layer",
            "decoder_attention_heads": "n_text_head",
            "max_source_positions": "n_audio_ctx",
            "max_target_positions": "n_text_ctx",
            "num_mel_bins": "n_mels",
            "vocab_size": "n_vocab",
        }
        sizes = {name: published.size(other) for name, other in of.items()}
        return {**sizes, "encoder_ffn_dim": 4 * audio, "decoder_ffn_dim": 4 * text}
    if config.get("activation_function", "gelu") != "gelu" or config.get("scale_embedding"):
        raise CheckpointError(
            f"{published.path} computes otherwise than Whisper: by its config it has another activation"
        )
    wanted = (
        *("d_model", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "decoder_layers"),
        *("decoder_attention_heads", "decoder_ffn_dim", "max_source_positions", "max_target_positions"),
        *("num_mel_bins", "vocab_size"),
    )
    return {name: published.size(name) for name in wanted}


def _sizes_of_ctranslate2(published: Published) -> dict[str, int]:
    tensors = published.tensors
    try:
        return {
            "d_model": tensors["encoder/conv1/weight"].shape[0],
            "encoder_layers": _count(tensors, "encoder"),
            "encoder_attention_heads": int(tensors["encoder/num_heads"]),
            "encoder_ffn_dim": tensors["encoder/layer_0/ffn/linear_0/weight"].shape[0],
            "decoder_layers": _count(tensors, "decoder"),
            "decoder_attention_heads": int(tensors["decoder/num_heads"]),
            "decoder_ffn_dim": tensors["decoder/layer_0/ffn/linear_0/weight"].shape[0],
            "max_source_positions": tensors["encoder/position_encodings/encodings"].shape[0],
            "max_target_positions": tensors["decoder/position_encodings/encodings"].shape[0],
            "num_mel_bins": tensors["encoder/conv1/weight"].shape[1],
            "vocab_size": tensors["decoder/embeddings/weight"].shape[0],
        }
    except (KeyError, IndexError) as error:
        raise CheckpointError(f"{published.path} lacks {error.args[0]}, which a Whisper has: get it again") from None


def _count(tensors: dict[str, Tensor], side: str) -> int:
    return len({found[1] for name in tensors if (found := re.match(rf"{side}/(layer_\d+)/", name))})
