"""A real HTTP/2 server with TLS: nginx, which keeps each request's body and writes a line about it."""
import json
import os
import shutil
import subprocess
from pathlib import Path

from . import places
from .checks import at_end, wait_until

FIELDS = ("status", "request_method", "uri", "server_protocol", "ssl_protocol", "ssl_client_s_dn", "ssl_client_verify",
          "http_idempotency_key", "http_authorization", "content_type", "request_body_file", "http_x_test",
          "connection", "proxy_protocol_addr", "msec")


class Nginx:
    """start(), stop(), requests(). POST to url("/any/path") is answered with 200; body: with that HL7-less text.

    certificate: the base of make_pki's file names; client_ca: clients must show a certificate of it; location: more
    directives for all locations; servers: more server blocks (their port is theirs).
    """

    def __init__(self, pki, certificate="server", client_ca=None, location="", name="nginx"):
        self.directory = places.fresh_directory(name)
        self.port = places.free_port()
        self.pki, self.certificate, self.client_ca, self.location = pki, certificate, client_ca, location
        self.process = None
        at_end(self.kill)

    @staticmethod
    def installed():
        return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin") is not None

    def url(self, path="/in"):
        return f"https://{places.ADDRESS}:{self.port}{path}"

    def _configuration(self):
        d = self.directory
        log_format = ",".join(f'"{f}":"${f}"' for f in FIELDS)
        mutual = f"ssl_client_certificate {self.client_ca}; ssl_verify_client on;" if self.client_ca else ""
        return f"""
daemon off; master_process off; worker_processes 1; pid {d}/pid; error_log {d}/error.log info;
events {{ worker_connections 512; }}
http {{
  log_format one escape=json '{{{log_format}}}';
  access_log off;
  client_body_temp_path {d}/bodies; proxy_temp_path {d}/t1; fastcgi_temp_path {d}/t2; uwsgi_temp_path {d}/t3;
  scgi_temp_path {d}/t4;
  server {{ listen unix:{d}/sink; location / {{ return 200; }} }}
  server {{
    listen {places.ADDRESS}:{self.port} ssl http2;
    ssl_certificate {self.pki.path(self.certificate + '.pem')};
    ssl_certificate_key {self.pki.path(self.certificate + '.key')};
    ssl_protocols TLSv1.2 TLSv1.3;
    {mutual}
    client_max_body_size 64m;
    client_body_in_file_only on;
    location / {{
      access_log {d}/access.log one;
      {self.location}
      proxy_pass http://unix:{d}/sink;
      proxy_pass_request_body off; proxy_set_header Content-Length "";
    }}
  }}
}}
"""

    def start(self):
        (self.directory / "nginx.conf").write_text(self._configuration())
        (self.directory / "bodies").mkdir(exist_ok=True)
        (self.directory / "sink").unlink(missing_ok=True)
        environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin"}
        with open(self.directory / "error.log", "ab") as log:
            self.process = subprocess.Popen(["nginx", "-p", self.directory, "-c", self.directory / "nginx.conf"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        wait_until(self._listens, "nginx to listen", 20)
        return self

    def _listens(self):
        assert self.process.poll() is None, f"nginx ended: {(self.directory / 'error.log').read_text()[-400:]}"
        import socket  # pylint: disable=import-outside-toplevel
        try:
            socket.create_connection((places.ADDRESS, self.port), 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        """At once: connections are cut."""
        self.kill()

    def kill(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    def requests(self, path=None):
        """The requests so far, oldest first: a dict of FIELDS, with "body" (bytes)."""
        log = self.directory / "access.log"
        found = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        for each in found:
            file = each["request_body_file"]
            each["body"] = Path(file).read_bytes() if file else b""
        return [f for f in found if path is None or f["uri"] == path]

    def bodies(self, path=None):
        """What it took (status 200), in order."""
        return [r["body"] for r in self.requests(path) if r["status"] == "200"]
