"""The original encoder as a teacher: on random weights, for a network that can be exactly what its teacher is."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from training_fixtures import batch_of

from pipelines.speech_en.teacher import TeacherStates
from pipelines.speech_en.whisper_start import causal
from transducer.cores.sinusoidal_transformer import SinusoidalTransformerConfig
from transducer.encoders.conv_stem import ConvStemConfig
from transducer.encoders.whisper import WhisperEncoder
from transducer.frontends.logmel import LogMelConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.head import Loss
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.training.encoded import Encoded

WINDOW = 10  # frames of two steps
ROWS = [("one", "ab", 20), ("two", "cab", 13)]


def random_teacher() -> WhisperEncoder:
    """One that hears no step before its time, as the network's convolutions, which are a step late, do not."""
    torch.manual_seed(0)
    teacher = WhisperEncoder(80, 8, 2, 2, 12, longest=WINDOW).eval().requires_grad_(False)
    for parameter in teacher.parameters():  # norms and biases are ones and zeros at first
        torch.nn.init.normal_(parameter, std=0.3)
    teacher.conv1.weight[:, :, 2] = 0.0
    return teacher


TEACHER = random_teacher()


def network(like_teacher: bool) -> Network:
    """A network whose chunk is as long as the teacher's window."""
    torch.manual_seed(1)
    core = SinusoidalTransformerConfig(8, 2, 12, 2, chunk=WINDOW, left_context=0, period=WINDOW)
    made = Network(
        ModelConfig(
            frontend=LogMelConfig(),
            encoder=ConvStemConfig(),
            core=core,
            heads={"phones": CTCConfig("phones")},
            units={"phones": 3},
            chunks=(WINDOW,),
        )
    )
    made.frontend.mean.fill_(-4 * math.log(10))
    made.frontend.std.fill_(4 * math.log(10))
    if like_teacher:
        weights = causal(TEACHER)
        weights["stages.0.conv1.weight"] = TEACHER.conv1.weight.roll(1, dims=2)
        made.encoder.load_state_dict(weights)
    return made.eval()


def loss(student: Network, rows: list[tuple[str, str, int]], first: int = 0) -> Loss:
    encoded = Encoded(student, batch_of(rows, first), bf16=False)
    found = TeacherStates(Path("somewhere"), encoder=TEACHER).loss(student, encoded)
    assert found is not None
    return found


def test_nothing_is_lost_where_the_whole_is_heard_as_the_teacher_hears_it():
    found = loss(network(True), ROWS)
    assert found.count == 10 + 7
    assert found.total < 1e-8


def test_frames_beyond_the_teachers_window_are_left_out():
    found = loss(network(True), [("long", "ab", 36)])
    assert found.count == WINDOW
    assert found.total < 1e-8
    within, beyond = (loss(network(False), [("long", "ab", steps)]) for steps in (20, 36))
    assert beyond.count == within.count


def test_padding_does_not_count():
    together, alone = loss(network(False), ROWS), [loss(network(False), [row], n) for n, row in enumerate(ROWS)]
    assert together.count == sum(found.count for found in alone)
    assert together.total.item() == pytest.approx(sum(found.total.item() for found in alone), rel=1e-4)


def test_who_is_pulled_towards_the_teacher_comes_nearer():
    student = network(False)
    optimizer = torch.optim.Adam(student.encoder.parameters(), lr=3e-2)
    losses = []
    for _ in range(12):
        found = loss(student, ROWS)
        optimizer.zero_grad()
        found.mean.backward()
        optimizer.step()
        losses.append(found.mean.item())
    assert losses[-1] < 0.5 * losses[0]
