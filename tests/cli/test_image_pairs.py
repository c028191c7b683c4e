"""Images -> texts from the command line: the decoder attends to patches."""

from __future__ import annotations

import json

import cv2
import numpy as np

import transducer
from transducer.cli import main
from transducer.media.video.patches import Patches


def test_an_image_is_a_sequence_of_patches_to_attend_to(tmp_path, capsys):
    """Where the light is: only by the place of a patch can that be told."""
    rng, rows = np.random.default_rng(0), []
    for number in range(60):
        place = number % 2
        picture = rng.integers(0, 60, (16, 16, 3))
        picture[4:12, 8 * place : 8 * place + 8] += 180
        picture = picture.astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
        rows.append({"x": f"{number}.png", "y": ["left of it", "and on the right"][place]})
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ["--task", "n2m", "--channels", "32", "--steps", "60", "--output-tokens", "words"]
    assert main(["train", str(tmp_path / "data.jsonl"), "--output", str(tmp_path / "run"), *options]) == 0
    folder = str(tmp_path / "run" / "model")
    model = transducer.load(folder)
    assert isinstance(model.medium, Patches) and model.medium.count == 16
    capsys.readouterr()
    assert main(["predict", folder, str(tmp_path / "0.png"), str(tmp_path / "1.png")]) == 0
    said = capsys.readouterr().out
    assert "left of it" in said and "and on the right" in said
    assert main(["evaluate", folder, str(tmp_path / "data.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["exact"] > 0.9
    picture = cv2.imread(str(tmp_path / "1.png"))[..., ::-1]
    assert model.predict(picture).text == "and on the right"
    stream = model.stream()
    assert [segment.text for segment in (*stream.push(picture), *stream.finish()) if segment.final] == [
        "and on the right"
    ]
