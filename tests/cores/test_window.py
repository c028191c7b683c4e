"""Windows, and layers of them: the law, their look-ahead, and sizes that make no sense."""

from __future__ import annotations

import pytest
from contract import verify_contract, verify_lookahead

from transducer.cores.window import Window, WindowLayersConfig
from transducer.encoders.window import WindowConfig
from transducer.errors import UsageError
from transducer.frontends.logmel import LogMelConfig
from transducer.frontends.words import WordsConfig
from transducer.model.sequence import Serial


def layers() -> Serial:
    return Serial(*WindowLayersConfig(4, 5, 4, 2, (1, 3)).build())


def encoder(look_ahead: int = 3):
    return WindowConfig(2, look_ahead).build(WordsConfig(5, 4, 2, 6).build(), 4)


@pytest.mark.parametrize(
    ("make", "channels", "steps", "inner"),
    [
        (lambda: Window(4, 5, 2, 3), 4, 9, False),
        (lambda: Window(4, 5, 2, 0, dilation=3), 4, 9, False),
        (lambda: Window(4, 5, 1, 2, dilation=2), 4, 11, False),
        (layers, 4, 20, True),
        (encoder, 6, 9, False),
    ],
)
def test_contract(make, channels, steps, inner):
    stage = make().double().eval()
    verify_contract(stage, channels, [steps, 3, 1], [2, 1], seed=0, inner=inner)
    verify_contract(stage, channels, [7], [5], seed=1, inner=inner)
    verify_lookahead(stage, channels, steps)


def test_all_of_the_look_ahead_is_in_the_encoder():
    assert encoder(3).lookahead == 3 and layers().lookahead == 0
    # Dilations come round and round, and a norm follows the last layer.
    assert [stage.body.stages[1].dilation for stage in layers().stages[:-1]] == [1, 3, 1, 3]


@pytest.mark.parametrize("sizes", [(-1, 0, 1), (0, -1, 1), (0, 0, 0)])
def test_windows_that_make_no_sense(sizes):
    past, look_ahead, dilation = sizes
    with pytest.raises(ValueError, match="window"):
        Window(4, 4, past, look_ahead, dilation)


@pytest.mark.parametrize("sizes", [{"layers": -1}, {"layers": 10**6}, {"dilations": ()}])
def test_layers_that_make_no_sense(sizes):
    with pytest.raises(UsageError, match="window layers"):
        WindowLayersConfig(**sizes)


def test_the_encoder_is_for_words():
    with pytest.raises(ValueError, match="does not encode"):
        WindowConfig().build(LogMelConfig(rate=800, bins=6, window=20, hop=8).build(), 4)
