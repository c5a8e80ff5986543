"""Certificates of a test: certs/make_pki's, and ssl contexts from them."""
import ssl
import subprocess
import time
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

    def short_lived(self, name, seconds):
        """A client certificate, dns:NAME.demo.example, that runs out in so many seconds."""
        work = places.fresh_directory("ca")
        (work / "index").touch()
        (work / "config").write_text(
            "[ca]\ndefault_ca = own\n[own]\ndatabase = index\nnew_certs_dir = .\nrand_serial = yes\n"
            "policy = any\nunique_subject = no\ndefault_md = sha256\n[any]\ncommonName = supplied\n"
            f"[leaf]\nbasicConstraints = CA:FALSE\nkeyUsage = digitalSignature\nextendedKeyUsage = clientAuth\n"
            f"subjectAltName = DNS:{name}.demo.example\n")
        end = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))
        for command in (["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                         f"/CN={name}", "-keyout", self.path(f"{name}.key"), "-out", "request"],
                        ["ca", "-batch", "-notext", "-config", "config", "-extensions", "leaf", "-in", "request",
                         "-cert", self.path("ca.pem"), "-keyfile", self.path("ca.key"), "-startdate",
                         "20200101000000Z", "-enddate", end, "-out", self.path(f"{name}.pem")]):
            subprocess.run(["openssl", *command], cwd=work, check=True, capture_output=True, stdin=subprocess.DEVNULL)

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
