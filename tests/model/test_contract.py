"""Laws 1 to 5, for every stage and for assembled models."""

from __future__ import annotations

import pytest
import torch
from contract import verify_contract, verify_lookahead
from exporting import verify_export
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from transducer.cores.attention import ChunkAttention
from transducer.cores.conformer import ConformerConfig, ConformerLayer
from transducer.cores.layers import CausalConvModule, FeedForward, Pointwise
from transducer.cores.recurrent import RecurrentConfig, RecurrentLayer
from transducer.cores.tcn import DilatedConv, TCNConfig, TCNLayer
from transducer.cores.transformer import TransformerConfig, TransformerLayer
from transducer.encoders.conv_subsampling import ConvSubsampling, ConvSubsamplingConfig
from transducer.encoders.frame_cnn import FrameCNN, FrameCNNConfig
from transducer.encoders.fusion import Fusion, FusionConfig
from transducer.encoders.stacking import Stack
from transducer.errors import UsageError
from transducer.frontends.audio_visual import AudioVisual, AudioVisualConfig
from transducer.frontends.frames import Frames, FramesConfig
from transducer.frontends.logmel import LogMel, LogMelConfig
from transducer.heads.cascaded_rnnt import CascadedRNNT, CascadedRNNTConfig
from transducer.heads.ctc import CTC, CTCConfig, SelfConditioning, SelfConditioningConfig
from transducer.heads.framewise import Framewise, FramewiseConfig
from transducer.heads.pooled import Pooled, PooledConfig
from transducer.heads.rnnt import RNNT, RNNTConfig
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.model.sequence import Residual, Serial, Streaming, apply_mask

TINY_MEL = LogMelConfig(rate=800, bins=6, window=20, hop=8)
TINY_SOUND = (TINY_MEL, ConvSubsamplingConfig(hidden=3))
TINY_FRAMES = FramesConfig(5, 7)
TINY_CNN = FrameCNNConfig(widths=(4, 6), grid=(1, 2))
SIMILAR_CNN = FrameCNNConfig(widths=(4,), grid=(1, 2), blocks=1, similarity=3)


def network(core, conditioning=None, media=TINY_SOUND, **heads) -> Serial:
    """Samples or pixels to log-probabilities, tiny."""
    config = ModelConfig(
        frontend=media[0],
        encoder=media[1],
        core=core,
        heads=heads or {"ctc": CTCConfig("letters")},
        units={"letters": 5},
        conditioning=conditioning,
    )
    model = Network(config)
    return Serial(model.frontend, model.encoder, model.heads[next(iter(config.heads))])


def video(core, encoder=TINY_CNN, **heads) -> Serial:
    return network(core, media=(TINY_FRAMES, encoder), **heads or {"framewise": FramewiseConfig("letters")})


def audiovisual(core, **heads) -> Serial:
    frontend = AudioVisualConfig(TINY_FRAMES, TINY_MEL, 64)
    return network(core, media=(frontend, FusionConfig(TINY_CNN, ConvSubsamplingConfig(3))), **heads)


class Attend(Streaming):
    """x and what it attends to: all of `memory` (B, S, 4), of which `there` (B, S) says what exists."""

    side_inputs = ("memory", "there")

    def __init__(self):
        super().__init__()
        self.query = nn.Linear(4, 4)

    def forward(self, x, mask, side):
        memory, there = side["memory"], side["there"]
        scores = (self.query(apply_mask(x, mask)) @ memory.transpose(1, 2)).masked_fill(~there[:, None], -1e9)
        return x + scores.softmax(-1) @ memory, mask

    def init_state(self, batch, like):
        return ()

    def step(self, x, mask, state, side):
        return *self(x, mask, side), state


class Prompted(Streaming):
    """A running sum that starts from a prompt (B, 4); its state is a mapping, and what it adds can be looked at."""

    side_inputs = ("prompt",)
    aux_outputs = ("added",)

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x, mask, side, aux=None):
        y, mask, _ = self.step(x, mask, self.init_state(len(x), x), side, aux)
        return y, mask

    def init_state(self, batch, like):
        return {"total": like.new_zeros(batch, 4), "count": like.new_zeros(batch)}

    def step(self, x, mask, state, side, aux=None):
        added = apply_mask(self.linear(apply_mask(x, mask)), mask)
        if aux is not None:
            aux["added"] = added, mask
        y = state["total"][:, None] + side["prompt"][:, None] + added.cumsum(dim=1)
        return y, mask, {"count": state["count"] + mask.sum(1), "total": state["total"] + added.sum(1)}


class WholeMean(Streaming):
    """x less its mean over the whole sequence: nothing that a stream can do."""

    can_step = False

    def forward(self, x, mask):
        x = apply_mask(x, mask)
        return x - (x.sum(1) / mask.sum(1, keepdim=True).clamp(min=1))[:, None], mask


SIDES = {
    "memory": lambda rows: torch.randn(rows, 3, 4, dtype=torch.float64),
    "there": lambda rows: torch.arange(3).repeat(rows, 1) < torch.tensor([[3], [1], [2], [3], [2]])[:rows],
    "prompt": lambda rows: torch.randn(rows, 4, dtype=torch.float64),
}


def side_of(stage: Streaming):
    """Makes the side inputs that a stage wants, None where it wants none."""
    if not stage.side_inputs:
        return None
    return lambda rows: {name: SIDES[name](rows) for name in stage.side_inputs}


# name -> (stage, channels of its input, input steps that are enough to see its look-ahead)
STAGES = {
    "logmel": (lambda: LogMel(800, 6, 20, 8), 1, 90),
    "subsampling": (lambda: ConvSubsampling(6, 5, 3), 6, 40),
    "pointwise": (lambda: Pointwise(FeedForward(4, 6)), 4, 12),
    "convolution": (lambda: CausalConvModule(4, 5), 4, 20),
    "attention causal": (lambda: ChunkAttention(8, 2, 1, 5), 8, 20),
    "attention chunks": (lambda: ChunkAttention(8, 2, 4, 6), 8, 30),
    "attention chunks of 70": (lambda: ChunkAttention(8, 2, 70, 6), 8, 150),
    "attention look-ahead": (lambda: ChunkAttention(8, 2, 1, 5, 3), 8, 20),
    "attention chunks and look-ahead": (lambda: ChunkAttention(8, 2, 4, 6, 2), 8, 50),
    "transformer": (lambda: TransformerLayer(8, 2, 12, 4, 6), 8, 30),
    "transformer look-ahead": (lambda: TransformerLayer(8, 2, 12, 2, 6, 1), 8, 30),
    "conformer": (lambda: ConformerLayer(8, 2, 12, 5, 4, 6), 8, 30),
    "conformer look-ahead": (lambda: ConformerLayer(8, 2, 12, 5, 2, 6, 1), 8, 30),
    "two conformers look-ahead": (
        lambda: Serial(ConformerLayer(8, 2, 12, 5, 2, 6, 2), ConformerLayer(8, 2, 12, 5, 2, 6, 1)),
        8,
        40,
    ),
    "rnn": (lambda: RecurrentLayer(4, "rnn"), 4, 12),
    "lstm": (lambda: RecurrentLayer(4, "lstm"), 4, 12),
    "gru": (lambda: RecurrentLayer(4, "gru"), 4, 12),
    "lstm after look-ahead": (lambda: Serial(ChunkAttention(8, 2, 2, 5, 2), RecurrentLayer(8, "lstm")), 8, 30),
    "residual": (lambda: Residual(ChunkAttention(8, 2, 2, 5, 2), 8, 0.5), 8, 30),
    "ctc": (lambda: CTC(4, 6), 4, 12),
    "rnnt": (lambda: RNNT(4, 6, "stateless", 5), 4, 12),
    "cascade": (lambda: CascadedRNNT(4, 5, 6, 2, 8, 2, 12, 2, 5, 4, 6, 7), 4, 50),
    "stack": (lambda: Stack(3), 4, 20),
    "self-conditioning": (lambda: SelfConditioning(4, 6), 4, 12),
    "frames": (lambda: Frames(5, 7), 105, 6),
    "frame cnn": (lambda: FrameCNN(9, 10, 3, 5, (4, 6, 8), blocks=(0, 1, 0)), 270, 8),
    "frame cnn without time": (lambda: FrameCNN(6, 5, 1, 5, (4, 6), shift=0, difference=False), 30, 6),
    "frame cnn similarity": (lambda: FrameCNN(6, 7, 3, 5, (4, 6), (1, 2), similarity=3), 126, 40),
    "audiovisual": (lambda: AudioVisual(Frames(2, 3), LogMel(800, 6, 20, 8), 24), 42, 8),
    "fusion": (
        lambda: Fusion(FrameCNN(4, 6, 3, 5, (4, 6), grid=(1, 1)), ConvSubsampling(6, 5, 3), 8, 5),
        72 + 48,
        8,
    ),
    "convolution dilated": (lambda: DilatedConv(4, 3, 4), 4, 30),
    "convolution dilated look-ahead": (lambda: DilatedConv(4, 3, 4, 5), 4, 30),
    "tcn": (lambda: TCNLayer(4, 6, 5, 2), 4, 30),
    "tcn look-ahead": (lambda: TCNLayer(4, 6, 5, 2, 3), 4, 30),
    "framewise": (lambda: Framewise(4, 6), 4, 12),
    "framewise hidden": (lambda: Framewise(4, 6, 5), 4, 12),
    "pooled": (lambda: Pooled(4, 6), 4, 12),
    "pooled after look-ahead": (lambda: Serial(DilatedConv(4, 3, 1, 2), Pooled(4, 6, 5)), 4, 20),
    "video gru model": (lambda: video(RecurrentConfig("gru", 8, 1), SIMILAR_CNN), 105, 12),
    "video lstm model": (lambda: video(RecurrentConfig("lstm", 8, 1), pooled=PooledConfig("letters")), 105, 12),
    "video transformer model": (lambda: video(TransformerConfig(8, 2, 12, 1, 2, 6, 1)), 105, 20),
    "video tcn model": (lambda: video(TCNConfig(8, 12, 3, 3, (1, 2), 5)), 105, 20),
    "video tcn and gru model": (
        lambda: video((TCNConfig(8, 12, 2, 3, (1, 2), 4), RecurrentConfig("gru", 8, 1)), ctc=CTCConfig("letters")),
        105,
        20,
    ),
    "audiovisual gru model": (
        lambda: audiovisual((TCNConfig(8, 12, 1, 3, (1,), 1), RecurrentConfig("gru", 8, 1)), ctc=CTCConfig("letters")),
        105 + 64,
        12,
    ),
    "audiovisual transformer model": (
        lambda: audiovisual(TransformerConfig(8, 2, 12, 1, 2, 6), rnnt=RNNTConfig("letters", "stateless", 6)),
        105 + 64,
        12,
    ),
    "conformer model": (
        lambda: network(ConformerConfig(8, 2, 12, 2, 5, 4, 6), SelfConditioningConfig(1, "letters")),
        1,
        420,
    ),
    "transformer model": (lambda: network(TransformerConfig(8, 2, 12, 2, 2, 6, 1)), 1, 520),
    "cascade model": (
        lambda: network(
            ConformerConfig(8, 2, 12, 1, 5, 4, 6),
            pieces=CascadedRNNTConfig("letters", "ctc", 2, 8, 2, 12, 1, 5, 2, 4, 6),
            ctc=CTCConfig("letters"),
        ),
        1,
        420,
    ),
    "lstm model": (lambda: network(RecurrentConfig("lstm", 8, 2), rnnt=RNNTConfig("letters", "lstm", 6)), 1, 160),
    "side inputs": (Attend, 4, 12),
    "side inputs in series": (
        lambda: Serial(
            DilatedConv(4, 3, 1, 2), Residual(Serial(Attend(), Pointwise(FeedForward(4, 6))), 4), Prompted()
        ),
        4,
        20,
    ),
    "auxiliary outputs": (Prompted, 4, 12),
    "auxiliary outputs after a stride and look-ahead": (
        lambda: Serial(
            ConvSubsampling(6, 4, 3),
            Residual(Serial(DilatedConv(4, 3, 1, 2), SelfConditioning(4, 6, "first")), 4),
            ChunkAttention(4, 2, 2, 3),
            SelfConditioning(4, 6, "second"),
        ),
        6,
        60,
    ),
    "whole sequence": (lambda: Serial(Pointwise(FeedForward(4, 6)), Residual(WholeMean(), 4)), 4, 12),
    "gru model": (lambda: network(RecurrentConfig("gru", 8, 2)), 1, 160),
}


def build(name: str):
    torch.manual_seed(0)
    make, channels, steps = STAGES[name]
    stage = make().double().eval()
    # Biases and norms start at 0 and 1, where mistakes with them don't show.
    for parameter in stage.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return stage, channels, steps


@pytest.mark.parametrize("name", STAGES)
@settings(max_examples=6)
@given(data=st.data())
def test_contract(name, data):
    stage, channels, steps = build(name)
    longest = data.draw(st.integers(1, steps), label="longest")
    lengths = [longest, *data.draw(st.lists(st.integers(1, longest), max_size=2), label="other lengths")]
    blocks = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4), label="blocks")
    inner = not isinstance(stage, LogMel | Frames | AudioVisual) and not name.endswith("model")
    seed = data.draw(st.integers(0, 9), label="seed")
    verify_contract(stage, channels, lengths, blocks, seed, inner, side_of(stage))


@pytest.mark.parametrize("name", [name for name in STAGES if name != "whole sequence"])
def test_lookahead_is_as_declared(name):
    stage, channels, steps = build(name)
    verify_lookahead(stage, channels, steps, side=side_of(stage))


@pytest.mark.parametrize("name", [name for name in STAGES if name.startswith(("side inputs", "auxiliary outputs"))])
def test_side_inputs_and_auxiliary_outputs_can_be_exported(name):
    stage, channels, _ = build(name)
    verify_export(stage, channels, side_of(stage))


def test_stages_in_a_row_say_what_they_want_together():
    stages = Serial(Attend(), Residual(Prompted(), 4), Attend())
    assert stages.side_inputs == ("memory", "there", "prompt") and stages.aux_outputs == ("added",)
    assert stages.can_step and not Serial(Attend(), Residual(WholeMean(), 4)).can_step
    with pytest.raises(ValueError, match="auxiliary outputs in a row need different names, got added, added"):
        Serial(Prompted(), Residual(Prompted(), 4))


def test_what_cannot_step_is_named():
    x = torch.zeros(1, 2, 4)
    for stage in (WholeMean(), Residual(WholeMean(), 4), Serial(DilatedConv(4, 3), Residual(WholeMean(), 4))):
        with pytest.raises(UsageError, match="WholeMean needs the whole sequence and cannot run as a stream"):
            stage.init_state(1, x)


def test_a_look_ahead_before_a_stride_must_fit():
    stage = Serial(ChunkAttention(8, 2, 1, 5, 3), ConvSubsampling(8, 5, 3))
    with pytest.raises(ValueError, match="multiple of its block"):
        _ = stage.latency


def test_verify_contract_catches_a_leak():
    """The checker itself: a centred convolution must not pass as causal."""

    class Centred(CausalConvModule):
        def forward(self, x, mask):
            y, mask = super().forward(x, mask)
            return y.roll(-1, 1), mask

    torch.manual_seed(0)
    stage = Centred(4, 5).double().eval()
    with pytest.raises(AssertionError):
        verify_contract(stage, 4, [12], [1], 0)
    with pytest.raises(AssertionError):
        verify_lookahead(stage, 4, 20)
