"""Which rows there are."""
from functools import partial

from harness import Pki

from .load import Bench
from .raw import Raw
from .rows import Row, Target
from .special import LongQueue, idle_connections
from .stores import Nghttpd, Nobody

CONNECTIONS = (1, 8, 64)
SIZES = {600: "600 B", 65536: "64 KB"}
DELIVERED = {600: 0.08, 65536: 0.8}  # CPU-s per 1000 messages, 64 connections
STORED = 1.5                         # times what the parts cost
RSS_MB = 25
IDLE_KB = 42


class Plan:
    """Servers are started when the first row needs them."""

    def __init__(self, options):
        self.smoke = options.smoke
        self.connections = (8, 64) if self.smoke else CONNECTIONS
        Bench.smoke = self.smoke
        self.seconds = 0.1 if options.smoke else 1.5
        self.queued = 2000 if options.smoke else options.queued
        self.idle = 20 if options.smoke else 500
        self._made = {}

    def _once(self, kind, make):
        if kind not in self._made:
            self._made[kind] = make()
        return self._made[kind]

    @property
    def pki(self):
        return self._once("pki", Pki)

    @property
    def raw(self):
        return self._once("raw", lambda: Raw(self.pki, 0.05 if self.smoke else 0.5))

    @property
    def server(self):
        return self._once("server", lambda: Nghttpd(self.pki))

    @property
    def nobody(self):
        return self._once("nobody", lambda: Nobody(self.pki))

    @property
    def queue(self):
        return self._once("queue", lambda: LongQueue(self.pki, self.nobody, self.raw, self.queued))

    # --- what a row does ---

    def pingpong(self, *about):
        return self.raw.pingpong(*about)

    def fdatasync(self, group):
        return self.raw.fdatasync(group)

    def put(self, *about):
        return self.raw.put(*about)

    def https_client(self, streams, size):
        return self.raw.https_client(self.server, streams, size)

    def stored(self, connections, size, tls):
        with Bench(self.pki, self.nobody, "stored", tls) as bench:
            values = bench.measure(connections, size, self.seconds)
            bench.account()
        # Its bound, at once: the machine's mood is the same.
        parts = {"loopback": self.raw.pingpong(connections, size, False)["cpu"],
                 "put": self.raw.put(max(1, round(values["group"] or 1)), size)["cpu"]}
        if tls:  # ping-pong over TLS holds the sockets' part too, which counts once
            parts["tls"] = max(0, self.raw.pingpong(connections, size, True)["cpu"] - parts["loopback"])
        return {**values, **parts, "bound": values["cpu"] / sum(parts.values())}

    def delivered(self, connections, size, tls):
        with Bench(self.pki, self.server, "delivered", tls) as bench:
            values = bench.measure(connections, size, self.seconds)
            bench.account()
        return values

    def through(self, connections, size, tls):
        with Bench(self.pki, self.server, "stored", tls) as bench:
            values = bench.measure_to_the_store(connections, size, self.seconds)
            bench.account()
        return values

    def idle_connection(self):
        return idle_connections(self.pki, self.nobody, self.idle)

    def long_queue(self):
        return self.queue.measure(64, self.seconds)

    # --- rows ---

    def raw_rows(self):
        rows = [Row("raw: append 600 B + fdatasync", f"groups of {g}", partial(self.fdatasync, g)) for g in self.connections]
        for size, text in SIZES.items():
            rows += [Row("raw: SQLite put (digest, row, record)", f"{text}, groups of {g}", partial(self.put, g, size))
                     for g in self.connections]
        for tls, what in ((False, "raw: loopback ping-pong, the server's part"),
                          (True, "raw: TLS ping-pong, the server's part")):
            rows += [Row(what, f"{text}, {c} connections", partial(self.pingpong, c, size, tls))
                     for size, text in SIZES.items() for c in self.connections]
        return rows + [Row("raw: HTTPS client (libcurl, HTTP/2), its CPU alone", f"{text}, {c} requests at once",
                           partial(self.https_client, c, size)) for size, text in SIZES.items() for c in self.connections]

    @staticmethod
    def _rss(connections):
        return [Target("rss", RSS_MB, f"RSS <= {RSS_MB} MB", "{:.1f}")] if connections == 64 else []

    def gateway_rows(self):
        rows = []
        shapes = [(tls, size, c) for tls in (False, True) for size in SIZES for c in self.connections]
        for tls, size, c in shapes:
            targets = [Target("cpu", DELIVERED[size], f"CPU <= {DELIVERED[size]}", "{:.4f}")] if c == 64 else []
            rows.append(Row("gateway: delivered", f"{'mutual TLS' if tls else 'plain'}, {SIZES[size]}, {c} connections",
                            partial(self.delivered, c, size, tls), targets + self._rss(c)))
        for tls, size, c in shapes:
            targets = [Target("bound", STORED, f"CPU <= {STORED} x its parts", "{:.2f}")] if c == 64 else []
            rows.append(Row("gateway: stored", f"{'mutual TLS' if tls else 'plain'}, {SIZES[size]}, {c} connections",
                            partial(self.stored, c, size, tls), targets + self._rss(c)))
        rows += [Row("gateway: stored, then delivered",
                     f"{'mutual TLS' if tls else 'plain'}, {SIZES[size]}, {c} connections",
                     partial(self.through, c, size, tls), self._rss(c)) for tls, size, c in shapes if c == 64]
        return rows

    def special_rows(self):
        return [Row("gateway: memory", f"{self.idle} idle mutual-TLS 1.3 connections", self.idle_connection,
                    [Target("idle_rss", IDLE_KB, f"RSS each <= {IDLE_KB} KB", "{:.1f}"),
                     Target("idle_private", None, "of it private, KB", "{:.1f}")]),
                Row("gateway: stored, a long queue", f"plain, 600 B, 64 connections, {self.queued} queued",
                    self.long_queue, [Target("start_ms", None, "start, ms", "{:.0f}"), Target("start_cpu_ms", None, "start, CPU-ms", "{:.0f}")])]


def plan(options):
    made = Plan(options)
    return made.raw_rows() + made.gateway_rows() + made.special_rows()
