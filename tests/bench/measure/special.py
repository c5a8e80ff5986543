"""Idle connections, and a gateway with a long queue."""
import shutil
import socket
import time

from harness import places

from .load import LISTENER, PEER, ROUTE, Bench, memory


def _connect(bench, context):
    connection = socket.create_connection(bench.gateway.address(LISTENER), 20)
    return context.wrap_socket(connection, server_hostname="localhost")


def idle_connections(pki, store, count):
    """Memory of an idle mutual-TLS 1.3 connection: what the process has more with count of them, over count. A few that
    came before pay for what is made once."""
    context = pki.context()
    with Bench(pki, store, "stored", tls=True) as bench:
        pid = bench.gateway.process.pid
        first = [_connect(bench, context) for _ in range(10)]
        time.sleep(0.3)
        before = memory(pid)
        idle = [_connect(bench, context) for _ in range(count)]
        assert all(c.version() == "TLSv1.3" for c in idle)
        time.sleep(0.5)
        open_now = bench.totals()["connections"]
        assert open_now == count + len(first), f"{open_now:.0f} connections instead of {count + len(first)}"
        after = memory(pid)
        for connection in first + idle:
            connection.close()
        return {"rss": after["rss"] / 2**20, **{f"idle_{k}": (after[k] - before[k]) / count / 1024 for k in after}}


class LongQueue:
    """A spool with count messages of 600 bytes queued, made once and copied for each start."""

    def __init__(self, pki, store, raw, count):
        self.pki, self.store, self.raw, self.count = pki, store, raw, count
        self.directory = None

    def _filled(self):
        if self.directory is None:
            directory = places.fresh_directory("queue")
            bench = Bench(self.pki, self.store, "stored", tls=False)
            bench.gateway.write_settings()
            shutil.copy(bench.gateway.directory / "spool.key", directory)
            bench.__exit__()
            self.raw.fill(directory, self.count, 600, ROUTE, f"{ROUTE}/*", PEER, LISTENER)
            self.directory = directory
        return self.directory

    def measure(self, connections, seconds):
        """Start-up time (until /readyz), then stored messages on top of the queue."""
        bench = Bench(self.pki, self.store, "stored", tls=False)
        bench.filled = self.count
        bench.gateway.write_settings()
        state = bench.gateway.directory / "state"
        state.mkdir(mode=0o700)
        shutil.copy(self._filled() / "spool.key", bench.gateway.directory)
        for file in self._filled().glob("spool.db*"):
            shutil.copy(file, state)
        started = time.monotonic()
        with bench:
            start_ms = (time.monotonic() - started) * 1000
            cpu_ms = bench.cpu() * 1000
            values = bench.measure(connections, 600, seconds)
            bench.account()
        return {**values, "start_ms": start_ms, "start_cpu_ms": cpu_ms}
