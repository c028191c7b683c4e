"""An exported model without the package `transducer`: NumPy, onnxruntime and a WAV file (mono, 16 bits).

    python docs/onnx_example.py FOLDER talk.wav

FOLDER is what `transducer export speech-en --output FOLDER` wrote. The search is greedy: at each step of the head the
likeliest token, until that is the blank (number 0).
"""

import json
import sys
import wave
from pathlib import Path

import numpy as np
import onnxruntime


class Step:
    """One graph: a function from inputs and a state to outputs and a state. Its metadata say how the state begins."""

    def __init__(self, path: Path):
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.names = [given.name for given in self.session.get_inputs()]
        self.begin = json.loads(self.session.get_modelmeta().custom_metadata_map["transducer"])["states"]
        self.reset()

    def reset(self) -> None:
        self.state = [np.full((1, *item["shape"]), item["fill"], item["dtype"]) for item in self.begin]

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        inputs |= {f"state.{number}": part for number, part in enumerate(self.state)}
        found = self.session.run(None, {name: inputs[name] for name in self.names})
        count = len(found) - len(self.state)
        self.state = found[count:]
        return found[:count]


def blocks(path: str, rate: int, steps: int, silence: int):
    """(1, steps, 1) samples, and (1, steps) which of them exist; silence follows them, for a head that writes late."""
    with wave.open(path) as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, rate):
            sys.exit(f"{path} must be mono, 16 bits, {rate} Hz")
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    samples = np.concatenate([samples, np.zeros(silence, np.float32)])
    for start in range(0, len(samples), steps):
        part = samples[start : start + steps]
        x = np.zeros((1, steps, 1), np.float32)
        x[0, : len(part), 0] = part
        yield x, np.arange(steps)[None] < len(part)


def transcribe(folder: Path, path: str, head: str = "pieces") -> str:
    document = json.loads((folder / "export.json").read_text())
    network = document["networks"][0]
    encoder, top = Step(folder / network["encoder"][0]), Step(folder / network["heads"][head]["files"][0])
    predictor, joint = Step(folder / f"{head}-predictor.onnx"), Step(folder / f"{head}-joint.onnx")
    facts, stride = document["model"]["heads"][head], network["heads"][head]["stride"]
    (read,) = predictor(tokens=np.zeros(1, np.int64))
    said: list[int] = []
    for x, exists in blocks(path, document["medium"]["rate"], network["steps"][0], facts["delay"] * stride):
        features, there = encoder(x=x, exists=exists)
        outputs, there = top(x=features, exists=there)
        for frame in outputs[there]:
            for _ in range(facts["searching"]["max_symbols"]):
                token = int(joint(frames=frame[None], outputs=read)[0].argmax())
                if not token:
                    break
                said.append(token)
                (read,) = predictor(tokens=np.array([token]))
    tokens = json.loads((folder / "units" / facts["units"] / "tokens.json").read_text())["tokens"]
    return "".join(tokens[token] for token in said).replace("▁", " ").strip()


if __name__ == "__main__":
    print(transcribe(Path(sys.argv[1]), sys.argv[2]))
