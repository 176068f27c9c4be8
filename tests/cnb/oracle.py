#!/usr/bin/env python3
"""The strict oracle: builds an app by the builder's own lifecycle, five real phases in plain runc, and nothing of locald.

    oracle = Oracle(folder, "oci:build/cnb/builder:1", "oci:build/cnb/run:1")
    build = oracle.build("tests/cnb/apps/node")           Build: rc, phases with times and logs, image, restored tree, report
    oracle.run(build, process="worker").stdout            what the image says when it runs

A second build of the same `state` finds cache and previous image of the first. Phases run as the builder's user, without
capabilities and without a network; with `registry=` they and the exporter talk to that registry instead of using a layout, which
gives the image as the real exporter publishes it. Root, runc, tar and (with a registry) skopeo are needed; all mounts
are in mount namespaces of their own.

As a program: oracle.py BUILDER RUN APP STATE [BUILDS]     builds, prints phase times and digest of each build as JSON lines
"""
import collections
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import oci_image  # noqa: E402

BOX = f"cnb-oracle-{os.getpid()}"  # of containers, whose cgroups are named so too: processes of tests do not meet
RUN_NAME = "locald.test/cnb/run:1"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PHASES = ("analyzer", "detector", "restorer", "builder", "exporter")

Phase = collections.namedtuple("Phase", "name rc seconds log")
Ran = collections.namedtuple("Ran", "rc stdout stderr seconds")


def layout_path(root, reference):
    """Where the lifecycle looks for an image below -layout-dir (references here always have registry and tag)."""
    name, _, tag = reference.rpartition(":")
    return root / name / tag


class Build:
    """What one build did. `image` is None unless it exported one."""

    def __init__(self, state, reference):
        self.state, self.reference, self.phases, self.image = state, reference, [], None
        self.restored = {}  # oci_image.snapshot of /layers when the restorer had ended

    @property
    def rc(self):
        return next((p.rc for p in self.phases if p.rc), 0)

    @property
    def failed(self):
        """The name of the phase that failed, or None."""
        return next((p.name for p in self.phases if p.rc), None)

    @property
    def seconds(self):
        return sum(p.seconds for p in self.phases)

    def log(self, name):
        return next((p.log for p in self.phases if p.name == name), "")

    @property
    def buildpack_seconds(self):
        """What the buildpacks themselves took to build, by the builder's own clock: no container, no start of a program."""
        m = re.search(r"Timer: Builder ran for ((?:[\d.]+(?:h|m|s|ms|µs|ns))+) ", self.log("builder"))
        units = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
        return sum(float(n) * units[u] for n, u in re.findall(r"([\d.]+)(h|ms|m|s|µs|ns)", m[1])) if m else 0.0

    def toml(self, name):
        """A file that the phases left in /layers: group.toml, plan.toml, analyzed.toml, report.toml, config/metadata.toml."""
        with open(self.state / "layers" / name, "rb") as f:
            return tomllib.load(f)

    @property
    def group(self):
        return [b["id"] for b in self.toml("group.toml")["group"]]

    def __repr__(self):
        return f"build of {self.reference}: {self.rc}\n" + "\n".join(f"== {p.name} {p.rc} after {p.seconds:.3f} s\n{p.log[-4000:]}" for p in self.phases)


class Oracle:
    """Builds in `folder` (big, fast: tmpfs) with the builder and the run image of two layouts, `oci:FOLDER:TAG`."""

    def __init__(self, folder, builder, run, run_name=RUN_NAME):
        self.folder = pathlib.Path(folder)
        self.builder, self.run_image, self.run_name = oci_image.Image.of(builder), oci_image.Image.of(run), run_name
        env = self.builder.env()
        self.uid, self.gid = int(env["CNB_USER_ID"]), int(env["CNB_GROUP_ID"])
        metadata = self.builder.labels["io.buildpacks.builder.metadata"]
        self.platform_api = max(metadata["lifecycle"]["apis"]["platform"]["supported"], key=lambda v: [int(n) for n in v.split(".")])
        self.builder_root, self.run_root = self._rootfs(self.builder), self._rootfs(self.run_image)
        self.count = 0

    def _rootfs(self, image):
        target = self.folder / "images" / image.digest[7:23]
        if not target.exists():
            oci_image.unpack(image, target)
        return target

    # ---- containers

    def _container(self, work, lowers, args, user, cwd, env, mounts=(), network=False):
        """The argv that runs `args` in a container on an overlay of `lowers`, topmost first, whose changes go to `work` and are of no interest."""
        shutil.rmtree(work, ignore_errors=True)
        for d in ("upper", "work", "rootfs", "runc"):
            (work / d).mkdir(parents=True)
        binds = [{"destination": to, "source": str(source), "type": "bind", "options": ["rbind", mode]} for source, to, mode in mounts]
        namespaces = [{"type": t} for t in ("pid", "ipc", "uts", "mount")] + ([] if network else [{"type": "network"}])
        no_capabilities = {"bounding": [], "effective": [], "permitted": []}
        config = {
            "ociVersion": "1.0.2", "hostname": "cnb", "root": {"path": "rootfs"},
            "process": {"terminal": False, "user": {"uid": user[0], "gid": user[1]}, "args": args, "cwd": cwd, "env": [f"{k}={v}" for k, v in env.items()],
                        "noNewPrivileges": True, "capabilities": no_capabilities},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                       {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                       {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "nodev", "mode=1777"]},
                       {"destination": "/tmp", "type": "tmpfs", "source": "tmp", "options": ["nosuid", "nodev", "mode=1777"]}, *binds],
            "linux": {"namespaces": namespaces, "maskedPaths": ["/proc/kcore", "/proc/keys"], "readonlyPaths": ["/proc/sys"]}}
        (work / "config.json").write_text(json.dumps(config))
        low = ":".join(os.path.relpath(x, self.folder) for x in lowers)  # relative: the options of a mount are one page
        script = ('cd "$1"; mount -t overlay overlay -o "lowerdir=$2,upperdir=$3/upper,workdir=$3/work" "$3/rootfs"; exec runc --root "$3/runc" run -b "$3" "$4"')
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", str(self.folder), low, str(work), BOX]

    @staticmethod
    def _kill(work, p):
        """Ends a container with all that runs in it."""
        subprocess.run(["runc", "--root", work / "runc", "kill", "--all", BOX, "KILL"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        p.communicate()

    # ---- builds

    def build(self, app, name=None, state=None, env=None, bindings=None, platform_api=None, previous="sparse", registry=None, order=None, buildpacks=(),
              exec_env=None, process_type=None, project_metadata=None, phases=PHASES, timeout=300):
        """Builds the folder `app`.

        state            the folder that keeps cache, layout and files of the last build (default: one per name)
        previous         the last result, for the analyzer: "sparse" (as locald gives it), "full", "none"
        registry         HOST:PORT: publish there, as HOST:PORT/app/NAME:latest, from the run image HOST:PORT/cnb/run:1
        order, buildpacks  text of an order.toml of the platform's; folders of buildpacks that the builder lacks
        env, bindings    {NAME: value}, {name: {file: text}}: the platform's
        """
        app = pathlib.Path(app)
        name = name or app.name
        state = pathlib.Path(state or self.folder / "state" / name)
        reference = f"{registry}/app/{name}:latest" if registry else f"locald.test/app/{name}:latest"
        run_name = f"{registry}/cnb/run:1" if registry else self.run_name
        self._prepare(state, app, reference, run_name, env or {}, bindings or {}, previous, order, project_metadata)

        layout = [] if registry else ["-layout", "-layout-dir", "/layout"]
        ids, place = ["-uid", str(self.uid), "-gid", str(self.gid)], ["-app", "/workspace", "-layers", "/layers"]
        run = ["-run", "/layers/run.toml"]
        last = (["-process-type", process_type] if process_type else []) + (["-project-metadata", "/layers/project-metadata.toml"] if project_metadata else [])
        arguments = {
            "analyzer": ["-layers", "/layers", *layout, "-run-image", run_name, *run, *ids, reference],
            "detector": [*place, "-platform", "/platform", *run],
            "restorer": ["-layers", "/layers", "-cache-dir", "/cache", *layout, *ids],
            "builder": [*place, "-platform", "/platform"],
            "exporter": [*place, "-cache-dir", "/cache", *layout, *run, "-report", "/layers/report.toml", *last, *ids, reference]}
        environment = {"CNB_PLATFORM_API": platform_api or self.platform_api, "CNB_EXPERIMENTAL_MODE": "warn", "CNB_USER_ID": self.uid, "CNB_GROUP_ID": self.gid,
                       "HOME": "/home/cnb", "CNB_NO_COLOR": "true", "PATH": PATH, **({"CNB_EXEC_ENV": exec_env} if exec_env else {})}
        mounts = [(state / "workspace", "/workspace", "rw"), (state / "layers", "/layers", "rw"), (state / "cache", "/cache", "rw"),
                  (state / "layout", "/layout", "rw"), (state / "platform", "/platform", "ro")]
        for bp in buildpacks:
            d = tomllib.loads((pathlib.Path(bp) / "buildpack.toml").read_text())["buildpack"]
            mounts.append((bp, f"/cnb/buildpacks/{d['id'].replace('/', '_')}/{d['version']}", "ro"))

        build = Build(state, reference)
        for phase in phases:
            argv = self._container(state / "box", [self.builder_root], [f"/cnb/lifecycle/{phase}", "-log-level", "debug", *arguments[phase]],
                                   (self.uid, self.gid), "/layers", environment, mounts, network=bool(registry))
            started = time.monotonic()
            p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            try:
                out, _ = p.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                self._kill(state / "box", p)
                raise
            build.phases.append(Phase(phase, p.returncode, time.monotonic() - started, out.decode(errors="replace")))
            if phase == "restorer":
                build.restored = oci_image.snapshot(state / "layers")
            if p.returncode:
                return build
        if "exporter" in phases:
            build.image = self._published(state, reference) if registry else self._exported(state, reference)
        return build

    def _prepare(self, state, app, reference, run_name, env, bindings, previous, order, project_metadata):
        for d in ("layout", "cache"):
            (state / d).mkdir(parents=True, exist_ok=True)
        for d in ("workspace", "layers", "platform"):
            shutil.rmtree(state / d, ignore_errors=True)
        if not layout_path(state / "layout", run_name).exists():
            oci_image.copy_sparse(self.run_image, layout_path(state / "layout", run_name))
        last = layout_path(state / "layout", reference)
        if last.exists() and previous == "sparse":
            oci_image.make_sparse(last)
        elif last.exists() and previous == "none":
            shutil.rmtree(last)
        subprocess.run(["cp", "-a", "--reflink=auto", app, state / "workspace"], check=True)
        (state / "layers").mkdir()
        (state / "layers/run.toml").write_text(f'[[images]]\nimage = "{run_name}"\n')
        if order:
            (state / "layers/order.toml").write_text(order)
        if project_metadata:
            (state / "layers/project-metadata.toml").write_text(project_metadata)
        (state / "platform/env").mkdir(parents=True)
        for key, value in env.items():
            (state / "platform/env" / key).write_text(value)
        for binding, files in bindings.items():
            (state / "platform/bindings" / binding).mkdir(parents=True)
            for f, text in files.items():
                (state / "platform/bindings" / binding / f).write_text(text)
        subprocess.run(["chown", "-hR", f"{self.uid}:{self.gid}", *(state / d for d in ("workspace", "layers", "cache", "layout"))], check=True)

    def _exported(self, state, reference):
        layout, image = layout_path(state / "layout", reference), state / "image"
        (image / "blobs/sha256").mkdir(parents=True, exist_ok=True)
        for blob in (layout / "blobs/sha256").iterdir():  # the layout loses them when it is made sparse, the image here does not
            if not (target := image / "blobs/sha256" / blob.name).exists():
                os.link(blob, target)
        for name in ("index.json", "oci-layout"):
            shutil.copyfile(layout / name, image / name)
        return oci_image.Image(image)

    def _published(self, state, reference):
        shutil.rmtree(state / "published", ignore_errors=True)
        p = subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", f"docker://{reference}", f"oci:{state}/published:latest"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert p.returncode == 0, p.stdout
        return oci_image.Image(state / "published")

    # ---- running what was built

    def start(self, build, args=None, process=None, env=None, network=False, **popen):
        """The image's container as a Popen; args: instead of the entry point; process: instead of the default one."""
        image = build.image
        config, lowers = image.config["config"], [self.run_root]
        for i, diff in enumerate(image.diff_ids):
            if diff in self.run_image.diff_ids:
                continue
            target = self.folder / "l" / diff[7:23]
            if not target.exists():
                oci_image.unpack(image, target, [i])
            lowers.insert(0, target)
        args = args or ([f"/cnb/process/{process}"] if process else config["Entrypoint"])
        user, home = self._user(config["User"])
        self.count += 1
        work = build.state / f"run-{self.count}"
        argv = self._container(work, lowers, args, user, config["WorkingDir"], {**image.env(), "HOME": home, **(env or {})}, network=network)
        p = subprocess.Popen(argv, **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen})
        p.work = work
        p.stop = lambda sig=signal.SIGTERM: subprocess.run(["runc", "--root", work / "runc", "kill", BOX, str(int(sig))], check=True)
        return p

    def run(self, build, args=None, process=None, env=None, network=False, timeout=60):
        started = time.monotonic()
        p = self.start(build, args, process, env, network)
        try:
            out, err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self._kill(p.work, p)
            raise
        return Ran(p.returncode, out.decode(errors="surrogateescape"), err.decode(errors="surrogateescape"), time.monotonic() - started)

    def _user(self, text):
        """((uid, gid), home) of an image's User: numbers, or a name of the run image's."""
        name, _, group = text.partition(":")
        for line in (self.run_root / "etc/passwd").read_text().splitlines():
            p = pwd.struct_passwd(line.split(":"))
            if name in (p.pw_name, p.pw_uid):
                return (int(p.pw_uid), int(group or p.pw_gid)), p.pw_dir
        return (int(name), int(group or 0)), "/"


def main(argv):
    if len(argv) not in (5, 6):
        print(__doc__, file=sys.stderr)
        return 2
    oracle = Oracle(argv[4], argv[1], argv[2])
    for _ in range(int(argv[5]) if len(argv) == 6 else 1):
        build = oracle.build(argv[3])
        print(json.dumps({"rc": build.rc, "seconds": round(build.seconds, 3), **{p.name: round(p.seconds, 3) for p in build.phases}, "buildpacks": round(build.buildpack_seconds, 3),
                          "digest": build.image and build.image.digest}), flush=True)
        if build.rc:
            print(build.log(build.failed), file=sys.stderr)
            return build.rc
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
