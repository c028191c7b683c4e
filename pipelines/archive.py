"""Where some words are said in an archive: a pipeline of one's own around the workers of `transducer batch`.

    python -m pipelines.archive MANIFEST WORD... [--model speech-en] [--address auto] [--workers 4] [--gpus 0.5]

Writes a line of JSON for each mention to standard output, as it is found: file, time, and the sentence around it. Copy
it, and put what you want to know of an archive in the place of `mentions`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Iterator
from typing import Any

from transducer.archive.cluster import Pool, joined, outcomes
from transducer.archive.model_work import Settings
from transducer.archive.names import Fingerprints
from transducer.errors import TransducerError


def mentions(fields: dict[str, Any], words: Collection[str]) -> Iterator[dict[str, Any]]:
    """Each place in a file's result where one of these words (in lower case) is said."""
    for segment in fields.get("segments", ()):
        for word in segment["words"]:
            if word["text"].lower().strip(".,;:?!") in words:
                yield {"path": fields["path"], "start": word["start"], "word": word["text"], "text": segment["text"]}


def find(manifest: str, words: Collection[str], settings: Settings, pool: Pool, address: str | None) -> int:
    """Print all mentions; returns how many files failed."""
    failed = 0
    with joined(address) as ray:
        for fields in outcomes(manifest, Fingerprints(), settings, pool, ray):
            failed += fields["status"] == "failed"
            if fields["error"]:
                print(f"archive: {fields['error']}", file=sys.stderr)
            for mention in mentions(fields, words):
                print(json.dumps(mention, ensure_ascii=False), flush=True)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", metavar="MANIFEST")
    parser.add_argument("words", metavar="WORD", nargs="+")
    parser.add_argument("--model", default="speech-en")
    parser.add_argument("--address", help="of a Ray cluster; this machine alone without it")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--cpus", type=float, default=1.0)
    parser.add_argument("--gpus", type=float, default=0.0)
    given = parser.parse_args()
    settings = Settings(given.model, device="cuda" if given.gpus else "cpu", threads=max(1, int(given.cpus)))
    pool = Pool(given.workers, given.cpus, given.gpus)
    try:
        return 1 if find(given.manifest, {word.lower() for word in given.words}, settings, pool, given.address) else 0
    except TransducerError as error:
        print(f"archive: {error}", file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
