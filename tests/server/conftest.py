"""The server that most tests ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from running_server import RunningServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With both bundled models, no token and one worker."""
    running = RunningServer("--workers", "1", errors=tmp_path_factory.mktemp("server") / "errors.txt")
    yield running
    running.stop()
