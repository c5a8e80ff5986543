"""A gateway's configuration file from Python values."""
import grp
import os

from . import places


def text_of(value):
    """A value in libconfig's words; a list of dicts is a list of groups."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}L" if abs(value) > 0x7FFFFFFF else str(value)
    if isinstance(value, dict):
        return "{ " + " ".join(f"{k} = {text_of(v)};" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(text_of(v) for v in value)
        return f"( {inner} )" if value and isinstance(value[0], dict) else f"[ {inner} ]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class Settings:
    """Sections as lists of dicts, which a test may change between two starts or reloads.

    A listener without an address gets a free port of the test's own address. Settings are called as in
    config/README.md; None leaves one out.
    """

    def __init__(self, **gateway):
        self.gateway = {"name": "test", "state_directory": "state", "workers": 2, **gateway}
        if os.geteuid() != 0:  # replay, discard, move and --body are root's, or this group's
            self.gateway.setdefault("operator_group", grp.getgrgid(os.getegid()).gr_name)
        self.spool = {"type": "sqlite", "key_file": "spool.key", "reserve_bytes": 1 << 20}  # small: many run at once
        self.admin = {"address": f"{places.ADDRESS}:{places.free_port()}"}
        self.tunneld = {}
        self.tls_list, self.tunnels, self.peers = [], [], []
        self.listeners, self.stores, self.routes = [], [], []

    @staticmethod
    def _add(section, name, values):
        group = {"name": name, **{k: v for k, v in values.items() if v is not None}}
        section.append(group)
        return group

    def tls(self, name, pki, **values):
        """A tls section with the demo's certificates, unless told otherwise."""
        own = {"certificate": pki.path("server.pem"), "key": pki.path("server.key"),
               "client_ca": pki.path("ca.pem"), "crl": pki.path("ca.crl")}
        return self._add(self.tls_list, name, {**own, **values})

    def tunnel(self, name, **values):
        return self._add(self.tunnels, name, values)

    def peer(self, name, **values):
        return self._add(self.peers, name, {"addresses": ["127.0.0.0/8"], **values})

    def listener(self, name, **values):
        values.setdefault("address", f"{places.ADDRESS}:{places.free_port()}")
        return self._add(self.listeners, name, values)

    def directory_store(self, name, **values):
        return self._add(self.stores, name, {"type": "directory", "path": f"stored-{name}", **values})

    def http_store(self, name, url, **values):
        return self._add(self.stores, name, {"type": "http", "url": url, **values})

    def google_store(self, name, google, **values):
        """The store of that name at a GoogleStore; None leaves a setting out."""
        return self._add(self.stores, name, {"type": "google", **google.settings(name), **values})

    def route(self, name, origin, target, **values):
        return self._add(self.routes, name, {"from": origin, "to": target, **values})

    def find(self, section, name):
        """The dict of one entry: find("listeners", "adt")["on_refusal"] = "close"."""
        entries = self.tls_list if section == "tls" else getattr(self, section)
        return next(e for e in entries if e["name"] == name)

    def text(self):
        lines = [f"{name} = {text_of(getattr(self, name))};" for name in ("gateway", "spool", "admin")]
        if self.tunneld:
            lines.append(f"tunneld = {text_of(self.tunneld)};")
        for name, entries in (("tls", self.tls_list), ("tunnels", self.tunnels), ("peers", self.peers), ("listeners", self.listeners),
                              ("stores", self.stores), ("routes", self.routes)):
            if entries:
                lines.append(f"{name} = (\n  " + ",\n  ".join(text_of(e) for e in entries) + "\n);")
        return "\n".join(lines) + "\n"
