"""Published weights as a checkpoint of the engine's own, with matrices as bytes.

    python -m pipelines.bundle_published SOURCE OUTPUT --licence MIT --description "Whisper tiny.en, by OpenAI"

SOURCE is what `transducer.load` takes. The bundled `whisper-tiny.en` was made so.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

import transducer
from transducer.model.checkpoint import save_checkpoint


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("output", type=Path)
    parser.add_argument("--licence", required=True)
    parser.add_argument("--description", required=True)
    parser.add_argument("--measured", nargs="*", default=(), help="what it was measured to do, a line each")
    options = parser.parse_args(arguments)
    model = transducer.load(options.source)
    card = {"description": options.description, "licence": options.licence, "measured": list(options.measured)}
    config = replace(model.config, card={**card, **model.config.card})
    save_checkpoint(options.output, model.network, config, model.units, torch.int8)


if __name__ == "__main__":
    main()
