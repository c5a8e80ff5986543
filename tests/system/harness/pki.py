"""Certificates of a test: certs/make_pki's, and ssl contexts from them."""
import ssl
import subprocess
import warnings

from . import places

warnings.filterwarnings("ignore", category=DeprecationWarning, module=r".*pki")


class Pki:
    """A directory with ca, server, client1, client2, revoked and ca.crl; options: make_pki's own, as "--extra"."""

    def __init__(self, *options, directory=None):
        self.directory = directory or places.fresh_directory("pki")
        self.make(*options)

    def make(self, *options):
        """Adds to it: make("--client", "lab")."""
        subprocess.run([places.SOURCE / "certs/make_pki", self.directory, "--quiet", *options], check=True,
                       stdin=subprocess.DEVNULL)

    def path(self, name):
        return str(self.directory / name)

    def context(self, client="client1", version=None, ciphers=None):
        """A sender's ssl context: client's certificate (None: shows none), the demo CA, the name localhost."""
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        if client:
            context.load_cert_chain(self.path(f"{client}.pem"), self.path(f"{client}.key"))
        if version:
            context.minimum_version = context.maximum_version = version
        if ciphers:
            context.set_ciphers(ciphers)
        return context
