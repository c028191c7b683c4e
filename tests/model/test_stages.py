"""What a network says of its stages is what they do."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, replace

import pytest
import torch
from tiny_models import CONFORMER, LSTM, MODELS, PLAIN

from transducer.cli.diagram import diagram
from transducer.cores.bidirectional import BidirectionalConfig
from transducer.cores.none import NoCoreConfig
from transducer.encoders.identity import IdentityConfig
from transducer.encoders.whisper import WhisperEncoderConfig
from transducer.frontends.whisper_mel import WhisperMelConfig
from transducer.heads.ctc import CTCConfig, SelfConditioningConfig
from transducer.heads.decoders.transformer import TransformerDecoderConfig
from transducer.heads.segment import SegmentConfig
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.model.sequence import Serial
from transducer.model.stages import stages_of

CONFIGS = {name: config for name, (config, _) in MODELS.items()} | {
    "two cores": replace(PLAIN, core=(LSTM, CONFORMER), conditioning=SelfConditioningConfig(4, "letters")),
    "both directions": replace(PLAIN, core=BidirectionalConfig("gru", 8, 1)),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_stages_are_those_of_the_network(name):
    network = Network(CONFIGS[name]).eval()
    stages = stages_of(network, 1)
    assert [stage.stage for stage in stages][:2] == ["front-end", "encoder"]
    # Together they are the network: parameters, strides, latencies, shapes.
    assert sum(stage.parameters for stage in stages) == sum(p.numel() for p in network.parameters())
    heads = [stage for stage in stages if stage.stage.startswith("head ")]
    assert [stage.stage for stage in heads] == [f"head {head}" for head in network.heads]
    for stage, head in zip(heads, network.heads.values(), strict=True):
        whole = Serial(network.frontend, network.encoder, head)
        x, mask = torch.zeros(2, whole.stride * 3, 1), torch.ones(2, whole.stride * 3, dtype=torch.bool)
        y, _ = whole(x, mask)
        assert (stage.total, stage.channels) == (whole.stride, y.shape[-1]) and y.shape[1] == 3
        assert whole.can_step == (stage.streams and all(part.streams for part in stages if part not in heads))


def test_layers_of_a_core_are_one_stage():
    stages = {stage.stage: stage for stage in stages_of(Network(CONFIGS["ctc, recurrent"]), 1)}
    assert stages["core"].kind == "recurrent lstm x 2" and stages["core"].streams
    kinds = [(stage.stage, stage.kind) for stage in stages_of(Network(CONFIGS["two cores"]), 1)]
    assert kinds[2:5] == [
        ("core", "recurrent lstm x 2"),
        ("core", "conformer x 2"),
        ("intermediate head", "self_conditioning"),
    ]
    assert not stages_of(Network(CONFIGS["both directions"]), 1)[2].streams


def test_what_a_head_has_for_segments_stands_behind_it():
    head = SegmentConfig(
        "letters", WhisperEncoderConfig(8, 1, 2, 12, 10), TransformerDecoderConfig(8, 1, 2, 12), max_steps=20
    )
    config = ModelConfig(
        WhisperMelConfig(6, 800, 20, 8), IdentityConfig(), NoCoreConfig(6), {"a": head}, {"letters": 5}
    )
    network = Network(config).eval()
    stages = stages_of(network, 1)
    assert sum(stage.parameters for stage in stages) == sum(p.numel() for p in network.parameters())
    found = [(stage.stage, stage.kind, stage.total, stage.channels, stage.streams) for stage in stages[-3:]]
    assert found == [
        ("head a", "segment", 8, 6, True),
        ("segment encoder", "whisper_encoder", 16, 8, False),
        ("segment decoder", "transformer_decoder", 16, 5, False),
    ]


@pytest.mark.parametrize("name", ["ctc", "rnnt, cascaded", "both directions"])
def test_a_diagram_is_a_picture_of_all_stages(name):
    network = Network(replace(CONFIGS[name], heads={**CONFIGS[name].heads, "other<head>": CTCConfig("letters")}))
    stages = [asdict(stage) for stage in stages_of(network, 1)]
    svg = diagram({"name": "a & b", "parameters": 1234, "stages": stages}, "samples", "text")
    root = ElementTree.fromstring(svg)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    for stage in stages:
        assert f"{stage['stage']}: {stage['kind']}" in texts
    assert "a & b: 1,234 parameters" in texts and "prefers-color-scheme:dark" in svg
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    for box in root.iter("{http://www.w3.org/2000/svg}rect"):
        x, y, w, h = (float(box.attrib[key]) for key in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
    assert ("needs the whole" in svg) == (name == "both directions")
