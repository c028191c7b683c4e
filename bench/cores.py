"""All cores on one task of each shape, at an equal number of parameters: what they learn, cost and remember.

    python bench/cores.py [--output FOLDER] [--docs docs] [--steps 300] [--only "gru;mamba"] [--longest 100000]

Each core is trained on each task for so many steps at most, on one thread, and measured on sequences that it has not
seen. Writes a table (cores.md), the figures as JSON and two plots, and with `--docs` table and plots into the docs. The
sequences are made from seeds; no data are needed. What a folder has already is not measured again, so that core after
core can be measured when there is time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from core_speed import memory, peers, scan_ratio, state_bytes, step_seconds
from core_tasks import TASKS, Task

from transducer.cores.attention import ChunkAttention
from transducer.cores.bidirectional import BidirectionalConfig
from transducer.cores.conformer import ConformerConfig
from transducer.cores.full_attention import FullAttention, FullConformerConfig, FullTransformerConfig
from transducer.cores.independent import IndependentConfig
from transducer.cores.mamba import MambaConfig
from transducer.cores.recurrent import RecurrentConfig
from transducer.cores.tcn import TCNConfig
from transducer.cores.transformer import TransformerConfig
from transducer.encoders.projection import ProjectionConfig
from transducer.frontends.symbols import SymbolsConfig
from transducer.heads.head import Target
from transducer.model.config import CoreConfig, ModelConfig
from transducer.model.network import Network
from transducer.training.objectives import HeadLoss
from transducer.training.optimizer import Optimizers
from transducer.training.recipe import Phase

ROWS, LEARNED = 16, 0.95
EVERY = 25  # steps of training between two looks at what was not seen
POSITIONS = 300  # of recall, for each step of another task: the sum of the lengths that are trained on, at most
REACH = (64, 256, 1024, 4096)  # lengths at which recall is measured
LENGTHS = (1000, 10_000, 100_000)  # at which memory is measured
LONGEST_PAIRS = 10_000  # where each step attends to all others, 100,000 steps take minutes a layer


@dataclass(frozen=True)
class Entry:
    """A core of about 100,000 parameters, and one of about a million with 256 channels, whose step is timed."""

    small: CoreConfig
    wide: CoreConfig


CORES = {
    "independent": Entry(IndependentConfig(64, 256, 3), IndependentConfig(256, 1024, 2)),
    "tcn": Entry(TCNConfig(64, 192, 4), TCNConfig(256, 512, 4)),
    "rnn": Entry(RecurrentConfig("rnn", 160, 2), RecurrentConfig("rnn", 256, 8)),
    "rnn, residual": Entry(
        RecurrentConfig("rnn", 112, 4, residual=True), RecurrentConfig("rnn", 256, 8, residual=True)
    ),
    "lstm": Entry(RecurrentConfig("lstm", 80, 2), RecurrentConfig("lstm", 256, 2)),
    "gru": Entry(RecurrentConfig("gru", 92, 2), RecurrentConfig("gru", 256, 3)),
    "transformer": Entry(
        TransformerConfig(64, 4, 128, 3, chunk=1, left_context=64), TransformerConfig(256, 4, 512, 2, chunk=1)
    ),
    "conformer": Entry(
        ConformerConfig(64, 4, 80, 2, chunk=1, left_context=64), ConformerConfig(256, 4, 256, 2, chunk=1)
    ),
    "mamba": Entry(MambaConfig(64, 3), MambaConfig(256, 2)),
    "bidirectional gru": Entry(BidirectionalConfig("gru", 106, 2), BidirectionalConfig("gru", 256, 3)),
    "full transformer": Entry(FullTransformerConfig(64, 4, 128, 3), FullTransformerConfig(256, 4, 512, 2)),
    "full conformer": Entry(FullConformerConfig(64, 4, 80, 2), FullConformerConfig(256, 4, 256, 2)),
}


class Learner:
    """A core with what it needs for a task, and its optimizer.

    Attributes:
        step: of the optimizer, the next one. seconds: of the thread, that training took so far.
    """

    def __init__(self, core: CoreConfig, task: Task, steps: int):
        torch.manual_seed(0)
        frontend = SymbolsConfig(task.tokens, channels=32)
        config = ModelConfig(frontend, ProjectionConfig(), core, {"head": task.head}, {"labels": task.labels})
        self.task, self.step, self.seconds = task, 0, 0.0
        self.network = Network(config)
        self.head = self.network.heads["head"]
        phase = Phase("train", steps, (HeadLoss("head"),), warmup=30, learning_rate=3e-3, matrix_learning_rate=0.01)
        self.parts = Optimizers(self.network, phase)

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.network.parameters())

    def look_back(self, steps: int) -> None:
        """Causal attention gets a left context of so many steps."""
        for stage in self.network.modules():
            if isinstance(stage, ChunkAttention):
                stage.left_context = steps

    def train(self, x: np.ndarray, targets: list[Any]) -> float:
        """One step; the share of the targets that were right."""
        started = time.thread_time()
        self.network.train()
        outputs, mask = self._outputs(x)
        loss = self.head.loss(outputs, mask, targets)
        self.parts.zero_grad()
        loss.mean.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.parts.step(self.step)
        self.step += 1
        right = self._right(outputs, targets)
        self.seconds += time.thread_time() - started
        return right

    @torch.inference_mode()
    def accuracy(self, x: np.ndarray, targets: list[Any]) -> float:
        self.network.eval()
        return self._right(self._outputs(x)[0], targets)

    def _outputs(self, x: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        tokens, mask = torch.from_numpy(x).float().unsqueeze(-1), torch.ones(x.shape, dtype=torch.bool)
        return self.head(*self.network.encoder(*self.network.frontend(tokens, mask)))

    def _right(self, outputs: torch.Tensor, targets: list[Any]) -> float:
        """Of labels, or of whole sequences of tokens."""
        best = outputs.detach().argmax(-1).numpy()
        if self.head.target is Target.LABEL:
            return float(np.mean(best[:, -1] == np.array(targets)))
        if self.head.target is Target.LABELS:
            labels = np.stack(targets)
            return float(np.mean(best[labels >= 0] == labels[labels >= 0]))
        found = [[token for token, _ in itertools.groupby(row.tolist()) if token] for row in best]
        return float(np.mean([a == b for a, b in zip(found, targets, strict=True)]))


def learn(core: CoreConfig, task: Task, steps: int) -> dict[str, float | None]:
    """Accuracy on what was not seen, steps per second, and seconds until `LEARNED` of it was right; None if never."""
    learner, rng = Learner(core, task, steps), np.random.default_rng(1)
    unseen = task.make(np.random.default_rng(2), 200, task.steps)
    accuracy, soon = 0.0, None
    while learner.step < steps and accuracy < 0.995:
        learner.train(*task.make(rng, ROWS, task.steps))
        if learner.step % EVERY == 0 or learner.step == steps:
            accuracy = learner.accuracy(*unseen)
            soon = learner.seconds if soon is None and accuracy >= LEARNED else soon
    return {"accuracy": accuracy, "steps_per_second": learner.step / learner.seconds, "seconds": soon}


def reach(core: CoreConfig, total: int, lengths: Sequence[int] = REACH) -> dict[int, float]:
    """Accuracy of recall by length, after training on lengths that double once they are mastered."""
    task = TASKS["recall"]
    learner, rng = Learner(core, task, total), np.random.default_rng(1)
    steps, recent, trained, most = 16, [], 0, POSITIONS * total
    for _ in range(2 * total):
        if trained >= most or (steps == lengths[-1] and _mastered(recent)):
            break
        if steps < lengths[-1] and _mastered(recent):
            steps, recent = 2 * steps, []
        learner.look_back(steps)
        learner.step = total * trained // most
        recent.append(learner.train(*task.make(rng, max(2, 1024 // steps), steps)))
        trained += steps
    found = {}
    for length in lengths:
        learner.look_back(length)
        parts = [learner.accuracy(*task.make(np.random.default_rng(length + n), 8, length)) for n in range(8)]
        found[length] = float(np.mean(parts))
    return found


def _mastered(recent: list[float]) -> bool:
    return len(recent) >= 10 and float(np.mean(recent[-10:])) >= LEARNED


def costs(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Of a core with 256 channels a step and the state of a stream; of a small one the memory of a pass."""
    entry = CORES[name]
    attends = any(isinstance(stage, FullAttention) for layer in entry.small.build() for stage in layer.modules())
    longest = min(args.longest, LONGEST_PAIRS) if attends else args.longest
    return {
        "step_ms": None if (seconds := step_seconds(entry.wide)) is None else 1000 * seconds,
        "wide_parameters": sum(p.numel() for layer in entry.wide.build() for p in layer.parameters()),
        "state_kb": None if (size := state_bytes(entry.wide)) is None else size / 1024,
        "memory_mb": memory(entry.small, [length for length in LENGTHS if length <= longest]),
    }


def lessons(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """What a small core learns."""
    core = CORES[name].small
    return {
        "parameters": Learner(core, TASKS["brackets"], 1).parameters,
        "tasks": {title: learn(core, task, args.steps) for title, task in TASKS.items() if title != "recall"},
        "recall": reach(core, args.steps, args.reach),
    }


def main() -> None:
    from core_report import draw, into_docs, table

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("cores"))
    parser.add_argument("--steps", type=int, default=300, help="of training, for each core and task")
    parser.add_argument("--longest", type=int, default=100_000, help="sequence whose memory is measured")
    parser.add_argument("--reach", type=int, nargs="+", default=REACH, help="lengths of recall, powers of two from 16")
    parser.add_argument("--only", help="names of cores, with semicolons")
    parser.add_argument("--docs", type=Path, help="a folder with cores.md, into which table and plots are written")
    args = parser.parse_args()
    chosen = args.only.split(";") if args.only else list(CORES)
    if unknown := set(chosen) - set(CORES):
        parser.error(f"unknown core {min(unknown)!r}: there are {', '.join(CORES)}")
    torch.set_num_threads(1)
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / "cores.json"
    found: dict[str, Any] = {"cores": {}, "steps": args.steps}
    if path.exists():
        found = json.loads(path.read_text())
        if found["steps"] != args.steps:
            parser.error(f"{path} was measured after {found['steps']} steps of training: choose another --output")
    work: dict[str, Callable[[], Any]] = {
        "scan": lambda: {f"{channels} channels": scan_ratio(2048, channels) for channels in (128, 512)},
        "peers": peers,
    }
    for name, run in work.items():
        if name not in found:
            found[name] = run()
            path.write_text(json.dumps(found, indent=1))
    parts: dict[str, Callable[[str, argparse.Namespace], dict[str, Any]]] = {"step_ms": costs, "recall": lessons}
    for known, part in parts.items():
        for name in chosen:
            row = found["cores"].setdefault(name, {})
            if known not in row:
                row.update(part(name, args))
                path.write_text(json.dumps(found, indent=1))
                print(name, json.dumps(row), flush=True)
    found["cores"] = {name: found["cores"][name] for name in CORES if name in found["cores"]}
    text = table(found)
    (args.output / "cores.md").write_text(text)
    draw(found, args.output)
    if args.docs is not None:
        into_docs(text, args.docs / "cores.md")
        draw(found, args.docs / "images")
    print(text)


if __name__ == "__main__":
    main()
