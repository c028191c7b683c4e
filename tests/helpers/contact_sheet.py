"""What tests of the page with pictures share."""

from __future__ import annotations

from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import av
import numpy as np


def write_video(path: Path, frames: int, size: tuple[int, int] = (64, 48)) -> Path:
    """A video (width, height) at 25 frames a second: red, and blue from its middle on."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = size
        for index in range(frames):
            image = np.zeros((size[1], size[0], 3), np.uint8)
            image[..., 0 if index < frames // 2 else 2] = 200
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects what the page loads."""

    VOID = frozenset(("meta", "img", "link", "br"))

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[tuple[str, bytes]] = []
        self.links: list[str] = []
        self.sections: list[str] = []
        self.words = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "img":
            import base64

            head, _, data = values["src"].partition(",")
            assert head == "data:image/jpeg;base64"
            self.images.append((values["alt"], base64.b64decode(data)))
        if tag == "section" and "id" in values:
            self.sections.append(values["id"])
        assert tag not in ("script", "link", "iframe")
        self.links += [values[name] for name in ("href", "src") if name in values and tag != "img"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data
