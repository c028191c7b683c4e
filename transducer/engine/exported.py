"""An exported model's folder: export.json, graphs of ONNX with their weights, tokenizers, maybe words/. No PyTorch."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from transducer.engine.onnx_backend import Graph, OnnxBackend, OnnxPredictor, Stretch, onnxruntime, open_graph
from transducer.errors import CheckpointError, UsageError
from transducer.media.described import described
from transducer.model.config import DecodingConfig, from_json
from transducer.model.names import EXPORTED as DOCUMENT
from transducer.model.names import UNITS
from transducer.search.context import SearchContext
from transducer.search.events.rules import EventRules
from transducer.search.result_search import ResultSearch
from transducer.search.searching import CTCSearching, EventSearching, RNNTSearching
from transducer.text.json_file import read_json
from transducer.text.tokenizers.files import load_tokenizer
from transducer.text.tokenizers.tokenizer import Tokenizer

FORMAT = 1
DAMAGED = "export the model again"


@dataclass(frozen=True)
class ExportedHead:
    """See `transducer.engine.networks.SearchedHead`.

    Attributes:
        units: name of the units that it writes. tag: of its config. searching: see `transducer.search.searching`.
        predictor: its trained parts that a search needs; None without any.
    """

    units: str
    tag: str
    stride: int
    delay: int
    searching: Any
    predictor: Any = None

    def search(self, context: SearchContext) -> ResultSearch[Any, Any]:
        if isinstance(self.searching, RNNTSearching):
            parts: OnnxPredictor = self.predictor()
            # A product of one row is that of one row, whoever else is there.
            return self.searching.build(context, parts, parts.joint, tile=1)
        found: ResultSearch[Any, Any] = self.searching.build(context)
        return found


@dataclass(frozen=True)
class ExportedConfig:
    """What is left of a `ModelConfig`."""

    heads: dict[str, ExportedHead]
    chunks: tuple[int, ...]
    decoding: DecodingConfig
    events: EventRules | None
    language: str
    card: dict[str, Any]


class ExportedNetworks:
    """See `transducer.engine.networks.Networks`.

    Raises:
        CheckpointError: a file is missing or damaged, or of another version. UsageError: no onnxruntime, or another
            device than the CPU.
    """

    def __init__(self, folder: Path, device: Any = "cpu"):
        onnxruntime()
        if str(device) not in ("cpu", "auto"):
            raise UsageError(
                f"an exported model computes on the CPU, not on {device!s:.40}: load its checkpoint for that"
            )
        self.folder, self.device = folder, "cpu"
        document = read_json(folder / DOCUMENT)
        if document.get("format") != FORMAT:
            raise CheckpointError(
                f"{folder / DOCUMENT} has format {document.get('format')}, this version of transducer reads {FORMAT}: "
                f"{DAMAGED}"
            )
        try:
            self._open(document)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CheckpointError(f"{folder / DOCUMENT} is damaged: {DAMAGED}") from None

    def _open(self, document: dict[str, Any]) -> None:
        self._files: dict[str, int] = document["files"]
        for name, crc in self._files.items():
            self._check(name, crc)
        model = document["model"]
        self.units: dict[str, Tokenizer] = {name: load_tokenizer(self.folder / UNITS / name) for name in model["units"]}
        self.medium = described(document["medium"], self.units)
        self.hop, self.parameters = int(model["hop"]), int(model["parameters"])
        self._stages, self._alone = model["stages"], bool(document["int8"])
        self._networks: dict[int, Any] = {entry["chunk"]: entry for entry in document["networks"]}
        self._predictor = lru_cache(maxsize=None)(self._open_predictor)
        self.config = ExportedConfig(
            {name: self._head(name, head) for name, head in model["heads"].items()},
            tuple(model["chunks"]),
            from_json(model["decoding"], DecodingConfig),
            None if model["events"] is None else from_json(model["events"], EventRules),
            model["language"],
            model["card"],
        )

    @property
    def heads(self) -> dict[str, ExportedHead]:
        """See `Networks`."""
        return self.config.heads

    def head(self, name: str, chunk: int) -> ExportedHead:
        """See `Networks`."""
        return self.config.heads[name]

    def backend(self, names: tuple[str, ...], chunk: int) -> OnnxBackend:
        """See `Networks`. Raises UsageError for a chunk that was not exported."""
        if chunk not in self._networks:
            milliseconds = float(self.hop * 1000 / self.medium.rate)
            there = ", ".join(f"{known * milliseconds:g}" for known in self._networks)
            raise UsageError(
                f"the model was exported for chunks of {there} ms, not of {chunk * milliseconds:g} ms: "
                "export it again with --chunk-ms"
            )
        entry = self._networks[chunk]
        facts = entry["heads"][names[0]]
        stretches = [
            Stretch(
                steps, self._graph(file), tuple(self._graph(entry["heads"][name]["files"][place]) for name in names)
            )
            for place, (steps, file) in enumerate(zip(entry["steps"], entry["encoder"], strict=True))
        ]
        return OnnxBackend(stretches, facts["stride"], facts["latency"], facts["lookahead"], self._alone)

    def stages(self) -> list[dict[str, Any]]:
        """See `Networks`."""
        return list(self._stages)

    def _head(self, name: str, head: dict[str, Any]) -> ExportedHead:
        searching = from_json(head["searching"])
        if not isinstance(searching, CTCSearching | EventSearching | RNNTSearching):
            raise TypeError
        return ExportedHead(
            head["units"], head["tag"], head["stride"], head["delay"], searching, lambda: self._predictor(name)
        )

    def _open_predictor(self, name: str) -> OnnxPredictor:
        return OnnxPredictor(self._graph(f"{name}-predictor.onnx"), self._graph(f"{name}-joint.onnx"))

    def _graph(self, name: str) -> Graph:
        return open_graph((self.folder / name).resolve(), self._files[name])

    def _check(self, name: str, crc: int) -> None:
        path = self.folder / name
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise CheckpointError(
                f"{path} is missing: the exported model is incomplete; copy or export it again"
            ) from None
        except OSError as error:
            raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
        if zlib.crc32(data) != crc:
            raise CheckpointError(f"{path} is damaged: its checksum is not the one in {DOCUMENT}; {DAMAGED}")
