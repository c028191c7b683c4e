"""Make the clips of this folder: synthesised speech in several formats, and transcripts.tsv.

Needs the programs flite and espeak-ng (on Debian: apt install flite espeak-ng). From the project's folder:

    python -m sample_media.make
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from transducer.media import open_audio, read_audio

FOLDER = Path(__file__).parent
FRAME_RATE = 12
WIDTH, HEIGHT = 192, 108


@dataclass(frozen=True)
class Clip:
    """What to say, with which voice, and how to store it.

    Attributes:
        voice: "flite:NAME" or "espeak-ng:NAME".
        sentences: spoken one after the other, `pause` seconds apart.
        start: seconds by which the sound starts later than the picture.
        picture: codec of the picture, if there is one.
    """

    name: str
    voice: str
    sentences: tuple[str, ...]
    codec: str
    rate: int = 16000
    channels: int = 1
    bit_rate: int | None = None
    pause: float = 0.4
    start: float = 0.0
    picture: str = ""


CLIPS = (
    Clip(
        "island.wav",
        "flite:slt",
        (
            "The boat leaves the island at seven in the morning.",
            "Please bring a warm coat, because the wind on the water is cold.",
        ),
        "pcm_s16le",
    ),
    Clip(
        "apple-tree.flac",
        "flite:awb",
        (
            "My sister planted a small apple tree behind the house.",
            "After three summers it gave us a basket full of fruit.",
        ),
        "flac",
        rate=48000,
        channels=2,
    ),
    Clip(
        "the-way.mp3",
        "flite:rms",
        (
            "Turn left at the old mill and follow the river for two miles.",
            "You will see the village from the top of the hill.",
        ),
        "libmp3lame",
        rate=44100,
        bit_rate=64000,
    ),
    Clip(
        "letters.opus",
        "flite:kal16",
        ("The kitchen table was covered with letters, and nobody knew who had left the window open.",),
        "libopus",
        rate=48000,
        bit_rate=24000,
    ),
    Clip(
        "tea.m4a",
        "flite:slt",
        (
            "Would you like some tea before we begin?",
            "There is bread and honey on the shelf, and the kettle is hot.",
        ),
        "aac",
        rate=44100,
        channels=2,
        bit_rate=64000,
    ),
    Clip(
        "call-back.webm",
        "flite:rms",
        ("I will call you back tomorrow.", "No, wait, I have found the number in my pocket."),
        "libopus",
        rate=48000,
        bit_rate=24000,
        pause=2.5,
    ),
    Clip(
        "stars.mp4",
        "flite:awb",
        (
            "Good evening and welcome.",
            "Tonight we are going to talk about the stars, and how sailors found their way home by the sky.",
        ),
        "aac",
        rate=48000,
        bit_rate=48000,
        picture="libx264",
    ),
    Clip(
        "late-train.mkv",
        "espeak-ng:en-us",
        (
            "The train to the city is ten minutes late.",
            "We are sorry for the delay, and we thank you for waiting.",
        ),
        "libopus",
        rate=48000,
        bit_rate=24000,
        start=1.5,
        picture="libx264",
    ),
)


def main() -> None:
    lines = ["path\tseconds\ttext"]
    for clip in CLIPS:
        path = FOLDER / clip.name
        write(path, clip, speak(clip))
        with open_audio(path) as reader:
            seconds = sum(len(chunk) for chunk in reader) / reader.rate
        lines.append(f"{clip.name}\t{seconds:.2f}\t{' '.join(clip.sentences)}")
        print(f"{clip.name}: {seconds:.2f} s, {path.stat().st_size / 1000:.0f} kB")
    (FOLDER / "transcripts.tsv").write_text("\n".join(lines) + "\n")


def speak(clip: Clip) -> np.ndarray:
    """The clip's sound, float32 (samples,) at its rate: sentences with silence around them, peak at half scale."""
    pieces = [np.zeros(round(0.3 * clip.rate), np.float32)]
    with tempfile.TemporaryDirectory() as folder:
        for number, sentence in enumerate(clip.sentences):
            path = Path(folder) / f"{number}.wav"
            program, voice = clip.voice.split(":")
            if program == "flite":
                command = ["flite", "-voice", voice, "-t", sentence, "-o", str(path)]
            else:
                command = ["espeak-ng", "-v", voice, "-s", "150", "-w", str(path), sentence]
            subprocess.run(command, check=True)
            if number:
                pieces.append(np.zeros(round(clip.pause * clip.rate), np.float32))
            pieces.append(read_audio(path, clip.rate))
    pieces.append(pieces[0])
    sound = np.concatenate(pieces)
    return sound * np.float32(0.5 / np.abs(sound).max())


def write(path: Path, clip: Clip, sound: np.ndarray) -> None:
    """Encode a clip. The same program versions give the same bytes."""
    options = {"fflags": "+bitexact"}
    if path.suffix in (".mp4", ".m4a"):
        options["movflags"] = "+faststart"
    with av.open(str(path), "w", options=options) as container:
        picture = None
        if clip.picture:
            picture = container.add_stream(clip.picture, rate=FRAME_RATE, options={"crf": "32", "threads": "1"})
            picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream = container.add_stream(clip.codec, rate=clip.rate, layout="stereo" if clip.channels == 2 else "mono")
        if clip.bit_rate:
            stream.bit_rate = clip.bit_rate
        packets = list(_encode_sound(stream, clip, sound))
        if picture is not None:
            packets += _encode_picture(picture, clip, sound)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)


def _encode_sound(stream: av.AudioStream, clip: Clip, sound: np.ndarray) -> Iterator[av.Packet]:
    context = stream.codec_context
    context.open()
    resampler = av.AudioResampler(context.format.name, context.layout.name, clip.rate)
    size = context.frame_size or 1024
    for position in range(0, len(sound), size):
        block = np.repeat(sound[None, position : position + size], clip.channels, axis=0)
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=context.layout.name)
        frame.sample_rate = clip.rate
        for converted in resampler.resample(frame):
            converted.pts = position + round(clip.start * clip.rate)
            converted.time_base = Fraction(1, clip.rate)
            yield from stream.encode(converted)
    yield from stream.encode(None)


def _encode_picture(stream: av.VideoStream, clip: Clip, sound: np.ndarray) -> Iterator[av.Packet]:
    """Bars as high as the sound is loud, the present in the middle."""
    step = clip.rate // FRAME_RATE
    start = round(clip.start * FRAME_RATE)
    loudness = np.concatenate(
        [np.zeros(start), [np.abs(sound[i : i + step]).max() for i in range(0, len(sound), step)]]
    )
    around = np.pad(loudness, WIDTH // 12)
    rows = np.abs(np.arange(HEIGHT) - HEIGHT / 2)[:, None]
    for index in range(len(loudness)):
        heights = np.repeat(around[index : index + WIDTH // 6 + 1], 6)[:WIDTH] * HEIGHT * 0.9
        image = np.full((HEIGHT, WIDTH, 3), (24, 32, 48), np.uint8)
        image[(rows < heights / 2 + 1) & (np.arange(WIDTH) % 6 < 4)] = (120, 200, 160)
        image[:, WIDTH // 2] = (240, 240, 240)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE)
        yield from stream.encode(frame)
    yield from stream.encode(None)


if __name__ == "__main__":
    main()
