"""What a container tells of its times: where second 0 is, how long a stream is, and how far that can be believed."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from av.container import InputContainer
from av.stream import Stream

_MICROSECONDS = 1_000_000
LONGEST_GAP = 600.0  # seconds between timestamps that are believed where nothing says how long the file is
_DAY = 24 * 3600.0
_LEAST_BYTES = 4  # a second
_PLAIN = {"aiff", "au", "caf", "voc", "w64", "wav"}  # hold samples, and nothing that could leave some out
_WITHOUT_TIMESTAMPS = {"aac", "ac3", "dts", "dtshd", "eac3", "flac", "loas", "mlp", "mp2", "mp3", "truehd", "tta"}


def time_origin(container: InputContainer, stream: Stream) -> Fraction | None:
    """The timestamp, in seconds, that a player shows as 0; None: that of the first frame."""
    if container.start_time is None:
        return None
    start = Fraction(container.start_time, _MICROSECONDS)
    if stream.start_time is not None:
        assert stream.time_base is not None
        exact = stream.start_time * stream.time_base
        # The container's start is rounded to microseconds. When it is this stream's, take it as it is.
        if abs(exact - start) <= Fraction(2, _MICROSECONDS):
            return exact
    return start


def stream_end(container: InputContainer, stream: Stream) -> Fraction | None:
    """Seconds from the origin at which a stream ends, as far as the headers tell."""
    if stream.duration is None or stream.duration <= 0:
        return _container_end(container)
    origin = time_origin(container, stream) or Fraction(0)
    assert stream.time_base is not None
    start = stream.start_time * stream.time_base if stream.start_time is not None else origin
    end = start - origin + stream.duration * stream.time_base
    return end if end > 0 else None


def _container_end(container: InputContainer) -> Fraction | None:
    if container.duration is None or container.duration <= 0:
        return None
    end = Fraction(container.duration, _MICROSECONDS)
    # These formats count from timestamp 0, not from where the first stream starts.
    if container.format.name.split(",")[0] in ("matroska", "flv") and container.start_time is not None:
        end -= max(Fraction(container.start_time, _MICROSECONDS), Fraction(0))
    return end if end > 0 else None


class Length(NamedTuple):
    """What is known of how long a stream is, in seconds from the origin.

    Attributes:
        end: where it ends, as far as the headers tell; may be an estimate.
        declared: the header says so of this stream, and `end` is no estimate.
        latest: what no stream of the file goes beyond; None where nothing says so.
        longest_gap: a longer one is damage, even before `latest`.
    """

    end: Fraction | None = None
    declared: bool = False
    latest: Fraction | None = None
    longest_gap: float = LONGEST_GAP

    def believes(self, gap: float, position: Fraction) -> bool:
        """Whether timestamps may jump ahead by `gap` seconds from `position`."""
        if gap <= LONGEST_GAP:
            return True
        return gap <= self.longest_gap and self.latest is not None and position + Fraction(gap) <= self.latest + 1


UNKNOWN = Length()


def stream_length(container: InputContainer, stream: Stream) -> Length:
    """What the headers tell of a stream's length, and FFmpeg's look at the end of the file."""
    end = stream_end(container, stream)
    latest = None
    if not counts_timestamps(container):
        whole = _container_end(container)
        latest = max((each for each in (end, whole) if each is not None), default=None)
    # A file has more than a few bytes for each second, even where it holds silence and one picture.
    longest = container.size / _LEAST_BYTES if container.size > 0 else _DAY
    return Length(end, declares_length(container, stream), latest, min(longest, _DAY))


def counts_timestamps(container: InputContainer) -> bool:
    """Whether the file has no timestamps, so that FFmpeg counts frames, all of them at the first one's rate."""
    return container.format.name in _WITHOUT_TIMESTAMPS


def has_no_gaps(container: InputContainer, stream: Stream) -> bool:
    """Whether the file holds samples one after the other, so that timestamps with gaps come of a damaged header."""
    return container.format.name in _PLAIN and stream.codec_context.name.startswith("pcm_")


def declares_length(container: InputContainer, stream: Stream) -> bool:
    """Whether `stream_end` is what the file's header says of this stream, and no estimate by FFmpeg."""
    kind = container.format.name.split(",")[0]
    if kind == "mp3":
        return bool(stream.start_time)  # an Info tag has been read: it holds the delay and the number of frames
    if kind in ("matroska", "flv", "ogg"):
        return len(container.streams) == 1  # the length is that of the longest stream
    return kind in ("mov", "flac", "caf")


def trims_padding(container: InputContainer) -> bool:
    """Whether the header's end cuts the last frame: MP4 says so, and FFmpeg leaves the cutting to the player."""
    return container.format.name.startswith("mov,")
