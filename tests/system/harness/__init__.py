"""What the system tests share.  A test is an executable tests/system/test-NAME, and mostly looks like this:

    #!/usr/bin/python3
    # tsan: yes
    from harness import Gateway, Pki, Settings, check, run
    from harness.mllp import Client, message

    def main():
        settings = Settings()
        settings.peer("lab", addresses=["127.0.0.0/8"])
        settings.listener("adt", peers=["lab"])
        settings.directory_store("files")
        settings.route("adt-to-files", "adt", "files")
        with Gateway(settings) as gateway, Client(gateway.address("adt")) as client:
            with check("a message is answered"):
                assert client.ask(message("A1")).code == "AA"
            gateway.wait_delivered()
            ...

    run(main)

`check` prints the "ok" or "not ok" line; `run` ends with the exit status. Leaving `with Gateway(...)` sends SIGTERM and
adds the checks "ends well" (status 0, no sanitizer report). By hand: tests/run --only system/NAME, or

    MLLPGW_BUILD_DIR=build/sanitize tests/system/test-NAME

The modules:
    checks    check(), skip(), run(), wait_until()
    gateway   Gateway: the process, its log, metrics, control socket, stored files
    settings  Settings: a configuration file from Python values
    mllp      Client: a sender's socket, plain or TLS; message(); Answer
    pki       Pki: certs/make_pki's files and ssl contexts from them
    charon    Sites: two ends of a tunnel with a real charon each, in network namespaces; Vici: a client of its own
    tunneld   Tunneld: mllp-tunneld at one of the two, and a reader of its status
    wire      Capture: what passes between the two that is neither ESP nor IKE
    numbered  Sender: numbered messages without end; what was acknowledged, against what is stored
    kubernetes  Cluster: a real one, with deploy/kubernetes made into what it understands
    store     HttpStore: tests/support/http2_store.mjs and what it received
    google    GoogleStore: tests/support/google_store.mjs (Google's HL7v2 stores and tokens) and what it received
    places    where programs and sources are; addresses and ports that nobody else has
"""
from .checks import check, run, skip, wait_until
from .gateway import Gateway
from .pki import Pki
from .settings import Settings
from .store import HttpStore

__all__ = ["Gateway", "HttpStore", "Pki", "Settings", "check", "run", "skip", "wait_until"]
