"""The daemon under test: started, asked, listened to and ended."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import places
from .checks import at_end, check, note, wait_until

SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")


def _fields(line):
    """A log line's fields: {"time": …, "level": …, "event": …, …}; None for a line that is no event."""
    match = re.match(r"(\S+Z) (\w+) (event=.*)$", line)
    if not match:
        return None
    fields = {"time": match[1], "level": match[2]}
    for name, quoted, bare in re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))', match[3]):
        fields[name] = quoted or bare
    return fields


class Log:
    """What the gateway wrote to standard error, over all its starts."""

    def __init__(self, path):
        self.path = path
        path.touch()

    def text(self):
        return self.path.read_text(encoding="utf-8", errors="replace")

    def events(self, event=None, **wanted):
        """The events called so whose fields are as wanted: events("connection-closed", reason="idle-timeout")."""
        found = (f for line in self.text().splitlines() if (f := _fields(line)))
        return [f for f in found if (event is None or f["event"] == event)
                and all(f.get(k) == str(v) for k, v in wanted.items())]

    def wait(self, event, count=1, seconds=20.0, **wanted):
        """Waits for that many such events and returns all of them."""
        def enough():
            found = self.events(event, **wanted)
            return found if len(found) >= count else None
        return wait_until(enough, f"{count} event={event} {wanted or ''} in the log", seconds)


class Gateway:
    """mllp-gateway with a directory of its own, which holds gateway.cfg, the spool's key and all state.

    Leaving the context ends it by SIGTERM and checks that it ended well; whatever is left is killed at the test's end.
    build: another build folder (places.RELEASE); environment: more variables; name: in the names of checks;
    options: a command before the program, as ["faketime", …].
    """

    def __init__(self, settings, directory=None, build=None, environment=None, name="gateway", wrapper=()):
        self.settings = settings
        self.directory = directory or places.fresh_directory("gw")
        self.build = build or places.BUILD
        self.environment = environment or {}
        self.name = name
        self.wrapper = [str(w) for w in wrapper]
        self.log = Log(self.directory / "log")
        self.process = None
        self.checked = True

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        if self.process is None:
            return
        with check(f"{self.name} ends well"):
            self.stop()
        if kind is not None:
            note(f"the end of {self.name}'s log:\n" + "\n".join(self.log.text().splitlines()[-30:]))

    # --- the process ---

    def write_settings(self):
        (self.directory / "gateway.cfg").write_text(self.settings.text())
        key = self.directory / "spool.key"
        if not key.exists() and self.settings.spool.get("key_file") == "spool.key":
            subprocess.run([places.program("mllpctl", self.build), "key", "new", key], check=True,
                           stdout=subprocess.DEVNULL)
        for store in self.settings.stores:
            if store["type"] == "directory":
                (self.directory / store["path"]).mkdir(mode=0o700, exist_ok=True)

    def start(self, ready=True):
        """Starts it; with ready=True waits until /readyz says 200."""
        self.write_settings()
        environment = {**os.environ, **self.environment}
        for name, value in places.SANITIZER_ENVIRONMENT.items():
            environment.setdefault(name, value)
        with open(self.log.path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, places.program("mllp-gateway", self.build), "--config", "gateway.cfg"],
                cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        at_end(self.kill)
        if ready:
            wait_until(self._is_ready, "/readyz", 30)
        return self

    def _is_ready(self):
        assert self.process.poll() is None, \
            f"the gateway ended ({self.process.returncode}) instead of starting: {self.log.text()[-400:]}"
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def wait_exit(self, seconds=40):
        status = self.process.wait(seconds)
        self.process = None
        return status

    def stop(self, seconds=40):
        """SIGTERM; asserts status 0 and no sanitizer's report so far."""
        assert self.process.poll() is None, f"it had ended before, with {self.process.returncode}: {self.report()}"
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.wait_exit(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it had not ended {seconds} s after SIGTERM") from None
        assert status == 0 and not self.report(), f"exit status {status}; {self.report() or self.log.text()[-300:]}"

    def kill(self):
        """kill -9, as a power cut; nothing is checked."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def report(self):
        """A sanitizer's report, shortened; "" without one."""
        text = self.log.text()
        match = SANITIZER.search(text)
        return text[match.start():match.start() + 1500] if match else ""

    def reload(self, seconds=20):
        """Writes the settings anew, mllpctl reload; returns the CompletedProcess."""
        self.write_settings()
        return self.ctl("reload", seconds=seconds)

    def rss_bytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # --- asking it ---

    def address(self, listener):
        host, port = self.settings.find("listeners", listener)["address"].rsplit(":", 1)
        return host.strip("[]"), int(port)

    def target(self, listener):
        """HOST:PORT in one word, for programs."""
        return self.settings.find("listeners", listener)["address"]

    def get(self, path):
        """(status, text) from the admin port."""
        host, port = self.settings.admin["address"].rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metrics(self):
        """[(name, labels, value)] of /metrics."""
        found = []
        for line in self.get("/metrics")[1].splitlines():
            match = re.match(r"([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)$", line)
            if match and not line.startswith("#"):
                found.append((match[1], dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")), float(match[3])))
        return found

    def metric(self, metric_name, **labels):
        """The sum of a metric's values over all label sets that match; 0 when there is none."""
        return sum(value for name, has, value in self.metrics()
                   if name == metric_name and all(has.get(k) == v for k, v in labels.items()))

    def ctl(self, *arguments, seconds=30):
        """Runs mllpctl on the control socket: CompletedProcess with text."""
        environment = {**os.environ, "MLLPGW_SOCKET": str(self.directory / "state/control.sock")}
        return subprocess.run([places.program("mllpctl", self.build), *[str(a) for a in arguments]], text=True,
                              capture_output=True, timeout=seconds, env=environment, stdin=subprocess.DEVNULL, check=False)

    def ctl_json(self, *arguments):
        done = self.ctl(*arguments, "--json")
        assert done.stdout.strip(), f"mllpctl {' '.join(arguments)}: status {done.returncode}: {done.stderr.strip()}"
        return json.loads(done.stdout)

    def control(self, command, **arguments):
        """One command on the control socket (gateway/admin/control.h): (items, the last line)."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(str(self.directory / "state/control.sock"))
            connection.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
            items = []
            with connection.makefile("rb") as lines:
                for line in lines:
                    answer = json.loads(line)
                    items += answer.get("items", [])
                    if answer.get("end"):
                        return items, answer
        raise AssertionError(f"{command}: the control socket ended without an answer")

    def queue(self, **wanted):
        """The entries in the spool: queue(state="dead", route="r")."""
        items, last = self.control("queue.list", **wanted)
        assert last["ok"], last
        return items

    # --- what came out ---

    def wait_delivered(self, seconds=30):
        """Waits until nothing is queued any more. (The spool is asked; the metric is a second late.)"""
        wait_until(lambda: not self.queue(state="queued", limit=1), "the queue to be empty", seconds, step=0.05)

    def files(self, store="files", peer=None):
        """The directory store's files (paths), oldest first; peer: only that peer's."""
        path = self.directory / self.settings.find("stores", store)["path"]
        found = [p for p in path.iterdir() if p.suffix == ".hl7" and (peer is None or p.name.startswith(f"{peer}-"))]
        return sorted(found, key=lambda p: (p.stat().st_ctime_ns, p.name))

    def stored(self, store="files", peer=None):
        """Those files' contents."""
        return [p.read_bytes() for p in self.files(store, peer)]

    def wait_stored(self, count, store="files", peer=None, seconds=30):
        wait_until(lambda: len(self.files(store, peer)) >= count, f"{count} files in store {store}", seconds)
        return self.stored(store, peer)


def pause_until(moment):
    """Waits for a point on time.monotonic()'s clock: for tests whose subject is time itself."""
    time.sleep(max(0.0, moment - time.monotonic()))
