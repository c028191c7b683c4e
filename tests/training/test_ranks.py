"""Several processes that train one network together: the same as one, however many there are."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from documents import ROOT
from training_fixtures import assert_same, batch_of, pair_of, tiny_network, without_times

from sample_media.pairs import make as make_pairs
from transducer.data.loader import START, Share, collate
from transducer.data.ranks import Ranks, sum_in_pairs
from transducer.errors import UsageError
from transducer.training.command import train_command
from transducer.training.frame.choices import Choices
from transducer.training.loop import Trainer
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase

SHARDS = [[("one", "ab", 60), ("two", "cab", 41)], [("three", "bee", 44)]]

# Frames whose number shows only once they are made; a process that is killed, and a run that ends in the middle.
RECIPE = """
import os, signal
from dataclasses import replace
from lights import Lights, model, recipe_of
from transducer.cores.tcn import TCNConfig


class Killed(Lights):
    made = 0

    def pair(self, index, rng):
        self.made += 1
        if os.environ.get("KILLED") == os.environ.get("RANK", "0") and self.made == 50:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().pair(index, rng)


def recipe(data, quick=False):
    core = TCNConfig(24, 48, 2, look_ahead=3, dropout=0.2)
    made = recipe_of(model=model(core=core, chunks=(1, 2)), train=Killed(16), steps=30, save_every=4, dev=None)
    return replace(made, shards=2)
"""


def torchrun(what: str, output: Path, *options: str, **environment: str) -> subprocess.CompletedProcess:
    """`transducer train` in two processes."""
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this torch has no gloo")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    paths = [str(ROOT), str(ROOT / "tests" / "helpers"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [*command, "-m", "transducer", "train", what, "--output", str(output), *options],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths), **environment},
        capture_output=True,
        text=True,
        timeout=600,
        cwd=output.parent,
    )


def state_of(run: Path) -> dict[str, Any]:
    """What the run ended with."""
    return torch.load(run / "phases" / "train.pt", weights_only=True)


def test_a_run_goes_on_with_another_number_of_processes_and_stays_the_same(tmp_path):
    (tmp_path / "lit.py").write_text(RECIPE)
    recipe, whole, parts = str(tmp_path / "lit.py"), tmp_path / "whole", tmp_path / "parts"
    assert train_command(recipe, output=str(whole), threads=1) == 0
    killed = torchrun(recipe, parts, KILLED="1")
    assert killed.returncode != 0 and "Signal 9 (SIGKILL)" in killed.stderr, killed.stderr
    assert 0 < state_of(parts)["step"] < 30
    # One process after two: it stops when this process of two would be killed, too.
    before = state_of(parts)["step"]
    assert _one_until(recipe, parts, before + 6) == 130
    assert state_of(parts)["step"] == before + 6
    done = torchrun(recipe, parts, "--resume")
    assert done.returncode == 0, done.stderr
    assert_same(state_of(parts), state_of(whole))
    assert (parts / "report.md").is_file() and (parts / "lights" / "config.json").is_file()
    described = json.loads((parts / "run.json").read_text())
    assert described["name"] == "lights" and described["shards"] == 2


def _one_until(recipe: str, output: Path, step: int) -> int:
    """Go on in this process up to a step; the exit status."""
    patched = pytest.MonkeyPatch()
    steps = iter(range(step - state_of(output)["step"] - 1))
    with patched.context() as patch:
        patch.setattr("transducer.training.interrupt.Interrupt.__call__", lambda self: next(steps, None) is None)
        return train_command(recipe, output=str(output), resume=True, threads=1)


def test_pairs_are_learned_by_two_processes_as_by_one(tmp_path):
    make_pairs(tmp_path)
    pairs, choices = str(tmp_path / "tags.jsonl"), ("--steps", "12", "--channels", "16")
    two = torchrun(pairs, tmp_path / "two", *choices)
    assert two.returncode == 0, two.stderr
    assert two.stderr.count("to choose otherwise") == 1  # one of them talks
    settings, sizes = ("shards=2",), Choices(steps=12, channels=16)
    assert train_command(pairs, output=str(tmp_path / "one"), settings=settings, threads=1, choices=sizes) == 0
    assert_same(state_of(tmp_path / "two"), state_of(tmp_path / "one"))


# --- the parts


class Batches:
    """The same batch again and again."""

    def __init__(self, batch):
        self.batch = batch

    def stream(self, *position):
        while True:
            yield self.batch


def trained(batch: Any, folder: Path, ranks: Ranks) -> tuple[Trainer, list]:
    # Without Muon, which works in bf16 and would show another order of sums.
    objectives = HeadLoss("characters"), HeadLoss("phones", 0.5)
    phase = Phase("train", 3, objectives, warmup=1, clip=0.5, matrix_learning_rate=0.0, bf16=False)
    trainer = Trainer(tiny_network(), Batches(batch), phase, folder, 1, ranks)
    numbers: list[dict[str, float]] = []
    trainer.run(lambda step, report: numbers.append(without_times(report)), save_every=3)
    return trainer, numbers


def test_shards_are_one_batch_within_rounding(tmp_path):
    """The second shard has no target for phones: its share of that loss is none. A third one is empty."""
    whole = collate([pair_of(*row, seed) for rows in SHARDS for seed, row in enumerate(rows)], "encoder")
    shards = Share({number: batch_of(rows) for number, rows in enumerate(SHARDS)}, 0, START)
    (one, expected), (three, numbers) = trained(whole, tmp_path, Ranks()), trained(shards, tmp_path, Ranks(shards=3))
    for ours, theirs in zip(numbers, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    for name, value in one.network.state_dict().items():
        torch.testing.assert_close(three.network.state_dict()[name], value, atol=2e-5, rtol=1e-4, msg=name)


def summed_in_rank(rank: int, world: int, terms: torch.Tensor, folder: Path, queue: multiprocessing.Queue) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder / f'meeting-{len(terms)}'}"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    ranks = Ranks.join().cut(len(terms))
    own = sum_in_pairs([terms[number], None] for number in ranks.own)
    third = torch.ones(2, 3) if rank == 1 else None
    found = ranks.sum_tensors([*own, third], [terms[0].shape, torch.Size([4]), torch.Size([2, 3])])
    assert all(lies_alone(part) for part in found if part is not None)
    queue.put((rank, [None if part is None else part.numpy() for part in found], ranks.sum([rank, 0.5])))
    ranks.wait()
    ranks.leave()


def lies_alone(tensor: torch.Tensor) -> bool:
    """Contiguous, and at the beginning of its memory: elsewhere, products and norms are rounded otherwise."""
    return tensor.is_contiguous() and tensor.data_ptr() == tensor.untyped_storage().data_ptr()


def test_sums_of_one_process_lie_as_those_of_several():
    turned = torch.randn(3, 2).t()  # such as gradients of matrices that autocast has turned
    assert not lies_alone(turned)
    (found,) = Ranks().sum_tensors([turned], [turned.shape])
    assert lies_alone(found) and torch.equal(found, turned)


@pytest.mark.parametrize("world", [3, 4])
def test_sums_do_not_depend_on_who_adds(tmp_path, world):
    terms = torch.randn(12, 1000, generator=torch.Generator().manual_seed(1))
    whole = sum_in_pairs([term] for term in terms)[0]
    assert not torch.equal(whole, sum(terms, torch.zeros(1000)))  # elsewhere, the order shows
    for number, found in enumerate(in_processes(world, summed_in_rank, terms, tmp_path)):
        rank, (total, nothing, third), numbers = found
        assert rank == number and nothing is None and third.tolist() == [[1.0] * 3] * 2
        assert numbers == [sum(range(world)), 0.5 * world]
        torch.testing.assert_close(torch.from_numpy(total), whole, atol=1e-5, rtol=1e-5)
    if world == 4:  # and shards that are a power of two
        eight = terms[:8]
        expected = sum_in_pairs([term] for term in eight)[0]
        for _, (total, *_), _ in in_processes(world, summed_in_rank, eight, tmp_path):
            assert torch.equal(torch.from_numpy(total), expected)


def in_processes(world: int, work: Callable[..., None], *given: Any) -> list[tuple]:
    """What each of some processes puts into a queue, by rank."""
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this torch has no gloo")
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=work, args=(rank, world, *given, queue)) for rank in range(world)]
    for process in processes:
        process.start()
    found = sorted((queue.get(timeout=300) for _ in processes), key=lambda item: item[0])
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    return found


def test_processes_that_see_different_folders_are_told(tmp_path, monkeypatch):
    trainer = Trainer(tiny_network(), None, Phase("p", 3, (HeadLoss("phones"),)), tmp_path, 1, Ranks(2, 1, shards=2))
    monkeypatch.setattr(Ranks, "sum", lambda self, values: [float(8)])  # the other one has found step 7
    with pytest.raises(UsageError, match=r"p\.pt is not the same for all processes.*--output folder that they share"):
        trainer.load()
