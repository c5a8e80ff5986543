"""The gateway under load: one process for each row, mllpctl send as the load, CPU by the process's own clock."""
import json
import re
import subprocess
import time
from pathlib import Path

from harness import Gateway, Settings, places, wait_until

ROUTE, LISTENER, PEER = "bench", "in", "sender"


def cpu_clock(pid):
    """User + system of all threads of a process, those that have ended included, in seconds: CLOCK_PROCESS_CPUTIME_ID
    of another process (clock_getcpuclockid), which counts nanoseconds and not ticks."""
    return time.clock_gettime((~pid << 3) | 2)


def memory(pid):
    """{"rss", "pss", "private"} in bytes."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()

    def of(name):
        return sum(int(kb) * 1024 for kb in re.findall(rf"^{name}:\s+(\d+) kB", text, re.M))
    return {"rss": of("Rss"), "pss": of("Pss"), "private": of("Private_Dirty") + of("Private_Clean")}


class Bench:
    """A gateway of its own: acknowledge "stored" or "delivered", plain or mutual TLS, one route to store."""

    smoke = False  # no windows: a handful of messages

    def __init__(self, pki, store, acknowledge, tls, workers=2):
        settings = Settings(workers=workers)
        if tls:
            settings.tls("bench", pki, profile="tls13")
        settings.peer(PEER, maximum_connections=100000, certificates=["dns:client1.demo.example"] if tls else None)
        settings.listener(LISTENER, peers=[PEER], tls="bench" if tls else None, acknowledge=acknowledge,
                          maximum_connections=100000, maximum_connections_per_address=100000)
        settings.http_store("store", store.url(), ca=store.ca)
        # In order "none" messages of one sender are delivered side by side, as 64 senders' would be.
        settings.route(ROUTE, LISTENER, "store", order="none", parallel=64, retry_minimum_ms=60000)
        self.pki, self.tls, self.delivered = pki, tls, acknowledge == "delivered"
        self.gateway = Gateway(settings, build=places.BUILD)
        self.positive = 0
        self.filled = 0

    def __enter__(self):
        self.gateway.start()
        return self

    def __exit__(self, *_):
        if self.gateway.process is not None:
            self.gateway.kill()
        subprocess.run(["rm", "-rf", "--", self.gateway.directory], check=False)

    def cpu(self):
        return cpu_clock(self.gateway.process.pid)

    def rss_mb(self):
        return memory(self.gateway.process.pid)["rss"] / 2**20

    def sender(self, count, connections, size):
        """mllpctl send, started."""
        tls = ["--tls", "--ca", self.pki.path("ca.pem"), "--cert", self.pki.path("client1.pem"), "--key",
               self.pki.path("client1.key"), "--server-name", "localhost"] if self.tls else []
        return subprocess.Popen(
            [places.program("mllpctl"), "send", "--to", self.gateway.target(LISTENER), "--json", "--count", str(count),
             "--connections", str(connections), "--size", str(size), "--timeout", "120", *tls],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, sender):
        """Its summary; every message must have its positive answer."""
        out, err = sender.communicate(timeout=600)
        assert out.strip(), f"mllpctl send: {err.strip()}"
        summary = json.loads(out)
        assert summary["ok"] and summary["positive"] == summary["wanted"], \
            f"not every message was answered positively: {out.strip()[:400]} {err.strip()[:200]}"
        self.positive += summary["positive"]
        return summary

    def send(self, count, connections, size):
        return self.finish(self.sender(count, connections, size))

    def totals(self):
        metrics = self.gateway.metrics()

        def of(name, **labels):
            return sum(v for n, has, v in metrics if n == name and all(has.get(k) == w for k, w in labels.items()))
        return {"answers": of("mllpgw_acknowledgments_total"), "rows": of("mllpgw_spool_rows_total"),
                "commits": of("mllpgw_spool_commits_total"), "connections": of("mllpgw_connections"),
                "queued": of("mllpgw_spool_queued"), "records": of("mllpgw_spool_records"),
                "repeated": of("mllpgw_spool_retransmissions_total"),
                "accepted": of("mllpgw_store_requests_total", outcome="accepted")}

    def account(self):
        """Rows stored = positive answers, and nothing was a retransmission; or the benchmark means nothing."""
        def settled():
            now = self.totals()
            # The record is written in the message's own transaction (stored), or with its verdict (delivered); the
            # gauges are a second late.
            return now if now["records"] >= self.positive + self.filled else None
        now = wait_until(settled, f"{self.positive} rows in the spool's metrics ({self.totals()})", 10, step=0.1)
        rows = now["accepted"] if self.delivered else now["records"] - self.filled
        assert rows == self.positive, f"{rows:.0f} rows stored, {self.positive} positive answers"
        assert now["repeated"] == 0, f"{now['repeated']:.0f} retransmissions in a run without repeats"

    def measure(self, connections, size, seconds):
        """A run of about so many seconds. CPU and rate are those of a window in its middle: connecting, handshakes and
        the end are outside."""
        few = max(2 * connections, 20)
        warm = self.send(few, connections, size)
        if self.smoke:
            return self._measure_all(few, connections, size)
        pace = self.send(max(few, int(warm["messages_per_second"] * 0.2)), connections, size)
        count = max(few, int(pace["messages_per_second"] * seconds))
        for _ in range(8):
            values, whole = self._measure_window(count, connections, size, seconds)
            if whole:
                break
            count *= 2  # over before its window was: the guess was made while connections were opened
        assert values, "no run lasted long enough to be measured"
        return values

    def _measure_all(self, count, connections, size):
        """Connecting and handshakes included: nothing to compare with anything."""
        first, cpu = self.totals(), self.cpu()
        summary = self.send(count, connections, size)
        cpu, last = self.cpu() - cpu, self.totals()
        return {"cpu": cpu / count * 1000, "rate": summary["messages_per_second"], "p50": summary["latency_ms"]["p50"],
                "p99": summary["latency_ms"]["p99"], "rss": self.rss_mb(),
                "group": (last["rows"] - first["rows"]) / max(1, last["commits"] - first["commits"]), "messages": count}

    def _measure_window(self, count, connections, size, seconds):
        """(values or None, whether the load lasted as long as the window)"""
        sender = self.sender(count, connections, size)
        wait_until(lambda: self.totals()["connections"] >= connections or sender.poll() is not None, "connections",
                   step=0.05)
        time.sleep(0.1 * seconds)
        first, started, cpu = self.totals(), time.monotonic(), self.cpu()
        time.sleep(0.6 * seconds)
        cpu, ended, rss, last = self.cpu() - cpu, time.monotonic(), self.rss_mb(), self.totals()
        whole = sender.poll() is None
        summary = self.finish(sender)
        messages, commits = last["answers"] - first["answers"], last["commits"] - first["commits"]
        if messages < count / 10:
            return None, False
        return {"cpu": cpu / messages * 1000,
                "rate": messages / (ended - started) if whole else summary["messages_per_second"],
                "p50": summary["latency_ms"]["p50"], "p99": summary["latency_ms"]["p99"], "rss": rss,
                "group": (last["rows"] - first["rows"]) / commits if commits else None, "messages": messages}, whole

    def measure_to_the_store(self, connections, size, seconds):
        """Stored first, then delivered: CPU until the queue is empty, less that of a short run, so that connecting and
        handshakes fall out."""
        def run(count):
            cpu, started = self.cpu(), time.monotonic()
            summary = self.send(count, connections, size)
            self.gateway.wait_delivered(120)
            return self.cpu() - cpu, time.monotonic() - started, summary
        few = max(2 * connections, 20)
        run(few)
        few_cpu, _, pace = run(few)
        count = max(4 * few, int(pace["messages_per_second"] * seconds))
        for _ in range(8):
            cpu, wall, summary = run(count)
            if self.smoke or wall >= seconds / 2:
                break
            count *= 2  # the guess was made while connections were opened
        return {"cpu": (cpu - few_cpu) / (count - few) * 1000, "rate": count / wall, "p50": summary["latency_ms"]["p50"],
                "p99": summary["latency_ms"]["p99"], "rss": self.rss_mb(), "messages": count}
