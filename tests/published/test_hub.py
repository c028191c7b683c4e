"""Published models by name, with a folder in place of the hub: nothing here needs a network."""

from __future__ import annotations

import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import tiny_whisper
from huggingface_hub import errors

import transducer
from transducer.errors import CheckpointError, UsageError
from transducer.published.catalogue import KNOWN
from transducer.published.hub import _reach, cached, fetch, is_name


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Any:
    """A hub with one model; it notes what is asked of it, and what is fetched is in the cache from then on."""
    hub = SimpleNamespace(folder=tiny_whisper.hugging_face(tmp_path / "snapshot"), asked=[], here=False, error=None)

    def snapshot_download(repo_id: str, revision: str | None, allow_patterns: list[str], **options: Any) -> str:
        hub.asked.append((repo_id, revision, options))
        if options.get("local_files_only"):
            if not hub.here:
                raise errors.LocalEntryNotFoundError("not here")
            return str(hub.folder)
        if hub.error is not None:
            raise hub.error
        hub.here = True
        assert {path.name for path in Path(hub.folder).iterdir()} <= set(allow_patterns)
        return str(hub.folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr("transducer.published.hub._reach", lambda address: None)
    return hub


@pytest.mark.parametrize("name", ["whisper-base.en", "openai/whisper-base.en"])
def test_a_name_is_fetched_once_and_pinned(hub, name):
    model = transducer.load(name)
    assert model.name == "whisper-base.en" and model.rate == 16000
    revision = "911407f4214e0e1d82085af863093ec0b66f9cd6"
    looked, fetched = hub.asked
    assert looked == ("openai/whisper-base.en", revision, {"local_files_only": True})
    assert fetched == ("openai/whisper-base.en", revision, {})
    assert fetch(name) == hub.folder == cached(name)
    assert all(options for _, _, options in hub.asked[2:]), "what is in the cache is not fetched again"


def test_any_repository_may_be_named(hub):
    assert transducer.load("somebody/fine-tuned").name == "fine-tuned"
    assert hub.asked[-1][:2] == ("somebody/fine-tuned", None)


def test_a_folder_goes_before_a_name(hub, tmp_path, monkeypatch):
    tiny_whisper.hugging_face(tmp_path / "openai" / "whisper-base.en")
    monkeypatch.chdir(tmp_path)
    assert transducer.load("openai/whisper-base.en").folder == Path("openai/whisper-base.en")
    assert hub.asked == []


def test_half_a_snapshot_is_not_in_the_cache(hub):
    hub.here = True
    (hub.folder / "model.safetensors").unlink()
    assert cached("whisper-base.en") is None


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"'whisper-base.en' .* needs an extra: pip install '\.\[hub\]'"):
        transducer.load("whisper-base.en")
    assert cached("whisper-base.en") is None


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (OSError("no route to host"), CheckpointError, r"cannot be fetched \(.*\): try again with a network"),
        (
            errors.RepositoryNotFoundError("404", response=SimpleNamespace(headers={}, status_code=404, request=None)),
            UsageError,
            "unknown model 'nobody/nothing': it is neither a folder, nor a bundled model",
        ),
        (errors.HFValidationError("no"), UsageError, "the Hugging Face hub has no such names"),
    ],
)
def test_what_cannot_be_fetched(hub, error, kind, says):
    hub.error = error
    with pytest.raises(kind, match=says) as raised:
        transducer.load("nobody/nothing")
    assert len(str(raised.value).splitlines()) == 1


def test_without_a_network_the_library_is_not_asked(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    asked = []

    def snapshot_download(**options: Any) -> str:
        asked.append(options)
        raise errors.LocalEntryNotFoundError("not here")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
        with pytest.raises(CheckpointError, match=r"cannot be fetched \(.*refused.*\): try again with a network"):
            transducer.load("nobody/nothing")
    assert [options.get("local_files_only") for options in asked] == [True]


def test_any_answer_shows_that_there_is_a_network():
    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        def log_message(self, *arguments: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refuses) as server:
        Thread(target=server.handle_request).start()
        _reach(f"http://127.0.0.1:{server.server_port}")


def test_offline_says_so(hub, monkeypatch):
    hub.error = OSError("offline mode")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointError, match=r"is not in the cache .* \(HF_HUB_OFFLINE is set\)"):
        transducer.load("whisper-base.en")


def test_names():
    assert is_name("whisper-base") and is_name("a/b.c") and not is_name("whisper") and not is_name("../a/b")
    assert len({model.name for model in KNOWN}) == len(KNOWN) == len({model.revision for model in KNOWN})
    assert all(len(model.revision) == 40 and int(model.revision, 16) for model in KNOWN)
