"""An archive on a cluster of two machines, as Ray has them on one for tests."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from media_fixtures import wav
from tiny_models import LETTERS, MODELS, RATE, build_network, speech

from transducer.archive import cluster as clusters
from transducer.archive.cluster import Pool, joined, outcomes
from transducer.archive.listed import read_list
from transducer.archive.model_work import Settings
from transducer.archive.names import Fingerprints
from transducer.cli import main
from transducer.errors import UsageError
from transducer.model.checkpoint import save_checkpoint

pytest.importorskip("ray")
pytest.importorskip("pyarrow")

FILES = 24
HELPERS, ROOT = Path(__file__).parents[1] / "helpers", Path(__file__).parents[2]
# In every worker: opening killer.wav ends it as a bug in a codec does, and the others take a moment to open.
INJECTED = """
import os, signal, sys, time
def opened(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".wav"):
        if str(arguments[0]).endswith("killer.wav"):
            os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(0.1)
if sys.argv[0].endswith("default_worker.py"):
    sys.addaudithook(opened)
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, recordings and a list of them, of which two are missing and one kills its worker."""
    folder = tmp_path_factory.mktemp("archive")
    config, seed = MODELS["ctc"]
    save_checkpoint(folder / "model", build_network(config, seed), config, {"letters": LETTERS})
    lines = []
    for number in range(FILES):
        (folder / f"{number}.wav").write_bytes(wav(speech(number), RATE))
        lines.append(json.dumps({"path": f"{number}.wav"}))
    lines.insert(5, json.dumps({"path": "killer.wav"}))
    (folder / "killer.wav").write_bytes((folder / "0.wav").read_bytes())
    lines.append(json.dumps({"path": "0.wav", "start": 1, "length": 0.5}))
    lines += ["{", json.dumps({"path": "missing.wav"})]
    (folder / "list.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two machines, of a CPU each; the second one can be taken away."""
    from ray.cluster_utils import Cluster

    injected = tmp_path_factory.mktemp("injected")
    (injected / "sitecustomize.py").write_text(INJECTED)
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (injected, HELPERS, ROOT))))
    settings = {"USAGE_STATS_ENABLED": "0", "worker_niceness": "0", "AUTH_MODE": "disabled"}
    settings |= {"worker_register_timeout_seconds": "300"}  # on a busy machine a process takes its time to start
    settings |= {"health_check_initial_delay_ms": "1000", "health_check_period_ms": "300"}  # how soon a loss is seen
    for name, value in settings.items():
        patch.setenv(f"RAY_{name}", value)
    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "no_monitor": True})  # nothing is to be scaled
    try:
        cluster.second = cluster.add_node(**node)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()
        patch.undo()


def alone(archive: Path) -> dict[int, dict[str, Any]]:
    """What one process makes of the list, by line; without the file that would end it."""
    work = Settings(str(archive / "model")).start()
    items = [item for item in read_list(str(archive / "list.jsonl")) if item.name != "killer.wav"]
    return {found.fields["line"]: found.fields for found in work.outcomes(items)}


def without_time(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "seconds"}


def confidences(fields: dict[str, Any]) -> list[float]:
    """Take them out: how many clips are computed together changes how they are rounded, and their last digit."""
    return [word.pop("confidence") for segment in fields.get("segments", ()) for word in segment["words"]]


def test_nothing_is_lost_with_a_machine_and_nothing_comes_twice(archive, machines, monkeypatch):
    monkeypatch.setattr(clusters, "TOGETHER", 2)
    found = []
    with joined(machines.address) as ray:
        assert ray.cluster_resources()["CPU"] == 2
        settings = Settings(str(archive / "model"), threads=1)
        for fields in outcomes(str(archive / "list.jsonl"), Fingerprints(), settings, Pool(), ray):
            found.append(fields)
            if len(found) == 6:
                machines.remove_node(machines.second, allow_graceful=False)
    assert len({fields["line"] for fields in found}) == len(found) == FILES + 4
    by_line = {fields["line"]: without_time(fields) for fields in found}
    killed = by_line.pop(6)
    assert killed["status"] == "failed" and "killer.wav: every worker that worked on it was lost" in killed["error"]
    expected = {line: without_time(fields) for line, fields in alone(archive).items()}
    for line, fields in expected.items():
        assert confidences(by_line[line]) == pytest.approx(confidences(fields), abs=1e-3)
    assert by_line == expected
    assert sum(fields["status"] == "done" for fields in found) == FILES + 1


def test_workers_get_several_items_at_a_time(archive, machines):
    """Short sounds go through the network together only where they come together; the first results come soon."""
    with joined(machines.address) as ray:
        items = ray.data.read_datasource(clusters._source(str(archive / "list.jsonl"), Fingerprints(), 8, 2))
        rows = items.map_batches(lambda table: {"count": [len(row) for row in table["items"]]}, batch_size=None)
        assert [row["count"] for row in rows.iter_rows()] == [1, 1, 2, 2, 4, 4, 8, 6]


def test_the_command_line_writes_the_results_and_goes_on(archive, machines, tmp_path, capsys):
    listed = archive / "few.txt"
    listed.write_text("3.wav\nnone.wav\n4.wav\n")
    command = ["batch", str(listed), "--model", str(archive / "model"), "--output", str(tmp_path / "out")]
    with joined(machines.address):
        assert main([*command, "--workers", "1"]) == 1
        told = capsys.readouterr().err
        assert "none.wav: no such file" in told and "2 files done; 1 failed" in told
        assert all(line.startswith("transducer: ") for line in told.splitlines())
        listed.write_text("3.wav\n4.wav\n4.wav\n")  # of another line, it is another item
        assert main([*command, "--resume"]) == 0
        assert "1 files done; 0 failed. 2 had been done before" in capsys.readouterr().err
        assert main([*command, "--resume"]) == 0
        assert "0 files done; 0 failed. 3 had been done before" in capsys.readouterr().err
    lines = [line for path in sorted((tmp_path / "out").iterdir()) for line in path.read_text().splitlines()]
    found = {(row["line"], row["path"]): row for row in map(json.loads, lines)}
    assert found.keys() == {(1, "3.wav"), (3, "4.wav"), (2, "4.wav")}
    expected = {fields["path"]: fields for fields in alone(archive).values() if "text" in fields}
    assert all(row["text"] == expected[row["path"]]["text"] for row in found.values())


@pytest.mark.parametrize(
    ("pool", "resources", "size"),
    [
        (Pool(), {"CPU": 8.0}, 8),
        (Pool(3), {"CPU": 8.0}, 3),
        (Pool(99, cpus=2), {"CPU": 7.0}, 3),
        (Pool(gpus=0.5, cpus=1), {"CPU": 64.0, "GPU": 2.0}, 4),
        (Pool(cpus=0, gpus=1), {"GPU": 2.0}, 2),
    ],
)
def test_as_many_workers_as_there_is_room_for(pool, resources, size):
    assert pool.size(resources) == size


def test_a_cluster_without_room_is_told():
    with pytest.raises(UsageError, match=r"the cluster has 8 CPUs, 0 GPUs: a worker takes 1 CPUs and 1 GPUs"):
        Pool(gpus=1).size({"CPU": 8.0})


def test_nothing_is_said_of_rays_own_parameters(monkeypatch, recwarn):
    def imported() -> None:  # as Ray does it when it is imported for the first time
        warnings.filterwarnings("module", category=DeprecationWarning)

    monkeypatch.setattr(clusters, "find_ray", imported)
    monkeypatch.setattr(clusters, "_connected", lambda ray, address: nullcontext())
    with joined():
        warnings.warn("`ray_remote_args` is deprecated and will be removed", DeprecationWarning, stacklevel=1)
    assert not recwarn.list


def test_without_ray_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray.data", None)
    assert main(["batch", "list.txt", "--output", "out"]) == 2
    assert "there is no Ray here: pip install '.[scale]'" in capsys.readouterr().err
