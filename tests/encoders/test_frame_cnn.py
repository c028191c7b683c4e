"""Video front-end and CNN: what a frame sees of those before, and how like them it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from transducer.encoders.frame_cnn import FrameCNN, StandardisedConv
from transducer.encoders.similarity import CLOSEST, FLAT, LEVELS, Similarity, histograms, thumbnails
from transducer.frontends.frames import Frames

HEIGHT, WIDTH = 12, 16
SIZE = HEIGHT * WIDTH * 3


def cnn(**options) -> FrameCNN:
    torch.manual_seed(0)
    stage = FrameCNN(HEIGHT, WIDTH, 3, 8, **{"widths": (4, 6), "grid": (2, 2), **options})
    for parameter in stage.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return stage.double().eval().requires_grad_(False)


def pictures(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, SIZE, generator=torch.manual_seed(1), dtype=torch.float64) * 2 - 1


def run(stage, x: torch.Tensor) -> torch.Tensor:
    return stage(x, torch.ones(x.shape[:2], dtype=torch.bool))[0]


def test_bytes_become_numbers_around_zero():
    pixels = torch.tensor([[[0, 255, 51] * 2]], dtype=torch.uint8)
    wanted = torch.tensor([[[-1.0, 1.0, -0.6] * 2]])
    torch.testing.assert_close(run(Frames(1, 2), pixels), wanted)
    torch.testing.assert_close(run(Frames(1, 2), pixels.float()), wanted)
    assert run(Frames(1, 2), pixels.double()).dtype == torch.float64


def test_pixels_lie_as_in_an_image():
    """Height, width, channel, as decoders and OpenCV give them: a row of the picture is a row of the convolution."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[2, 5, 1] = 255
    stage = cnn(widths=(4,), strides=(1,), difference=False)
    conv = stage.stages[0].down.conv
    seen = []
    conv.register_forward_hook(lambda module, args, output: seen.append(args[0]))
    run(stage, run(Frames(HEIGHT, WIDTH), torch.from_numpy(image).flatten()[None, None].double()))
    assert seen[0].shape == (1, 3, HEIGHT, WIDTH)
    assert (seen[0] > 0).nonzero().tolist() == [[0, 1, 2, 5]]


@pytest.mark.parametrize("options", [{}, {"blocks": 1}, {"blocks": (0, 1), "shift": 1.0}, {"similarity": 4}])
def test_a_stream_begins_like_a_still_picture(options):
    stage = cnn(**options)
    x = pictures(1, 1).expand(1, 9, -1)
    y = run(stage, x)
    torch.testing.assert_close(y, y[:, :1].expand_as(y))
    moved = torch.cat([x[:, :5], pictures(1, 2)[:, 1:], x[:, :3]], dim=1)
    assert not torch.allclose(run(stage, moved)[0, 6], y[0, 6])


def test_without_time_frames_are_alone():
    stage = cnn(shift=0.0, difference=False, blocks=1)
    x = pictures(1, 6)
    together, alone = run(stage, x), run(stage, x.transpose(0, 1))
    torch.testing.assert_close(together[0], alone[:, 0])


@pytest.mark.parametrize(("options", "reach"), [({"shift": 0.0}, 1), ({"difference": False}, 1), ({"blocks": 1}, 4)])
def test_how_far_back_a_frame_sees(options, reach):
    """One frame for the difference, one for the second stage's shift, and one for each block."""
    stage = cnn(**options)
    x = pictures(1, 10).requires_grad_()
    run(stage, x)[0, 9].square().sum().backward()
    seen = x.grad[0].abs().sum(-1).nonzero().flatten().tolist()
    assert seen == list(range(9 - reach, 10))


def test_the_stem_takes_the_difference_of_frames():
    stem = cnn().stages[0].down
    x = pictures(1, 2).view(2, HEIGHT, WIDTH, 3).permute(0, 3, 1, 2)
    wanted = stem.conv(x[1:]) + stem.change(x[1:] - x[:1])
    found = stem(x, lambda change: torch.cat([change[:1], change[:1]]))
    torch.testing.assert_close(found[1:], wanted)
    torch.testing.assert_close(found[:1], stem.conv(x[:1]))


def test_standardised_filters_keep_the_variance():
    torch.manual_seed(0)
    conv = StandardisedConv(64, 256, 3)
    conv.weight.data = conv.weight * 7 + 3
    rows = conv._standardised().flatten(1)
    torch.testing.assert_close(rows.mean(1), torch.zeros(256), atol=1e-5, rtol=0)
    y = nn.functional.relu(conv(torch.randn(4, 64, 12, 12)))[:, :, 1:-1, 1:-1]
    assert 0.9 < y.var().item() < 1.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": ()}, "a width, a stride and a number of blocks"),
        ({"strides": (2,)}, "a width, a stride and a number of blocks"),
        ({"blocks": (1, 1, 1)}, "a width, a stride and a number of blocks"),
        ({"kernel": 4}, "must be odd, got 4"),
        ({"shift": 1.5}, "from 0 to 1"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        cnn(**options)


def test_small_pictures_have_fewer_cells():
    stage = FrameCNN(5, 3, 1, 8, widths=(4, 4, 4), grid=(2, 3))
    assert stage.grid == (1, 1)
    assert run(stage, torch.zeros(2, 3, 15)).shape == (2, 3, 8)


def test_distances_are_those_of_the_pairs():
    """Against a loop over frames and predecessors."""
    past, steps = 5, 70  # more than one group
    torch.manual_seed(0)
    stage = Similarity(past, 8, 8, HEIGHT, WIDTH, 3).double().requires_grad_(False)
    frames = pictures(2, steps).unflatten(-1, (HEIGHT, WIDTH, 3))
    embedding = torch.randn(2, steps, 8, dtype=torch.float64)
    seen = []
    stage.out.register_forward_hook(lambda module, args, output: seen.append(args[0]))
    mask = torch.ones(2, steps, dtype=torch.bool)
    stage.step(frames, embedding, mask, stage.init_state(2, embedding))
    found = seen[0].unflatten(-1, (past, 3))
    views = [
        nn.functional.normalize(stage.project(embedding), dim=-1),
        thumbnails(frames, stage.thumbnail),
        histograms(frames),
    ]
    for t in range(steps):
        for back in range(1, past + 1):
            for kind, view in enumerate(views):
                squared = (view[:, t] - view[:, t - back]).square().sum(-1) if t >= back else torch.zeros(2).double()
                torch.testing.assert_close(found[:, t, back - 1, kind], (squared + CLOSEST).sqrt())


def test_thumbnails_are_means_of_cells():
    frames = pictures(1, 2).view(1, 2, HEIGHT, WIDTH, 3)
    pooled = nn.functional.adaptive_avg_pool2d(frames[0].permute(0, 3, 1, 2), (6, 8)).permute(0, 2, 3, 1)
    wanted = (pooled - pooled.mean((1, 2), keepdim=True)).flatten(1)
    wanted = nn.functional.normalize(nn.functional.pad(wanted, (0, 1), value=FLAT), dim=-1)
    torch.testing.assert_close(thumbnails(frames, (6, 8))[0], wanted)


def test_flat_pictures_are_like_each_other_and_not_like_others():
    flat = torch.stack([torch.full((HEIGHT, WIDTH, 3), level) for level in (-1.0, 0.7)]).double()[None]
    black, grey = thumbnails(flat, (6, 8))[0]
    assert black @ grey == pytest.approx(1.0)
    assert thumbnails(pictures(1, 1).view(1, 1, HEIGHT, WIDTH, 3), (6, 8))[0, 0] @ black < 0.9


def test_histograms_are_counts():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 3, HEIGHT, WIDTH, 3), dtype=np.uint8)
    frames = run(Frames(HEIGHT, WIDTH), torch.from_numpy(images).flatten(2)).unflatten(-1, (HEIGHT, WIDTH, 3))
    found = histograms(frames).square().view(2, 3, LEVELS, LEVELS, LEVELS) * HEIGHT * WIDTH
    for row in range(2):
        for step in range(3):
            pixels = images[row, step].reshape(-1, 3)
            wanted, _ = np.histogramdd(pixels, bins=LEVELS, range=[(0, 256)] * 3)
            np.testing.assert_allclose(found[row, step].numpy(), wanted, atol=1e-3)


def test_similarity_in_training_after_a_stream():
    """What a stream has cached must serve a backward pass as well."""
    frames, mask = pictures(1, 3).view(1, 3, HEIGHT, WIDTH, 3), torch.ones(1, 3, dtype=torch.bool)
    stage = Similarity(2, 8, 8, HEIGHT, WIDTH, 3).double()
    embedding = torch.randn(1, 3, 8, dtype=torch.float64)
    with torch.inference_mode():
        stage.step(frames, embedding, mask, stage.init_state(1, embedding))
    y, _ = stage.step(frames.requires_grad_(), embedding, mask, stage.init_state(1, embedding))
    y.sum().backward()
    assert frames.grad.isfinite().all()
