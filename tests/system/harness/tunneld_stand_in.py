#!/usr/bin/python3
"""A stand-in for mllp-tunneld, for tests of the gateway's side: it writes the status lines that a test wants.

It is no tunnel and knows no charon: what is tested with it is only what the gateway makes of a status, of its changes and
of its absence. The real mllp-tunneld speaks with a real charon, and neither can be made to say on demand that a tunnel
went down, was narrowed or rekeyed, nor to fall silent just then.

It runs as a process of its own, so that it can be killed and stopped. In a test:

    tunneld = Tunneld(gateway.directory / "tunneld.sock", settings)
    tunneld.start()
    tunneld.say(Tunneld.up("site", local=["127.1.2.3/32"], remote=["127.0.0.0/24"]))
"""
import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time


def digest(tunnel):
    """As vpn/settings.c: by it the gateway knows that its tunnel is meant."""
    parts = ["mllpgw-tunnel-settings-2"]

    def add(key, value):
        parts.extend([key, "-" if value is None else "+", value or ""])

    add("remote", tunnel.get("remote"))
    add("local", tunnel.get("local"))
    add("remote_id", tunnel.get("remote_id", tunnel.get("remote")))
    add("local_id", tunnel.get("local_id"))
    for key in ("psk_file", "certificate", "key", "remote_ca", "crl"):
        add(key, tunnel[key].rsplit("/", 1)[-1] if key in tunnel else None)
    add("crl_required", "true" if tunnel.get("crl_required") else "false")
    for key in ("local_subnets", "remote_subnets"):
        for subnet in tunnel[key]:
            add(key, subnet)
    return hashlib.sha256("".join(part + "\0" for part in parts).encode()).hexdigest()[:32]


class Tunneld:
    def __init__(self, path, settings):
        self.path, self.settings, self.process, self.last = path, settings, None, None

    def start(self):
        from .checks import at_end
        self.process = subprocess.Popen([sys.executable, __file__, self.path], stdin=subprocess.PIPE, text=True)
        at_end(self.kill)
        return self

    def say(self, *tunnels, charon="connected"):
        """From now on this is how it is."""
        known = {tunnel["name"]: digest(tunnel) for tunnel in self.settings.tunnels}
        told = [{"settings": known.get(tunnel["name"], ""), **tunnel} for tunnel in tunnels]
        self.last = json.dumps({"v": 1, "charon": charon, "charon_version": "5.9.8", "tunnels": told})
        self.process.stdin.write(self.last + "\n")
        self.process.stdin.flush()

    def kill(self, with_signal=signal.SIGKILL):
        if self.process is not None:
            self.process.send_signal(with_signal)
            self.process.stdin.close()
            self.process.wait()
            self.process = None

    def stop(self):
        """Falls silent, and stays connected."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    @staticmethod
    def up(name, local, remote, uniqueid=1, **more):
        child = {"uniqueid": uniqueid, "local_ts": local, "remote_ts": remote, "cipher": "AES_GCM_16_256", "rekey_in_s": 3000}
        return {"name": name, "state": "up", "in_state_ms": 1000, "children": [child], "bytes_in": 1000, "bytes_out": 2000,
                "packets_in": 10, "packets_out": 20, "last_in_s": 1, "last_out_s": 2, "rekeys": 4, "flaps": 1,
                "ike": {"version": 2, "remote_host": "192.0.2.9", "local_host": "192.0.2.1"}, **more}

    @staticmethod
    def down(name, alert=None, **more):
        return {"name": name, "state": "down", "in_state_ms": 0, "children": [], **({"last_alert": alert} if alert else {}),
                **more}


# --- the process ---

def write(clients, status):
    line = json.dumps({**status, "at_ms": time.monotonic_ns() // 1000000}).encode() + b"\n"
    for client in list(clients):
        try:
            client.sendall(line)
        except OSError:
            clients.remove(client)


def serve(path):
    """Each client gets a line at once, one each second and one at each change."""
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    status, clients, sequence, beat = None, [], 0, time.monotonic()
    commands = sys.stdin.buffer
    while True:
        ready = select.select([listener, commands], [], [], max(0, beat - time.monotonic()))[0]
        new = [listener.accept()[0]] if listener in ready else []
        if commands in ready:
            line = commands.readline()
            if not line:
                return
            status = json.loads(line)
        due = commands in ready or time.monotonic() >= beat
        if time.monotonic() >= beat:
            beat = time.monotonic() + 1
        if status is not None:
            sequence += 1
            write(clients if due else [], {**status, "sequence": sequence})
            clients += new
            write(new, {**status, "sequence": sequence})
        else:
            clients += new


if __name__ == "__main__":
    serve(sys.argv[1])
