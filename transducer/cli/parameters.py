"""Arguments and options that several commands share, as typer takes them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from transducer.cli.options import BEAM_LIMIT, CHANNELS_LIMIT, CHUNK_MS_LIMIT, NBEST_LIMIT, RATE_LIMIT
from transducer.formats import formats

DEFAULT_MODEL = "speech-en"
DEFAULT_LABELLER = "shots"


class Search(StrEnum):
    greedy = "greedy"
    beam = "beam"
    sample = "sample"


class Task(StrEnum):
    in_its_language = "transcribe"
    in_english = "translate"


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def format_option(result_type: type) -> typer.models.OptionInfo:
    """--format, with the formats that there are."""
    names = ", ".join(formats(result_type))
    option: typer.models.OptionInfo = typer.Option(
        "--format", "-f", help=f"One of {names}; may be repeated, or a list with commas."
    )
    return option


Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILES...", help="Files, folders, http(s) or rtsp addresses, - for standard input."),
]
FilesFrom = Annotated[
    str | None,
    typer.Option(
        "--files-from",
        metavar="LIST",
        help="Work on the files of a list: a path a line, TSV with a header, or JSON lines; - for standard input.",
    ),
]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, max=256, help="Worker processes, for many files.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Leave out files that an earlier run has done and that have not changed.")
]
ByContent = Annotated[bool, typer.Option("--by-content", help="Know files by what they hold, not by size and time.")]
Model = Annotated[str, typer.Option("--model", "-m", help="A bundled model, or a folder.")]
OutputDir = Annotated[
    str | None, typer.Option("--output-dir", "-o", help="Write NAME.FORMAT for every file into this folder.")
]
Output = Annotated[
    str | None,
    typer.Option("--output", metavar="FILE", help="Write to this file; its suffix is the format, if none is given."),
]
Json = Annotated[bool, typer.Option("--json", help="The same as --format json.")]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Of folders, those inside them as well.")]
Start = Annotated[
    str | None,
    typer.Option("--start", metavar="TIME", help="Begin there: seconds, or h:mm:ss. Times stay the source's."),
]
Length = Annotated[
    str | None, typer.Option("--length", metavar="TIME", help="Take no more than this: seconds, or h:mm:ss.")
]
Track = Annotated[int | None, typer.Option("--track", min=0, max=999, help="Which sound of several, from 0.")]
OnDevice = Annotated[Device | None, typer.Option("--device", help="Where the model runs.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads for the model.")]

SearchChoice = Annotated[
    Search | None, typer.Option("--search", help="How to decode: the model's own choice if not given.")
]
Beam = Annotated[int | None, typer.Option("--beam", min=1, max=BEAM_LIMIT, help="Hypotheses kept in a beam search.")]
ChunkMs = Annotated[
    int | None,
    typer.Option(
        "--chunk-ms", min=1, max=CHUNK_MS_LIMIT, help="Decode in chunks of this length: the model's own if not given."
    ),
]
Hotwords = Annotated[
    str | None,
    typer.Option(
        "--hotwords", help="A file of words and phrases to be expected, a line each; a tab and a weight may follow."
    ),
]
NBest = Annotated[
    int | None,
    typer.Option("--nbest", min=1, max=NBEST_LIMIT, help="Alternatives for every segment, in json and jsonl."),
]
Temperature = Annotated[
    float | None, typer.Option("--temperature", help="Of sampling: less makes the probable more probable.")
]
TopK = Annotated[int | None, typer.Option("--top-k", min=1, help="Sample from so many most probable tokens.")]
TopP = Annotated[
    float | None, typer.Option("--top-p", help="Sample from the tokens that have so much probability together.")
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Of sampling: with the same one the same is drawn.")]
LengthPenalty = Annotated[
    float | None,
    typer.Option("--length-penalty", min=0, help="Of an attention decoder's beam: more favours longer texts."),
]
CoveragePenalty = Annotated[
    float | None,
    typer.Option("--coverage-penalty", min=0, help="Of an attention decoder's beam: more leaves less unattended."),
]
LanguageModel = Annotated[
    str | None,
    typer.Option("--language-model", metavar="DIR", help="A causal language model over the same tokens, for a beam."),
]
LanguageWeight = Annotated[float | None, typer.Option("--language-weight", min=0, help="Of what that model says.")]
Language = Annotated[
    str | None,
    typer.Option(
        "--language", metavar="CODE", help="That is spoken, such as de, for a model of many; told if not given."
    ),
]
TaskChoice = Annotated[Task | None, typer.Option("--task", help="Of such a model: translate writes English.")]
Prompt = Annotated[
    str | None, typer.Option("--prompt", metavar="TEXT", help="What a full-context model takes for said before: names.")
]
Partials = Annotated[
    bool, typer.Option("--partials", help="Decode a full-context model's segments while they grow: text comes sooner.")
]
SecondPass = Annotated[
    str | None,
    typer.Option(
        "--second-pass", metavar="MODEL", help="A full-context model that writes each final segment anew, or none."
    ),
]
Raw = Annotated[str | None, typer.Option("--raw", help="The input is bare samples of this format, such as s16le.")]
Rate = Annotated[int | None, typer.Option("--rate", min=1, max=RATE_LIMIT, help="With --raw: samples a second.")]
Channels = Annotated[int | None, typer.Option("--channels", min=1, max=CHANNELS_LIMIT, help="With --raw: channels.")]
Punctuate = Annotated[bool, typer.Option("--punctuate", help="Restore capitals and punctuation.")]
Digits = Annotated[bool, typer.Option("--digits", help="Write numbers from ten on as digits.")]
Karaoke = Annotated[bool, typer.Option("--karaoke", help="In srt and vtt, underline each word while it is said.")]
Paragraphs = Annotated[bool, typer.Option("--paragraphs", help="In txt, an empty line at long pauses.")]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold", help="The probability, between 0 and 1, that an event needs: the model's own if not given."
    ),
]
StartTimecode = Annotated[
    str | None,
    typer.Option(
        "--start-timecode",
        metavar="TC",
        help="Of the first frame, in edl and otio: hh:mm:ss:ff, with ; for drop-frame.",
    ),
]
