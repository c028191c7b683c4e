"""Moonshine Streaming, whose encoder sees a window around each step.

Source: see `transducer.encoders.moonshine_streaming`. Names of weights are those of transformers'
`MoonshineStreamingForConditionalGeneration`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from transducer.encoders.moonshine_streaming import MoonshineStreamingEncoderConfig
from transducer.errors import CheckpointError
from transducer.frontends.waveform import RATE
from transducer.heads.decoders.transformer import TransformerDecoderConfig
from transducer.published.model import Adapted, Published
from transducer.published.moonshine import DECODER, assembled, paired, read_rotary, untied_output

STRIDE = 4  # steps of the front-end in one of the encoder
_LAYER = "encoder.stages.1.stages.{}.stages"
TABLE = {
    **DECODER,
    "decoder.pos_emb.weight": "decoder.memory_positions",
    "decoder.proj": "decoder.memory_projection",
    "encoder.embedder.comp.log_k": "encoder.stages.0.log_scale",
    "encoder.embedder.linear": "encoder.stages.0.linear",
    "encoder.embedder.conv1": "encoder.stages.0.conv1",
    "encoder.embedder.conv2": "encoder.stages.0.conv2",
    "encoder.final_norm": "encoder.stages.2.module",
    "encoder.layers.{}.input_layernorm": f"{_LAYER}.0.body.stages.0.module",
    "encoder.layers.{}.self_attn.qkv_proj": f"{_LAYER}.0.body.stages.1.qkv",
    "encoder.layers.{}.self_attn.o_proj": f"{_LAYER}.0.body.stages.1.out",
    "encoder.layers.{}.post_attention_layernorm": f"{_LAYER}.1.body.stages.0.module",
    "encoder.layers.{}.mlp.fc1": f"{_LAYER}.1.body.stages.1.module.0",
    "encoder.layers.{}.mlp.fc2": f"{_LAYER}.1.body.stages.1.module.2",
}


def adapt(published: Published) -> Adapted:
    """Moonshine Streaming as a model of ours.

    Raises:
        CheckpointError: its files do not belong together, or are of a variant that computes something else.
    """
    path, size = published.path, published.size
    inner: Any = published.config.get("encoder_config")
    if not isinstance(inner, dict):
        raise CheckpointError(f"{path}: its config says nothing of its encoder (encoder_config)")
    sound = dataclasses.replace(published, config=inner)
    published.only({"hidden_act": "silu", "attention_bias": False})
    sound.only({"hidden_act": "gelu", "attention_bias": False, "sample_rate": RATE})
    heads = size("num_attention_heads")
    for part in (published, sound):
        count = part.size("num_attention_heads")
        same = {"num_key_value_heads": count, "head_dim": part.size("hidden_size") // count}
        part.only({name: value for name, value in same.items() if part.config.get(name) is not None})
    rotary, base = read_rotary(published, 0.8)
    encoder = MoonshineStreamingEncoderConfig(
        sound.size("hidden_size"), sound.size("num_attention_heads"), sound.size("intermediate_size"), _windows(sound)
    )
    tensors = dict(published.tensors)
    tied = untied_output(tensors, published)
    positions = size("max_position_embeddings")
    decoder = TransformerDecoderConfig(
        size("hidden_size"),
        size("num_hidden_layers"),
        heads,
        size("intermediate_size"),
        "rotary",
        tied=tied,
        bias=False,
        gated=True,
        rotary=rotary,
        base=base,
        memory_steps=positions,
    )
    hop = _hop(sound)
    return assembled(
        published, encoder, decoder, _changed(tensors, heads, rotary, published), TABLE, hop, positions * STRIDE * hop
    )


def _windows(sound: Published) -> tuple[tuple[int, int], ...]:
    """How many steps each layer sees up to itself, and after: there, the step itself is counted on both sides."""
    windows, layers = sound.config.get("sliding_windows"), sound.size("num_hidden_layers")
    if (
        not isinstance(windows, list)
        or len(windows) != layers
        or not all(
            isinstance(window, list)
            and len(window) == 2
            and all(type(steps) is int for steps in window)
            and window[0] >= 1
            and window[1] >= 0
            for window in windows
        )
    ):
        raise CheckpointError(
            f"{sound.path}: its config has no window for each of its {layers} layers: {windows!r:.60}"
        )
    return tuple((before, max(0, after - 1)) for before, after in windows)


def _hop(sound: Published) -> int:
    milliseconds = sound.config.get("frame_ms", 5.0)
    if not isinstance(milliseconds, int | float) or not 0 < milliseconds <= 100:
        raise CheckpointError(f"{sound.path}: its config has frames that make no sense, of {milliseconds!r:.20} ms")
    return round(RATE * milliseconds / 1000)


def _changed(tensors: dict[str, Tensor], heads: int, rotary: float, published: Published) -> dict[str, Tensor]:
    """With queries, keys and values of the encoder in one matrix, and norms whose weights are not counted from 1."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        module, _, leaf = name.rpartition(".")
        if leaf == "gamma":
            found[f"{module}.weight"] = tensor + 1
        elif name.startswith("model.encoder.layers.") and module.endswith((".q_proj", ".k_proj", ".v_proj")):
            parts = [f"{module[:-6]}{part}_proj.{leaf}" for part in "qkv"]
            if absent := [part for part in parts if part not in tensors]:
                raise CheckpointError(f"{published.path} lacks {absent[0]}: get it again")
            found[f"{module[:-6]}qkv_proj.{leaf}"] = torch.cat([tensors[part] for part in parts])
        elif name.startswith("model.decoder.layers.") and module.endswith((".self_attn.q_proj", ".self_attn.k_proj")):
            found[name] = paired(tensor, heads, rotary, published.path)
        else:
            found[name] = tensor
    return found
