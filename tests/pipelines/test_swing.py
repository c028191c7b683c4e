"""The rendered batter: what the labels say happens in the pictures, and a model learns from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.swing.motion import FOLLOW, IMPACT, LABELS, POSES, SWING, bend, draw_plan, joints, spline
from pipelines.swing.recipe import SwingClips, evaluate, recipe
from pipelines.swing.render import HELD_OUT, TRAIN, _draw_body, render
from transducer.errors import UsageError
from transducer.model.checkpoint import load_checkpoint
from transducer.training.run import train

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def clips():
    """Small ones, of both domains, some with an impact."""
    return [render(domain, np.random.default_rng(seed), 24) for seed in range(6) for domain in (TRAIN, HELD_OUT)]


def test_the_ball_meets_the_bat_in_the_frame_of_impact(clips):
    assert sum(len(clip.impacts) for clip in clips) >= 3
    for clip in clips:
        assert np.flatnonzero(clip.labels == IMPACT).tolist() == sorted(clip.impacts)
        # Within half a frame's time the bat's sweet spot and the ball are in the same place.
        assert all(miss < 0.02 for miss in clip.misses)


def test_a_swing_comes_before_the_impact_and_a_follow_through_after_it(clips):
    for clip in clips:
        for frame in clip.impacts:
            assert frame == 0 or clip.labels[frame - 1] == SWING
            assert frame + 1 == len(clip.labels) or clip.labels[frame + 1] == FOLLOW


def test_frames_have_the_size_asked_for_and_move(clips):
    for clip in clips:
        assert clip.frames.shape == (len(clip.labels), 24, 24, 3)
        assert clip.frames.dtype == np.uint8
        assert 60 <= len(clip.frames) <= 120
        assert clip.labels.min() >= 0 and clip.labels.max() <= len(LABELS)
        assert np.abs(np.diff(clip.frames.astype(int), axis=0)).max() > 20


def test_a_seed_gives_a_clip():
    once, again, other = (render(TRAIN, np.random.default_rng(seed), 16) for seed in (5, 5, 6))
    assert np.array_equal(once.frames, again.frames) and np.array_equal(once.labels, again.labels)
    assert once.frames.shape != other.frames.shape or not np.array_equal(once.frames, other.frames)


@given(seeds)
def test_bodies_of_the_held_out_clips_are_none_that_training_sees(seed):
    seen, unseen = (_draw_body(domain, np.random.default_rng(seed)) for domain in (TRAIN, HELD_OUT))
    assert 0.47 <= seen.legs <= 0.53 and 0.85 <= seen.girth <= 1.2
    assert not 0.47 < unseen.legs < 0.53 and not 0.85 < unseen.girth < 1.2
    assert not set(TRAIN.backgrounds) & set(HELD_OUT.backgrounds)


@given(seeds)
def test_plans_go_forward_and_the_bat_is_at_the_ball_at_impact(seed):
    plan = draw_plan(np.random.default_rng(seed), 3.0)
    assert np.all(np.diff(plan.times) > 0)
    assert [start for start, _ in plan.phases] == sorted(start for start, _ in plan.phases)
    assert plan.times[0] <= 0 and plan.times[-1] >= plan.duration
    for time in plan.impacts:
        assert plan.label(time - 1e-6) == SWING
        assert plan.label(time) == FOLLOW


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=8), seeds)
def test_splines_pass_through_their_points_and_never_overshoot(values, seed):
    times = np.cumsum(np.random.default_rng(seed).uniform(0.1, 1, len(values)))
    points = np.array(values)[:, None]
    assert np.allclose(spline(times, points, times), points)
    between = np.linspace(times[0], times[-1], 101)
    k = np.clip(np.searchsorted(times, between, side="right") - 1, 0, len(times) - 2)
    low, high = np.minimum(points[k], points[k + 1]), np.maximum(points[k], points[k + 1])
    y = spline(times, points, between)
    assert np.all((y >= low - 1e-9) & (y <= high + 1e-9))


@given(st.tuples(*[st.floats(-1, 1)] * 3), st.floats(0.3, 0.6), st.floats(0.3, 0.6), seeds)
def test_limbs_keep_their_lengths_within_reach(end, first, second, seed):
    pole = np.random.default_rng(seed).normal(size=(1, 3))
    start, goal = np.zeros((1, 3)), np.array([end])
    distance = np.linalg.norm(goal)
    if not abs(first - second) + 0.01 < distance < 0.99 * (first + second):
        return
    joint = bend(start, goal, first, second, pole)
    assert np.linalg.norm(joint - start) == pytest.approx(first)
    assert np.linalg.norm(joint - goal) == pytest.approx(second)


def test_the_batter_stands_on_his_feet_with_the_head_on_top():
    stance = joints(np.array([POSES["stance"]]), 1.8, 0.5)
    heights = {name: place[0, 2] for name, place in stance.items()}
    assert min(heights.values()) >= 0 and heights["back_toe"] < 0.1
    assert heights["back_ankle"] < heights["back_knee"] < heights["hips"] < heights["chest"] < heights["top"] < 1.9


def test_pairs_are_the_clips_and_augmentation_changes_pictures_alone():
    source = SwingClips(TRAIN, 2, 3, 24)
    changed = replace_augment(source)
    plain, other = source.pair(1, np.random.default_rng(0)), changed.pair(1, np.random.default_rng(0))
    assert np.array_equal(plain.y, other.y) and plain.x.shape == other.x.shape == (len(plain.y), 24 * 24 * 3)
    assert not np.array_equal(plain.x, other.x)


def replace_augment(source: SwingClips) -> SwingClips:
    from transducer.data.augment.clips import ClipAugment

    return SwingClips(source.domain, source.count, source.seed, source.size, ClipAugment(speed=0.0, flip=True))


def test_a_quick_run_trains_a_model_that_labels_frames(tmp_path: Path):
    made = replace(recipe(tmp_path, quick=True), workers=0)
    checkpoint = train(made, tmp_path / "run")
    network, units = load_checkpoint(checkpoint)
    assert units["phases"].tokens == ("", *LABELS)
    assert network.encoder.lookahead == 10
    assert "phases" in (tmp_path / "run" / "report.md").read_text()


def test_who_says_what_is_true_is_right(monkeypatch):
    """The measures, on outputs that are the truth, and on outputs that are two and three frames late."""
    source = SwingClips(TRAIN, 4, 1, 16)
    assert sum(len(source.clip(number).impacts) for number in range(4)) >= 2

    def said(late: int):
        for number in range(len(source)):
            pair = source.pair(number, np.random.default_rng(0))
            late_labels = np.concatenate([pair.y[:1].repeat(late), pair.y[: len(pair.y) - late]])
            yield (
                pair,
                {"phases": torch.nn.functional.one_hot(torch.from_numpy(late_labels), 6).float().clamp(1e-4).log()},
            )

    for late, share in ((0, 1.0), (2, 1.0), (3, 0.0)):
        monkeypatch.setattr("pipelines.swing.recipe.outputs", lambda *_, late=late, **__: said(late))
        measured = evaluate(None, source)
        assert measured["mAP:impact within 2 frames"] == pytest.approx(share)
        assert measured["accuracy:phases"] == pytest.approx(1) or late


def test_footage_is_used_where_there_is_some(shared_data: Path):
    made = recipe(shared_data, quick=True)
    assert len(made.train.domain.footage) == len(made.dev.domain.footage) == 3
    assert all(piece.shape[1:] == (72, 128, 3) for piece in made.train.domain.footage)


def test_unknown_settings_are_told(tmp_path: Path):
    from transducer.training.recipe_file import load_recipe

    with pytest.raises(UsageError, match="look_ahead"):
        load_recipe("pipelines/swing", tmp_path, True, ["lookahead=3"])
