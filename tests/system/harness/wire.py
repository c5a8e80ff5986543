"""A capture between two sites, which keeps only what should not be there."""
import socket
import struct
import threading
import time

from .checks import at_end, wait_until

ETH_P_ALL, ETH_HEADER = 3, 14
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
ICMP, TCP, UDP, ESP, ICMPV6 = 1, 6, 17, 50, 58
IKE_PORTS = {500, 4500}
SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 263, 6, 33


def foreign(frame):
    """What a frame is, in words, when a tunnel's wire should not carry it; "" for ARP, ICMP, IKE and ESP."""
    kind = struct.unpack_from(">H", frame, 12)[0]
    packet = frame[ETH_HEADER:]
    if kind == ARP:
        return ""
    if kind == IPV6:  # neighbours only; MLD stands behind a hop-by-hop header of 8 bytes
        following = packet[40] if packet[6] == 0 else packet[6]
        return "" if following == ICMPV6 else f"IPv6, next header {following}"
    if kind != IPV4:
        return f"ethertype {kind:#x}"
    protocol, behind = packet[9], packet[(packet[0] & 15) * 4:]
    if protocol in (ICMP, ESP):
        return ""
    if struct.unpack_from(">H", packet, 6)[0] & 0x1FFF:
        return f"a fragment of protocol {protocol}"
    ports = struct.unpack_from(">HH", behind) if protocol in (TCP, UDP) else ()
    if protocol == UDP and IKE_PORTS & set(ports):
        return ""
    name = {TCP: "TCP", UDP: "UDP"}.get(protocol, f"protocol {protocol}")
    return f"{name} {socket.inet_ntoa(packet[12:16])} to {socket.inet_ntoa(packet[16:20])}, ports {ports}"


class Capture:
    """Every frame on a site's wire, both ways, until the test ends. words: bytes that no frame may hold."""

    def __init__(self, site, words):
        self.words = words
        self.frames = self.encrypted = 0
        self.found = []  # (what, whether a word was in it)
        self.socket = site.namespace.call(self._open, site.wire)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        at_end(self.end)

    @staticmethod
    def _open(interface):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        opened.bind((interface, 0))
        opened.settimeout(0.2)
        return opened

    def _read(self):
        while not self.ended.is_set():
            try:
                self._look(self.socket.recv(65536))
            except TimeoutError:
                continue
            except OSError:  # the link went down; the socket hears of the next frame once it is up
                time.sleep(0.01)

    def _look(self, frame):
        what, secret = foreign(frame), any(word in frame for word in self.words)
        self.frames += 1
        if what or secret:
            self.found.append((what, secret))
        elif len(frame) > 400:
            self.encrypted += 1

    def wait(self, what):
        """Until a frame with these words was seen."""
        wait_until(lambda: any(what in seen for seen, _ in self.found), f"{what!r} on the wire")

    def lost(self):
        """Frames that came faster than they were read."""
        return struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]

    def end(self):
        self.ended.set()
        self.thread.join()
        self.socket.close()
