"""An HTTP/2 store for tests: tests/support/http2_store.mjs in a process of its own, and what it received."""
import json
import subprocess

from . import places
from .checks import at_end


class HttpStore:
    """url("name", "AA"): what it answers stands in the URL's steps, see the script's head.
    wrapper: a command before it, as a namespace's."""

    def __init__(self, pki, *options, wrapper=()):
        self.directory = places.fresh_directory("http")
        self.ca = pki.path("ca.pem")
        self.process = subprocess.Popen(
            [*wrapper, "node", places.SOURCE / "tests/support/http2_store.mjs", "--certificate", pki.path("server.pem"),
             "--key", pki.path("server.key"), "--directory", self.directory, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        at_end(self.stop)
        self.ports = {}
        for line in self.process.stdout:
            word, _, number = line.strip().partition(" ")
            if word == "ready":
                break
            self.ports[word] = int(number)
        assert "port" in self.ports, "the HTTP store did not start"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def url(self, name, steps="200"):
        return f"https://localhost:{self.ports['port']}/{name}?steps={steps}"

    def requests(self, name=""):
        """(description, body) of each request to /NAME so far, in the order of their arrival."""
        found = []
        for path in sorted(self.directory.glob("*.json"), key=lambda p: int(p.stem)):
            about = json.loads(path.read_text())
            if not name or about["url"].startswith(f"/{name}?"):
                found.append((about, path.with_suffix(".body").read_bytes()))
        return found

    def bodies(self, name=""):
        return [body for _, body in self.requests(name)]
