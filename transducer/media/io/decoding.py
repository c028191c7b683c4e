"""FFmpeg's side of the chain: source -> packets -> frames, with errors in the user's words."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard, Stream

from transducer.errors import MediaError, TransducerError, UsageError
from transducer.media.io.memory import limit_allocations
from transducer.media.io.parts import has_open_end
from transducer.media.io.protocols import is_playlist
from transducer.media.io.sources import RawFormat, Source, printable

# Reads in a row that may fail before the rest of a file is given up.
_PATIENCE = 100
_MICROSECONDS = 1_000_000
LONGEST_GAP = 600.0  # seconds between timestamps that are believed where nothing says how long the file is
_DAY = 24 * 3600.0
_LEAST_BYTES = 4  # a second
_WITHOUT_TIMESTAMPS = {"aac", "ac3", "dts", "dtshd", "eac3", "flac", "loas", "mlp", "mp2", "mp3", "truehd", "tta"}


class Damage(NamedTuple):
    """A place where sound or pictures could not be read or decoded. `reason` is empty for plain decoding errors."""

    reason: str = ""


def open_container(source: Source, raw: RawFormat | None = None) -> InputContainer:
    """Open a source with FFmpeg.

    Raises:
        MediaError: it can't be read, or is no media; one line that says what to do.
        UsageError: a kind of address that FFmpeg can't read.
    """
    limit_allocations()
    options = dict(source.options)
    if raw is not None:
        options |= {"sample_rate": str(raw.rate), "ch_layout": "mono" if raw.channels == 1 else f"{raw.channels}C"}
    try:
        container = av.open(
            source.target,
            "r",
            format=raw.encoding if raw else None,
            container_options=options,
            metadata_errors="replace",
            timeout=source.timeout,
        )
        source.check()
        return container
    except av.FFmpegError as error:
        source.check()
        raise _explain(error, source) from None


def open_audio_stream(container: InputContainer, source: Source, index: int | None = None) -> AudioStream:
    """The sound to decode: FFmpeg's choice, or number `index` (from 0) of the sounds that there are.

    Raises:
        MediaError: there is no sound, or no decoder for it.
        UsageError: there is no sound with this number.
    """
    name, sounds = source.name, container.streams.audio
    if not sounds:
        raise MediaError(f"{name}: {_what_instead(container)}; name a file that has sound")
    if index is not None and not 0 <= index < len(sounds):
        there = ", ".join(describe_sounds(container))
        raise UsageError(f"{name}: has {len(sounds)} audio stream(s), numbered from 0: {there}; there is no {index}")
    stream = sounds[index] if index is not None else container.streams.best("audio") or sounds[0]
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all  # the demuxer skips it
    codec = stream.codec_context
    if codec is None:
        raise MediaError(f"{name}: its sound is in a format that can't be decoded; convert it, for example to FLAC")
    if codec.name == "flac":
        # FLAC alone carries a checksum of each frame; without this, damage is decoded as loud noise.
        codec.options = {"err_detect": "crccheck+explode"}
    try:
        codec.open(strict=False)
    except (av.FFmpegError, ValueError) as error:
        if not codec.layout.nb_channels:
            raise MediaError(f"{name}: its header says zero channels, so there is no sound in it") from None
        reason = strerror(error)
        raise MediaError(f"{name}: its sound ({codec.name}) can't be decoded: {reason}; convert it to FLAC") from None
    return stream


def describe_sounds(container: InputContainer) -> list[str]:
    """The sounds of a file, by their numbers: "1 (aac, stereo, deu, Commentary)"."""
    texts = []
    for number, stream in enumerate(container.streams.audio):
        codec = stream.codec_context
        facts = [codec.name, codec.layout.name] if codec is not None else ["unknown"]
        facts += [stream.metadata[key] for key in ("language", "title") if stream.metadata.get(key, "und") != "und"]
        texts.append(f"{number} ({', '.join(printable(fact) for fact in facts)})")
    return texts


def decode(container: InputContainer, stream: AudioStream, source: Source) -> Iterator[av.AudioFrame | Damage]:
    """All frames that can be decoded, in order, and a `Damage` where some could not. Lazy."""
    open_end = has_open_end(source.head)
    for packet in read_packets(container, stream, source):
        if isinstance(packet, Damage):
            yield packet
            continue
        try:
            frames = packet.decode()
        except av.FFmpegError:
            yield Damage()
            continue
        # A packet that a file ends in the middle of is marked, and decodes as far as it goes.
        for frame in frames:
            if frame.samples:
                yield frame
        if packet.is_corrupt and not open_end:
            yield Damage()


def time_origin(container: InputContainer, stream: Stream) -> Fraction | None:
    """The timestamp, in seconds, that a player shows as 0; None: that of the first frame."""
    if container.start_time is None:
        return None
    start = Fraction(container.start_time, _MICROSECONDS)
    if stream.start_time is not None:
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
    start = stream.start_time * stream.time_base if stream.start_time is not None else origin
    end = start - origin + stream.duration * stream.time_base
    return end if end > 0 else None


def _container_end(container: InputContainer) -> Fraction | None:
    if container.duration is None or container.duration <= 0:
        return None
    end = Fraction(container.duration, _MICROSECONDS)
    # These formats count from timestamp 0, not from where the first stream starts.
    if container.format.name.split(",")[0] in ("matroska", "flv") and container.start_time is not None:
        end -= max(Fraction(container.start_time, _MICROSECONDS), 0)
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


def read_packets(container: InputContainer, stream: Stream, source: Source) -> Iterator[av.Packet | Damage]:
    """A stream's packets, a `Damage` where some can't be read, and at the end an empty packet. Lazy."""
    failures = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            source.check()
            return
        except av.InvalidDataError:
            # Go on behind it: the demuxer looks for the next place that makes sense.
            source.check()
            failures += 1
            yield Damage("too much of it is damaged" if failures == _PATIENCE else "")
            if failures == _PATIENCE:
                return
            packets = container.demux(stream)
            continue
        except (av.FFmpegError, IndexError) as error:
            source.check()
            packet = av.Packet()  # an empty one gets the last frames out of the decoder
            packet.stream = stream
            yield packet
            # PyAV 18 ends with an IndexError where a stream has turned up that wasn't there at first.
            if not isinstance(error, IndexError):
                yield Damage(_stop_reason(error, source))
            return
        yield packet
        if packet.size:
            failures = 0
        elif source.read_error is not None:  # FFmpeg was told that the file ends here
            yield Damage(_stop_reason(source.read_error, source))


def _stop_reason(error: Exception, source: Source) -> str:
    if source.is_address and isinstance(error, av.ExitError | TimeoutError):
        return f"no data came for {source.timeout:g} s"
    if source.is_address:
        return f"the connection broke off ({strerror(error)})"
    return strerror(error)


def strerror(error: Exception) -> str:
    """The system's or FFmpeg's words for an error, in lower case."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _what_instead(container: InputContainer) -> str:
    kinds = {stream.type for stream in container.streams}
    if "video" in kinds:
        kind = container.format.name
        if kind.endswith("_pipe") or kind in ("image2", "gif", "apng", "ico", "avif"):
            return "is an image and has no sound"
        return "is text and has no sound" if kind == "tty" else "is a video without sound"
    return "holds subtitles and no sound" if "subtitle" in kinds else "has no sound"


def _explain(error: av.FFmpegError, source: Source) -> TransducerError:
    """FFmpeg's error on opening -> one line in the user's words."""
    name = source.name
    if isinstance(error, av.ProtocolNotFoundError):
        return UsageError(f"{name}: this kind of address can't be read; use http, https or rtsp, or a file")
    if is_playlist(source.head):
        return MediaError(
            f"{name}: is a list of other files or addresses, which is read only where its own address is given; "
            "name what it lists"
        )
    if isinstance(error, av.InvalidDataError | av.EOFError | av.MemoryError):
        return MediaError(f"{name}: {_what_is_invalid(source)}")
    if isinstance(error, av.HTTPNotFoundError):
        return MediaError(f"{name}: the server has no such file (404); check the address")
    if isinstance(error, av.HTTPUnauthorizedError | av.HTTPForbiddenError):
        return MediaError(f"{name}: the server refuses access; put user:password@ into the address if it has them")
    if isinstance(error, av.HTTPError | av.HTTPClientError | av.HTTPServerError):
        return MediaError(f"{name}: the server answers with an error ({strerror(error)}); try again later")
    if source.is_address and isinstance(source.target, str):
        if isinstance(error, ConnectionRefusedError):
            return MediaError(f"{name}: nothing answers there (connection refused); check the address and the port")
        if isinstance(error, av.ExitError | TimeoutError):
            return MediaError(f"{name}: no answer within {source.timeout:g} s; check the address and the network")
        return MediaError(f"{name}: can't be reached ({strerror(error)}); check the address and the network")
    if source.read_error is not None:
        return MediaError(f"{name}: can't be read: {_stop_reason(source.read_error, source)}")
    return MediaError(f"{name}: can't be opened ({strerror(error)}); it is damaged, or of a kind that can't be read")


def _what_is_invalid(source: Source) -> str:
    head = source.head
    if source.is_address and (not head or _is_text(head)):
        return "what is there is no sound or video; check that the address is that of the file, not of its page"
    if head[4:8] in (b"ftyp", b"mdat", b"wide"):
        return "its index (moov) is missing or damaged: the recording was cut short; copy or record it again"
    if _is_text(head):
        return "is text, not sound or video; name a media file"
    return "is no sound or video that can be read, or its start is damaged; for PCM without a header use --raw"


def _is_text(head: bytes) -> bool:
    # The last character may be cut.
    text = head.decode("utf-8", "ignore")
    return len(text.encode()) >= len(head) - 3 and bool(text) and all(c.isprintable() or c.isspace() for c in text)
