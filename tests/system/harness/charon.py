"""Two sites with a real charon (strongSwan) each, in two network namespaces that are joined by a wire:

    hospital 192.0.2.1, behind it 10.10.0.0/24          edge 192.0.2.2, behind it 10.20.0.0/24

    sites = Sites()                  # both started, nothing loaded
    sites.load()                     # connection and child "mllpgw-site" at both ends, with a PSK
    sites.edge.initiate()
    sites.wire_down(); sites.hospital.stop(signal.SIGKILL); sites.edge.start() ...

The namespaces have no names: each lives as long as the process that holds it, so that whatever ends the test ends them.
Nothing here uses the project's own VICI code: Vici below is written for itself, so that it may disagree.
"""
import ctypes
import os
import signal
import socket
import struct
import subprocess
import threading

from . import places
from .checks import at_end, wait_until

CHARON = os.environ.get("MLLPGW_CHARON") or "/usr/sbin/charon-systemd"  # another version: a script that starts it
PLUGINS = ("random nonce openssl kdf pem pkcs1 pkcs8 pubkey x509 constraints revocation kernel-libipsec kernel-netlink"
           " socket-default vici")
CONNECTION = "mllpgw-site"
CLONE_NEWNET = 0x40000000
PSK = "lab-only-0123456789abcdef"
SECTION_START, SECTION_END, KEY_VALUE, LIST_START, LIST_ITEM, LIST_END = range(1, 7)
REQUEST, RESPONSE, UNKNOWN, REGISTER, _UNREGISTER, CONFIRM, EVENT_UNKNOWN, EVENT = range(8)


def why_impossible():
    """Why there can be no sites here, or "". Missing packages are no reason: deploy/install-dependencies has them."""
    if os.geteuid() != 0:
        return "needs root"
    done = subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        return f"no network namespaces: {done.stderr.strip()}"
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return f"/dev/net/tun: {error.strerror}"
    return ""


# --- VICI ------------------------------------------------------------------------------------------


def _name(text):
    return bytes([len(text)]) + text.encode()


def _value(data):
    data = data if isinstance(data, bytes) else str(data).encode()
    return struct.pack(">H", len(data)) + data


def encode(message):
    """A dict as a message: values are text, bytes, lists or dicts."""
    out = b""
    for key, value in message.items():
        if isinstance(value, dict):
            out += bytes([SECTION_START]) + _name(key) + encode(value) + bytes([SECTION_END])
        elif isinstance(value, list):
            items = b"".join(bytes([LIST_ITEM]) + _value(v) for v in value)
            out += bytes([LIST_START]) + _name(key) + items + bytes([LIST_END])
        else:
            out += bytes([KEY_VALUE]) + _name(key) + _value(value)
    return out


def decode(data):
    root, at = {}, 0
    open_sections, items = [root], None
    while at < len(data):
        kind = data[at]
        at += 1
        if kind in (SECTION_START, KEY_VALUE, LIST_START):
            name = data[at + 1:at + 1 + data[at]].decode()
            at += 1 + data[at]
        if kind in (KEY_VALUE, LIST_ITEM):
            length = struct.unpack_from(">H", data, at)[0]
            value = data[at + 2:at + 2 + length].decode(errors="replace")
            at += 2 + length
        if kind == SECTION_START:
            open_sections.append(open_sections[-1].setdefault(name, {}))
        elif kind == SECTION_END:
            open_sections.pop()
        elif kind == KEY_VALUE:
            open_sections[-1][name] = value
        elif kind == LIST_START:
            items = open_sections[-1].setdefault(name, [])
        elif kind == LIST_ITEM:
            items.append(value)
    return root


class Vici:
    """A blocking client. `received` holds every byte that came; `events` what came between the answers."""

    def __init__(self, path, timeout=15):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self.received = b""
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, kind, name, message=None):
        packet = bytes([kind]) + _name(name) + encode(message or {})
        self.socket.sendall(struct.pack(">I", len(packet)) + packet)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            some = self.socket.recv(count - len(data))
            if not some:
                raise ConnectionError("charon closed the connection")
            data += some
        self.received += data
        return data

    def read(self):
        """(type, name, message) of the next packet."""
        packet = self._exactly(struct.unpack(">I", self._exactly(4))[0])
        if packet[0] == EVENT:
            return EVENT, packet[2:2 + packet[1]].decode(), decode(packet[2 + packet[1]:])
        return packet[0], "", decode(packet[1:])

    def answer(self):
        while True:
            kind, name, message = self.read()
            if kind != EVENT:
                return kind, message
            self.events.append((name, message))

    def register(self, event):
        """False when this charon has no such event."""
        self.send(REGISTER, event)
        return self.answer()[0] == CONFIRM

    def request(self, command, message=None):
        self.send(REQUEST, command, message)
        kind, answer = self.answer()
        assert kind == RESPONSE, f"{command}: unknown to this charon"
        return answer

    def succeed(self, command, message=None):
        answer = self.request(command, message)
        assert answer.get("success") == "yes", f"{command}: {answer.get('errmsg', answer)}"
        return answer


# --- sites -----------------------------------------------------------------------------------------


class Namespace:
    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        at_end(self.end)
        assert self.holder.stdout.readline() == "ready\n", "no network namespace"

    def command(self, *words):
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--", *map(str, words)]

    def run(self, *words, text=None):
        return subprocess.run(self.command(*words), check=True, capture_output=True, text=True, input=text).stdout

    def enter(self):
        """From now on the thread that calls this is inside: each socket that it makes is one of this namespace's."""
        with open(f"/proc/{self.holder.pid}/ns/net", "rb") as own:
            if ctypes.CDLL(None, use_errno=True).setns(own.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def call(self, function, *arguments):
        """function(*arguments) inside, in a thread of its own; a socket that it returns stays where it was made."""
        result = []

        def inside():
            try:
                self.enter()
                result.extend((function(*arguments), None))
            except BaseException as error:  # pylint: disable=broad-except
                result.extend((None, error))
        thread = threading.Thread(target=inside, daemon=True)
        thread.start()
        thread.join()
        if result[1] is not None:
            raise result[1]
        return result[0]

    def end(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


class Charon:
    """One site: a namespace, a charon in it, its VICI socket."""

    def __init__(self, name, wire, address, inside, settings=""):
        self.name, self.wire, self.address, self.inside = name, wire, address, inside
        self.directory = places.fresh_directory(name)
        self.socket = self.directory / "vici"
        self.log = self.directory / "log"
        self.settings = settings
        self.namespace = Namespace()
        self.process = None

    def connect_wire(self):
        host = self.inside.replace("0/24", "1/24")
        for words in (["link", "set", "lo", "up"], ["addr", "add", f"{self.address}/24", "dev", self.wire],
                      ["link", "set", self.wire, "up"], ["addr", "add", host, "dev", "lo"]):
            self.namespace.run("ip", *words)

    def start(self):
        self.socket.unlink(missing_ok=True)
        conf = self.directory / "strongswan.conf"
        conf.write_text(f"""charon-systemd {{
  load = {PLUGINS}
  retransmit_timeout = 0.5
  retransmit_base = 1.5
  retransmit_tries = 3
  {self.settings}
  plugins {{ vici {{ socket = unix://{self.socket} }} }}
  filelog {{ log {{ path = {self.log}
    flush_line = yes }} }}
  journal {{ default = -1 }}
}}
""")
        with open(self.directory / "output", "ab") as output:
            self.process = subprocess.Popen(self.namespace.command(CHARON), stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, env={**os.environ, "STRONGSWAN_CONF": str(conf)})
        at_end(self.stop)
        wait_until(self.ready, f"{self.name}'s charon", step=0.05)

    def ready(self):
        assert self.process.poll() is None, f"{self.name}'s charon ended: {(self.directory / 'output').read_text()}"
        try:
            with self.vici() as vici:
                vici.request("version")
                plugins = vici.request("stats")["plugins"]
        except OSError:
            return False
        assert "kernel-libipsec" in plugins, f"{self.name}'s charon could not load kernel-libipsec"
        return True

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def freeze(self):
        """Until thaw() it accepts connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def vici(self, timeout=15):
        return Vici(self.socket, timeout)

    def load(self, peer, psk=PSK, child=None, **connection):
        """The connection CONNECTION to another site; `child` and the keywords add to it or replace what is there."""
        names = [f"{self.name}.example", f"{peer.name}.example"]
        settings = {
            "version": "2", "local_addrs": [self.address], "remote_addrs": [peer.address], "mobike": "no",
            "proposals": ["aes256gcm16-prfsha256-ecp256"], "dpd_delay": "1s", "keyingtries": "1",
            "local": {"auth": "psk", "id": names[0]}, "remote": {"auth": "psk", "id": names[1]},
            "children": {CONNECTION: {"local_ts": [self.inside], "remote_ts": [peer.inside],
                                      "esp_proposals": ["aes128gcm16-ecp256"], **(child or {})}},
            **connection}
        with self.vici() as vici:
            vici.succeed("load-shared", {"id": CONNECTION, "type": "ike", "data": psk, "owners": names})
            vici.succeed("load-conn", {CONNECTION: settings})

    def initiate(self, timeout_ms=5000):
        with self.vici() as vici:
            return vici.request("initiate", {"child": CONNECTION, "timeout": timeout_ms})

    def command(self, command, **message):
        with self.vici() as vici:
            return vici.request(command, message)

    def sas(self):
        """The CHILD SAs that charon itself lists: {uniqueid: fields}."""
        with self.vici() as vici:
            vici.register("list-sa")
            vici.request("list-sas")
            return {child["uniqueid"]: child for _, message in vici.events for ike in message.values()
                    for child in ike.get("child-sas", {}).values()}


class Sites:
    """settings: more for both strongswan.conf's, as other retransmissions."""

    def __init__(self, settings=""):
        self.hospital = Charon("hospital", "vh", "192.0.2.1", "10.10.0.0/24", settings)
        self.edge = Charon("edge", "ve", "192.0.2.2", "10.20.0.0/24", settings)
        subprocess.run(["ip", "link", "add", "vh", "netns", str(self.hospital.namespace.holder.pid), "type", "veth",
                        "peer", "name", "ve", "netns", str(self.edge.namespace.holder.pid)], check=True)
        for site in (self.hospital, self.edge):
            site.connect_wire()
            site.start()

    def load(self, child=None, **connection):
        self.hospital.load(self.edge, child=child, **connection)
        self.edge.load(self.hospital, child=child, **connection)

    def wire_down(self):
        """Packets vanish without a word, as behind a broken router."""
        self.edge.namespace.run("nft", "-f", "-", text="""table ip loss {
  chain in { type filter hook input priority 0; iifname ve drop; }
  chain out { type filter hook output priority 0; oifname ve drop; }
}
""")

    def wire_up(self):
        self.edge.namespace.run("nft", "delete", "table", "ip", "loss")

    def send_through(self, count=1, size=100):
        """UDP datagrams from the edge to the hospital, inside the tunnel; nobody answers them."""
        script = (f"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('10.20.0.1', 0));"
                  f" [s.sendto(bytes({size}), ('10.10.0.1', 9)) for _ in range({count})]")
        self.edge.namespace.run("/usr/bin/python3", "-c", script)
