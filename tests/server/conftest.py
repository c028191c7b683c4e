"""The server that most tests ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from running_server import RunningServer

import transducer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With both bundled models, no token and one worker."""
    running = RunningServer("--workers", "1", "--wyoming", "0", errors=tmp_path_factory.mktemp("server") / "errors.txt")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def speech() -> Any:
    """The model that the server has, for what it says offline."""
    return transducer.load("speech-en")
