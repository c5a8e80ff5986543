"""Where things are, and addresses and ports of one's own."""
import atexit
import itertools
import os
import shutil
import socket
import tempfile
from pathlib import Path

SOURCE = Path(os.environ.get("MLLPGW_SOURCE_DIR") or Path(__file__).resolve().parents[3])
BUILD = Path(os.environ.get("MLLPGW_BUILD_DIR") or SOURCE / "build/sanitize").resolve()
RELEASE = Path(os.environ.get("MLLPGW_RELEASE_DIR") or SOURCE / "build/release").resolve()
NODE_PATH = os.environ.get("NODE_PATH") or str(SOURCE / "build/deps/npm/node_modules")
DATA = SOURCE / "tests/data"
CORPUS = Path(os.environ.get("HL7_CORPUS") or SOURCE / "../shared/data/hl7")
SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


def program(name, build=None):
    return str((build or BUILD) / name)


def _scratch():
    directory = tempfile.mkdtemp(prefix="mgw-")  # below TMPDIR; short: unix socket paths hold 107 bytes
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Path(directory)


SCRATCH = _scratch()
_numbers = itertools.count(1)


def fresh_directory(name):
    """A new directory of this test."""
    path = SCRATCH / f"{name}{next(_numbers)}"
    path.mkdir()
    return path


# Tests run side by side. A loopback address made from the pid belongs to this process alone, so that a port that is free
# there stays free: nothing else binds to that address, and outgoing connections start from 127.0.0.1.
_pid = os.getpid()
ADDRESS = f"127.{64 + (_pid >> 16 & 63)}.{_pid >> 8 & 255}.{_pid & 255}"
OWN_PORTS = 21000  # and up: ports of one address
ALL_PORTS, ALL_PORTS_END = 28000, 32768  # ports of all addresses; outgoing connections take theirs from above that
_own_ports = itertools.count(OWN_PORTS)
_all_ports = itertools.count(_pid)


def _is_free(family, address, port):
    with socket.socket(family) as probe:
        try:
            probe.bind((address, port))
            return True
        except OSError:
            return False


def free_port(address=ADDRESS):
    """A port that nobody has on this process's own address (or on another one that no other test uses)."""
    return next(port for port in _own_ports if _is_free(socket.AF_INET, address, port))


def free_port_everywhere():
    """A port to have on all addresses, [::] and 0.0.0.0. free_port() of a test beside this one never gives it out, and
    two tests that both want one start from different places."""
    span = ALL_PORTS_END - ALL_PORTS
    ports = (ALL_PORTS + number % span for number in itertools.islice(_all_ports, span))
    return next(port for port in ports if _is_free(socket.AF_INET, "0.0.0.0", port))
