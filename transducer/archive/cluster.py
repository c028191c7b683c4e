"""An archive on a Ray cluster: Ray Data reads the list, a pool of actors works on it, results stream back.

Ray limits what waits between reading and working, and moves what a lost worker had to another one. What came to
nothing all the same is found here, by what the list has and the results lack, and is tried once more, item by item: so
one file that kills its worker takes no other with it.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from transducer.archive.listed import as_item, decode, encode, key, missing
from transducer.archive.names import Fingerprints
from transducer.archive.results import Failed
from transducer.archive.watch import Watch, end_unless_told
from transducer.errors import TransducerError, UsageError

if TYPE_CHECKING:
    from transducer.archive.model_work import Settings  # whose torch is for those who work, not for who reads the list

TOGETHER = 16  # items that a worker has at a time
_TASK_RETRIES = 1  # of what a worker had when it was lost


_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # of this machine's own workers, which do all of the work
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # what is lost is told by what comes of it
}
# Of a cluster on this machine alone; what passes through its store is names and texts.
_LOCAL = {"include_dashboard": False, "object_store_memory": 256 << 20}


@dataclass(frozen=True)
class Pool:
    """The workers.

    Attributes:
        count: of them; None for as many as the cluster has room for.
        cpus, gpus: that each takes; fractions share one.
    """

    count: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    def size(self, resources: dict[str, float]) -> int:
        """Workers for a cluster. Raises UsageError where it has no room for one."""
        wanted = [(name, need) for name, need in (("CPU", self.cpus), ("GPU", self.gpus)) if need]
        room = min((int(resources.get(name, 0.0) / need + 1e-9) for name, need in wanted), default=1)
        if room < 1:
            there = ", ".join(f"{resources.get(name, 0.0):g} {name}s" for name, _ in wanted)
            raise UsageError(f"the cluster has {there}: a worker takes {self.cpus:g} CPUs and {self.gpus:g} GPUs")
        return room if self.count is None else min(self.count, room)


def find_ray() -> Any:
    """The module. Raises UsageError where it is not installed."""
    try:
        import pyarrow  # noqa: F401 - what the lists and the results are opened with
        import ray.data
    except ImportError:
        raise UsageError("there is no Ray here: pip install '.[scale]', or use --jobs on this machine") from None
    return ray


@contextmanager
def joined(address: str | None = None) -> Iterator[Any]:
    """Ray, connected to the cluster at an address, or to a new one of this machine alone, which ends with the context.

    Raises:
        UsageError: there is no Ray, or no cluster at the address.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        # What Ray tells its developers of its own settings.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"ray\.")
        ray = find_ray()
        # For retries it has no other parameter than the old one; while it is imported, it puts a filter before others.
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated", DeprecationWarning)
        with _connected(ray, address):
            yield ray


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    mine = not ray.is_initialized()
    if mine:
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        local: dict[str, Any] = _LOCAL if address is None else {}
        try:
            with _silence():
                ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **local)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            raise UsageError(f"no cluster can be had at {address or 'this machine'}: {_cause(error)}") from None
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():  # Ray puts its own in their place
                signal.signal(number, handler)
    try:
        yield
    finally:
        if mine:
            ray.shutdown()


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing on standard error: Ray's libraries write there past Python that they were told to be silent."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def outcomes(manifest: str, known: Fingerprints, settings: Settings, pool: Pool, ray: Any) -> Iterator[dict[str, Any]]:
    """What becomes of each item of a list that is not known yet, as it comes: the fields of `Done` and `Failed`.

    Args:
        manifest: path or address of a list, see `Manifest`.
        known: keys of items to leave out, see `transducer.archive.listed.key`; those of what comes are added.

    Raises:
        UsageError: the list cannot be read, or the cluster has no room. TransducerError: no worker can begin.
    """
    size = pool.size(ray.cluster_resources())
    for together in (TOGETHER, 1):
        if next(missing(manifest, known), None) is None:
            return
        for fields in _stream(manifest, known, settings, pool, size, together):
            place = key(fields["line"], fields["path"])
            if known.get(place) is None:
                known.put(place, 1)
                yield fields
    for item in missing(manifest, known):
        cause = "every worker that worked on it was lost: it ended them, or hung, or they lost their machines"
        yield Failed(as_item(item), f"{item.name}: {cause}").fields


def _stream(
    manifest: str, known: Fingerprints, settings: Settings, pool: Pool, size: int, together: int
) -> Iterator[dict[str, Any]]:
    from ray.data import ActorPoolStrategy, DataContext, read_datasource

    context = DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.max_errored_blocks = -1  # what is lost with a worker is told apart by `outcomes`
    context.target_min_block_size = context.target_max_block_size = 1  # a block is a row: Ray cuts larger ones
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    items = read_datasource(_source(manifest, known, together, size), num_cpus=0, override_num_blocks=1)
    results = items.map_batches(
        _Worker,
        fn_constructor_args=(settings,),
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(
            min_size=1,
            max_size=size,
            initial_size=size,
            # What waits at a worker is lost with it, and nobody else can have it, however idle: the next items come
            # when it is done with these, which takes seconds.
            max_tasks_in_flight_per_actor=1,
        ),
        num_cpus=pool.cpus,
        num_gpus=pool.gpus,
        max_task_retries=_TASK_RETRIES,
    )
    try:
        for table in results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for row in table["outcomes"].to_pylist():
                yield from map(json.loads, row)
    except _ray_errors() as error:
        raise TransducerError(f"the cluster cannot work: {_cause(error)}") from None


def _ray_errors() -> tuple[type[Exception], ...]:
    from ray.exceptions import RayError

    return (RayError,)


def _source(manifest: str, known: Fingerprints, together: int, workers: int) -> Any:
    """The list as a source of Ray Data, read by one task: rows of some items, each for one call of a worker.

    The first rows have one, so that results come soon, and each worker gets twice as many the next time.
    """
    import pyarrow
    from ray.data import Datasource
    from ray.data.block import BlockMetadata
    from ray.data.datasource import ReadTask

    schema = pyarrow.schema([("items", pyarrow.list_(pyarrow.string()))])

    def read() -> Iterator[Any]:
        items = map(encode, missing(manifest, known))
        for row in count():
            some = list(islice(items, min(together, 2 ** min(row // workers, 30))))
            if not some:
                return
            yield pyarrow.table([[some]], schema=schema)

    class Listed(Datasource):
        def get_name(self) -> str:
            return "List"

        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, parallelism: int, *given: Any, **options: Any) -> list[ReadTask]:
            return [ReadTask(read, BlockMetadata(None, None, None, None))]

    listed: Any = Listed  # whose constructor Ray leaves untyped
    return listed()


class _Worker:
    """An actor, which holds a model."""

    def __init__(self, settings: Settings):
        self._work = settings.start()
        self._watch = Watch(lambda position, duration: end_unless_told(duration or 0.0))
        self._work.granting, self._work.watching = end_unless_told, self._watch.follow

    def __call__(self, table: Any) -> Any:
        import pyarrow

        items = [decode(text) for row in table["items"].to_pylist() for text in row]
        found = []
        for outcome in self._work.outcomes(items):
            self._watch.follow(None)
            found.append(json.dumps(outcome.fields))
        faulthandler.cancel_dump_traceback_later()
        return pyarrow.table({"outcomes": pyarrow.array([found], pyarrow.list_(pyarrow.string()))})


def _cause(error: BaseException) -> str:
    """The last line of what Ray says, which is what went wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
