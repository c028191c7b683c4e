"""What became of an item, as JSON."""

from __future__ import annotations

import json

from transducer.archive.manifest import Item
from transducer.archive.results import Done, Failed
from transducer.formats import render
from transducer.results import Annotation, Event, Labelling, Scene, Segment, Transcript, Word

SEGMENT = Segment((Word("hello", 0.0, 0.5, 0.91234),), True, 0.0, 0.5, 1)
TRANSCRIPT = Transcript((SEGMENT,), 1.0, "a.mp3", "en", ("a.mp3: damaged",))
SCENE = Scene("shot", 0.0, 1.0, 0, 24, 1.0)
LABELLING = Labelling("a.mp4", 25.0, 25, 1.0, (Event("cut", 0.5, 0.54, 12, 13, 0.9),), (SCENE,))


def test_what_is_done_has_what_json_has():
    for result in (TRANSCRIPT, LABELLING, Annotation("a.mp4", TRANSCRIPT, LABELLING)):
        fields = Done(Item("x/a.mp3", "a.mp3"), result, 0.5).fields
        assert json.loads(render(result, "json")).items() <= json.loads(json.dumps(fields)).items()
        assert (fields["path"], fields["status"], fields["error"], fields["duration"]) == ("a.mp3", "done", None, 1.0)


def test_parts_that_are_missing_are_told():
    assert Done(Item("a", "a"), TRANSCRIPT, 0.5, incomplete=True).fields["status"] == "parts missing"


def test_what_failed_says_why():
    fields = Failed(Item("x/a.mp3", "a.mp3"), "a.mp3: no such file", 0.01).fields
    assert (fields["path"], fields["status"], fields["error"]) == ("a.mp3", "failed", "a.mp3: no such file")
