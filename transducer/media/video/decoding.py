"""FFmpeg's side of the pictures: source -> packets -> frames in presentation order."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from transducer.errors import MediaError
from transducer.media.io.decoding import Damage, read_packets, strerror
from transducer.media.io.sources import Source
from transducer.media.io.timing import time_origin

_MICROSECONDS = 1_000_000
_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails
_SOUND = "transducer transcribe reads its sound"
# Codecs whose pictures are decoded at 1/2, 1/4 or 1/8 of the size. In the second set each picture is made from
# the one before, so that errors add up until the next key frame.
_REDUCIBLE = {"mjpeg"}
_REDUCIBLE_ROUGHLY = {"mpeg1video", "mpeg2video", "mpeg4", "h263", "flv1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2"}
_DEBLOCKED = {"h264", "hevc", "vp8", "vp9", "mpeg4", "h263", "flv1"}


def open_video_stream(container: InputContainer, source: Source) -> VideoStream:
    """The pictures to decode: FFmpeg's choice. The codec is not open yet. Covers of sound files don't count.

    Raises:
        MediaError: there is no video, or no decoder for it.
    """
    videos = [stream for stream in container.streams.video if not stream.disposition & _COVERS]
    # FFmpeg draws text as if on a terminal.
    if not videos or container.format.name == "tty":
        raise MediaError(f"{source.name}: {_what_instead(container)}")
    best = container.streams.best("video")
    stream = next((video for video in videos if best is not None and video.index == best.index), videos[0])
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all  # the demuxer skips it
    if stream.codec_context is None:
        raise MediaError(
            f"{source.name}: its video is in a format that can't be decoded; convert it, for example to H.264"
        )
    return stream


def open_decoder(
    stream: VideoStream, source: Source, size: tuple[int, int] | None, fast: bool, live: bool = False
) -> None:
    """Open the codec, threaded, for pictures of at least `size` (height, width), where it can make them smaller.

    Args:
        live: no frame is held back for the sake of speed.

    Raises:
        MediaError: the codec can't decode this stream.
    """
    codec = stream.codec_context
    # Threads that each decode a frame hold back as many frames, which is too late for a live stream.
    live = live or (source.is_address and str(source.target).startswith("rtsp"))
    codec.thread_type = "SLICE" if live else "AUTO"
    options = {}
    if size is not None and codec.name in _REDUCIBLE | (_REDUCIBLE_ROUGHLY if fast else set()):
        # Either side may be the longer one: the picture may be stored on its side.
        room = min(min(codec.height, codec.width) // max(size), max(codec.height, codec.width) // max(size))
        options["lowres"] = str(min(3, max(room, 1).bit_length() - 1))
    if fast and codec.name in _DEBLOCKED:
        options["skip_loop_filter"] = "all" if size is not None else "noref"
    codec.options = options
    try:
        codec.open(strict=False)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(
            f"{source.name}: its video ({codec.name}) can't be decoded: {strerror(error)}; convert it to H.264"
        ) from None


def decode_video(container: InputContainer, stream: VideoStream, source: Source) -> Iterator[av.VideoFrame | Damage]:
    """All frames that can be decoded, in presentation order, and a `Damage` where some could not. Lazy."""
    # AVI has times of decoding only, and FFmpeg guesses the others wrongly where frames are reordered.
    guessed = container.format.name == "avi"
    start: int | None = None
    delay: int | None = None  # from the first packet to the first frame, and so for all
    for packet in read_packets(container, stream, source):
        if isinstance(packet, Damage):
            yield packet
            continue
        start = packet.dts if start is None else start
        try:
            frames = packet.decode()
        except av.FFmpegError:
            yield Damage()
            continue
        for frame in frames:
            if guessed or frame.pts is None:
                if delay is None and frame.dts is not None:
                    delay = frame.dts - start if start is not None else 0
                frame.pts = None if frame.dts is None or delay is None else frame.dts - delay
            yield frame
        if packet.is_corrupt:
            yield Damage()


def clock_origin(container: InputContainer, stream: Stream) -> Fraction | None:
    """The timestamp, in seconds, that a player shows as 0, the same for sound and pictures; None: the first one's."""
    start = time_origin(container, stream)
    if start is None:
        return None
    # The container's start is rounded to microseconds; some stream knows it exactly.
    for other in (stream, *container.streams):
        if other.start_time is not None and other.time_base is not None:
            exact = other.start_time * other.time_base
            if abs(exact - start) <= Fraction(2, _MICROSECONDS):
                return exact
    return start


def frame_rate(stream: VideoStream) -> Fraction:
    """Frames per second, on average as far as the header or FFmpeg's look at the first packets tells; else 25."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate is not None and 0 < rate <= 100_000:
            return Fraction(rate)
    return Fraction(25)


def is_still_image(container: InputContainer) -> bool:
    """One picture, and no time in it."""
    kind = container.format.name
    return kind.endswith("_pipe") or kind in ("image2", "ico")


def _what_instead(container: InputContainer) -> str:
    kinds = {stream.type for stream in container.streams}
    if container.format.name == "tty":
        return "is text, not video; name a video file"
    if "audio" in kinds:
        cover = " but its cover picture" if "video" in kinds else ""
        return f"no video stream{cover}; name a file with pictures, or {_SOUND}"
    if "subtitle" in kinds:
        return "no video stream, it holds subtitles; name a video file"
    return "no video stream; name a video file"
