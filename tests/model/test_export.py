"""The bundled models, from media to all their heads, as exported programs."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
from exporting import verify_export

from transducer.model.checkpoint import load_checkpoint
from transducer.model.network import Network
from transducer.model.sequence import Serial, Streaming


class Whole(Streaming):
    """All heads of a network at once; what it puts out is a tuple of theirs."""

    def __init__(self, network: Network):
        super().__init__()
        self.body, self.heads = Serial(network.frontend, network.encoder), network.heads
        self.block = max(Serial(network.frontend, network.encoder, head).block for head in self.heads.values())

    def init_state(self, batch, like):
        return self.body.init_state(batch, like), tuple(head.init_state(batch, like) for head in self.heads.values())

    def step(self, x, mask, state):
        x, mask, body = self.body.step(x, mask, state[0])
        found = [head.step(x, mask, part) for head, part in zip(self.heads.values(), state[1], strict=True)]
        outputs, masks, heads = zip(*found, strict=True)
        return outputs, masks, (body, heads)


@pytest.mark.parametrize("name", ["speech-en", "shots"])
def test_a_bundled_model_can_be_exported(name):
    network, _ = load_checkpoint(Path(str(resources.files("transducer"))) / "checkpoints" / name)
    verify_export(Whole(network), network.frontend.inputs)
