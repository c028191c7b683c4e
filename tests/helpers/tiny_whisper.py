"""Small random Whispers in the files that published ones come in."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from transducer.text.tokenizers.byte_pairs import byte_alphabet

LAYERS, CHANNELS, HIDDEN, BINS, WINDOW, LONGEST = 2, 16, 64, 8, 20, 32
NAMES = ("endoftext", "startoftranscript", "en", "de", "translate", "transcribe", "startoflm", "startofprev")
SPECIAL = (*(f"<|{name}|>" for name in (*NAMES, "nospeech", "notimestamps")), *(f"<|{n / 50:.2f}|>" for n in range(21)))
ORDINARY = [*byte_alphabet(), "th", "Ġth", "Ġthe", ""]  # multilingual ones have an empty token
TOKENS = [*ORDINARY, *SPECIAL]
END = TOKENS.index("<|endoftext|>")


def config(**changes: Any) -> dict[str, Any]:
    """config.json of a Hugging Face folder."""
    sizes = {
        f"{side}_{what}": n
        for side in ("encoder", "decoder")
        for what, n in {"layers": LAYERS, "attention_heads": 2, "ffn_dim": HIDDEN}.items()
    }
    tokens = {"bos_token_id": END, "eos_token_id": END, "pad_token_id": END, "decoder_start_token_id": END + 1}
    found = {
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "d_model": CHANNELS,
        "num_mel_bins": BINS,
        "vocab_size": len(TOKENS),
        "max_source_positions": WINDOW,
        "max_target_positions": LONGEST,
        "activation_function": "gelu",
        **sizes,
        **tokens,
    }
    return {**found, **changes}


def weights(seed: int = 0) -> dict[str, Tensor]:
    """Random ones by their names in a Hugging Face folder, in numbers that float16 has."""
    generator = torch.Generator().manual_seed(seed)
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, outputs: int, *inputs: int, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = (outputs, *inputs)
        if bias:
            shapes[f"{name}.bias"] = (outputs,)

    for side, extra in (("encoder", ()), ("decoder", ("encoder_attn",))):
        for number in range(LAYERS):
            layer = f"model.{side}.layers.{number}"
            for attention in ("self_attn", *extra):
                for part in ("q", "k", "v", "out"):
                    linear(f"{layer}.{attention}.{part}_proj", CHANNELS, CHANNELS, bias=part != "k")
                linear(f"{layer}.{attention}_layer_norm", CHANNELS)
            linear(f"{layer}.final_layer_norm", CHANNELS)
            linear(f"{layer}.fc1", HIDDEN, CHANNELS)
            linear(f"{layer}.fc2", CHANNELS, HIDDEN)
        linear(f"model.{side}.layer_norm", CHANNELS)
    linear("model.encoder.conv1", CHANNELS, BINS, 3)
    linear("model.encoder.conv2", CHANNELS, CHANNELS, 3)
    shapes["model.encoder.embed_positions.weight"] = (WINDOW, CHANNELS)
    shapes["model.decoder.embed_positions.weight"] = (LONGEST, CHANNELS)
    shapes["model.decoder.embed_tokens.weight"] = (len(TOKENS), CHANNELS)
    return {name: torch.randn(shape, generator=generator).mul(0.3).half().float() for name, shape in shapes.items()}


def write_tokenizer(folder: Path) -> None:
    added = [{"id": END + number, "content": name, "special": True} for number, name in enumerate(SPECIAL)]
    model = {"type": "BPE", "vocab": {token: n for n, token in enumerate(ORDINARY)}, "merges": ["t h", "Ġ th", "Ġth e"]}
    document = {"version": "1.0", "added_tokens": added, "pre_tokenizer": {"type": "ByteLevel"}, "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(document))


def hugging_face(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A folder as of the Hugging Face hub; `changes` are of its config."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config(**changes)))
    generation = {
        "is_multilingual": True,
        "suppress_tokens": [1, 2],
        "begin_suppress_tokens": [32, END],
        "alignment_heads": [[1, 0], [1, 1]],
    }
    (folder / "generation_config.json").write_text(json.dumps(generation))
    write_tokenizer(folder)
    save_file(weights(seed), folder / "model.safetensors", {"format": "pt"})
    return folder


def ctranslate2(folder: Path, dtype: str = "float16", seed: int = 0) -> Path:
    """A folder as of CTranslate2's converter, see `transducer.published.ctranslate2`."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"suppress_ids": [1, 2], "suppress_ids_begin": [32, END], "alignment_heads": [[1, 0], [1, 1]]}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "vocabulary.txt").write_text("\n".join(TOKENS) + "\n")
    (folder / "model.bin").write_bytes(_binary(_variables(weights(seed)), dtype))
    return folder


def _variables(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    get = lambda name: tensors[f"model.{name}"]  # noqa: E731
    found: dict[str, Tensor] = {}

    def copy(theirs: str, *names: str, norm: bool = False) -> None:
        weight, bias = ("gamma", "beta") if norm else ("weight", "bias")
        found[f"{theirs}/{weight}"] = torch.cat([get(f"{name}.weight") for name in names])
        empty = torch.zeros(CHANNELS)
        found[f"{theirs}/{bias}"] = torch.cat([tensors.get(f"model.{name}.bias", empty) for name in names])

    for side in ("encoder", "decoder"):
        found[f"{side}/num_heads"] = torch.tensor(2, dtype=torch.int16)
        found[f"{side}/position_encodings/encodings"] = get(f"{side}.embed_positions.weight")
        copy(f"{side}/layer_norm", f"{side}.layer_norm", norm=True)
        for number in range(LAYERS):
            ours, theirs = f"{side}.layers.{number}", f"{side}/layer_{number}"
            copy(f"{theirs}/self_attention/linear_0", *(f"{ours}.self_attn.{part}_proj" for part in "qkv"))
            copy(f"{theirs}/self_attention/linear_1", f"{ours}.self_attn.out_proj")
            copy(f"{theirs}/self_attention/layer_norm", f"{ours}.self_attn_layer_norm", norm=True)
            if side == "decoder":
                copy(f"{theirs}/attention/linear_0", f"{ours}.encoder_attn.q_proj")
                copy(f"{theirs}/attention/linear_1", *(f"{ours}.encoder_attn.{part}_proj" for part in "kv"))
                copy(f"{theirs}/attention/linear_2", f"{ours}.encoder_attn.out_proj")
                copy(f"{theirs}/attention/layer_norm", f"{ours}.encoder_attn_layer_norm", norm=True)
            copy(f"{theirs}/ffn/linear_0", f"{ours}.fc1")
            copy(f"{theirs}/ffn/linear_1", f"{ours}.fc2")
            copy(f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm", norm=True)
    copy("encoder/conv1", "encoder.conv1")
    copy("encoder/conv2", "encoder.conv2")
    found["decoder/embeddings/weight"] = get("decoder.embed_tokens.weight")
    return found


def _binary(variables: dict[str, Tensor], dtype: str) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    stored: dict[str, tuple[int, np.ndarray]] = {}
    for name, value in variables.items():
        array = value.numpy()
        if not value.is_floating_point():
            stored[name] = (2, array)
        elif dtype == "int8" and name.endswith("weight"):
            scale = (127 / np.abs(array).reshape(len(array), -1).max(axis=1)).astype(np.float32)
            rounded = np.rint(array * scale.reshape(-1, *[1] * (array.ndim - 1)))
            stored[name], stored[f"{name}_scale"] = (1, rounded.astype(np.int8)), (0, scale)
        elif dtype == "int16" and name.endswith("weight"):
            scale = np.float32(1024 / np.abs(array).max())
            stored[name], stored[f"{name}_scale"] = (2, np.rint(array * scale).astype(np.int16)), (0, np.array(scale))
        elif dtype == "bfloat16":
            stored[name] = (5, value.bfloat16().view(torch.uint16).numpy())
        else:
            half = dtype == "float16"
            stored[name] = (4, array.astype(np.float16)) if half else (0, array.astype(np.float32))
    data = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(stored))
    for name, (kind, array) in sorted(stored.items()):
        data += text(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        data += struct.pack("<BI", kind, array.nbytes) + array.tobytes()
    return data + struct.pack("<I", 1) + text("decoder/projection/weight") + text("decoder/embeddings/weight")


def openai(path: Path, seed: int = 0, **more: Any) -> Path:
    """A file as of openai/whisper, with the tokens beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tokenizer(path.parent)
    audio = {"n_mels": BINS, "n_audio_ctx": WINDOW, "n_audio_state": CHANNELS, "n_audio_head": 2}
    text = {"n_vocab": len(TOKENS), "n_text_ctx": LONGEST, "n_text_state": CHANNELS, "n_text_head": 2}
    dims = {**audio, **text, "n_audio_layer": LAYERS, "n_text_layer": LAYERS}
    names = (
        ("model.", ""),
        (".layers.", ".blocks."),
        ("decoder.layer_norm", "decoder.ln"),
        ("encoder.layer_norm", "encoder.ln_post"),
        ("embed_positions.weight", "positional_embedding"),
        ("embed_tokens", "token_embedding"),
        ("self_attn_layer_norm", "attn_ln"),
        ("encoder_attn_layer_norm", "cross_attn_ln"),
        ("final_layer_norm", "mlp_ln"),
        ("fc1", "mlp.0"),
        ("fc2", "mlp.2"),
        ("self_attn.", "attn."),
        ("encoder_attn.", "cross_attn."),
        ("q_proj", "query"),
        ("k_proj", "key"),
        ("v_proj", "value"),
        ("out_proj", "out"),
    )
    state = {}
    for name, tensor in weights(seed).items():
        for theirs, other in names:
            name = name.replace(theirs, other)
        state[name] = tensor.half()
    torch.save({"dims": {**dims, **more.pop("dims", {})}, "model_state_dict": state, **more}, path)
    return path


def write_parts(tensors: dict[str, Tensor], folder: Path) -> None:
    """Two files of weights, and the index of which has which."""
    names = sorted(tensors)
    where = {name: f"model-0000{1 + (number % 2)}-of-00002.safetensors" for number, name in enumerate(names)}
    for file in set(where.values()):
        save_file({name: tensors[name] for name in names if where[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
