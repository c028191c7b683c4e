"""A checkpoint is a folder: config.json, model.safetensors, units/NAME/tokens.json, maybe words/ for beam search."""

from __future__ import annotations

import os
import secrets
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from transducer.atomic import atomic_write
from transducer.errors import CheckpointError, UsageError
from transducer.model.config import ModelConfig, from_json, to_json
from transducer.model.migrations import FORMAT, migrate_document, migrate_weights
from transducer.model.names import CONFIG, UNITS, WEIGHTS, WORDS
from transducer.model.network import Network
from transducer.model.quantization import SCALE, dequantise, quantise
from transducer.model.skeleton import skeleton
from transducer.search.tokens.word_model import WordModel
from transducer.text.json_file import read_json, write_json
from transducer.text.tokenizers.files import load_tokenizer, save_tokenizer
from transducer.text.tokenizers.tokenizer import Tokenizer

CHECKSUM = "weights_crc32"  # in the config: of the file with the weights


def save_checkpoint(
    folder: str | Path,
    network: nn.Module,
    config: ModelConfig,
    units: Mapping[str, Tokenizer],
    dtype: torch.dtype = torch.float16,
    word_model: WordModel | None = None,
) -> None:
    """Write a checkpoint folder; it appears whole or not at all, and replaces one of the same name.

    Args:
        dtype: of the weights on disk; int8 stores matrices as bytes with a scale for each row. Buffers, such as
            statistics and filters of the front-end, stay as they are.
        word_model: lexicon and language model for beam search.

    Raises:
        OSError: as from writing; what was there before is still there.
        UsageError: the config's card is not JSON data.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial, old = (folder.with_name(f".{folder.name}-{secrets.token_hex(4)}.{end}") for end in ("new", "old"))
    partial.mkdir()
    try:
        kept = {name: value.contiguous() for name, value in network.state_dict().items()}
        weights = {name: kept.pop(name) for name in _statistics(network)}
        weights |= quantise(kept) if dtype == torch.int8 else {name: value.to(dtype) for name, value in kept.items()}
        data = save(weights)
        with atomic_write(partial / WEIGHTS, "wb") as file:
            file.write(data)
        model = to_json(config)
        document = {"format": FORMAT, "card": model.pop("card"), "model": model, CHECKSUM: zlib.crc32(data)}
        try:
            write_json(partial / CONFIG, document)
        except (TypeError, ValueError) as error:
            raise UsageError(f"the card of a model must be JSON data: {error}") from None
        for name, tokenizer in units.items():
            (partial / UNITS / name).mkdir(parents=True)
            save_tokenizer(tokenizer, partial / UNITS / name)
        if word_model is not None:
            word_model.save(partial / WORDS)
        # A folder cannot be replaced in one step; the old one is kept until the new one has its name.
        if folder.exists():
            os.replace(folder, old)
        os.replace(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _statistics(network: nn.Module) -> list[str]:
    """What a front-end or a norm has measured or was given, which is no weight."""
    stored = network.state_dict()
    return [name for name, _ in network.named_buffers() if name in stored]


def load_checkpoint(
    folder: str | Path, device: torch.device | str | None = None
) -> tuple[Network, dict[str, Tokenizer]]:
    """Read a checkpoint folder: the network in float32, ready to run, and its tokenizers by name.

    Args:
        device: where the network is to be, such as "cuda"; None for the main memory.

    Raises:
        CheckpointError: a file is missing or damaged, its version is newer, or keys or shapes do not match; the
            message names them.
        UsageError: there is no such device.
    """
    folder = Path(folder)
    config, document, version = _read_config(folder)
    if not config.heads:
        raise CheckpointError(f"{folder / CONFIG} describes a model without heads, which says nothing")
    stored = _read_weights(folder / WEIGHTS, document.get(CHECKSUM))
    try:
        network = skeleton(config, sum(weight.numel() for weight in stored.values()))
    except CheckpointError as error:
        raise CheckpointError(f"{folder / CONFIG} describes a model that cannot be built: {error}") from error
    weights = _weights_of(network, folder / WEIGHTS, migrate_weights(stored, version))
    network.load_state_dict(weights, assign=True)
    network.eval().requires_grad_(False)
    units = {name: load_tokenizer(folder / UNITS / name) for name in config.units}
    for name, size in config.units.items():
        if len(units[name]) != size:
            raise CheckpointError(
                f"{folder / UNITS / name} has {len(units[name])} tokens where {CONFIG} says {size}: "
                "take all files from one checkpoint"
            )
    if device is not None:
        try:
            network.to(device)
        except (RuntimeError, AssertionError) as error:
            raise UsageError(f"the device {device} cannot be used: {str(error).splitlines()[0]}") from None
    return network, units


def read_config(folder: str | Path) -> ModelConfig:
    """The config of a checkpoint folder. Raises CheckpointError where it is missing, damaged or too new."""
    return _read_config(Path(folder))[0]


def _read_config(folder: Path) -> tuple[ModelConfig, dict[str, Any], int]:
    """The config, the document it is in, and the format that this was written in."""
    path = folder / CONFIG
    if not path.exists():
        raise CheckpointError(f"{path} is missing: {folder} is no checkpoint folder")
    document = read_json(path)
    version: Any = document.get("format")
    if type(version) is int and version > FORMAT:
        raise CheckpointError(
            f"{path} has format {version}, this version of transducer reads up to {FORMAT}: update transducer"
        )
    try:
        newest = migrate_document(document, version)
        model = {**newest["model"], "card": newest["card"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(f"{path} is damaged: it is not a checkpoint's config") from None
    try:
        return from_json(model, ModelConfig), document, version
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _read_weights(path: Path, checksum: object) -> dict[str, torch.Tensor]:
    """What the file has, which has to be what was written."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: the checkpoint is incomplete; copy or train it again") from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
    try:
        stored = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged ({_line(error)}); copy or train it again") from None
    if checksum is not None and checksum != zlib.crc32(data):
        raise CheckpointError(f"{path} is damaged: its checksum is not the one in {CONFIG}; copy or train it again")
    return stored


def _weights_of(network: nn.Module, path: Path, stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights in float32, which are those that the network wants."""
    try:
        weights = dequantise(stored)
    except (ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged ({_line(error)}); copy or train it again") from None
    for name in weights:
        if name + SCALE in stored:
            # Far finer than their own steps, and the CPU has a fast kernel for float16: see transducer.model.packing.
            weights[name] = weights[name].half().float()
    wanted = network.state_dict()
    shared = wanted.keys() & weights.keys()
    problems = {
        "has no": wanted.keys() - weights.keys(),
        "has unknown": weights.keys() - wanted.keys(),
        "has other shapes for": {name for name in shared if wanted[name].shape != weights[name].shape},
    }
    found = [f"{what} {_some(sorted(names))}" for what, names in problems.items() if names]
    if found:
        raise CheckpointError(f"{path} {' and '.join(found)}: it does not belong to its {CONFIG}")
    if strange := [name for name, weight in weights.items() if not weight.isfinite().all()]:
        raise CheckpointError(f"{path} has numbers that are not finite in {_some(sorted(strange))}: train it again")
    return weights


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _some(names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
