"""Forced alignment and its tables."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_fixtures import UNITS, tiny_network

from pipelines.speech_en.realignment import align_all
from pipelines.speech_en.targets import IGNORE, Alignment, Targets, read_alignments, write_alignments
from transducer.errors import UsageError
from transducer.heads.ctc import CONDITIONING
from transducer.model.network import Network
from transducer.training.alignment import best_path, runs_of


class Planted:
    """A network whose intermediate head is sure of what frames hold: the labels that are given."""

    def __init__(self, network: Network, labels: list[list[int]]):
        self.frontend, self.config, self.hop, self.labels = network.frontend, network.config, network.hop, labels
        self.calls = 0

    def eval(self) -> Planted:
        return self

    def encoder(self, features, mask, aux):
        tokens = len(UNITS["phones"])
        logits = 6 * torch.nn.functional.one_hot(torch.tensor([self.labels[self.calls]]), tokens).float()
        self.calls += 1
        aux[CONDITIONING] = logits, mask


class Recordings:
    """A store of features that nobody looks at."""

    speeds = np.array([0.9, 1.0])

    def __init__(self, *rows: tuple[str, str, int]):
        self.utterances = [type("U", (), {"id": name, "text": text}) for name, text, _ in rows]
        self.data = [np.zeros((frames, 80), np.float16) for _, _, frames in rows]

    def features(self, utterance: int, variant: int) -> np.ndarray:
        assert variant == 1  # the original speed
        return self.data[utterance]


def test_planted_posteriors_give_planted_boundaries():
    labels = [[0, 0, 2, 2, 2, 1, 0, 0, 1, 1, 3, 0], [1] * 12]
    recordings = Recordings(("one", "baac", 48), ("unknown", "dad", 48), ("skipped", "baac", 48))
    targets = Targets(UNITS, {"baac": ["B", "A", "A", "C"]})
    found = dict(align_all(Planted(tiny_network(), labels), recordings, targets, skip={"skipped"}, bf16=False))
    assert list(found) == ["one"]
    tokens, starts, ends = found["one"]
    assert tokens.tolist() == [0, 2, 1, 0, 1, 3, 0]
    np.testing.assert_allclose(starts, 0.04 * np.array([0, 2, 5, 6, 8, 10, 11]))
    np.testing.assert_allclose(ends, 0.04 * np.array([2, 5, 6, 8, 10, 11, 12]))
    assert found["one"].frame_labels(12, 0.04, 1.0).tolist() == labels[0]


def test_an_alignment_goes_through_all_tokens_even_against_the_posteriors():
    log_probs = torch.full((6, 4), -5.0)
    log_probs[:, 0] = 0
    path = best_path(log_probs.log_softmax(-1), [1, 1, 3])
    assert [token for token in runs_of(path)[0] if token] == [1, 1, 3]
    assert best_path(log_probs[:3], [1, 1, 3]) is None  # too short: equal neighbours need a blank between them
    assert best_path(log_probs, []) is None


def test_alignments_are_written_and_read(tmp_path):
    path = tmp_path / "alignments.tsv"
    given = Alignment(np.array([0, 2, IGNORE, 1]), np.array([0, 0.04, 0.2, 0.28]), np.array([0.04, 0.2, 0.28, 1]))
    write_alignments(path, {"one": given}, UNITS["phones"])
    for ours, theirs in zip(given, read_alignments(path, UNITS["phones"])["one"], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    path.write_text("utterance\tphones\tstarts\tends\nx\tSIL A1 sp\t0 1 2\t1 2 3\n")
    assert read_alignments(path, UNITS["phones"])["x"].tokens.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("utterance\tphones\nx\tA\n", "no column ends, starts; alignments need"),
        ("utterance\tphones\tstarts\tends\nx\tA Q\t0 1\t1 2\n", "unknown phone 'Q' in utterance x"),
        ("utterance\tphones\tstarts\tends\nx\tA B\t0\t1 2\n", "utterance x are not equally many"),
    ],
)
def test_a_bad_table_of_alignments_is_told(tmp_path, table, message):
    path = tmp_path / "alignments.tsv"
    path.write_text(table)
    with pytest.raises(UsageError, match=message):
        read_alignments(path, UNITS["phones"])
    with pytest.raises(UsageError, match="cannot read"):
        read_alignments(tmp_path / "none.tsv", UNITS["phones"])
