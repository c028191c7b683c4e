"""Who is served next: those at the pace of their media, the longest waiting first."""

from __future__ import annotations

import time

import numpy as np
from tiny_models import RATE, tiny_model

from transducer.server.lanes import EARLY, GATHER, LONGEST, ROOM, ROWS, Lane


def lane_of(*names: str) -> Lane:
    lane = Lane(tiny_model("ctc").engine())
    for name in names:
        lane.join(name)
    return lane


def push(lane: Lane, name: str, blocks: float = 1.0) -> None:
    batch = lane.members[name].batch
    batch.push(name, np.zeros(int(blocks * batch.block), np.float32))
    lane.mark_ready(name)


def test_a_lone_client_is_served_at_once_and_others_wait_for_each_other() -> None:
    lane = lane_of("a")
    push(lane, "a", 0.5)
    assert lane.turns(time.monotonic()) == []
    push(lane, "a", 0.5)
    (turn,) = lane.turns(time.monotonic())
    assert turn.moment == lane.members["a"].ready
    lane.join("b")
    lane.join("c")
    (turn,) = lane.turns(time.monotonic())
    assert turn.moment == (lane.members["a"].ready or 0) + 2 * GATHER
    for name in "bc":
        push(lane, name)
    (turn,) = lane.turns(time.monotonic())
    assert (turn.names, turn.early) == (["a", "b", "c"], False)
    assert turn.moment == lane.members["a"].ready
    _, since = lane.step(turn)
    assert len(since) == 3
    assert lane.turns(time.monotonic()) == []


def test_who_is_ahead_gives_way_until_he_has_waited_too_long() -> None:
    lane = lane_of("file", "speaker")
    seconds = lane.members["file"].batch.block / RATE
    push(lane, "file", EARLY / seconds + 10)
    while not (turns := lane.turns(time.monotonic()))[0].early:
        lane.step(turns[0])
    push(lane, "speaker")
    now = time.monotonic()
    first, second = sorted(lane.turns(now), key=lambda turn: turn.early)
    assert (first.names, second.names) == (["speaker"], ["file"])
    (late,) = lane.turns(now + LONGEST + 0.1)
    assert sorted(map(str, late.names)) == ["file", "speaker"]


def test_room_grows_with_clients_and_goes_with_them() -> None:
    names = [str(number) for number in range(ROOM[0] + ROWS + 2)]
    lane = lane_of(*names)
    assert [batch.capacity for batch in lane.batches] == list(ROOM[:2])
    for name in names[ROOM[0] :]:
        push(lane, name)
    (turn,) = lane.turns(time.monotonic())
    assert turn.names == names[ROOM[0] : ROOM[0] + ROWS]
    for name in names[ROOM[0] :]:
        lane.leave(name)
    assert len(lane.batches) == 1
