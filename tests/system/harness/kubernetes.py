"""A cluster to test in, and deploy/kubernetes made into what it understands.

    cluster = Cluster()           # kubectl's own; or the lab's, brought up for this test and ended with it
    cluster.apply(render("overlays/lab", cluster.directory))
    cluster.kubectl("get", "pods", "-A")

$KUBECTL names a kubectl that reaches a cluster of yours, which has the images. Otherwise the lab is used: scripts that make
a cluster of one node ($K8S_LAB_SCRIPTS, or ../shared/lab/kubernetes beside the clone), without a registry.
"""
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import places
from .checks import at_end, wait_until

MANIFESTS = places.SOURCE / "deploy/kubernetes"
LAB = Path(os.environ.get("K8S_LAB_SCRIPTS") or places.SOURCE / "../shared/lab/kubernetes")
LAB_PLACE = Path(os.environ.get("K8S_LAB") or "/var/tmp/k8s-lab")
LOCK = Path("/tmp/k8s-lab.lock")  # a directory: one cluster at a time on this machine


def is_lab():
    return "KUBECTL" not in os.environ


def kubectl():
    """The one that needs no cluster."""
    return [LAB_PLACE / "bin/kubectl"] if is_lab() else shlex.split(os.environ["KUBECTL"])


def yaml():
    """PyYAML: the machine's, or the one that the lab has unpacked."""
    sys.path.append(str(LAB_PLACE / "root/usr/lib/python3/dist-packages"))
    import yaml as module  # pylint: disable=import-outside-toplevel
    return module


def run(command, seconds=300, **more):
    return subprocess.run([str(c) for c in command], text=True, capture_output=True, timeout=seconds, check=False, **more)


def must(command, seconds=300, **more):
    done = run(command, seconds, **more)
    assert done.returncode == 0, f"{' '.join(map(str, command))[:200]}: {(done.stdout + done.stderr)[-1500:]}"
    return done.stdout


# --- kustomizations --------------------------------------------------------------------------------


def _older(path):
    """One kustomization.yaml in the words of kubectl 1.20, whose kustomize (2.0) has bases and patchesStrategicMerge, and
    no components (their files are copied in): what is said is the same."""
    about = yaml().safe_load(path.read_text())
    place, names, patches = path.parent, about.pop("resources", []), about.pop("patches", [])
    for component in about.pop("components", []):
        more = yaml().safe_load((place / component / "kustomization.yaml").read_text())
        for name in [*more.get("resources", []), *(patch["path"] for patch in more.get("patches", []))]:
            shutil.copy(place / component / name, place / f"{Path(component).name}-{name}")
        names += [f"{Path(component).name}-{name}" for name in more.get("resources", [])]
        patches += [{"path": f"{Path(component).name}-{patch['path']}"} for patch in more.get("patches", [])]
    assert all(set(patch) == {"path"} for patch in patches), f"{path}: a patch that kubectl 1.20 can't be told"
    about["resources"] = [name for name in names if not (place / name).is_dir()]
    about["bases"] = [name for name in names if (place / name).is_dir()]
    about["patchesStrategicMerge"] = [patch["path"] for patch in patches]
    return yaml().safe_dump(about)


def copy(place, changes):
    """deploy/kubernetes in `place`, in older words. changes: {a file's path in it: what makes its new text of the old one}"""
    tree = Path(place) / "kubernetes"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(MANIFESTS, tree)
    for name, change in changes.items():
        (tree / name).write_text(change((tree / name).read_text()))
    found = [path for path in tree.rglob("kustomization.yaml") if "components" not in path.relative_to(tree).parts]
    for path, text in [(path, _older(path)) for path in found]:
        path.write_text(text)
    return tree


def render(overlay, place, components=(), changes=None):
    """What the overlay is, all of it, as text; changes: see copy()."""
    tree = copy(place, changes or {})
    top = tree / "overlays/own"
    top.mkdir()
    (top / "kustomization.yaml").write_text(yaml().safe_dump(
        {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": [f"../../{overlay}"],
         "components": [f"../../{name}" for name in components]}))
    (top / "kustomization.yaml").write_text(_older(top / "kustomization.yaml"))
    return must([*kubectl(), "kustomize", top])


def older_policy(text):
    """Budgets for disruptions under the name that 1.20 has for the same."""
    return text.replace("apiVersion: policy/v1\n", "apiVersion: policy/v1beta1\n")



# --- the cluster -----------------------------------------------------------------------------------


def why_impossible():
    """Why there can be no cluster here, or ""."""
    if not is_lab():
        return ""
    if not (LAB / "up.sh").exists():
        return "no $KUBECTL, and no lab that makes a cluster ($K8S_LAB_SCRIPTS)"
    if os.geteuid() != 0:
        return "the lab's cluster needs root"
    done = run(["unshare", "--net", "--mount", "--pid", "--fork", "true"])
    if done.returncode != 0:
        return f"no namespaces: {done.stderr.strip()}"
    if not Path("/dev/net/tun").exists():
        return "no /dev/net/tun"
    return ""


def prepare():
    """What the lab needs, once for a machine; and the settings that podman builds with there."""
    os.environ["K8S_LAB"] = str(LAB_PLACE)
    if not (LAB_PLACE / "images/pause.tar").exists():
        must([LAB / "setup.sh"], 600)
    os.environ["CONTAINERS_CONF"] = str(LAB_PLACE / "containers.conf")
    os.environ.setdefault("PODMAN_IGNORE_CGROUPSV1_WARNING", "1")


# What an image is made of: a change elsewhere needs no new one.
INGREDIENTS = ("deploy/Dockerfile", "deploy/images", "deploy/install-dependencies", "deploy/lib.sh", "deploy/build", "deploy/guards",
               "deploy/systemd", "deploy/strongswan", "CMakeLists.txt", "CMakePresets.json", "config", "certs", "vpn", "gateway", ":(exclude)*.md")
IMAGES = ("mllp-gateway", "mllp-tunnel")


def version():
    return re.search(r"^project\(mllp-gateway VERSION ([0-9.]+)", (places.SOURCE / "CMakeLists.txt").read_text(), re.M)[1]


def images():
    return [f"localhost/{name}:{version()}" for name in IMAGES]


def _is_current(image):
    done = run(["podman", "image", "inspect", "--format", '{{index .Labels "org.opencontainers.image.revision"}}', image])
    revision = done.stdout.strip()
    if done.returncode != 0 or not re.fullmatch("[0-9a-f]{40}", revision):
        return False
    return run(["git", "-C", places.SOURCE, "diff", "--quiet", revision, "--", *INGREDIENTS]).returncode == 0


def build_images():
    """False: those that are there are of this source."""
    if all(_is_current(image) for image in images()):
        return False
    must([LAB / "base-image.sh", "trixie"], 600)  # does nothing where it is
    must([places.SOURCE / "deploy/build-images"], 1500)
    return True


def _lock():
    """True: the lab is ours. A lock that is older than a start takes, and has no cluster, is nobody's."""
    with contextlib.suppress(FileNotFoundError):
        if time.time() - LOCK.stat().st_mtime > 300 and run([LAB / "k", "true"]).returncode != 0:
            LOCK.rmdir()
    try:
        LOCK.mkdir()
    except FileExistsError:
        return False
    return True


class Cluster:
    def __init__(self):
        self.directory = places.fresh_directory("cluster")
        self.command = [str(LAB / "k"), "kubectl"] if is_lab() else kubectl()
        if is_lab():
            self._up()
        self.versions = self.kubectl("api-versions")

    def _up(self):
        wait_until(_lock, f"the end of somebody else's cluster ({LOCK})", 600, step=1)
        at_end(LOCK.rmdir)
        at_end(lambda: run([LAB / "down.sh"]))
        run([LAB / "down.sh"])  # what ended without cleaning up
        must([LAB / "up.sh"], 300)
        must([LAB / "load-image.sh", *images()], 300)

    # --- kubectl ---

    def run(self, *arguments, seconds=120, **more):
        return run([*self.command, *arguments], seconds, **more)

    def kubectl(self, *arguments, seconds=120, **more):
        return must([*self.command, *arguments], seconds, **more)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def namespace(self, name):
        self.apply(f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
        if not is_lab():
            at_end(lambda: self.run("delete", "namespace", name, "--wait=false"))

    def apply(self, text):
        if "policy/v1\n" not in self.versions:
            text = older_policy(text)
        return self.kubectl("apply", "-f", "-", input=text)

    def start(self, namespace, pod, container, *command, **more):
        """A command in a container that goes on by itself."""
        arguments = [*self.command, "-n", namespace, "exec", pod, "-c", container, "--", *command]
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, text=True, **more)
        at_end(lambda: process.poll() is None and process.kill())
        return process

    def inside(self, namespace, pod, container, *command, seconds=120, **more):
        arguments = ["-n", namespace, "exec", *(["-i"] if "input" in more else []), pod, "-c", container, "--", *command]
        return self.run(*arguments, seconds=seconds, **more)

    def on_node(self, *command):
        """On the lab's one node, in the cluster's own namespaces."""
        assert is_lab()
        return run([LAB / "k", *command])
