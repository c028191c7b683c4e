"""Numbers for Prometheus, in a registry of their own."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LAGS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """What has happened, and how much is going on.

    Attributes:
        streams, opened: streams now, and all since the start.
        errors: by kind; also clients that were refused.
        lag: seconds from when media was complete for a step to its results.
        media, busy: seconds of media worked on, CPU seconds that it took.
        real_time: the ratio of those two over the newest report that had any.
    """

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.streams = Gauge("transducer_streams", "Streams that are open.", registry=registry)
        self.opened = Counter("transducer_streams_opened", "Streams since the start.", registry=registry)
        self.errors = Counter("transducer_errors", "What was refused or failed.", ["kind"], registry=registry)
        self.lag = Histogram(
            "transducer_lag_seconds", "From complete media to its results.", buckets=_LAGS, registry=registry
        )
        self.media = Counter("transducer_media_seconds", "Seconds of media worked on.", registry=registry)
        self.busy = Counter("transducer_busy_seconds", "CPU seconds of the networks and searches.", registry=registry)
        self.real_time = Gauge("transducer_real_time_factor", "CPU seconds a second of media.", registry=registry)

    def report(self, found: dict[str, Any]) -> None:
        """What a worker has done since its last report."""
        self.media.inc(found["media"])
        self.busy.inc(found["busy"])
        for lag in found["lags"]:
            self.lag.observe(lag)
        if found["media"]:
            self.real_time.set(found["busy"] / found["media"])

    def text(self) -> bytes:
        """As Prometheus reads them."""
        return generate_latest(self.registry)
