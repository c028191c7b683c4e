"""Composed sequences: their labels are exact, and they are pure functions of a seed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.shots import degradation, hard_negatives, transitions
from pipelines.shots.blends import alike
from pipelines.shots.camera import HEIGHT, WIDTH, path, shoot
from pipelines.shots.compositions import KINDS, Material, Subject
from pipelines.shots.footage import Clip, Part, hold_out, read_footage
from pipelines.shots.recipe import EVENTS
from pipelines.shots.transitions import APART, IGNORE, LABELS, Mixture, Transition, compose, dissolve, wipe
from transducer.errors import UsageError


def plain(level: int, steps: int) -> np.ndarray:
    return np.full((steps, HEIGHT, WIDTH, 3), level, np.uint8)


def clip(name: str, source: str, length: int = 40) -> Clip:
    rng = np.random.default_rng(len(name))
    frames = rng.integers(0, 256, (length, 72, 128, 3), dtype=np.uint8)
    return Clip(name, source, 25.0, frames, frames[:, ::2, ::2])


class Flat(Material):
    """Shots of one colour each, so that a frame tells what it is made of."""

    def __init__(self):
        super().__init__([])
        self.level = 0

    def subject(self, rng):
        return Subject("plain", -1, 0, 0.0, False)

    related = lambda self, rng, subject: subject  # noqa: E731

    def shoot(self, rng, subject, steps, view=None):
        self.level = 255 - self.level if self.level else 200
        return plain(self.level, steps)


@pytest.fixture
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transitions alone, without colours, dirt and doubled frames."""
    monkeypatch.setattr(transitions._Style, "shot", lambda self, rng, frames: frames)
    monkeypatch.setattr(transitions._Style, "finish", lambda self, rng, material, frames, mixture: frames)
    monkeypatch.setattr(degradation, "time_map", lambda rng, steps: np.arange(steps))


@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("seed", range(8))
def test_outside_of_transitions_every_frame_is_wholly_of_one_shot(nothing_else, kind, seed):
    kinds = tuple(float(number == kind) for number in range(4))
    mixture = Mixture(kinds=kinds, disturbances=0.0, shot=12.0, alike=0.0, shadows=0.0, blanks=0.0)
    made = compose(np.random.default_rng(seed), Flat(), 300, mixture)
    inside = np.zeros(300, bool)
    for t in made.transitions:
        inside[max(0, t.start + 1) : max(0, t.end)] = True
    flat = np.array([len(np.unique(frame)) == 1 for frame in made.frames])
    assert flat[~inside].all()
    assert np.isin(made.frames[~inside][:, 0, 0, 0], (55, 200, 0, 4, 16, 255)).all()
    assert made.transitions
    for t in made.transitions:
        assert t.start < t.end
        if t.label not in ("cut", "fade") and t.start >= 0 and t.end < 300:
            before, after = made.frames[t.start], made.frames[t.end]
            assert {int(before[0, 0, 0]), int(after[0, 0, 0])} == {55, 200}
            for frame in made.frames[t.start + 1 : t.end]:
                assert (frame != before).any() or (frame != after).any()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_frames_from_start_to_end_carry_the_label(seed):
    made = compose(np.random.default_rng(seed), Material([]), 60, Mixture(shot=15.0))
    assert made.frames.shape == (60, HEIGHT, WIDTH, 3) and made.frames.dtype == np.uint8
    expected = np.zeros(60, int)
    for t in made.transitions:
        expected[max(0, t.start + 1) : t.end + 1] = LABELS.index(t.label) if t.visible else IGNORE
    differ = made.labels != expected  # only where one gradual transition follows another
    assert not made.labels[differ].any()
    for frame in np.flatnonzero(differ):
        near = [t for t in made.transitions if t.start - APART < frame < t.end + APART]
        assert len(near) > 1 and {t.label for t in near} != {"cut"}


def test_gradual_transitions_that_follow_at_once_have_frames_without_a_label_between_them():
    labels = transitions.label([Transition("dissolve", 9, 29), Transition("dissolve", 30, 50)], 60)
    (begins,), (ends,) = (np.nonzero(np.diff(labels) * sign > 0) for sign in (1, -1))
    assert len(begins) == len(ends) == 2 and begins[1] - ends[0] == APART > EVENTS.merge
    far = transitions.label([Transition("dissolve", 9, 29), Transition("dissolve", 40, 50)], 60)
    assert far.astype(bool).sum() == 30
    cuts = transitions.label([Transition("cut", 9, 10), Transition("cut", 11, 12)], 20)
    assert np.flatnonzero(cuts).tolist() == [10, 12]


def test_cuts_come_in_bursts_and_dissolves_in_chains(nothing_else):
    for label, few in (("cut", Mixture(bursts=1.0, chains=0.0)), ("dissolve", Mixture(bursts=0.0, chains=1.0))):
        made = compose(np.random.default_rng(1), Flat(), 300, replace(few, shadows=0.0, blanks=0.0, disturbances=0.0))
        gaps = [b.start - a.end for a, b in pairwise(made.transitions) if a.label == b.label == label]
        assert {gap for gap in gaps if gap < 5} and min(gaps) >= (1 if label == "cut" else 0)


def test_blank_frames_lie_inside_shots_and_at_the_beginning_and_are_no_transitions(nothing_else, monkeypatch):
    monkeypatch.setattr(transitions._Builder, "_first_plan", lambda self: transitions._Plan(""))
    mixture = Mixture(kinds=(1.0, 0.0, 0.0, 0.0), disturbances=0.0, bursts=0.0, chains=0.0, shadows=0.0, blanks=1.0)
    inside = 0
    for seed in range(6):
        made = compose(np.random.default_rng(seed), Flat(), 150, mixture)
        levels = made.frames[:, 0, 0].mean(-1)
        assert not made.labels[0] and (levels[0] == 0 or made.transitions[0].start <= 8)
        lost = np.flatnonzero(~np.isin(levels, (55, 200)) & (np.arange(150) > 3) & (made.labels == 0))
        inside += len(lost)
        for frame in lost:
            assert all(not t.start - 6 < frame < t.end + 6 for t in made.transitions)
    assert inside


@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
@settings(max_examples=10)
def test_a_shot_takes_the_colours_of_another(seed, steps):
    rng = np.random.default_rng(seed)
    one, other = (rng.integers(60, 120, (steps, 27, 48, 3), dtype=np.uint8) + rng.integers(0, 80) for _ in range(2))
    taken = alike(one.astype(np.uint8), other.astype(np.uint8))
    assert abs(taken.mean((0, 1, 2)) - other.mean((0, 1, 2))).max() < 2


def test_a_shadow_covers_more_and_more_and_nothing_before_it():
    frames = np.full((40, 27, 48, 3), 200, np.uint8)
    hard_negatives.shadow(np.random.default_rng(2), frames, 10)
    assert (frames[:10] == 200).all() and (frames[20] != 200).any()


def test_something_near_the_lens_comes_and_goes():
    covered = 0.0
    for seed in range(6):
        frames = np.full((80, 27, 48, 3), 90, np.uint8)
        hard_negatives.near(np.random.default_rng(seed), frames, np.full((5, 27, 48, 3), 220, np.uint8))
        covered = max(covered, float((frames > 90).any(-1).mean((1, 2)).max()))
    assert covered > 0.6


def test_the_same_seed_gives_the_same_sequence():
    material = Material([clip("a", "one"), clip("b", "one"), clip("c", "two")])
    first, second = (compose(np.random.default_rng(5), material, 80) for _ in range(2))
    assert (first.frames == second.frames).all() and first.transitions == second.transitions
    other = compose(np.random.default_rng(6), material, 80)
    assert (first.frames != other.frames).any()


@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
@settings(max_examples=40)
def test_a_dissolve_goes_from_the_old_picture_to_the_new(seed, steps):
    mixed = dissolve(np.random.default_rng(seed), plain(40, steps), plain(180, steps))
    levels = mixed[:, 0, 0, 0].astype(int)
    if levels.max() <= 180:  # not where both are at full strength at once
        assert (np.diff(levels) >= 0).all()
        assert levels[0] >= 40


@given(st.integers(0, 2**32 - 1), st.integers(4, 50))
@settings(max_examples=40)
def test_a_wipe_replaces_the_old_picture_bit_by_bit(seed, steps):
    mixed = wipe(np.random.default_rng(seed), plain(40, steps), plain(180, steps))
    means = mixed.mean((1, 2, 3))
    assert (np.diff(means) >= -1e-6).all()
    assert means[0] < 110 < means[-1] or steps < 8


def test_times_of_transitions_follow_doubled_and_dropped_frames():
    doubled = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    assert transitions._retime(Transition("cut", 1, 2), doubled) == Transition("cut", 3, 4)
    assert transitions._retime(Transition("dissolve", 0, 3), doubled) == Transition("dissolve", 1, 6)
    dropped = np.array([0, 1, 5, 6, 7])
    assert transitions._retime(Transition("cut", 3, 4), dropped) == Transition("cut", 1, 2)
    assert transitions._retime(Transition("dissolve", 0, 6), dropped) == Transition("dissolve", 0, 3)


@given(st.integers(0, 2**32 - 1), st.integers(2, 300))
def test_time_never_goes_back(seed, steps):
    index = degradation.time_map(np.random.default_rng(seed), steps)
    assert len(index) == steps and index[0] >= 0 and (np.diff(index) >= 0).all()


@pytest.mark.parametrize("effect", [effect for effect, _ in hard_negatives.ALONE], ids=lambda effect: effect.__name__)
def test_disturbances_change_something_and_keep_the_frames_in_place(effect):
    changed = 0
    for seed in range(6):
        frames = np.random.default_rng(9).integers(60, 190, (40, HEIGHT, WIDTH, 3), dtype=np.uint8)
        before = frames.copy()
        effect(np.random.default_rng(seed), frames)
        assert frames.shape == before.shape and frames.dtype == np.uint8
        changed += bool((frames != before).any())
    assert changed >= 4


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_material_can_be_shot(kind):
    material = Material([clip("a", "one")])
    for steps in (1, 30):
        frames = material.shoot(np.random.default_rng(1), Subject(kind, 0, 3, 0.5, True), steps)
        assert frames.shape == (steps, HEIGHT, WIDTH, 3) and frames.dtype == np.uint8


@given(st.integers(0, 2**32 - 1), st.integers(1, 120))
@settings(max_examples=30)
def test_cameras_stay_finite_and_see_something(seed, steps):
    view = path(np.random.default_rng(seed), steps)
    assert view.shape == (steps, 4) and np.isfinite(view).all() and (view[:, 2] > 0.1).all()


def test_a_still_camera_sees_the_picture_itself():
    picture = np.random.default_rng(0).integers(0, 256, (1, HEIGHT, WIDTH, 3), dtype=np.uint8)
    view = np.array([[0.5, 0.5, 1.0, 0.0]], np.float32)
    seen = shoot(picture, np.zeros(1, int), view)
    assert np.abs(seen.astype(int) - picture).max() <= 1
    mirrored = shoot(picture, np.zeros(1, int), view, mirror=True)[:, :, 1:]
    assert np.abs(mirrored.astype(int) - picture[:, :, ::-1][:, :, :-1]).max() <= 1


def test_whole_sources_are_held_out():
    clips = [clip("a", "one"), clip("b", "two"), clip("c", "one")]
    train, held = hold_out(clips, {"one"})
    assert [c.name for c in train] == ["b"] and [c.name for c in held] == ["a", "c"]


def test_a_missing_table_of_footage_is_named(tmp_path):
    with pytest.raises(UsageError, match="cannot read the table"):
        read_footage(tmp_path / "footage.tsv", tmp_path / "cache")


def test_footage_is_decoded_once_and_cut_to_its_parts(tmp_path):
    av = pytest.importorskip("av")
    (tmp_path / "clips").mkdir()
    with av.open(str(tmp_path / "clips" / "grey.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", 25)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for level in range(0, 200, 20):
            frame = av.VideoFrame.from_ndarray(np.full((36, 64, 3), level, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    table = tmp_path / "footage.tsv"
    table.write_text("path\tsource\tlicence\tfps\tframes\nclips/grey.mp4\tmine\tCC0\t25\t10\n")
    whole = read_footage(table, tmp_path / "cache")[0]
    assert whole.frames.shape == (10, 72, 128, 3) and whole.half.shape == (10, 36, 64, 3)
    assert abs(int(whole.frames[5].mean()) - 100) < 8
    (tmp_path / "clips" / "grey.mp4").unlink()  # decoded already
    part = read_footage(table, tmp_path / "cache", {"grey": Part(2, 6)})[0]
    assert (part.frames == whole.frames[2:6]).all()
