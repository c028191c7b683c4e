"""`transducer attention`: a picture of what a decoder attends to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from transducer.cli import app
from transducer.cli.console import write_stdout


@app.command()
def attention(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder with a model that has such a decoder.")],
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A file; of models that read text the text itself.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The picture.")] = Path("attention.png"),
    text: Annotated[str | None, typer.Option("--text", help="What it is to write; else what it does write.")] = None,
    each: Annotated[bool, typer.Option("--each", help="A panel for each layer and head, not their mean.")] = False,
) -> Callable[[], int]:
    """Draw which steps of its input a model attends to at each token that it writes."""

    def run() -> int:
        import transducer
        from transducer.engine.attended import attended
        from transducer.errors import MediaError
        from transducer.formats.attention_map import draw_attention

        loaded = transducer.load(model)
        found = attended(loaded, source, text)
        try:
            draw_attention(output, found.weights, found.tokens, found.steps, loaded.name, each)
        except OSError as error:
            raise MediaError(f"{output}: cannot be written: {error.strerror}") from None
        layers, heads, tokens, steps = found.weights.shape
        write_stdout(f"{output}: {tokens} tokens over {steps} steps, {layers} layers with {heads} heads\n")
        return 0

    return run
