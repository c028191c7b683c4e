"""The model of readable text and its files: readable.json, model.safetensors, vocabulary.txt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from transducer.atomic import atomic_write
from transducer.errors import CheckpointError, UsageError
from transducer.model.packing import pack_linears
from transducer.model.quantization import SCALE, dequantise, quantise
from transducer.model.sequence import State
from transducer.text.readable.features import NGRAMS, WordFeatures
from transducer.text.readable.labels import MARKS
from transducer.text.readable.network import ReadableConfig, ReadableNetwork, log_probabilities

FORMAT = 1
CONFIG, WEIGHTS, VOCABULARY = "readable.json", "model.safetensors", "vocabulary.txt"
DEFAULT = "readable-en"

Scores = tuple[np.ndarray, np.ndarray]  # log-probabilities of the marks after a word, and of its case


@dataclass(frozen=True)
class Pauses:
    """What a pause after a word says about the mark there.

    Attributes:
        edges: seconds, ascending; a pause of less than the first falls into bucket 0, and so on.
        scores: for each bucket, what to add to the log-probability of each mark: log p(pause | mark) / p(pause). The
            last bucket is that of a segment's end.
    """

    edges: tuple[float, ...] = ()
    scores: tuple[tuple[float, ...], ...] = ((0.0,) * len(MARKS),) * 2

    def of(self, seconds: float) -> tuple[float, ...]:
        """Scores for a pause inside a segment."""
        return self.scores[sum(seconds >= edge for edge in self.edges)]

    @property
    def of_end(self) -> tuple[float, ...]:
        """Scores for the pause that ends a segment."""
        return self.scores[-1]


class ReadableModel:
    """Words -> log-probabilities of marks and cases, one word at a time; it has no state of its own.

    Attributes:
        look_ahead: how many words have to follow before a word's scores come out.
        pauses: what pauses say.
        card: what it was trained on.
    """

    def __init__(self, network: ReadableNetwork, vocabulary: Sequence[str], pauses: Pauses, card: dict[str, Any]):
        self.network, self.vocabulary, self.pauses, self.card = network, tuple(vocabulary), pauses, card
        self.look_ahead = network.config.look_ahead
        self.features = WordFeatures(vocabulary, network.config.buckets)

    def init_state(self) -> State:
        return self.network.stages.init_state(1, torch.zeros(()))

    @torch.inference_mode()
    def step(self, words: Sequence[str], state: State, flush: bool = False) -> tuple[list[Scores], State]:
        """Take more words: (marks,) and (cases,) log-probabilities of those whose look-ahead is complete, or of all
        with `flush`; and the state. Pure: a flushed state is of no further use, and the one before it still is."""
        found = [self.features(word) for word in words]
        rows = torch.tensor([[row for row, _ in found]], dtype=torch.long)
        ngrams = torch.tensor([ngrams for _, ngrams in found], dtype=torch.long).view(1, len(found), NGRAMS)
        x = self.network.embed(rows, ngrams)
        exists = torch.ones(1, len(found), dtype=torch.bool)
        if flush:
            x = torch.nn.functional.pad(x, (0, 0, 0, self.look_ahead))
            exists = torch.nn.functional.pad(exists, (0, self.look_ahead))
        scores, exists, state = self.network.stages.step(x, exists, state)
        marks, cases = log_probabilities(scores[exists])
        return list(zip(marks.numpy(), cases.numpy(), strict=True)), state

    def save(self, folder: str | Path) -> None:
        """Write the model's files. Raises OSError as from writing."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / WEIGHTS, "wb") as file:
            file.write(save(quantise(self.network.state_dict())))
        with atomic_write(folder / VOCABULARY) as file:
            file.write("\n".join(self.vocabulary) + "\n")
        document = {
            "format": FORMAT,
            "config": asdict(self.network.config),
            "pauses": asdict(self.pauses),
            "card": self.card,
        }
        with atomic_write(folder / CONFIG) as file:
            file.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def load_readable(name_or_folder: str | Path = DEFAULT) -> ReadableModel:
    """The bundled model by its name, or one from its folder.

    Raises:
        UsageError: there is neither. CheckpointError: a file is missing, damaged or too new.
    """
    bundled = Path(str(resources.files("transducer") / "checkpoints" / str(name_or_folder)))
    folder = next((path for path in (bundled, Path(name_or_folder)) if path.is_dir()), None)
    if folder is None:
        raise UsageError(
            f"no model of readable text {str(name_or_folder)!r}: it is no folder, and {DEFAULT} is bundled"
        )
    try:
        document = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        version = document["format"]
        vocabulary = (folder / VOCABULARY).read_text(encoding="utf-8").split()
        stored = load((folder / WEIGHTS).read_bytes())
    except OSError as error:
        raise CheckpointError(f"cannot read {error.filename}: {error.strerror}; copy the model again") from None
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{folder} has a damaged file ({error}); copy the model again") from None
    if version != FORMAT:
        raise CheckpointError(f"{folder / CONFIG} has format {version}, and {FORMAT} is known: update transducer")
    try:
        config = ReadableConfig(**{**document["config"], "dilations": tuple(document["config"]["dilations"])})
        network = ReadableNetwork(config)
        # Far finer than the bytes' own steps, and the CPU has a fast kernel for float16: see transducer.model.packing.
        weights = {
            name: value.half().float() if name + SCALE in stored else value
            for name, value in dequantise(stored).items()
        }
        network.load_state_dict(weights)
        pauses = Pauses(tuple(document["pauses"]["edges"]), tuple(map(tuple, document["pauses"]["scores"])))
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"the files of {folder} do not belong together: {reason}; copy the model again") from None
    if len(vocabulary) + 1 != config.words:
        raise CheckpointError(
            f"{folder / VOCABULARY} has {len(vocabulary)} words, not {config.words - 1}; copy it again"
        )
    network.eval().requires_grad_(False)
    pack_linears(network)
    return ReadableModel(network, vocabulary, pauses, document.get("card", {}))
