"""The timecode that a file says its first frame has."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from av.container import InputContainer
from av.stream import Stream

from transducer.media.io.decoding import open_container
from transducer.media.io.sources import open_source


def read_timecode(source: Any) -> str | None:
    """The "timecode" in a source's metadata as it is written there, such as "01:00:00;00"; None if there is none.

    Args:
        source: as for `open_video`.

    Raises:
        MediaError: it cannot be read.
    """
    with closing(open_source(source)) as opened, open_container(opened) as container:
        # QuickTime has it with a stream, MXF with the file, and Matroska in capitals.
        tagged: tuple[Stream | InputContainer, ...] = (*container.streams.video, *container.streams.data, container)
        tags = (tag for part in tagged for tag in part.metadata.items())
        return next((value for name, value in tags if name.lower() == "timecode" and value), None)
