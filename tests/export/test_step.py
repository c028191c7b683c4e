"""Every part's step as a graph of ONNX gives what PyTorch gives, step after step, for any batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from transducer.cores.conformer import ConformerConfig
from transducer.cores.tcn import TCNConfig
from transducer.engine.onnx_backend import Graph
from transducer.errors import UsageError
from transducer.export.step import stage_graph, stage_graphs
from transducer.model.config import TAGS as ALL_TAGS
from transducer.model.config import CoreConfig, EncoderConfig, FrontendConfig, import_parts
from transducer.model.sequence import Serial, Streaming

import_parts()
TAGS = {tag: kind for tag, kind in ALL_TAGS.items() if kind.__module__.startswith("transducer.")}  # of no other test


def cores() -> list[Any]:
    found = [(tag, config) for tag, kind in TAGS.items() if issubclass(kind, CoreConfig) for config in kind.examples()]
    return [pytest.param(config, id=f"{tag} {number}") for number, (tag, config) in enumerate(found)]


def fronts() -> list[Any]:
    """Every front-end, and every encoder behind a front-end that it takes."""
    found = []
    kinds = {tag: kind for tag, kind in TAGS.items() if issubclass(kind, FrontendConfig | EncoderConfig)}
    frontends = {tag: kind.examples()[0] for tag, kind in kinds.items() if issubclass(kind, FrontendConfig)}
    for tag, config in frontends.items():
        found.append(pytest.param(config, None, id=tag))
        for name, kind in kinds.items():
            if not issubclass(kind, EncoderConfig):
                continue
            for number, encoder in enumerate(kind.examples()):
                try:
                    encoder.build(config.build(), 8)
                except ValueError:
                    continue
                found.append(pytest.param(config, encoder, id=f"{tag} {name} {number}"))
    return found


def verify(stage: Streaming, channels: int, dtype: type, path: Path, symbols: bool = False) -> None:
    stage = stage.eval().requires_grad_(False)
    steps = 2 * stage.block * stage.stride
    path.write_bytes(stage_graph(stage, steps, channels, np.dtype(dtype), int8=False).SerializeToString())
    graph = Graph(path)
    torch.manual_seed(0)
    for batch in (1, 4):
        state, ours = stage.init_state(batch, torch.zeros(())), graph.init_state(batch)
        for number in range(3):
            x = torch.randn(batch, steps, channels)
            if symbols or dtype is np.uint8:
                x = torch.randint(0, 4, x.shape).to(torch.uint8 if dtype is np.uint8 else torch.float32)
            exists = torch.ones(batch, steps, dtype=torch.bool)
            if number == 0:
                exists[0, : steps // 2] = False  # not yet
            elif number == 2:
                exists[-1, steps // 2 :] = False  # the end
            wanted, mask, state = stage.step(x, exists, state)
            (found, there), ours = graph.run(ours, x=x.numpy(), exists=exists.numpy())
            np.testing.assert_array_equal(there, mask.numpy())
            np.testing.assert_allclose(found[there], wanted.numpy()[there], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("config", cores())
def test_cores(config, tmp_path):
    stage = Serial(*config.build())
    if not stage.can_step:
        pytest.skip("it needs the whole sequence")
    verify(stage, config.channels, np.float32, tmp_path / "core.onnx")


@pytest.mark.parametrize(("frontend", "encoder"), fronts())
def test_front_ends_and_encoders(frontend, encoder, tmp_path):
    first = frontend.build()
    stage = first if encoder is None else Serial(first, encoder.build(first, 8))
    if not stage.can_step:
        pytest.skip("it needs the whole sequence")
    tag = type(frontend).tag
    dtype = np.uint8 if tag == "frames" else np.float32
    verify(stage, first.inputs, dtype, tmp_path / "front.onnx", symbols=tag in ("words", "symbols"))


def test_layers_share_what_they_have_in_common(tmp_path):
    """Positions, and which steps exist, are the same in every layer: they are worked out and kept once."""
    graphs = []
    for layers in (1, 4):
        stage = Serial(*ConformerConfig(8, 2, 12, layers, 5, 4, 6).build()).eval().requires_grad_(False)
        path = tmp_path / f"{layers}.onnx"
        path.write_bytes(stage_graph(stage, 4, 8, np.dtype(np.float32), False).SerializeToString())
        graphs.append(Graph(path))
    one, four = (len([item for item in graph.states if item["dtype"] != "float32"]) for graph in graphs)
    assert one == four == 2


class Branching(Streaming):
    """What it does depends on how many rows there are."""

    def init_state(self, batch, like):
        return ()

    def step(self, x, mask, state):
        return (x * 2 if len(x) == 2 else x + 1), mask, state


class Strange(Branching):
    def step(self, x, mask, state):
        return torch.special.i0(x), mask, state


@pytest.mark.parametrize(("stage", "message"), [(Branching(), "size of the batch"), (Strange(), "i0.* in ONNX")])
def test_what_onnx_cannot_say_is_an_error(stage, message):
    with pytest.raises(UsageError, match=message):
        stage_graph(stage, 4, 2, np.dtype(np.float32), False)


def test_graphs_for_several_numbers_of_steps_have_the_same_state(tmp_path):
    stage = Serial(*TCNConfig(8, 12, 3, 3, (1, 2), look_ahead=5).build()).eval().requires_grad_(False)
    graphs = []
    for number, model in enumerate(stage_graphs(stage, [1, 16], 8, np.dtype(np.float32), False)):
        (tmp_path / f"{number}.onnx").write_bytes(model.SerializeToString())
        graphs.append(Graph(tmp_path / f"{number}.onnx"))
    one, many = graphs
    assert one.states == many.states
    x, exists = torch.randn(1, 16, 8), torch.ones(1, 16, dtype=torch.bool)
    (found, _), _ = many.run(one.init_state(1), x=x.numpy(), exists=exists.numpy())
    state, steps = one.init_state(1), []
    for step in range(16):
        rows = slice(step, step + 1)
        (y, _), state = one.run(state, x=x[:, rows].numpy(), exists=exists[:, rows].numpy())
        steps.append(y)
    np.testing.assert_allclose(np.concatenate(steps, axis=1), found, rtol=1e-4, atol=1e-5)
