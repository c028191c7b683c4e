"""`transducer train`: a model from pairs (x, y), or from a recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from transducer.cli import app
from transducer.cli import parameters as p

_PAIRS = "Of pairs"


@app.command()
def train(
    what: Annotated[
        str,
        typer.Argument(
            metavar="PAIRS|RECIPE",
            help="A table of pairs (.jsonl with x and y, .csv, .tsv), a folder with one for each class, or a recipe: "
            "FILE or FILE:FUNCTION, such as pipelines/speech_en.",
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option("--data", help="The table or folder for a recipe: $TRANSDUCER_DATA, or else this folder."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="The run's folder: runs/NAME if not given.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A few steps on a little data, to see that it runs.")] = False,
    task: Annotated[
        str | None,
        typer.Option("--task", help=f"{_PAIRS}: n2n (a label a step), n21 (one label), n2m (another length)."),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(
            "--input",
            help=f"{_PAIRS}: text, series, image, sound, video; of text, what a step is: characters, words, bytes, "
            "subwords.",
        ),
    ] = None,
    output_tokens: Annotated[
        str | None,
        typer.Option(
            "--output-tokens",
            help=f"{_PAIRS}: what texts are written in, as for --input; or numbers or labels, where y could be both.",
        ),
    ] = None,
    x: Annotated[
        str | None,
        typer.Option("--x", metavar="COLUMN", help=f"{_PAIRS}: the column of x, or several of numbers: a,b."),
    ] = None,
    y: Annotated[str | None, typer.Option("--y", metavar="COLUMN", help=f"{_PAIRS}: the column of y.")] = None,
    core: Annotated[
        str | None,
        typer.Option("--core", help=f"{_PAIRS}: gru, lstm, rnn, bigru, tcn, transformer, conformer, independent, ..."),
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", help=f"{_PAIRS}: framewise, pooled, ctc, rnnt, attention, ...")
    ] = None,
    attention: Annotated[
        str | None,
        typer.Option("--attention", help=f"{_PAIRS}: of the head attention: multihead, bahdanau, luong, dot, concat."),
    ] = None,
    channels: Annotated[int | None, typer.Option("--channels", min=1, help=f"{_PAIRS}: of the core.")] = None,
    layers: Annotated[int | None, typer.Option("--layers", min=1, help=f"{_PAIRS}: of the core.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help=f"{_PAIRS}: of the optimizer, at most.")] = None,
    patience: Annotated[
        int, typer.Option("--patience", min=0, help=f"{_PAIRS}: evaluations without progress that end it; 0 for none.")
    ] = 8,
    held_out: Annotated[
        float,
        typer.Option("--held-out", min=0, max=0.9, help=f"{_PAIRS}: the share to measure on, of no column split."),
    ] = 0.15,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting; may be repeated.")
    ] = None,
    threads: p.Threads = None,
    cache: Annotated[str | None, typer.Option("--cache", help="A folder for features that several runs share.")] = None,
    device: Annotated[
        p.Device, typer.Option("--device", help="What to train on; auto takes a GPU if there is one.")
    ] = p.Device.cpu,
) -> Callable[[], int]:
    """Train a model from pairs (x, y), or from a recipe.

    Of pairs, the kind of x, the shape of the task and a model that suits are inferred, and shown before training;
    every choice has an option. Texts, lists of numbers, and files of sound, pictures and numbers can be x.
    """

    def run() -> int:
        from transducer.training.command import train_command
        from transducer.training.frame.choices import Choices

        choices = Choices(
            task, input, output_tokens, x, y, core, head, attention, channels, layers, steps, patience, held_out
        )
        return train_command(
            what,
            data=data,
            output=output,
            resume=resume,
            quick=quick,
            settings=tuple(settings or ()),
            threads=threads,
            cache=cache,
            device=device.value,
            choices=choices,
        )

    return run
