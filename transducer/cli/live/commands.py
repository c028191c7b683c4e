"""The commands for what happens now: they only parse here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from transducer.cli import app
from transducer.cli import parameters as p
from transducer.formats import formats
from transducer.results import Labelling, Transcript

Pace = Annotated[bool, typer.Option("--pace", help="A file, as if it happened now.")]
Save = Annotated[
    str | None,
    typer.Option("--save", metavar="FILE", help="Keep what is heard and seen: wav, flac, ogg, mka; mkv, mp4."),
]
Exec = Annotated[
    str | None,
    typer.Option(
        "--exec",
        metavar="COMMAND",
        help="Run this for each final result: {} in it becomes the text, or else the text is its standard input.",
    ),
]
Server = Annotated[
    str | None,
    typer.Option("--server", metavar="ws://...", help="Let this `transducer serve` compute, not this machine."),
]
Token = Annotated[str | None, typer.Option("--token", help="Of the server: $TRANSDUCER_TOKEN if not given.")]
EndSilence = Annotated[
    float | None,
    typer.Option("--end-silence", metavar="SECONDS", help="Of silence after which a sentence is final; 0.8 by itself."),
]
MaxSegment = Annotated[
    float | None,
    typer.Option("--max-segment", metavar="SECONDS", help="The longest that a sentence may get; 20 by itself."),
]


@app.command()
def listen(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[SOURCE]",
            help="- for standard input, an address, or a file; the microphone if not given.",
            show_default=False,
        ),
    ] = None,
    model: p.Model = p.DEFAULT_MODEL,
    device: Annotated[
        str | None, typer.Option("--device", help="The microphone: its number, or a part of its name.")
    ] = None,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="Which microphones there are.")] = False,
    pace: Pace = False,
    raw: p.Raw = None,
    rate: p.Rate = None,
    channels: p.Channels = None,
    track: p.Track = None,
    format: Annotated[str | None, typer.Option("--format", "-f", help=f"One of {', '.join(formats(Transcript))}.")] = (
        None
    ),
    output: p.Output = None,
    save: Save = None,
    exec: Exec = None,
    server: Server = None,
    token: Token = None,
    end_silence: EndSilence = None,
    max_segment: MaxSegment = None,
    search: p.SearchChoice = None,
    beam: p.Beam = None,
    chunk_ms: p.ChunkMs = None,
    hotwords: p.Hotwords = None,
    nbest: p.NBest = None,
    temperature: p.Temperature = None,
    top_k: p.TopK = None,
    top_p: p.TopP = None,
    seed: p.Seed = None,
    length_penalty: p.LengthPenalty = None,
    coverage_penalty: p.CoveragePenalty = None,
    language_model: p.LanguageModel = None,
    language_weight: p.LanguageWeight = None,
    language: p.Language = None,
    task: p.TaskChoice = None,
    prompt: p.Prompt = None,
    second_pass: p.SecondPass = None,
    punctuate: p.Punctuate = False,
    digits: p.Digits = False,
    threads: p.Threads = None,
) -> Callable[[], int]:
    """Write down what is said, while it is said: microphone, standard input, address, or a file at its own pace.

    On a terminal the newest words are dim as long as they may change; Enter makes them final at once, and Ctrl-C ends.
    Piped, finals come a line each; --format jsonl has the partial results as well.
    """
    if list_devices:
        return _list_devices
    return _job("listen", {name: value for name, value in locals().items() if name != "list_devices"})


@app.command()
def watch(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[SOURCE]",
            help="A camera's number or path, an address, a file, - for standard input; camera 0 if not given.",
            show_default=False,
        ),
    ] = None,
    model: p.Model = p.DEFAULT_LABELLER,
    pace: Pace = False,
    raw: Annotated[
        str | None, typer.Option("--raw", help="Standard input is bare frames of this pixel format, such as rgb24.")
    ] = None,
    size: Annotated[str | None, typer.Option("--size", metavar="WxH", help="With --raw: pixels of a frame.")] = None,
    fps: Annotated[
        float | None, typer.Option("--fps", help="Frames per second of --raw, and of MJPEG on standard input.")
    ] = None,
    listen: Annotated[bool, typer.Option("--listen", help="Write down what is said as well.")] = False,
    speech: Annotated[
        str, typer.Option("--speech", help="With --listen: a bundled model, or a folder.")
    ] = p.DEFAULT_MODEL,
    microphone: Annotated[
        str | None, typer.Option("--microphone", help="With --listen and a camera: its number, or a part of its name.")
    ] = None,
    format: Annotated[str | None, typer.Option("--format", "-f", help=f"One of {', '.join(formats(Labelling))}.")] = (
        None
    ),
    output: p.Output = None,
    save: Save = None,
    exec: Exec = None,
    server: Server = None,
    token: Token = None,
    threshold: p.Threshold = None,
    end_silence: EndSilence = None,
    max_segment: MaxSegment = None,
    chunk_ms: p.ChunkMs = None,
    hotwords: p.Hotwords = None,
    language: p.Language = None,
    task: p.TaskChoice = None,
    prompt: p.Prompt = None,
    second_pass: p.SecondPass = None,
    punctuate: p.Punctuate = False,
    digits: p.Digits = False,
    threads: p.Threads = None,
) -> Callable[[], int]:
    """Label what is seen, while it is seen: webcam, address, standard input, or a file at its own pace.

    With --listen what is said is written down as well, on the same clock. Ctrl-C ends.
    """
    given = locals()
    given["device"] = given.pop("microphone")
    return _job("watch", given)


def _job(command: str, given: dict[str, Any]) -> Callable[[], int]:
    """What does a command, with the arguments that it was given."""

    def run() -> int:
        from transducer.cli.live.job import LiveJob
        from transducer.cli.live.run import run

        return run(LiveJob(command, **given))

    return run


def _list_devices() -> int:
    from transducer.cli.live.devices import print_devices

    return print_devices()
