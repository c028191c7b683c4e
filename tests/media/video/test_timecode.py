"""Start timecodes in files."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest

from transducer.errors import MediaError
from transducer.media.video.timecode import read_timecode


def write(path: Path, timecode: str | None, on_stream: bool = True) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video" if path.suffix == ".mxf" else "mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if timecode is not None:
            (stream if on_stream else container).metadata["timecode"] = timecode
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("on_stream", [True, False])
@pytest.mark.parametrize("suffix", ["mov", "mp4", "mxf", "mkv"])
def test_timecodes_of_files(tmp_path: Path, suffix: str, on_stream: bool) -> None:
    path = write(tmp_path / f"x.{suffix}", "10:11:12:13", on_stream)
    assert read_timecode(str(path)) == "10:11:12:13"
    assert read_timecode(io.BytesIO(path.read_bytes())) == "10:11:12:13"


def test_files_without_a_timecode(tmp_path: Path) -> None:
    assert read_timecode(str(write(tmp_path / "x.mp4", None))) is None
    with pytest.raises(MediaError, match="no such file"):
        read_timecode(str(tmp_path / "none.mp4"))
