"""A sender: MLLP frames over a socket of its own, plain or TLS; messages and answers."""
import re
import socket
import ssl
import time

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
TRAILER = FS + CR
CUT = (ConnectionError, ssl.SSLError, BrokenPipeError)  # how a connection that the gateway has ended may show


def frame(content):
    return VT + content + TRAILER


def message(control_id, kind="ADT^A01", facility="STM", application="LAB", version="2.5", msh15="", msh16="", sequence="",
            pid="12345^^^STM||Doe^Jane", more=()):
    """A small message; more: further segments without their CR."""
    header = f"MSH|^~\\&|{application}|{facility}|GW|EDGE|20260101120000||{kind}|{control_id}|P|{version}"
    tail = [sequence, "", msh15, msh16]
    while tail and not tail[-1]:
        tail.pop()
    segments = ["|".join([header, *tail]), f"PID|1||{pid}", *more]
    return "".join(f"{s}\r" for s in segments).encode("latin-1")


class Answer:
    """An acknowledgment, read with the plainest means: by its own separators, nothing validated."""

    def __init__(self, content):
        self.content = content
        self.segments = [s for s in content.split(CR) if s]
        self.separator = content[3:4]

    def __repr__(self):
        return f"Answer({self.content!r})"

    def segment(self, name):
        return next((s for s in self.segments if s[:3] == name.encode()), None)

    def field(self, segment, number):
        """A field as bytes; MSH counted as HL7 does (MSH-1 is the separator). b"" when absent."""
        found = self.segment(segment)
        if found is None:
            return b""
        fields = found.split(self.separator)
        index = number - 1 if segment == "MSH" else number
        return fields[index] if index < len(fields) else b""

    @property
    def code(self):
        return self.field("MSA", 1).decode("latin-1")

    @property
    def control_id(self):
        return self.field("MSA", 2)

    @property
    def own_id(self):
        return self.field("MSH", 10)

    @property
    def error_code(self):
        """ERR-3.1 of the first ERR."""
        return self.field("ERR", 3).split(b"^")[0].decode("latin-1")


class Client:
    """One connection. context: an ssl context for TLS; source: the address to come from (127.0.0.x)."""

    def __init__(self, address, context=None, source=None, timeout=20.0, name="localhost", prefix=b""):
        self.timeout = timeout
        self.buffer = b""
        self.ended = None  # why reading ended: "closed", "reset", or an alert's words
        self.socket = socket.create_connection(address, timeout, (source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if prefix:  # a PROXY header stands before TLS
                self.socket.sendall(prefix)
            if context:
                self.socket = context.wrap_socket(self.socket, server_hostname=name)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends the connection with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()

    def end_sending(self):
        """No more bytes from here; answers can still come. (Over TLS a bare FIN: Python has no half-close.)"""
        self.socket.shutdown(socket.SHUT_WR) if not isinstance(self.socket, ssl.SSLSocket) else \
            socket.socket.shutdown(self.socket, socket.SHUT_WR)

    # --- bytes ---

    def send_raw(self, data):
        self.socket.sendall(data)

    def send_pieces(self, pieces):
        """Each piece with a send (over TLS: a record) of its own. False when the gateway had ended it meanwhile."""
        try:
            for piece in pieces:
                self.socket.sendall(piece)
        except CUT:
            return False
        return True

    def _fill(self, deadline):
        """Reads once; False at the stream's end. TimeoutError at the deadline."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no byte came in time")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(65536)
        except ssl.SSLError as error:
            self.ended = error.reason or str(error)
            return False
        except ConnectionError:
            self.ended = "reset"
            return False
        except TimeoutError:
            raise TimeoutError("no byte came in time") from None
        finally:
            if self.socket.fileno() >= 0:
                self.socket.settimeout(self.timeout)
        if not data:
            self.ended = "closed"
            return False
        self.buffer += data
        return True

    # --- frames ---

    def receive(self, seconds=None):
        """The next frame's content; None when the connection has ended. TimeoutError when neither comes."""
        deadline = time.monotonic() + (seconds or self.timeout)
        while True:
            match = re.match(rb"\x0b([^\x1c]*(?:\x1c[^\x1c\r][^\x1c]*)*)\x1c\r", self.buffer)
            if match:
                self.buffer = self.buffer[match.end():]
                return match[1]
            assert not self.buffer or self.buffer[:1] == VT, f"no frame: {self.buffer[:60]!r}"
            if not self._fill(deadline):
                assert not self.buffer, f"ended within a frame: {self.buffer[:60]!r}"
                return None

    def answer(self, seconds=None):
        """The next answer; fails when the connection has ended instead."""
        content = self.receive(seconds)
        assert content is not None, f"the connection has ended ({self.ended}) instead of an answer"
        return Answer(content)

    def send(self, content):
        self.send_raw(frame(content))

    def ask(self, content, seconds=None):
        """Sends a message and returns its first answer."""
        self.send(content)
        return self.answer(seconds)

    def wait_end(self, seconds=None):
        """Waits until the gateway has ended the connection; returns the answers that came before."""
        answers = []
        while (content := self.receive(seconds)) is not None:
            answers.append(Answer(content))
        return answers

    def wait_end_raw(self, seconds=None):
        """The same for a connection that may end with anything; returns its bytes."""
        deadline = time.monotonic() + (seconds or self.timeout)
        while self._fill(deadline):
            pass
        return self.buffer

    def answers_before(self, probe, probe_id, seconds=None):
        """Sends a probe message and returns the answers that come before its own: so "no answer" is no matter of time."""
        self.send(probe)
        answers = []
        while True:
            answer = self.answer(seconds)
            if answer.control_id == probe_id:
                return answers
            answers.append(answer)
