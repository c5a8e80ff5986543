"""The engine of tests/run: builds, runs every test, counts, and keeps logs under build/test-logs.

Three kinds of tests, and how each tells its results:
  programs   cmocka programs and corpus replayers: cmocka's own lines, or else the exit status
  scripts    tests/system/test-*: lines "ok NAME", "not ok NAME – why", "skip NAME – reason", and the exit status
  checks     tests/check/*: the same lines, or just the exit status
"""
import argparse
import concurrent.futures
import fcntl
import fnmatch
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
LOGS = BUILD / "test-logs"
PROGRAM_SECONDS, CHECK_SECONDS, SYSTEM_SECONDS = 120, 1200, 300
SHOWN_LINES = 60
RELEASE_TARGETS = ["mllp-gateway", "mllpctl"]  # all that tests use of the release build

SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


# Checks ask git for the files; as root, git would refuse a clone that belongs to somebody else.
TRUST_CLONE = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": str(ROOT)}


class Job:
    """One process to run, and what to make of its output."""

    def __init__(self, name, command, kind, seconds, env=None, source=None, preset=None, target=None):
        self.name, self.command, self.kind, self.seconds = name, [str(c) for c in command], kind, seconds
        self.env = env or {}
        self.preset, self.target = preset, target
        self.marks = read_marks(source) if source else {}
        if "timeout" in self.marks:
            self.seconds = int(self.marks["timeout"].split()[0])
        self.serial = self.marks.get("serial", "").startswith("yes")
        self.log = LOGS / (name.replace("/", "-") + ".log")


def read_marks(source):
    """The marks in the first lines of a test's source: "# timeout: 600", "/* serial: yes */"."""
    marks = {}
    with open(source, encoding="utf-8", errors="replace") as lines:
        for _, line in zip(range(40), lines):
            match = re.match(r"(?:#|/\*|//| \*)\s*(timeout|serial|tsan|slow):\s*(.*?)\s*(?:\*/)?\s*$", line)
            if match:
                marks[match[1]] = match[2]
    return marks


class Report:
    """Prints one line for each test and counts; safe to call from several threads."""

    def __init__(self, ci):
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.failures = []
        self.lock = threading.Lock()
        self.allowed = allowed_skips() if ci else None

    def line(self, text):
        print(text, flush=True)

    def heading(self, text):
        self.line(f"\n== {text}")

    def passed(self, name, count=1, note=""):
        self.counts["passed"] += count
        self.line(f"ok       {name}{note}")

    def failed(self, name, why=""):
        self.counts["failed"] += 1
        self.failures.append(name)
        self.line(f"FAILED   {name}" + (f" – {why}" if why else ""))

    def skipped(self, name, why=""):
        if self.allowed is not None and not any(
                fnmatch.fnmatchcase(name.removeprefix("tsan/"), a) for a in self.allowed):
            self.failed(name, f"skipped ({why or 'no reason given'}), which tests/README.md does not allow in CI")
            return
        self.counts["skipped"] += 1
        self.line(f"skipped  {name}" + (f" – {why}" if why else ""))

    def show_log(self, log):
        text = log.read_text(encoding="utf-8", errors="replace").splitlines()
        if any(line.startswith("FAILED: ") for line in text):  # a build: what worked hides what did not
            text = [line for line in text if not line.startswith("[")]
        if len(text) > SHOWN_LINES:
            self.line(f"    | … the last {SHOWN_LINES} of {len(text)} lines of {log.relative_to(ROOT)}")
        else:
            self.line(f"    | {log.relative_to(ROOT)}:")
        for each in text[-SHOWN_LINES:]:
            self.line(f"    | {each}")


def allowed_skips():
    """The fenced list under the heading "Allowed skips in CI" of tests/README.md; * is a wildcard."""
    try:
        text = (ROOT / "tests/README.md").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    section = re.search(r"^#+ allowed skips in ci\s*$(.*?)(?=^#+ |\Z)", text, re.I | re.M | re.S)
    fence = section and re.search(r"^```\w*\n(.*?)^```", section[1], re.M | re.S)
    lines = fence[1].splitlines() if fence else []
    return [line.split(" # ")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


# --- running ---------------------------------------------------------------------------------------

running = set()


def end_group(process, how):
    try:
        os.killpg(process.pid, how)
    except ProcessLookupError:
        pass


def run_process(job):
    """Runs the job with its output in its log; returns the exit status, or None after a time-out."""
    scratch = Path(tempfile.mkdtemp(prefix="mgw-"))  # short: unix socket paths hold 107 bytes
    scratch.chmod(0o711)  # tests that become another user must get through
    env = {**os.environ, **SANITIZER_ENV, **TRUST_CLONE, **job.env, "TMPDIR": str(scratch),
           "MLLPGW_SOURCE_DIR": str(ROOT)}
    for tool in ("asan", "lsan", "tsan", "ubsan"):
        suppressions = ROOT / f"tests/support/{tool}.supp"
        if suppressions.exists():
            key = f"{tool.upper()}_OPTIONS"
            env[key] = f"{env.get(key, '')}:suppressions={suppressions}".lstrip(":")
    try:
        with open(job.log, "wb") as log:
            process = subprocess.Popen(job.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                       cwd=ROOT, env=env, start_new_session=True)
            running.add(process)
            try:
                return process.wait(timeout=job.seconds)
            except subprocess.TimeoutExpired:
                end_group(process, signal.SIGTERM)
                try:
                    process.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    pass
                return None
            finally:
                end_group(process, signal.SIGKILL)  # and whatever the test left behind
                process.wait()
                running.discard(process)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def cmocka_results(text):
    text = re.split(r"^\[==========\].* run\.", text, maxsplit=1, flags=re.M)[0]
    verdicts = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}
    results = []
    for m in re.finditer(r"^(.*)\n\[ +(OK|FAILED|SKIPPED) +\] (\w+)$", text, re.M):
        # What a test printed last before its skip() is the reason.
        why = m[1] if m[2] == "SKIPPED" and not m[1].startswith("[") else ""
        results.append((verdicts[m[2]], m[3], why))
    return results


def script_results(text):
    results = []
    for m in re.finditer(r"^(ok|not ok|skip) +(.*?)(?: +(?:–|—|-) +(.*))?$", text, re.M):
        results.append(({"ok": "passed", "not ok": "failed", "skip": "skipped"}[m[1]], m[2], m[3] or ""))
    return results


def run_job(job, report):
    begin = time.monotonic()
    status = run_process(job)
    seconds = time.monotonic() - begin
    text = job.log.read_text(encoding="utf-8", errors="replace")
    results = cmocka_results(text) if job.kind == "program" else script_results(text)
    bad = [r for r in results if r[0] == "failed"]
    trouble = ""
    if status is None:
        trouble = f"killed after {job.seconds} s"
    elif status < 0:
        trouble = f"ended by {signal.Signals(-status).name}"
    elif status != 0 and not bad:
        trouble = f"exit status {status}"
    elif not results and job.kind == "script":
        trouble = "printed no result"
    with report.lock:
        took = f"{seconds:.1f} s"
        good = sum(1 for r in results if r[0] == "passed")
        if job.kind == "program" and good:
            report.passed(job.name, good, f" ({good} test{'s' * (good != 1)}, {took})")
        elif job.kind != "program":
            for r in results:
                if r[0] == "passed":
                    report.passed(f"{job.name}: {r[1]}")
        if not results and not trouble:
            report.passed(job.name, 1, f" ({took})")
        for verdict, name, why in results:
            if verdict == "skipped":
                report.skipped(f"{job.name}: {name}", why)
        for _, name, why in bad:
            report.failed(f"{job.name}: {name}", why)
        if trouble:
            report.failed(job.name, f"{trouble} ({took})")
        if bad or trouble:
            report.show_log(job.log)


def run_jobs(jobs, report, parallel):
    """All jobs, a few at a time; those marked serial alone, afterwards."""
    together = [j for j in jobs if not j.serial]
    alone = [j for j in jobs if j.serial]
    for width, some in ((parallel, together), (1, alone)):
        with concurrent.futures.ThreadPoolExecutor(width) as pool:
            for done in [pool.submit(run_job, job, report) for job in some]:
                done.result()


# --- building --------------------------------------------------------------------------------------


def build(preset, report, targets=()):
    """Configures and builds a preset; False (and one failure counted) when that does not work."""
    job = Job(f"build/{preset}", ["true"], "check", 3600)
    begin = time.monotonic()
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / f".{preset}.lock", "w", encoding="ascii") as lock, open(job.log, "wb") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs in one clone must not build the same folder at once
        for command in (["cmake", "--preset", preset],
                        ["cmake", "--build", "--preset", preset]
                        + (["--target", *targets] if targets else ["--", "-k", "0"])):
            done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                  check=False)
            if done.returncode != 0:
                break
    with report.lock:
        if done.returncode == 0:
            report.passed(job.name, 1, f" ({time.monotonic() - begin:.1f} s)")
        else:
            report.failed(job.name, "does not build; the tests that need it did not run")
            report.show_log(job.log)
    return done.returncode == 0


# --- what there is to run --------------------------------------------------------------------------


def programs(preset, kinds, prefix="", wrapper=()):
    jobs = []
    for kind in kinds:
        start = "fuzz_" if kind == "fuzz" else "test_"
        for source in sorted((ROOT / "tests" / kind).glob(f"{start}*.c")):
            command = [*wrapper, BUILD / preset / "tests" / kind / source.stem]
            if kind == "fuzz":
                command.append(ROOT / "tests/fuzz/corpus" / source.stem.removeprefix(start))
            jobs.append(Job(f"{prefix}{kind}/{source.stem.removeprefix(start)}", command, "program", PROGRAM_SECONDS,
                            source=source, preset=preset, target=f"{kind}_{source.stem}"))
    return jobs


def checks():
    return [Job(f"check/{p.name}", [p], "check", CHECK_SECONDS, source=p, preset="clang" if p.name == "tidy" else None)
            for p in sorted((ROOT / "tests/check").iterdir()) if p.is_file() and os.access(p, os.X_OK)]


def system_tests(preset="sanitize", prefix="", wrapper=()):
    env = {"MLLPGW_BUILD_DIR": str(BUILD / preset), "MLLPGW_RELEASE_DIR": str(BUILD / "release"),
           "NODE_PATH": str(BUILD / "deps/npm/node_modules")}
    forgotten = ["sh", "-c", "echo 'not ok executable – the file is not executable: chmod +x it'"]
    return [Job(f"{prefix}system/{p.name.removeprefix('test-')}",
                [*wrapper, p] if os.access(p, os.X_OK) else forgotten, "script", SYSTEM_SECONDS,
                env=env, source=p, preset=preset)
            for p in sorted((ROOT / "tests/system").glob("test-*")) if p.is_file()]


def fuzz_runs(seconds):
    jobs = []
    for source in sorted((ROOT / "tests/fuzz").glob("fuzz_*.c")):
        name = source.stem.removeprefix("fuzz_")
        found = BUILD / "fuzz-corpus" / name  # what earlier runs found; the project's own corpus is only read
        kept = ROOT / "tests/fuzz/corpus" / name
        dictionary = ROOT / f"tests/fuzz/{name}.dict"
        command = [BUILD / "fuzz/tests/fuzz" / source.stem, f"-max_total_time={seconds}", "-timeout=20",
                   "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={LOGS}/fuzz-{name}-"]
        command += [f"-dict={dictionary}"] if dictionary.exists() else []
        found.mkdir(parents=True, exist_ok=True)
        jobs.append(Job(f"fuzz-run/{name}", command + [found] + ([kept] if kept.is_dir() else []), "check",
                        seconds + 120, preset="fuzz", target=f"fuzz_{source.stem}"))
    return jobs


def without_aslr():
    """Current kernels randomise more address bits than gcc 12's TSan can map: run it without."""
    tool = shutil.which("setarch")
    if tool and subprocess.run([tool, "-R", "true"], check=False, capture_output=True).returncode == 0:
        return [tool, "-R"]
    return []


def stages(options):
    """(heading, jobs, presets to build first) in the order in which they run."""
    unit = programs("sanitize", ("unit", "replay", "fault", "fuzz"))
    all_checks = checks()
    if options.quick:
        return [("unit, replay and fault tests, fuzz corpora (ASan, UBSan)", unit, ["sanitize"]),
                ("checks", [c for c in all_checks if "slow" not in c.marks], [])]
    wrapper = without_aslr()
    tsan = programs("tsan", ("unit", "replay", "fault"), "tsan/", wrapper)
    tsan += [j for j in system_tests("tsan", "tsan/", wrapper) if j.marks.get("tsan", "").startswith("yes")]
    if options.tsan:
        return [("ThreadSanitizer", tsan, ["tsan"])]
    return [("unit, replay and fault tests, fuzz corpora (ASan, UBSan)", unit, ["sanitize"]),
            ("checks", all_checks, ["clang"]),
            ("system tests", system_tests(), ["sanitize", "release"]),
            ("ThreadSanitizer", tsan, ["tsan"]),
            (f"fuzzing, {options.fuzz_seconds} s each", fuzz_runs(options.fuzz_seconds), ["fuzz"])]


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tests/run", description="Builds and runs every test and check.")
    parser.add_argument("--quick", action="store_true", help="only what takes seconds: unit tests and the fast checks")
    parser.add_argument("--tsan", action="store_true", help="only the tests under ThreadSanitizer")
    parser.add_argument("--only", metavar="PATTERN", action="append",
                        help="only tests whose name contains PATTERN or matches it as a glob; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the names of the tests and run nothing")
    parser.add_argument("--fuzz-seconds", metavar="N", type=int, default=10, help="time for each fuzz target (10)")
    parser.add_argument("--jobs", metavar="N", type=int, default=2, help="tests to run at once (2)")
    parser.add_argument("--no-install", action="store_true", help="don't look for missing packages")
    return parser.parse_args(arguments)


def chosen(name, patterns):
    return not patterns or any(p in name or fnmatch.fnmatchcase(name, p) for p in patterns)


def targets_of(preset, jobs, chosen_few):
    """What to build: for a few chosen tests just their programs; everything when one needs the daemon or all code."""
    if preset == "release":
        return RELEASE_TARGETS
    if not chosen_few or not all(j.target for j in jobs if j.preset == preset):
        return []
    return [j.target for j in jobs if j.preset == preset]


def main():
    options = parse(sys.argv[1:])
    LOGS.mkdir(parents=True, exist_ok=True)
    report = Report(os.environ.get("CI", "").lower() in ("true", "1", "yes"))
    built = {}
    begin = time.monotonic()
    todo = [(heading, [j for j in jobs if chosen(j.name, options.only)], presets)
            for heading, jobs, presets in stages(options)]
    every = [j for _, jobs, _ in todo for j in jobs]
    for heading, jobs, presets in todo:
        if options.list:
            for job in jobs:
                print(job.name)
            continue
        if not jobs:
            continue
        report.heading(heading)
        if options.only:
            presets = [p for p in presets if p == "release" or any(j.preset == p for j in every)]
        for preset in presets:
            if preset not in built:
                built[preset] = build(preset, report, targets_of(preset, every, options.only))
        run_jobs([j for j in jobs if built.get(j.preset, True)], report, options.jobs)
    if options.list:
        return 0
    if options.only and sum(report.counts.values()) == 0:
        report.line(f"no test is called like {' or '.join(options.only)}; see tests/run --list")
    if report.failures:
        report.line("\nfailed:\n    " + "\n    ".join(report.failures))
    report.line(f"\n{time.monotonic() - begin:.0f} s; logs are in build/test-logs")
    report.line("{passed} passed, {failed} failed, {skipped} skipped".format(**report.counts))
    return 1 if report.counts["failed"] or not report.counts["passed"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        for each in list(running):
            end_group(each, signal.SIGKILL)
        os._exit(130)
