"""A stand-in for Google's HL7v2 stores, token endpoints and metadata server: tests/support/google_store.mjs (its head says
why, and what it can be told to do) in a process of its own, and what it received."""
import base64
import json
import urllib.request

from . import places
from .pki import Pki
from .store import NodeServer

PARENT = "projects/project/locations/europe-west6/datasets/dataset/hl7V2Stores"
HOSTS = [f"{name}.googleapis.com" for name in ("healthcare", "oauth2", "sts", "iamcredentials", "subject")]


def google_pki():
    """Certificates for this machine and for Google's names, which only clients behind the stand-in's proxy see."""
    return Pki("--hosts", ",".join(["localhost", "127.0.0.1", *HOSTS]))


class GoogleStore(NodeServer):
    """add("s1", "503", "ok") makes a store with what it answers; settings("s1") is what a gateway's store needs.

    credentials("service_account.json"): a file that its token endpoints take; more in google_store_tokens.mjs.
    """

    def __init__(self, pki, *options, wrapper=()):
        self.files = places.fresh_directory("google")
        super().__init__("google_store.mjs", pki, "--credentials", self.files, *options, wrapper=wrapper)

    def credentials(self, name="service_account.json"):
        return str(self.files / name)

    def metadata_host(self):
        """For GCE_METADATA_HOST."""
        return f"127.0.0.1:{self.ports['plain']}"

    def proxy(self):
        """With "--proxy": a proxy that leads to it by Google's names."""
        return f"http://127.0.0.1:{self.ports['proxy']}"

    def control(self, **wanted):
        """One of the script's control requests; returns what is there."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['plain']}/control", json.dumps(wanted).encode())
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            return json.load(answer)

    def add(self, name, *steps, **properties):
        """A store that answers so, one step a request, the last one for all that follow."""
        self.control(stores={name: {**properties, **({"steps": steps} if steps else {})}})

    def steps(self, endpoint, *steps):
        """Likewise for "token", "sts", "impersonation", "metadata", "subject"."""
        self.control(steps={endpoint: steps})

    def settings(self, name, **more):
        """A gateway's settings for that store."""
        return {"project": "project", "location": "europe-west6", "dataset": "dataset", "store": name,
                "endpoint": f"https://localhost:{self.ports['port']}", "ca": self.ca,
                "credentials": self.credentials(), **more}

    def messages(self, name):
        """What is in a store, in the order of first arrival: [{"name", "data" (bytes), "labels", "requests" (how often it
        came), "ack" (MSH-10 of its ACK)}]."""
        found = self.control()["stores"].get(f"{PARENT}/{name}", [])
        return [{**message, "data": base64.b64decode(message["data"])} for message in found]

    def stored(self, name):
        return [message["data"] for message in self.messages(name)]

    def requests(self, name, what="/messages:ingest"):
        """(description, the message's bytes or None) of each request about a store; what: the URL's end."""
        found = []
        for about, path in self.recorded():
            if about["url"].split("?")[0].endswith(f"/{name}{what}"):
                data = path.with_suffix(".hl7")
                found.append((about, data.read_bytes() if data.exists() else None))
        return found

    def bodies(self, name):
        return [data for _, data in self.requests(name)]

    def asked(self, path):
        """Descriptions of the requests to a path, as "/token"."""
        return [about for about, _ in self.recorded() if about["url"].split("?")[0] == path]

    def gone(self, name):
        """How many requests to a store were cancelled by the client."""
        return sum(path.with_suffix(".gone").exists() for about, path in self.recorded()
                   if f"/hl7V2Stores/{name}/" in about["url"])
