"""Raw limits: what disk, database, sockets and TLS take without a gateway."""
import json
import re
import subprocess

from harness import places


class Raw:
    """The C programs of tests/bench, run for so many seconds each, in a scratch directory."""

    def __init__(self, pki, seconds):
        self.pki, self.seconds = pki, seconds

    @staticmethod
    def _run(program, *arguments):
        done = subprocess.run([places.BUILD / "tests/bench" / program, *[str(a) for a in arguments]], text=True,
                              capture_output=True, timeout=300, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 0 and done.stdout, f"{program} {arguments}: {done.stderr.strip()}"
        return json.loads(done.stdout)

    @staticmethod
    def _values(answer, rate):
        return {"cpu": answer["cpu_us"] / 1000, "rate": answer[rate]}

    def fdatasync(self, group, size=600):
        answer = self._run("bench_disk", "fdatasync", places.fresh_directory("sync"), group, self.seconds, size)
        return {**self._values(answer, "rows_per_second"), "syncs": answer["syncs_per_second"]}

    def put(self, group, size):
        directory = places.fresh_directory("put")
        subprocess.run([places.program("mllpctl"), "key", "new", directory / "spool.key"], check=True,
                       stdout=subprocess.DEVNULL)
        answer = self._run("bench_disk", "put", directory, group, self.seconds, size)
        return {**self._values(answer, "rows_per_second"), "digest": answer["digest_us"] / 1000}

    def pingpong(self, connections, size, tls):
        answer = self._run("bench_pingpong", connections, size, self.seconds, *([self.pki.directory] if tls else []))
        return self._values(answer, "per_second")

    def https_client(self, store, streams, size):
        """bench_http: requests by gateway/http, so libcurl's part of a delivery."""
        requests = max(streams, int(self.seconds * (6000 if size < 10000 else 1200)))
        done = subprocess.run([places.BUILD / "tests/bench/bench_http", store.url(), store.ca, str(requests), str(streams),
                               str(size)], text=True, capture_output=True, timeout=120, stdin=subprocess.DEVNULL, check=False)
        match = re.search(r": (\d+)/s, ([0-9.]+) us CPU", done.stdout)
        assert done.returncode == 0 and match, f"bench_http: {done.stdout.strip()} {done.stderr.strip()}"
        return {"cpu": float(match[2]) / 1000, "rate": float(match[1])}

    def fill(self, directory, count, size, route, lane, peer, listener):
        self._run("bench_disk", "fill", directory, count, size, route, lane, peer, listener)
