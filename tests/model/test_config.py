"""The registry of parts: what registers itself is found by its tag, and a mistake is named."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from transducer.errors import CheckpointError
from transducer.model import config as registry
from transducer.model.config import (
    CoreConfig,
    DecodingConfig,
    FrontendConfig,
    ModelConfig,
    from_json,
    register,
    settings,
    to_json,
)


@pytest.fixture
def tags(monkeypatch):
    registry.find("none")  # what registers itself now is not found a second time
    monkeypatch.setattr(registry, "TAGS", dict(registry.TAGS))


def test_a_part_of_ones_own_goes_to_json_and_back(tags):
    @register("echo")
    @dataclass(frozen=True)
    class EchoConfig(CoreConfig):
        channels: int = 4
        delays: tuple[float, ...] = (0.5,)

    model = ModelConfig(core=(EchoConfig(8), EchoConfig(8, (1.0, 2.0))))
    data = json.loads(json.dumps(to_json(model)))
    assert data["core"][1] == {"type": "echo", "channels": 8, "delays": [1.0, 2.0]}
    assert from_json(data) == model
    data["core"][0]["delays"] = [[1]]
    with pytest.raises(CheckpointError, match=r"core\.delays must be a number, got a list"):
        from_json(data)
    data["frontend"] = {"type": "echo"}
    with pytest.raises(CheckpointError, match="must be a FrontendConfig, got 'echo'"):
        from_json({**data, "core": data["core"][1]})


def test_a_tag_has_one_class(tags):
    with pytest.raises(ValueError, match=r"'logmel' is taken by transducer\.frontends\.logmel\.LogMelConfig"):

        @register("logmel")
        @dataclass(frozen=True)
        class Other(FrontendConfig):
            pass


def test_parts_are_found_without_being_imported_first_and_without_their_libraries():
    """Video's and training's libraries take seconds to import."""
    code = (
        "import sys\nfrom transducer.model.config import from_json, ModelConfig, to_json\n"
        "model = ModelConfig()\nassert from_json(to_json(model)) == model\n"
        "assert from_json({'type': 'frames', 'height': 3}).height == 3\n"
        "assert from_json({'type': 'event_rules'}).kind == 'dense'\n"
        "found = {'cv2', 'librosa', 'torchaudio', 'av', 'rapidfuzz'} & sys.modules.keys()\nassert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_settings_are_what_is_not_as_usual():
    assert settings(DecodingConfig()) == {}
    assert settings(DecodingConfig("beam", chunk_ms=80.0)) == {"search": "beam", "chunk_ms": 80.0}


def test_a_card_is_kept_as_it_is():
    card = {"type": "logmel", "nested": [{"type": "no part", "hop": "x"}], "defaults": None}
    model = ModelConfig(card=card)
    assert from_json(json.loads(json.dumps(to_json(model)))).card == card


@pytest.mark.parametrize("data", [None, 3, [], {}, {"type": 3}, {"type": "frames", "height": 10**5000}, {"type": "?"}])
def test_what_is_no_part_is_refused(data):
    with pytest.raises(CheckpointError, match="the config"):
        from_json(data)
