"""Interlaced frames -> whole ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import cast

import av
import av.filter

from transducer.media.io.decoding import Damage


def deinterlace(frames: Iterable[av.VideoFrame | Damage], small: bool = False) -> Iterator[av.VideoFrame | Damage]:
    """Frames that are flagged as interlaced go through FFmpeg's yadif, one for one; others stay as they are. Lazy.

    From the first interlaced frame on, each waits for the one behind it.

    Args:
        small: rows are averaged later, which mixes the fields; so they are left as they are, and not flagged.
    """
    graph, shape, tick = None, None, None
    for frame in frames:
        if isinstance(frame, Damage) or (graph is None and not frame.interlaced_frame):
            yield frame
            continue
        new = (frame.width, frame.height, frame.format.name)
        if new != shape:
            if graph is not None:
                yield from _pull(graph, tick, flush=True)
            graph, shape, tick = _build(frame, small), new, frame.time_base
        assert graph is not None
        graph.push(frame)
        yield from _pull(graph, tick)
    if graph is not None:
        yield from _pull(graph, tick, flush=True)


def _build(frame: av.VideoFrame, small: bool) -> av.filter.Graph:
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    weave = graph.add("setfield", "mode=prog") if small else graph.add("yadif", "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(weave)
    weave.link_to(sink)
    graph.configure()
    return graph


def _pull(graph: av.filter.Graph, tick: Fraction | None, flush: bool = False) -> Iterator[av.VideoFrame]:
    if flush:
        graph.push(None)
    while True:
        try:
            frame = cast(av.VideoFrame, graph.pull())
        except (av.BlockingIOError, av.EOFError):
            return
        if frame.pts is not None and frame.time_base != tick:
            assert frame.time_base is not None and tick is not None
            frame.pts = round(frame.pts * frame.time_base / tick)  # yadif counts in half ticks
        frame.time_base = tick
        yield frame
