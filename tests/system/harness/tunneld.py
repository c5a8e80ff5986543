"""mllp-tunneld at a site of charon.py, as an unprivileged user, from a configuration file of its own.

    tunneld = Tunneld(sites.edge, sites.hospital)
    tunneld.write(); tunneld.start()
    with tunneld.client() as client: client.wait("site", state="up")
"""
import json
import os
import signal
import socket
import subprocess

from . import places
from .charon import PSK
from .checks import at_end, wait_until

USER = 65534  # nobody's, on every Debian
IKE, ESP = "aes256gcm16-prfsha256-ecp256", "aes128gcm16-ecp256"
DUMMIES = """
peers = ( {{ name = "lab"; addresses = [ "10.10.0.1" ]; }} );
listeners = ( {{ name = "adt"; address = "10.20.0.1:2575"; peers = [ "lab" ]; }} );
stores = ( {{ name = "files"; type = "directory"; path = "{0}"; }} );
routes = ( {{ name = "all"; from = "adt"; to = "files"; }} );
"""


class Client:
    """Reads status. `lines` has all that came, as text; status() the newest."""

    def __init__(self, path, lines):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("r")
        self.lines = lines

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def next(self):
        line = self.file.readline()
        assert line.endswith("\n"), f"the status ended: {line!r}"
        self.lines.append(line)
        return json.loads(line)

    def wait(self, name, seconds=25, charon="connected", **wanted):
        """The tunnel, once it is as wanted (a callable: whether it says so)."""
        tunnel = {}

        def is_so():
            nonlocal tunnel
            status = self.next()
            tunnel = next((t for t in status["tunnels"] if t["name"] == name), {})
            return status["charon"] == charon and tunnel and all(
                value(tunnel.get(key)) if callable(value) else tunnel.get(key) == value for key, value in wanted.items())
        try:
            wait_until(is_so, wanted, seconds, step=0)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.lines[-1]}") from error
        return tunnel


class Tunneld:
    def __init__(self, site, peer, user=USER):
        self.site, self.peer, self.user = site, peer, user
        places.SCRATCH.chmod(0o711)
        self.directory = places.fresh_directory("tunneld")
        os.chown(self.directory, user, user)
        self.config = self.directory / "gateway.cfg"
        self.socket = self.directory / "status"
        self.log = self.directory / "log"
        self.log.touch()
        self.process = None
        self.read = []  # every line of status that a client of this test got
        self.program = places.program("mllp-tunneld")
        site.directory.chmod(0o711)

    def open_vici(self):
        """charon runs as root here, and its socket is nobody else's."""
        os.chown(self.site.socket, self.user, self.user)

    def secret(self, name, text):
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text)
        os.chown(path, self.user, self.user)
        return path

    def tunnel(self, proof=None, **more):
        """A tunnel's settings; `proof` instead of a PSK; what else is given adds or replaces."""
        proof = proof or f'psk_file = "psk"; local_id = "{self.site.name}.example"; remote_id = "{self.peer.name}.example";'
        settings = {"name": '"site"', "remote": f'"{self.peer.address}"', "local": f'"{self.site.address}"',
                    "local_subnets": f'[ "{self.site.inside}" ]', "remote_subnets": f'[ "{self.peer.inside}" ]',
                    "ike_proposals": f'[ "{IKE}" ]', "esp_proposals": f'[ "{ESP}" ]', "dpd_delay_s": "1", **more}
        return "{ " + proof + " ".join(f"{key} = {value};" for key, value in settings.items()) + " }"

    def write(self, *tunnels, psk=PSK):
        self.secret("psk", psk + "\n")
        tunnels = f"tunnels = ( {', '.join(tunnels)} );" if tunnels else ""
        self.config.write_text(f"""tunneld = {{ status_socket = "{self.socket}"; vici_socket = "{self.site.socket}"; user = "{self.user}"; }};
spool = {{ type = "memory"; }};
{tunnels}{DUMMIES.format(self.directory)}""")

    def start(self, **environment):
        # LeakSanitizer has to trace itself, which nobody may do to a process that is not dumpable.
        sanitizer = dict(places.SANITIZER_ENVIRONMENT)
        if self.user != 0:
            sanitizer["ASAN_OPTIONS"] += ":detect_leaks=0"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--config", self.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                user=self.user, group=self.user, extra_groups=[], env={**os.environ, **sanitizer, **environment})
        at_end(self.kill)

        def answers():
            assert self.process.poll() is None, f"mllp-tunneld ended: {self.log.read_text()[-1000:]}"
            try:
                self.client().__exit__()
            except OSError:
                return False
            return True
        wait_until(answers, "mllp-tunneld's status socket")

    def client(self):
        return Client(self.socket, self.read)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def end(self):
        self.process.terminate()
        return self.process.wait(timeout=20)

    def mark(self):
        return self.log.stat().st_size

    def events(self, event, mark=0):
        lines = self.log.read_bytes()[mark:].decode().splitlines()
        return [line for line in lines if f" event={event} " in f"{line} "]

    def wait_event(self, event, text="", mark=0):
        def there():
            assert self.process.poll() is None, f"mllp-tunneld ended: {self.log.read_text()[-1000:]}"
            return next((line for line in self.events(event, mark) if text in line), None)
        return wait_until(there, f"event={event} with {text!r}")
