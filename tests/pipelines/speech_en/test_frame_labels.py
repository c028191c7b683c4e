"""Labels of frames from alignments, and cross-entropy on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from speech_fixtures import speech_recipe, tone_speech
from tones import SECONDS
from training_fixtures import batch_of, tiny_model, tiny_network, trainer_of

from pipelines.speech_en.frame_labels import FrameLabels
from pipelines.speech_en.realignment import align_all
from pipelines.speech_en.speech import ALIGNMENT, Part
from pipelines.speech_en.targets import IGNORE, Alignment
from transducer.errors import UsageError
from transducer.heads.ctc import CONDITIONING
from transducer.model.sequence import Aux
from transducer.training.encoded import Encoded
from transducer.training.recipe import Phase

ALIGNED = Alignment(np.array([0, 1, 2]), np.array([0.0, 0.1, 0.3]), np.array([0.1, 0.3, 0.6]))


def test_frame_losses_are_cross_entropy_on_labelled_frames():
    network = tiny_network().eval()
    labels = ALIGNED.frame_labels(11, 0.04, 1.0)
    assert labels.tolist() == [0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2]  # at 20, 60, 100 ms ...
    labels[4] = IGNORE
    batch = batch_of([("one", "ab", 60), ("two", "cab", 41), ("three", "bee", 44)], **{ALIGNMENT: {"two": labels}})
    aux: Aux = {}
    frames, mask = network.encoder(batch.x, batch.mask, aux=aux)
    for head, logits in (("", aux[CONDITIONING][0]), ("phones", network.heads["phones"](frames, mask)[0])):
        loss = FrameLabels(head).loss(network, Encoded(network, batch, bf16=False))
        expected = torch.nn.functional.cross_entropy(logits[1, :11], torch.from_numpy(labels))
        assert loss.count == 10
        assert loss.mean.item() == pytest.approx(expected.item(), rel=1e-5)
    nothing = batch_of([("one", "ab", 60)])
    assert FrameLabels().loss(network, Encoded(network, nothing, bf16=False)) is None


def test_frame_labels_follow_the_speed_and_end_with_the_utterance(tmp_path):
    twice = ALIGNED.frame_labels(7, 0.04, 2.0)  # frames of 80 ms of the recording
    assert twice.tolist() == [0, 1, 1, 1, 2, 2, 2]
    assert ALIGNED.frame_labels(17, 0.04, 1.0)[-2:].tolist() == [0, 0]  # after the last phone there is silence
    speech = tone_speech(tmp_path, prepare=True)
    for variant, speed in enumerate(speech.store.speeds):
        targets = speech.targets(0, variant)
        alignment = speech.spoken.alignments[speech.store.utterances[0].id]
        frames = -(-speech.lengths[0, variant] // 4)
        assert np.array_equal(targets[ALIGNMENT], alignment.frame_labels(frames, 0.04, speed))
    assert ALIGNMENT not in speech.targets(5, 0)


def test_what_needs_an_alignment_is_told(tmp_path):
    speech = tone_speech(tmp_path, prepare=True)
    aligned = Part(speech, None, aligned=True)
    assert len(aligned) == 3 and len(Part(speech, None)) == 6
    speech.spoken.alignments.clear()
    with pytest.raises(UsageError, match="none of the recordings has an alignment"):
        len(aligned)
    phase = Phase("p", 1, (FrameLabels("words"),))
    with pytest.raises(UsageError, match="frames:words: the model has no head 'words'"):
        speech_recipe(speech, tiny_model(), (phase,))
    with pytest.raises(UsageError, match="frames: the model has no intermediate head"):
        speech_recipe(speech, replace(tiny_model(), conditioning=None), (Phase("p", 1, (FrameLabels(),)),))


def test_frame_labels_teach_the_intermediate_head(tmp_path):
    phase = Phase(
        "frames", 60, (FrameLabels(),), batch_frames=2000, learning_rate=0.02, warmup=5, average_decay=0.8, bf16=False
    )
    speech = tone_speech(tmp_path, speeds=(1.0,))
    trainer = trainer_of(speech_recipe(speech, tiny_model(), (phase,)), tmp_path)
    losses = []
    trainer.run(lambda step, numbers: losses.append(numbers["loss:frames"]))
    assert losses[-1] < 0.35 * losses[0]
    trainer.network.load_state_dict(trainer.average.weights)
    found = dict(align_all(trainer.network, speech.store, speech.spoken, skip=speech.given, bf16=False))
    assert len(found) == 3 and not found.keys() & speech.given
    letters, starts, _ = found["train-ace_bad"]
    # The letters of "ace bad" begin every 0.2 s, after a silence.
    expected = [SECONDS * place for place, letter in enumerate(" ace bad") if letter != " "]
    np.testing.assert_allclose(starts[letters > 0], expected, atol=0.081)
