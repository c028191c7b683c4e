"""A model as a folder that `transducer.load` runs with onnxruntime alone."""

from __future__ import annotations

import os
import secrets
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from torch import Tensor

from transducer.engine.exported import FORMAT
from transducer.engine.model import Model
from transducer.engine.torch_networks import TorchNetworks
from transducer.errors import UsageError
from transducer.export.check import Check, check
from transducer.export.graph import OPSET
from transducer.export.step import function_graphs, stage_graphs
from transducer.export.weights import Weights
from transducer.heads.rnnt import RNNT
from transducer.media.described import describe
from transducer.model.config import to_json
from transducer.model.names import CONFIG, EXPORTED, WEIGHTS
from transducer.model.network import Network
from transducer.model.sequence import Serial, Streaming, share_weights, split_at_whole
from transducer.search.searching import RNNTSearching
from transducer.text.json_file import write_json

MORE = 16  # blocks that are also run at a time, where sources give many at once


class Exported(NamedTuple):
    """What came of an export.

    Attributes:
        size: bytes of the folder.
        check: how it compares with PyTorch.
    """

    size: int
    check: Check


def export(
    model: Model,
    folder: str | Path,
    int8: bool = False,
    chunks_ms: Sequence[float] = (),
    recordings: Sequence[str | Path] = (),
) -> Exported:
    """Write the folder; it appears whole or not at all, and replaces an exported model of the same name.

    Args:
        int8: matrices of bytes, which take a quarter of the room, and rounded inputs.
        chunks_ms: chunks that it is to run with; those that it was trained for if none are given.
        recordings: sources that it is compared on; without any it is compared on noise.

    Raises:
        UsageError: the model is exported already, needs the whole source, has a head or does what cannot be exported,
            or the folder is something else; or its results are not those of PyTorch.
    """
    folder, networks = Path(folder), model.networks
    if not isinstance(networks, TorchNetworks):
        raise UsageError(f"the model {model.name} is exported already: export its checkpoint")
    if folder.exists() and not (folder / EXPORTED).is_file():
        raise UsageError(f"{folder} is there already, and no exported model: name another folder")
    partial = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}.new")
    try:
        partial.mkdir(parents=True)
        _write(model, networks, partial, int8, [model.chunk_steps(ms) for ms in chunks_ms])
        found = check(model, Model(partial), recordings, exact=not int8)
        old = folder.with_name(f"{partial.name}.old")
        if folder.exists():
            os.replace(folder, old)
        os.replace(partial, folder)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Exported(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()), found)


def _write(model: Model, networks: TorchNetworks, folder: Path, int8: bool, chunks: Sequence[int]) -> None:
    config, weights = model.config, Weights()
    default = model.chunk_steps(None)
    chunks = sorted(set(chunks) or {*config.chunks, default}) if model.medium.steady else [default]
    entries = [_graphs(model, networks.network, chunk, folder, int8, weights) for chunk in chunks]
    heads = {}
    for name, head in networks.heads.items():
        searching = head.searching()
        heads[name] = {
            "units": config.heads[name].units,
            "tag": config.heads[name].tag,
            "stride": head.stride,
            "delay": head.delay,
            "searching": to_json(searching),
        }
        if isinstance(searching, RNNTSearching):
            assert isinstance(head, RNNT)
            _save(_predictor(head, int8), folder / f"{name}-predictor.onnx", weights)
            _save(_joint(head, int8), folder / f"{name}-joint.onnx", weights)
    weights.write(folder)
    files = {path.name: zlib.crc32(path.read_bytes()) for path in sorted(folder.iterdir())}
    for path in model.folder.iterdir():  # tokenizers, lexicon, and what else a model keeps beside its network
        if path.name not in (CONFIG, WEIGHTS) and not path.name.startswith("."):
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, folder / path.name)
    document = {
        "format": FORMAT,
        "opset": OPSET,
        "int8": int8,
        "medium": describe(model.medium, model.units),
        "model": {
            "units": sorted(model.units),
            "heads": heads,
            "chunks": _kept(config.chunks, chunks),
            "decoding": to_json(replace(config.decoding, second_pass=None)),  # exported models run alone
            "events": None if config.events is None else to_json(config.events),
            "language": config.language,
            "card": config.card,
            "hop": networks.hop,
            "parameters": networks.parameters,
            "stages": networks.stages(),
        },
        "networks": entries,
        "files": files,
    }
    write_json(folder / EXPORTED, document)


def _kept(trained: Sequence[int], chunks: Sequence[int]) -> list[int]:
    """The chunks that a model says that it has, of which the middle one is its default."""
    return [chunk for chunk in trained if chunk in chunks] or list(chunks)


def _graphs(model: Model, plain: Network, chunk: int, folder: Path, int8: bool, weights: Weights) -> dict[str, Any]:
    """The graphs for a chunk: up to the heads, and of each head."""
    network = share_weights(plain)
    network.set_chunk(chunk)
    stem = Serial(network.frontend, network.encoder)
    for name, head in network.heads.items():
        if split_at_whole(Serial(stem, head))[1] is not None:
            raise UsageError(
                f"the model {model.name} cannot be exported: its head {name} needs the whole source before it says "
                "anything, and what is exported runs step by step"
            )
    whole = {name: Serial(network.frontend, network.encoder, head) for name, head in network.heads.items()}
    unit = int(np.lcm.reduce([stage.block for stage in whole.values()]))
    lengths = [int(np.lcm(chunk * network.hop, unit))] if model.medium.steady else [MORE * unit, unit]
    ends = [f"{chunk}{'-more' * (place + 1 < len(lengths))}.onnx" for place in range(len(lengths))]

    def save(name: str, stage: Streaming, steps: list[int], channels: int, dtype: np.dtype[Any]) -> list[str]:
        files = [f"{name}-{end}" for end in ends]
        for file, graph in zip(files, stage_graphs(stage, steps, channels, dtype, int8), strict=True):
            _save(graph, folder / file, weights)
        return files

    files = save("encoder", stem, lengths, model.medium.channels, model.medium.dtype)
    channels = model.config.cores[0].channels
    heads = {}
    for head_name, head in network.heads.items():
        serial = whole[head_name]
        steps = [length // stem.stride for length in lengths]
        names = save(head_name, head, steps, channels, np.dtype(np.float32))
        facts = {"stride": serial.stride, "latency": serial.latency, "lookahead": serial.lookahead}
        heads[head_name] = {**facts, "files": names}
    return {"chunk": chunk, "steps": lengths, "encoder": files, "heads": heads}


def _predictor(head: RNNT, int8: bool) -> onnx.ModelProto:
    def read(tokens: Tensor, state: Any) -> tuple[Sequence[Tensor], Any]:
        output, state = head.predictor.extend(tokens, state)  # type: ignore[arg-type]  # a tensor is a sequence, too
        return (output,), state

    def states(batch: int) -> Any:
        return torch.utils._pytree.tree_map(lambda x: x.expand(batch, *x.shape[1:]).clone(), head.predictor.start())

    def inputs(batch: int) -> dict[str, Tensor]:
        return {"tokens": torch.zeros(batch, dtype=torch.int64)}

    return function_graphs(read, [inputs], states, ("output",), int8)[0]


def _joint(head: RNNT, int8: bool) -> onnx.ModelProto:
    def inputs(batch: int) -> dict[str, Tensor]:
        hidden = head.out.in_features
        return {"frames": torch.zeros(batch, hidden), "outputs": torch.zeros(batch, hidden)}

    def joint(frames: Tensor, outputs: Tensor, state: Any) -> tuple[Sequence[Tensor], Any]:
        return (head.joint(frames, outputs),), state

    return function_graphs(joint, [inputs], lambda batch: (), ("log_probs",), int8)[0]


def _save(model: onnx.ModelProto, path: Path, weights: Weights) -> None:
    weights.take(model)
    path.write_bytes(model.SerializeToString())
