"""FFmpeg's side of the chain: source -> packets -> frames, with errors in the user's words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

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
    if index is not None and not (type(index) is int and 0 <= index < len(sounds)):
        there = ", ".join(describe_sounds(container))
        raise UsageError(f"{name}: has {len(sounds)} audio stream(s), numbered from 0: {there}; there is no {index!r}")
    chosen = sounds[index] if index is not None else container.streams.best("audio") or sounds[0]
    stream = cast(AudioStream, chosen)
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
            frames = cast(list[av.AudioFrame], packet.decode())
        except av.FFmpegError:
            yield Damage()
            continue
        # A packet that a file ends in the middle of is marked, and decodes as far as it goes.
        for frame in frames:
            if frame.samples:
                yield frame
        if packet.is_corrupt and not open_end:
            yield Damage()


def read_packets(container: InputContainer, stream: Stream, source: Source) -> Iterator[av.Packet[Any] | Damage]:
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
