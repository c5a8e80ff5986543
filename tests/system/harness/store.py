"""An HTTP/2 store for tests: tests/support/http2_store.mjs in a process of its own, and what it received."""
import json
import subprocess

from . import places
from .checks import at_end


class NodeServer:
    """A script of tests/support that prints its ports and "ready", and records requests in its directory."""

    def __init__(self, script, pki, *options, wrapper=()):
        self.directory = places.fresh_directory("http")
        self.ca = pki.path("ca.pem")
        self.process = subprocess.Popen(
            [*wrapper, "node", places.SOURCE / "tests/support" / script, "--certificate", pki.path("server.pem"),
             "--key", pki.path("server.key"), "--directory", self.directory, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        at_end(self.stop)
        self.ports = {}
        for line in self.process.stdout:
            word, _, number = line.strip().partition(" ")
            if word == "ready":
                break
            self.ports[word] = int(number)
        assert "port" in self.ports, f"{script} did not start"

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

    def recorded(self):
        """(description, the file's path without its suffix) of each request so far, in the order of their arrival."""
        return [(json.loads(path.read_text()), path.with_suffix(""))
                for path in sorted(self.directory.glob("*.json"), key=lambda p: int(p.stem))]


class HttpStore(NodeServer):
    """url("name", "AA"): what it answers stands in the URL's steps, see the script's head.
    wrapper: a command before it, as a namespace's."""

    def __init__(self, pki, *options, wrapper=()):
        super().__init__("http2_store.mjs", pki, *options, wrapper=wrapper)

    def url(self, name, steps="200"):
        return f"https://localhost:{self.ports['port']}/{name}?steps={steps}"

    def requests(self, name=""):
        """(description, body) of each request to /NAME so far, in the order of their arrival."""
        return [(about, path.with_suffix(".body").read_bytes()) for about, path in self.recorded()
                if not name or about["url"].startswith(f"/{name}?")]

    def bodies(self, name=""):
        return [body for _, body in self.requests(name)]
