"""Several processes that train one network together."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lights import recipe_of
from training_fixtures import batch_of, pair_of, tiny_network, without_times

from transducer.data.loader import collate
from transducer.training.loop import Trainer
from transducer.training.objectives import HeadLoss
from transducer.training.ranks import Ranks
from transducer.training.recipe import Phase
from transducer.training.run import train

RANK_ROWS = [[("one", "ab", 60), ("two", "cab", 41)], [("three", "bee", 44)]]


class Batches:
    """The same batch again and again."""

    def __init__(self, batch):
        self.batch = batch

    def stream(self, *position):
        while True:
            yield self.batch


def merged_batch():
    return collate([pair_of(*row, seed) for rows in RANK_ROWS for seed, row in enumerate(rows)], "encoder")


def train_in_rank(rank: int, folder: Path, queue: multiprocessing.Queue | None = None) -> tuple[Trainer, list]:
    ranks = Ranks.join()
    batch = batch_of(RANK_ROWS[rank]) if queue is not None else merged_batch()
    # Without Muon, which works in bf16 and would show another order of sums.
    objectives = HeadLoss("characters"), HeadLoss("phones", 0.5)
    phase = Phase("p", 3, objectives, warmup=1, clip=0.5, matrix_learning_rate=0.0, bf16=False)
    trainer = Trainer(tiny_network(), Batches(batch), phase, folder / f"{ranks.world}", 1, ranks)
    numbers: list[dict[str, float]] = []
    trainer.run(lambda step, report: numbers.append(without_times(report)), save_every=3)
    if queue is not None:
        queue.put((rank, numbers))
        ranks.leave()
    return trainer, numbers


def runs_in_rank(rank: int, folder: Path, queue: multiprocessing.Queue) -> None:
    """Whole runs on pairs, as torchrun starts them: one, and one that is stopped and goes on."""
    made = []
    for number, (name, steps) in enumerate((("whole", 1000), ("parts", 4), ("parts", 1000))):
        if number:  # a run leaves its group at the end
            join(rank, folder / f"meeting-{number}")
        asked = iter(range(steps))
        recipe = recipe_of(workers=1)
        made.append(
            train(recipe, folder / name, resume=number == 2, stop=lambda asked=asked: next(asked, None) is None)
        )
    queue.put((rank, made))


def join(rank: int, meeting: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    torch.set_num_threads(1)


def in_two_processes(work: Callable, folder: Path) -> dict:
    """rank -> what each of two processes puts into a queue."""
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this torch has no gloo")
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_start, args=(work, rank, folder, queue)) for rank in range(2)]
    for process in processes:
        process.start()
    found = dict(queue.get(timeout=300) for _ in processes)
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    return found


def _start(work: Callable, rank: int, folder: Path, queue: multiprocessing.Queue) -> None:
    join(rank, folder / "meeting")
    work(rank, folder, queue)


def test_two_ranks_are_one_with_both_batches(tmp_path):
    reports = in_two_processes(train_in_rank, tmp_path)
    alone, expected = train_in_rank(0, tmp_path)
    # Rank 1 has no target for phones: its share of that loss is none.
    assert reports[0] == reports[1]
    for ours, theirs in zip(reports[0], expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    together = torch.load(tmp_path / "2" / "p.pt", weights_only=True)
    for name, value in alone.network.state_dict().items():
        torch.testing.assert_close(together["network"][name], value, atol=2e-5, rtol=1e-4, msg=name)


def test_a_run_on_pairs_in_two_processes_resumes_exactly(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    made = [whole / "lights", None, parts / "lights"]
    assert in_two_processes(runs_in_rank, tmp_path) == {0: made, 1: made}
    states = [torch.load(folder / "phases" / "train.pt", weights_only=True) for folder in (whole, parts)]
    assert states[0]["positions"] == states[1]["positions"] and len(states[0]["positions"]) == 2
    for name, value in states[0]["network"].items():
        assert torch.equal(value, states[1]["network"][name]), name
    assert (whole / "report.md").is_file() and os.path.exists(whole / "lights" / "config.json")
    assert json.loads((whole / "run.json").read_text())["name"] == "lights"
