"""Where messages go while it is measured; none of this is in the gateway's CPU."""
import socket
import subprocess

from harness import places, wait_until
from harness.checks import at_end


class Nghttpd:
    """An HTTPS HTTP/2 server with one thread, which reads the whole request and answers 200 without a body."""

    def __init__(self, pki):
        self.ca = pki.path("ca.pem")
        directory = places.fresh_directory("htdocs")
        (directory / "hl7").touch()
        self.port = places.free_port("127.0.0.1")
        with open(directory / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["nghttpd", "--address=127.0.0.1", "--workers=1", "--max-concurrent-streams=256", "--window-bits=20",
                 "--connection-window-bits=24", f"--htdocs={directory}", str(self.port), pki.path("server.key"),
                 pki.path("server.pem")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        at_end(self.stop)
        wait_until(self._listens, "nghttpd to listen")

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def url(self):
        return f"https://localhost:{self.port}/hl7"

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Nobody:
    """A store that can't be reached: nothing is delivered, all that is stored stays queued."""

    def __init__(self, pki):
        self.ca = pki.path("ca.pem")
        self.socket = socket.socket()  # bound, never listening: the port stays refused
        self.socket.bind(("127.0.0.1", 0))

    def url(self):
        return f"https://localhost:{self.socket.getsockname()[1]}/hl7"
