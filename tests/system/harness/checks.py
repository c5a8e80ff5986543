"""Named checks and their lines, waiting for conditions, and the end of a test."""
import contextlib
import os
import re
import signal
import sys
import threading
import time
import traceback

_lock = threading.Lock()
_failed = []
_cleanups = []


def _one_line(text):
    return re.sub(r"\s+", " ", str(text)).strip()[:600]


def _print(line):
    with _lock:
        print(line, flush=True)


def _where(error):
    """file:line of the innermost frame that belongs to a test, for assertions without words."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f"{os.sep}harness{os.sep}" not in f.filename] or frames
    return f"{os.path.basename(own[-1].filename)}:{own[-1].lineno}: {own[-1].line}" if own else ""


@contextlib.contextmanager
def check(name):
    """A named check: prints "ok NAME" or "not ok NAME – why"; an exception inside ends the check, not the test.

    with check(…) as words: what is appended to words stands behind the name, as a measured time that is no condition.
    """
    words = []
    try:
        yield words
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # pylint: disable=broad-except
        _failed.append(name)
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        _print(f"not ok {name} – {_one_line(f'{kind}{error}' or 'assertion')} ({_one_line(_where(error))})")
    else:
        _print(f"ok {name}" + (f" – {_one_line('; '.join(words))}" if words else ""))


def skip(name, reason):
    _print(f"skip {name} – {reason}")


def note(text):
    """A line for the log that is no result."""
    _print(f"# {text}")


def failed():
    return list(_failed)


def equal(got, wanted, what=""):
    """Asserts with both values in the words."""
    assert got == wanted, f"{what + ': ' if what else ''}{got!r}, wanted {wanted!r}"


def wait_until(condition, what, seconds=20.0, step=0.02):
    """Polls until condition() is true and returns its value; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(step)


def at_end(function):
    """Calls function() when the test ends, however it ends; the last one first."""
    _cleanups.append(function)


def _clean_up():
    while _cleanups:
        try:
            _cleanups.pop()()
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()


def _terminated(_signal, _frame):
    raise SystemExit(143)


def run(main):
    """Runs the test's main() and exits: 0 when every check passed."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        with _uncaught():
            main()
    finally:
        _clean_up()
    sys.stdout.flush()
    sys.exit(1 if _failed else 0)


@contextlib.contextmanager
def _uncaught():
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # pylint: disable=broad-except
        traceback.print_exc()
        _failed.append("runs to its end")
        _print(f"not ok runs to its end – {_one_line(f'{type(error).__name__}: {error}')} ({_one_line(_where(error))})")
