"""A core, a head with a search of its own, and a medium, each defined here: the package knows nothing of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from contract import verify_contract, verify_lookahead
from torch import Tensor, nn

import transducer
from transducer.cli import main
from transducer.cores.bidirectional import BidirectionalConfig
from transducer.cores.recurrent import RecurrentConfig
from transducer.data.pairs import Pair
from transducer.heads.framewise import FramewiseConfig
from transducer.heads.head import Head, Loss, Target
from transducer.media.medium import Block, BlockReader
from transducer.model.config import (
    CoreConfig,
    EncoderConfig,
    FrontendConfig,
    HeadConfig,
    ModelConfig,
    from_json,
    register,
    to_json,
)
from transducer.model.sequence import Streaming, apply_mask
from transducer.search.builder import Source
from transducer.text.tokenizers.labels import Labels
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe
from transducer.training.run import train

# A core: a leaky sum, in one class.


@register("toy_leak")
@dataclass(frozen=True)
class LeakConfig(CoreConfig):
    channels: int = 8
    leak: float = 0.5

    def build(self) -> list[Streaming]:
        return [Leak(self.channels, self.leak)]

    @classmethod
    def examples(cls) -> list[LeakConfig]:
        return [cls(4)]


class Leak(Streaming):
    def __init__(self, channels: int, leak: float):
        super().__init__()
        self.channels, self.leak, self.mix = channels, leak, nn.Linear(channels, channels)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        y, mask, _ = self.step(x, mask, self.init_state(x.shape[0], x))
        return y, mask

    def init_state(self, batch: int, like: Tensor) -> Tensor:
        return like.new_zeros(batch, self.channels)

    def step(self, x: Tensor, mask: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = []
        for row in torch.tanh(self.mix(apply_mask(x, mask))).unbind(dim=1):
            state = self.leak * state + row
            found.append(state)
        return torch.stack(found, dim=1), mask, state


# A medium: numbers, ten a second, from text files with a number a line.


@dataclass(frozen=True)
class Numbers:
    columns: int = 2

    name = "numbers"
    dtype = np.dtype(np.float32)
    rate = Fraction(10)
    steady, read_ahead = True, False
    options = ()

    @property
    def channels(self) -> int:
        return self.columns

    def block_for(self, reader: BlockReader) -> int | None:
        return None

    def facts(self, lookahead: int) -> dict[str, Any]:
        return {"columns": self.columns}

    def check(self, x: Any) -> np.ndarray:
        array = np.asarray(x, np.float32)
        if array.ndim != 2 or array.shape[1] != self.columns:
            raise transducer.UsageError(f"numbers must be (N, {self.columns})")
        return array

    def open(self, source: Any, block: int | None = None) -> BlockReader:
        rows = self.check([[float(cell) for cell in line.split()] for line in Path(source).read_text().splitlines()])
        return BlockReader(_Lines(str(source), rows), self._blocks(rows), lambda: self.rate)

    def _blocks(self, rows: np.ndarray) -> Iterator[Block]:
        for start in range(0, len(rows), 7):
            yield Block(rows[start : start + 7], None, None)


@dataclass
class _Lines:
    name: str
    rows: np.ndarray
    position: float = 0.0
    warnings: list[str] = field(default_factory=list)

    @property
    def duration(self) -> float:
        return len(self.rows) / 10

    def close(self) -> None:
        pass


@register("toy_numbers")
@dataclass(frozen=True)
class NumbersConfig(FrontendConfig):
    columns: int = 2

    def build(self) -> Plain:
        return Plain(self.columns)

    def medium(self, units: object = None) -> Numbers:
        return Numbers(self.columns)


class Plain(Streaming):
    def __init__(self, columns: int):
        super().__init__()
        self.columns = columns

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return apply_mask(x, mask), mask

    def init_state(self, batch: int, like: Tensor) -> tuple:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple) -> tuple[Tensor, Tensor, tuple]:
        return *self(x, mask), state


@register("toy_linear")
@dataclass(frozen=True)
class LinearConfig(EncoderConfig):
    def build(self, frontend: Streaming, channels: int) -> Streaming:
        return Linear(frontend.columns, channels)


class Linear(Plain):
    def __init__(self, columns: int, channels: int):
        super().__init__(columns)
        self.linear = nn.Linear(columns, channels)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.linear(apply_mask(x, mask)), mask


# A head with a search of its own: how often a label begins.


class Count(NamedTuple):
    label: str
    at: float


class CountState(NamedTuple):
    step: int = 0
    last: int = 0


@register("toy_counter")
@dataclass(frozen=True)
class CounterConfig(HeadConfig):
    units: str = "labels"

    def build(self, channels: int, model: ModelConfig) -> Counter:
        head = Counter(channels, model.units[self.units])
        head.config = self
        return head


class Counter(Head):
    target = Target.LABELS

    def __init__(self, channels: int, labels: int):
        super().__init__()
        self.size, self.linear = labels, nn.Linear(channels, labels)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.linear(x).log_softmax(-1), mask

    def init_state(self, batch: int, like: Tensor) -> tuple:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple) -> tuple[Tensor, Tensor, tuple]:
        return *self(x, mask), state

    def loss(self, outputs: Tensor, mask: Tensor, targets: Sequence[Any], weights: Tensor | None = None) -> Loss:
        total = outputs.new_zeros(())
        for row, target in zip(outputs.float(), targets, strict=True):
            total = total + nn.functional.nll_loss(row[: len(target)], torch.from_numpy(target), reduction="sum")
        return Loss(total, sum(map(len, targets)))

    def metric(self) -> Any:
        from transducer.heads.metrics import LabelAccuracy

        return LabelAccuracy(self.size)

    def search(self, context: Any) -> CountSearch:
        return CountSearch(context.tokenizer.tokens)


class CountSearch:
    kind = "counts"

    def __init__(self, labels: Sequence[str]):
        self.labels = labels

    def init(self) -> CountState:
        return CountState()

    def step(self, states: Sequence[CountState], outputs: Sequence[Any]) -> list[tuple[CountState, list[Any]]]:
        results = []
        for (step, last), rows in zip(states, outputs, strict=True):
            found = []
            for label in rows.argmax(axis=1).tolist():
                if label and label != last:
                    found.append((self.labels[label], step))
                step, last = step + 1, label
            results.append((CountState(step, last), found))
        return results

    def flush(self, state: CountState) -> tuple[CountState, list[Any]]:
        return state._replace(last=0), []

    def idle(self, state: CountState) -> int:
        return 0

    def needed(self, state: CountState) -> set[int]:
        return set()

    def times_of(self, item: Any) -> set[int]:
        return {item[1]}

    def result(self, item: Any, clock: Any) -> Count:
        return Count(item[0], clock.seconds(item[1]))

    def builder(self, keep: bool, scores: bool) -> Counts:
        return Counts()

    def facts(self) -> dict[str, Any]:
        return {"counts": list(self.labels[1:])}


class Counts:
    def __init__(self) -> None:
        self.found: dict[str, int] = {}

    def block(self, block: Block) -> None:
        pass

    def outputs(self, outputs: np.ndarray, begins: list[bool]) -> None:
        pass

    def add(self, result: Count) -> bool:
        self.found[result.label] = self.found.get(result.label, 0) + 1
        return True

    def close(self, source: Source) -> None:
        pass

    def result(self, source: Source) -> dict[str, int]:
        return dict(self.found)


UNITS = Labels(["up", "down"])
TOYS = ModelConfig(
    NumbersConfig(),
    LinearConfig(),
    LeakConfig(8),
    {"counts": CounterConfig()},
    {"labels": len(UNITS)},
    chunks=(1,),
)
# Each toy alone beside parts of the package.
MODELS = {
    "all": TOYS,
    "core": replace(TOYS, heads={"counts": FramewiseConfig("labels")}),
    "head": replace(TOYS, core=RecurrentConfig("gru", 8, 1)),
    "medium": replace(TOYS, core=RecurrentConfig("gru", 8, 1), heads={"counts": FramewiseConfig("labels")}),
    "medium, does not stream": replace(TOYS, core=BidirectionalConfig("gru", 8, 1)),
}


@dataclass
class Waves:
    """Columns that go up or down now and then."""

    size: int = 40

    def __len__(self) -> int:
        return self.size

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        shape = np.random.default_rng(index)
        labels = np.repeat(shape.integers(0, 3, 6), 5).astype(np.int64)
        x = shape.normal(0, 0.1, (30, 2)).astype(np.float32)
        x[:, 0] += labels == 1
        x[:, 1] += labels == 2
        return Pair(x, labels, f"wave {index}")


@pytest.mark.parametrize("name", MODELS)
def test_toys_train_stream_save_load_and_appear(name, tmp_path, capsys):
    config = MODELS[name]
    assert from_json(json.loads(json.dumps(to_json(config)))) == replace(config, card={})
    phase = Phase("train", 120, (HeadLoss("counts"),), batch_frames=300, warmup=5, bf16=False)
    recipe = Recipe(
        name="toy", model=config, units={"labels": UNITS}, train=Waves(), dev=Waves(5), phases=(phase,), workers=0
    )
    folder = train(recipe, tmp_path / "run")
    model = transducer.load(folder)
    pair = Waves().pair(100, np.random.default_rng(0))

    stream = model.stream()
    whole = stream.push(pair.x) + stream.finish()
    pieces = model.stream()
    found = [result for row in np.split(pair.x, [1, 2, 9, 20]) for result in pieces.push(row)] + pieces.finish()
    assert found == whole
    edges = np.flatnonzero(np.diff(pair.y, prepend=0))
    truth = [(UNITS.tokens[pair.y[edge]], edge / 10) for edge in edges if pair.y[edge]]
    said = [(r.label, r.at) if isinstance(r, Count) else (r.label, r.start) for r in whole]
    assert [label for label, _ in said] == [label for label, _ in truth]
    assert all(math.isclose(a, b, abs_tol=0.25) for (_, a), (_, b) in zip(said, truth, strict=True))

    source = tmp_path / "numbers.txt"
    source.write_text("".join(f"{a} {b}\n" for a, b in pair.x.tolist()))
    result = model.predict(source)
    if isinstance(result, dict):
        assert sum(result.values()) == len(whole)
    else:
        assert [event.label for event in result.events] == [label for label, _ in said]
    assert main(["info", str(folder), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["columns"] == 2 and facts["parameters"] > 0


@pytest.mark.parametrize("stage", [Leak(4, 0.5), Linear(3, 4)], ids=["core", "encoder"])
def test_toys_are_under_the_law(stage):
    stage = stage.double()
    channels = 4 if isinstance(stage, Leak) else 3
    verify_contract(stage, channels, [7, 3], [1, 2], seed=0)
    verify_lookahead(stage, channels, 6)


def test_the_package_knows_no_toy():
    for path in Path(transducer.__file__).parent.rglob("*.py"):
        assert "toy_" not in path.read_text()
