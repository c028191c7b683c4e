"""Chromium for tests of pages: without a window, with files as its microphone and its camera."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserType

PROGRAM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox --headless --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --mute-audio --autoplay-policy=no-user-gesture-required"
).split()
DEVICES = "--use-fake-device-for-media-stream"
ALLOWED = "--use-fake-ui-for-media-stream"
DENIED = "--deny-permission-prompts"


def devices(sound: Path, pictures: Path) -> list[str]:
    """Arguments for a microphone that plays a WAV file once, and a camera that repeats an MJPEG file."""
    return [
        DEVICES,
        ALLOWED,
        f"--use-file-for-fake-audio-capture={sound}%noloop",
        f"--use-file-for-fake-video-capture={pictures}",
    ]


@contextmanager
def chromium(arguments: Sequence[str] = ()) -> Iterator[Browser]:
    """A browser; the test is skipped where there is none."""
    if not shutil.which(PROGRAM):
        pytest.skip(f"needs {PROGRAM}: tests/system_packages.py installs it")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[test]'")
    with sync_api.sync_playwright() as playwright, launched(playwright.chromium, arguments) as browser:
        yield browser


@contextmanager
def launched(kind: BrowserType, arguments: Sequence[str]) -> Iterator[Browser]:
    """A further browser, of the kind of one that runs."""
    browser = kind.launch(executable_path=PROGRAM, args=[*QUIET, *arguments])
    try:
        yield browser
    finally:
        browser.close()
