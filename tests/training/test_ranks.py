"""Several processes that train one network together."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import torch
from training_fixtures import UNITS, batch_of, tiny_network, without_times

from transducer.training.loop import PhaseTrainer
from transducer.training.ranks import Ranks
from transducer.training.recipe import Phase
from transducer.training.targets import Targets

RANK_ROWS = [[("one", "ab", 60), ("two", "cab", 41)], [("three", "bee", 44)]]


class Batches:
    """The same batch again and again."""

    def __init__(self, batch):
        self.batch = batch

    def stream(self, epoch, step):
        while True:
            yield self.batch


def merged_batch():
    whole = batch_of([row for rows in RANK_ROWS for row in rows])
    for row, (part, number) in enumerate(((0, 0), (0, 1), (1, 0))):
        own = batch_of(RANK_ROWS[part])
        whole.features[row] = 0
        whole.features[row, : own.lengths[number]] = own.features[number, : own.lengths[number]]
    return whole


def train_in_rank(
    rank: int, folder: Path, queue: multiprocessing.Queue | None = None
) -> tuple[PhaseTrainer, list[dict[str, float]]]:
    if queue is not None:
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=len(RANK_ROWS)
        )
        torch.set_num_threads(1)
    ranks = Ranks.join()
    batch = batch_of(RANK_ROWS[rank]) if queue is not None else merged_batch()
    targets = Targets(UNITS, {"ab": ["A", "B"], "cab": ["C", "A", "B"]})
    losses = {"ctc:characters": 1.0, "ctc:phones": 0.5}
    # Without Muon, which works in bf16 and would show another order of sums.
    phase = Phase("p", 3, losses, warmup=1, clip=0.5, matrix_learning_rate=0.0, bf16=False)
    trainer = PhaseTrainer(tiny_network(), Batches(batch), targets, phase, folder / f"{ranks.world}", 1, ranks)
    numbers: list[dict[str, float]] = []
    trainer.run(lambda step, report: numbers.append(without_times(report)), save_every=3)
    if queue is not None:
        queue.put((rank, numbers))
        ranks.leave()
    return trainer, numbers


def test_two_ranks_are_one_with_both_batches(tmp_path):
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this torch has no gloo")
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_in_process, args=(rank, tmp_path, queue)) for rank in range(2)]
    for process in processes:
        process.start()
    alone, expected = train_in_rank(0, tmp_path)
    reports = dict(queue.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    # Rank 1 has no target for phones: its share of that loss is none.
    assert reports[0] == reports[1]
    for ours, theirs in zip(reports[0], expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    together = torch.load(tmp_path / "2" / "p.pt", weights_only=True)
    for name, value in alone.network.state_dict().items():
        torch.testing.assert_close(together["network"][name], value, atol=2e-5, rtol=1e-4, msg=name)


def _in_process(rank: int, folder: Path, queue: multiprocessing.Queue) -> None:
    train_in_rank(rank, folder, queue)
