"""`transducer export`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from transducer.cli import app
from transducer.cli.console import write_stdout


@app.command()
def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A bundled model, or a checkpoint folder.")],
    output: Annotated[Path, typer.Option("--output", metavar="FOLDER", help="The folder to write.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Matrices of bytes: smaller, faster, a little less exact.")
    ] = False,
    chunk_ms: Annotated[
        list[float] | None,
        typer.Option(
            "--chunk-ms", help="A chunk that it is to run with; may be repeated. All that it knows if not given."
        ),
    ] = None,
    check: Annotated[
        list[str] | None,
        typer.Option("--check", metavar="FILE", help="A recording whose results are compared; may be repeated."),
    ] = None,
) -> Callable[[], int]:
    """Write a model as ONNX, which onnxruntime runs without PyTorch.

    The folder is a model like any other: give it to --model, or to transducer.load. At the end it is compared with
    the checkpoint.
    """

    def run() -> int:
        import transducer
        from transducer.export.folder import export as write

        found = write(transducer.load(model), output, int8, chunk_ms or (), check or ())
        compared = f", {found.check.equal} of {found.check.compared} results the same" if found.check.compared else ""
        write_stdout(
            f"{output}: {found.size / 1e6:.1f} MB; outputs differ by {found.check.difference:.2g} at most{compared}\n"
        )
        return 0

    return run
