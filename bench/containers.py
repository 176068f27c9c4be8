"""Containers and images: `container run` beside runc and podman, `image pull` beside podman and a pipeline."""
import concurrent.futures
import contextlib
import gzip
import hashlib
import http.client
import json
import os
import pathlib
import resource
import shutil
import socket
import subprocess
import tarfile
import time

from common import MS, Locald, Skip, Timed, alternate, compare, figure, install, median, now, say, table, wait_until

PEERS = ("podman", "runc", "crun", "umoci", "skopeo", "docker-registry", "busybox-static", "isal", "curl", "uidmap")
BIG = 300_000_000  # bytes, compressed, at least
LAYER = 260_000_000  # bytes in a layer of the big image, uncompressed


# -- images ------------------------------------------------------------------------------------------------------------

def blob(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def write_layout(layout, tag, layers):
    """An OCI layout with one image; `layers` = [(path of the gzip file, sha256 of it, diffID)], moved into it."""
    (layout / "blobs/sha256").mkdir(parents=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    described = []
    for path, digest, _ in layers:
        described.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:" + digest, "size": path.stat().st_size})
        shutil.move(path, layout / "blobs/sha256" / digest)
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = blob(layout, json.dumps({"architecture": arch, "os": "linux", "config": {"Cmd": ["sh"], "Env": ["PATH=/bin:/usr/bin"]},
                                      "rootfs": {"type": "layers", "diff_ids": ["sha256:" + d for _, _, d in layers]}}).encode())
    manifest = blob(layout, json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                                        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config}, "layers": described}).encode())
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", **manifest, "annotations": {"org.opencontainers.image.ref.name": tag}}]}))


class Hashing:
    """A file that counts and hashes what is written to it."""

    def __init__(self, file):
        self.file, self.hash, self.size = file, hashlib.sha256(), 0

    def write(self, data):
        self.hash.update(data)
        self.size += len(data)
        return self.file.write(data)

    def flush(self):
        self.file.flush()


def pack(path, members):
    """A layer as registries have them: GNU tar in gzip -6. members = [(name in the image, file here or TarInfo)]."""
    with open(path, "wb") as out:
        packed = Hashing(out)
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6, mtime=0, filename="") as zipped:
            plain = Hashing(zipped)
            with tarfile.open(fileobj=plain, mode="w|", format=tarfile.GNU_FORMAT) as tar:
                for name, source in members:
                    if isinstance(source, tarfile.TarInfo):
                        tar.addfile(source)
                        continue
                    with contextlib.suppress(OSError):  # a file that has gone, or may not be read
                        info = tar.gettarinfo(source, name)
                        if info and info.isreg():
                            with open(source, "rb") as f:
                                tar.addfile(info, f)
                        elif info and not info.ischr() and not info.isblk() and not info.isfifo():
                            tar.addfile(info)
    return path, packed.hash.hexdigest(), plain.hash.hexdigest()


def small_image(bench, name="small", programs=()):
    """Debian's static busybox with its applets as links. @param programs  Further ones in /bin."""
    layout = bench.dir / "images" / name
    if layout.exists():
        return layout
    layout.parent.mkdir(exist_ok=True)

    def link(name):
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, "/bin/busybox", 0o777
        return info

    def folder(name, mode=0o755):
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, mode
        return info
    applets = bench.run(["busybox", "--list"]).split()
    members = [*((d, folder(d, 0o1777 if d == "tmp" else 0o755)) for d in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "var")),
               ("bin/busybox", "/bin/busybox"), *((a, link(f"bin/{a}")) for a in applets if a != "busybox"),
               *((f"bin/{os.path.basename(p)}", str(p)) for p in programs)]
    write_layout(layout, "1", [pack(bench.dir / f"images/layer-{name}", members)])
    return layout


def big_image(bench):
    """Several layers, more than 300 MB compressed, of this machine's own packages: programs, libraries, headers, documents."""
    base = bench.cache or bench.dir / "images"
    layout = base / "big"
    if (layout / "index.json").exists():
        return layout
    shutil.rmtree(layout, ignore_errors=True)
    base.mkdir(parents=True, exist_ok=True)
    say("  making the big image (about a minute; --cache DIR keeps it)")

    def files():
        """Programs and libraries, and of what is many and small as much as images have."""
        own = ("/usr/lib/python3", "/usr/lib/x86_64-linux-gnu")
        for top, at_most in (("/usr/lib/python3", 100e6), ("/usr/include", 80e6), ("/usr/share", 160e6), (own[1], 400e6), ("/usr/bin", 300e6), ("/usr/lib", 1e9), ("/usr/sbin", 1e9),
                             ("/opt", 1e9)):
            size = 0
            for where, dirs, names in os.walk(top):
                dirs.sort()
                if top == "/usr/lib" and where == top:
                    dirs[:] = [d for d in dirs if f"{top}/{d}" not in own]
                yield where
                for n in sorted(names) + [d for d in dirs if os.path.islink(os.path.join(where, d))]:
                    yield os.path.join(where, n)
                    with contextlib.suppress(OSError):
                        size += os.lstat(os.path.join(where, n)).st_size
                if size > at_most:
                    break

    def batches():
        batch, size = [], 0
        for path in files():
            with contextlib.suppress(OSError):
                s = os.lstat(path).st_size if not os.path.isdir(path) else 0
                if s > LAYER // 2:
                    continue
                batch.append((path.lstrip("/"), path))
                size += s + 512
                if size > LAYER:
                    yield batch
                    batch, size = [], 0
        yield batch
    layers, made, every = [], 0, batches()
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        while made < BIG:
            pair = [b for b in (next(every, None), next(every, None)) if b]
            if not pair:
                raise Skip(f"this machine's /usr has only {made >> 20} MiB for the big image")
            jobs = [pool.submit(pack, base / f"layer.{len(layers) + i}", b) for i, b in enumerate(pair)]
            for j in jobs:
                layers.append(j.result())
                made += layers[-1][0].stat().st_size
    write_layout(layout, "1", layers)
    return layout


class Registry:
    """Debian's docker-registry on loopback with its files in the scratch folder."""

    def __init__(self, bench):
        self.bench, folder = bench, bench.folder("registry")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        (folder / "config.yml").write_text(f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nhttp: {{addr: 127.0.0.1:{self.port}}}\n"
                                           f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n")
        self.process = bench.popen(["docker-registry", "serve", folder / "config.yml"])

        def answers():
            with contextlib.suppress(OSError):
                c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                c.request("GET", "/v2/")
                return c.getresponse().status == 200
        wait_until(answers, "the registry answers", 15)

    def push(self, layout, name):
        """The image's name there."""
        subprocess.run(["skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false", f"oci:{layout}:1", f"docker://127.0.0.1:{self.port}/{name}:1"],
                       check=True, env={**os.environ, "TMPDIR": str(self.bench.dir / "tmp")})
        return f"127.0.0.1:{self.port}/{name}:1"

    def close(self):
        self.process.kill()
        self.process.wait()
        self.bench.remove(self.bench.dir / "registry")


@contextlib.contextmanager
def registry(bench):
    r = Registry(bench)
    try:
        yield r
    finally:
        r.close()


class Podman:
    """podman with all of its state in the scratch folder, native overlay, runc, host network: what locald has as well."""

    def __init__(self, bench, name):
        self.bench, self.dir = bench, bench.folder(name)
        self.system_cache = pathlib.Path("/var/lib/containers")
        self.had_cache = self.system_cache.exists()
        runtime = bench.folder(name + "/runtime")
        runtime.chmod(0o700)
        # Its default ulimits need CAP_SYS_RESOURCE, and it lowers its own to these; what is lower here stays so.
        limits = {k: min([at_most, *(n for n in resource.getrlimit(r) if n >= 0)])
                  for k, r, at_most in (("nofile", resource.RLIMIT_NOFILE, 1 << 20), ("nproc", resource.RLIMIT_NPROC, 1 << 15))}
        limits = ", ".join(f'"{k}={n}:{n}"' for k, n in limits.items())
        (self.dir / "containers.conf").write_text(f'[containers]\nlog_driver = "k8s-file"\ndefault_ulimits = [{limits}]\n[engine]\nlock_type = "file"\nevents_logger = "none"\n'
                                                  'cgroup_manager = "cgroupfs"\nruntime = "runc"\nnum_locks = 64\n')
        (self.dir / "storage.conf").write_text(f'[storage]\ndriver = "overlay"\nrunroot = "{self.dir}/run"\ngraphroot = "{self.dir}/root"\n')
        self.env = {"CONTAINERS_CONF": str(self.dir / "containers.conf"), "CONTAINERS_STORAGE_CONF": str(self.dir / "storage.conf"), "XDG_RUNTIME_DIR": str(runtime)}
        self.command = ["podman", "--root", self.dir / "root", "--runroot", self.dir / "run", "--tmpdir", self.dir / "tmp", "--storage-driver", "overlay"]

    def __call__(self, *args, **more):
        return self.bench.run([*self.command, *args], self.env, **more)

    def close(self):
        with contextlib.suppress(Skip):
            self("system", "reset", "--force", timeout=60, check=False)
        for line in reversed(open("/proc/self/mountinfo").readlines()):
            if str(self.dir) in line.split()[4]:
                subprocess.run(["umount", "-l", line.split()[4]], stderr=subprocess.DEVNULL)
        if self.bench.rootless and self.dir.exists():
            with contextlib.suppress(Skip):
                self.bench.run(self.bench.in_userns(["rm", "-rf", self.dir / "root"]), check=False)
        self.bench.remove(self.dir)
        if not self.had_cache and self.bench.uid == 0:  # its blob-info cache, which no option moves
            shutil.rmtree(self.system_cache, ignore_errors=True)


# -- run ---------------------------------------------------------------------------------------------------------------

def layer_files(layout):
    index = json.loads((layout / "index.json").read_text())

    def read(d):
        return (layout / "blobs/sha256" / d["digest"].removeprefix("sha256:")).read_bytes()
    return [layout / "blobs/sha256" / x["digest"].removeprefix("sha256:") for x in json.loads(read(index["manifests"][0]))["layers"]]


def make_rootfs(bench, layout, folder):
    for layer in layer_files(layout):
        bench.run(bench.in_userns(["tar", "-xzpf", layer, "-C", folder]))


def locald_config(bench, locald, image, bundle):
    """config.json that locald makes for `container run IMAGE`, adapted for `bundle`."""
    before = set((locald.home / "run/bundles").glob("*")) if (locald.home / "run/bundles").is_dir() else set()
    p = bench.popen([locald.binary, "container", "run", "--rm", image, "sleep", "1000"], locald.env, locald.home)
    try:
        def made():
            if p.poll() is not None:
                raise Skip(f"locald container run {image} sleep 1000: exit {p.returncode}")
            return [b for b in (locald.home / "run/bundles").glob("*/config.json") if b.parent not in before]
        theirs = wait_until(made, "locald's config.json", 30)[0]
        time.sleep(0.3)
        adapt(bench, bundle, json.loads(theirs.read_text()))
    finally:
        locald("server", "stop", "--all", check=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            p.wait(15)
        if p.poll() is None:
            p.kill()


def default_config(bench, bundle):
    """What `runc spec` writes, where locald is not built."""
    bench.run(["runc", "spec", *(["--rootless"] if bench.rootless else [])], cwd=bundle)
    config = json.loads((bundle / "config.json").read_text())
    config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] not in ("network", "user")]
    for key in ("uidMappings", "gidMappings"):
        config["linux"].pop(key, None)
    adapt(bench, bundle, config)


def adapt(bench, bundle, config):
    """The same config.json for a plain rootfs: nothing changes but where rootfs and mounted files lie (these are copied), and the command."""
    config["root"]["path"] = str(bundle / "rootfs")
    config["process"]["args"] = ["true"]
    config["process"]["terminal"] = False
    config["linux"].pop("cgroupsPath", None)
    for i, m in enumerate(config["mounts"]):
        source = pathlib.Path(m.get("source", ""))
        if bench.tag in str(source):
            copy = bundle / f"mounted.{i}"
            shutil.copy(source, copy)
            m["source"] = str(copy)
    (bundle / "config.json").write_text(json.dumps(config))


def split(bench, image, whole):
    """Where locald's time goes: a program that stands in for runc notes when it is called and when it returns."""
    log = bench.dir / "runc-calls"
    log.touch()
    log.chmod(0o666)
    real = shutil.which("runc", path=bench.env["PATH"])
    stamp = bench.helper("stamp", REAL=real, LOG=log)
    locald = Locald(bench, "home-split", f'runtime = "{stamp}"\n')
    try:
        locald("image", "pull", image)
        command = locald.timed("locald, split", "container", "run", "--rm", image, "true")
        version = locald.timed("locald version", "version")
        asks = locald.timed("locald server status", "server", "status")
        log.write_text("")
        if len(alternate([command, version, asks], 5 if bench.quick else 20, 2)) < 3:
            return
        calls = [line.split() for line in log.read_text().splitlines()]
        parts = {"before runc": [], "runc": [], "after runc": []}
        deletes = [(int(c[1]) - int(c[0])) / MS for c in calls if "delete" in c[2:]]
        for start, end in zip(command.starts, command.ends):
            inside = [c for c in calls if start <= int(c[0]) <= end and ("run" in c[2:] or "create" in c[2:] or "start" in c[2:])]
            if inside:
                parts["before runc"].append((int(inside[0][0]) - start) / MS)
                parts["runc"].append(sum(int(c[1]) - int(c[0]) for c in inside) / MS)
                parts["after runc"].append((end - int(inside[-1][1])) / MS)
        if not parts["runc"]:
            say(f"  no split: no call of runc was seen ({len(calls)} in all)")
            return
        say(f"  split, ms (with a stand-in for runc that costs ~0.6, {figure(command.median)} in all instead of {figure(whole)}): "
            + ", ".join(f"{k} {median(v):.2f}" for k, v in parts.items())
            + (f"; runc delete {median(deletes):.2f}" if deletes else "") + f"; for scale: `locald version` {version.median:.2f}, `locald server status` {asks.median:.2f}")
    finally:
        locald.close()


def run(bench):
    """`container run --rm IMAGE true`, warm, beside `runc run` of the same config.json and `podman run`."""
    install(*PEERS)
    small = small_image(bench)
    rounds = 8 if bench.quick else 30
    timers, closing = [], []
    with registry(bench) as reg:
        image = reg.push(small, "small")
        try:
            bundle = bench.folder("bundle")
            bench.folder("bundle/rootfs")
            make_rootfs(bench, small, bundle / "rootfs")
            try:
                locald = Locald(bench, "home-run")
                closing.append(locald)
                locald("image", "pull", image)
                locald_config(bench, locald, image, bundle)
                timers.append(locald.timed("locald", "container", "run", "--rm", image, "true"))
            except Skip as e:
                say(f"  locald: {e}; runc gets the configuration of `runc spec`")
                default_config(bench, bundle)
            timers.append(Timed(bench, "runc", ["runc", "--root", bench.folder("runc"), "run", "--bundle", bundle, "bench"], userns=True))
            podman = Podman(bench, "podman")
            closing.append(podman)
            try:
                podman("pull", "-q", "--tls-verify=false", image)
                timers.append(Timed(bench, "podman", [*podman.command, "run", "--rm", "--network=host", image, "true"], podman.env))
            except Skip as e:
                say(f"  podman: {e}")
            left = alternate(timers, rounds)
            table([["", "median ms", "fastest", "slowest"], *([t.name, figure(t.median), figure(min(t.times)), figure(max(t.times))] for t in left)])
            medians = {t.name: t.median for t in left}
            if "locald" in medians:
                compare("container run", medians["locald"], {n: v for n, v in medians.items() if n != "locald"}, ("runc", 1.5))
                fastest = {t.name: min(t.times) for t in left}
                compare("container run, fastest of all rounds", fastest["locald"], {n: v for n, v in fastest.items() if n != "locald"})
                split(bench, image, medians["locald"])
        finally:
            for c in closing:
                c.close()
            bench.end_processes_but(reg.process.pid)
            for f in ("bundle", "runc"):
                bench.remove(bench.dir / f)


# -- pull --------------------------------------------------------------------------------------------------------------

def pull(bench):
    """Pull and unpack an image of 300+ MB (gzip, several layers) from docker-registry on loopback, everything on tmpfs."""
    install(*PEERS)
    layout = big_image(bench)
    layers = layer_files(layout)
    size = sum(f.stat().st_size for f in layers)
    digests = [f.name for f in layers]
    with registry(bench) as reg:
        image = reg.push(layout, "big")
        if not bench.cache:
            shutil.rmtree(layout)

        def by_locald():
            locald = Locald(bench, "home-pull")
            try:
                locald("server", "start")
                start = now()
                locald("image", "pull", image, timeout=300)
                return (now() - start) / MS
            finally:
                locald.close()

        def by_podman():
            podman = Podman(bench, "podman-pull")
            try:
                podman("images")  # makes its store
                start = now()
                podman("pull", "-q", "--tls-verify=false", image, timeout=300)
                return (now() - start) / MS
            finally:
                podman.close()

        def by_pipeline():
            folder = bench.folder("pipeline")
            urls = " ".join(f"http://127.0.0.1:{reg.port}/v2/big/blobs/sha256:{d}" for d in digests)
            script = f'set -e; for u in {urls}; do curl -sf "$u" | igzip -dc | tar -xp -C {folder}; done'
            try:
                nonlocal unpacked
                start = now()
                bench.run(bench.in_userns(["bash", "-o", "pipefail", "-c", script]), timeout=300)
                took = (now() - start) / MS
                count, used = bench.run(bench.in_userns(["sh", "-c", f"find {folder} | wc -l; du -sm {folder} | cut -f1"])).split()
                unpacked = f"{used} MiB in {count} files and folders"
                return took
            finally:
                bench.run(bench.in_userns(["rm", "-rf", folder]), check=False)
                bench.remove(folder)
        times, unpacked = {}, ""
        competitors = {"locald": by_locald, "podman": by_podman, "curl | igzip -d | tar x": by_pipeline}
        for _ in range(1 if bench.quick else 3):
            for name in list(competitors):
                try:
                    times.setdefault(name, []).append(competitors[name]())
                except Skip as e:
                    say(f"  {name}: {e}")
                    del competitors[name]
                    times.pop(name, None)
        say(f"  {len(layers)} layers, {size / 1e6:.0f} MB compressed, {unpacked}")
        table([["", "median s", "fastest", "slowest"], *([n, *(f"{x / 1000:.2f}" for x in (median(t), min(t), max(t)))] for n, t in times.items())])
        if "locald" in times:
            compare("image pull", median(times["locald"]), {n: median(t) for n, t in times.items() if n != "locald"}, ("podman", 0.4))
