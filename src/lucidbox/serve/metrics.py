"""What a server counts and times, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Counters of one application; several applications in a process do not share them."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "lucidbox_requests", "Requests that were answered.", ("model", "route", "code"), registry=self.registry
        )
        self.seconds = Histogram(
            "lucidbox_request_seconds",
            "From a request's head to its answer's end.",
            ("route",),
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.queue = self._by_model("lucidbox_queue_seconds", "Waiting for a free worker.")
        self.inference = self._by_model("lucidbox_inference_seconds", "From letterbox to suppression.")
        self.in_flight = Gauge("lucidbox_in_flight", "Requests in hand.", registry=self.registry)
        self.rejected = Counter(
            "lucidbox_rejected", "Requests refused for the server's sake.", ("reason",), registry=self.registry
        )

    def _by_model(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, ("model",), registry=self.registry, buckets=_SECONDS)

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)
