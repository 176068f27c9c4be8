"""Images out: what locald exports of an app is, byte for byte, what the real exporter makes of the same build; it leaves by layouts,
archives and registries, and others can use it."""
import base64
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import urllib.request

import oci_image
import pytest
from cnb_support import APPS, app_of, copy_app, params
from support import PASSWORD


class Stored:
    """An image in the store of a home: documents as their bytes."""

    def __init__(self, locald, digest):
        self.blobs = locald.home / "data/images/blobs/sha256"
        self.digest = digest
        self.manifest = json.loads(self.read(digest))
        self.text = self.read(self.manifest["config"]["digest"]).decode()
        self.config = json.loads(self.text)

    def read(self, digest):
        return (self.blobs / digest.removeprefix("sha256:")).read_bytes()

    @property
    def id(self):
        return self.manifest["config"]["digest"]

    @property
    def layers(self):
        return self.config["rootfs"]["diff_ids"]


def told_of_build(locald, app, builder, run, *more):
    """What `locald build` says of the one app."""
    return locald("build", app, "-B", builder, "--run-image", run, "--json", *more, timeout=200).json()["apps"][0]


def build(locald, app, builder, run, *more, tag="test/app"):
    """Builds and exports; the image."""
    told = told_of_build(locald, app, builder, run, "--tag", tag, *more)
    assert told["notices"] == []
    return Stored(locald, told["image"]["digest"])


def explain(ours, theirs):
    """Where two configuration documents differ."""
    a, b = json.loads(ours), json.loads(theirs)
    lines = []

    def walk(x, y, at):
        if isinstance(x, dict) and isinstance(y, dict):
            for k in sorted({*x, *y}):
                if x.get(k) != y.get(k):
                    walk(x.get(k), y.get(k), f"{at}/{k}")
        elif isinstance(x, str) and isinstance(y, str) and x[:1] == y[:1] == "{":
            walk(json.loads(x), json.loads(y), at + "|")
        elif x != y:
            lines.append(f"{at}: {json.dumps(x)} / {json.dumps(y)}")
    walk(a, b, "")
    return lines or ["the same values, written in another way", ours, theirs]


def same(ours, theirs):
    assert ours == theirs, "\n".join(explain(ours, theirs))


# ---- apps: the tests' own, and what their buildpacks do not show

EVERYTHING = r"""
#!/bin/bash
# Files and metadata at every edge of what an image can hold.
set -eu
layers=$1
mkdir -p "$layers"/{odd,"ünï cödé",zz-reuse,cached,a,a-b,a.b}
cd "$layers/odd"
umask 022
printf 'x' >plain
printf '%0.sx' {1..513} >block+1
: >empty
ln plain hard
ln -s plain link
ln -s /nowhere/"$(printf 't%.0s' {1..140})" long-link
ln -s "zıel" unicode-link
mkfifo fifo
mkdir -m 1777 sticky
mkdir -m 0500 closed
printf s >setuid; chmod 6755 setuid
printf r >unreadable; chmod 0400 unreadable
printf 'n' >"$(printf 'n%.0s' {1..200})"
deep=$(printf 'folder-%s/' {1..25})
mkdir -p "$deep"; printf d >"$deep/end"
mkdir a a-b a.b a0; for d in a a-b a.b a0; do printf x >$d/x; done
printf x >a.txt; printf 'ä' >"ä"; printf 'q' >'quote"back\slash'; printf 't' >$'tab\tline\nend'; printf l >$'latin-\xe4'
cat >"$layers/odd.toml" <<'TOML'
[types]
launch = true
[metadata]
int = 7
negative = -12
big = 9007199254740993
biggest = 9223372036854775807
hex = 0xDEADBEEF
octal = 0o755
float = 1.5
whole = 3.0
tiny = 1e-7
small = 0.000001
huge = 1e21
large = 123456789012345680000.0
exact = 0.1
yes = true
html = "<a href='x'>&amp;</a>"
text = "line\nbreak \"quoted\" \\ \u2028 ünï \U0001F642"
control = "\u0001\u007f\b\f"
when = 1979-05-27T07:32:00.120Z
offset = 1979-05-27T00:32:00.999999-07:00
local = 1979-05-27T07:32:00
date = 1979-05-27
time = 07:32:00.500
list = [1, 2.5, "three", [true], {four = 4}]
none = []
inline = {b = 1, a = {z = 1, y = {}}}
"quoted key" = 1
"" = "empty key"
Upper = 1
upper = 2
[metadata.deep.er]
z = 1
a = [[], [[]]]
[[metadata.tables]]
n = 1
[[metadata.tables]]
n = 2
TOML
for l in "ünï cödé" a a-b a.b; do printf '%s' "$l" >"$layers/$l/f"; printf '[types]\nlaunch = true\n' >"$layers/$l.toml"; done
printf '[types]\nlaunch = true\n[metadata]\n' >"$layers/a-b.toml"
printf '[types]\nlaunch = true\ncache = true\nbuild = true\nmetadata = "not this"\n' >"$layers/cached.toml"
printf '[types]\nlaunch = true\n[metadata]\nv = 1\n' >"$layers/zz-reuse.toml"
printf x >"$layers/zz-reuse/x"
printf '%s' '[metadata]
count = 3
list = [1.0, 2]
<key> = 1' | sed 's/<key>/"<key>"/' >"$layers/store.toml"
printf 'w' >"$PWD/../../workspace-note" 2>/dev/null || true
cat >"$layers/launch.toml" <<'TOML'
[[labels]]
key = "com.example.<label>"
value = "a & b < c > d \u2029 ünï"
[[labels]]
key = "empty"
value = ""
[[processes]]
type = "web"
command = ["sh", "-c"]
args = ["echo <&> \u2028", ""]
default = true
[[processes]]
type = "no-args"
command = ["true"]
[[processes]]
type = "empty-args"
command = ["true"]
args = []
working-dir = "/tmp/<dir>"
TOML
"""

SLICES = r"""
#!/bin/bash
set -eu
cat >"$1/launch.toml" <<'TOML'
[[slices]]
paths = ["a/*", "*.txt", "[x-z]?", "./static/", "nothing-*"]
[[slices]]
paths = ["b", "a.b/**", "d/*/f"]
[[slices]]
paths = ["nowhere"]
[[slices]]
paths = ["static/*", "d/e/f", "d/e/g", "c/\\*"]
TOML
"""

NOTHING = r"""
#!/bin/bash
set -eu
printf '[metadata]\n' >"$1/store.toml"
mkdir -p "$1/only-build"; printf '[types]\nbuild = true\n' >"$1/only-build.toml"
"""


def with_buildpacks(reference, target, scripts):
    """`oci:TARGET:1`, that builder with these buildpacks, {id: bin/build}, which alone are in its order."""
    base = oci_image.Image.of(reference)
    order = "".join(f'[[order]]\n[[order.group]]\nid = "{i}"\nversion = "0.0.1"\n' if n == 0 else f'[[order.group]]\nid = "{i}"\nversion = "0.0.1"\n'
                    for n, i in enumerate(scripts))
    files = {"cnb/order.toml": (order, 0o644)}
    for name, script in scripts.items():
        top = f"cnb/buildpacks/{name.replace('/', '_')}/0.0.1/"
        files[top + "buildpack.toml"] = (f'api = "0.10"\n[buildpack]\nid = "{name}"\nversion = "0.0.1"\nhomepage = "https://example.com/?a=1&b=<2>"\n[[targets]]\nos = "linux"\n', 0o644)
        files[top + "bin/detect"] = ("#!/bin/sh\nexit 0\n", 0o755)
        files[top + "bin/build"] = (script.lstrip("\n"), 0o755)
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for path, (text, mode) in files.items():
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(text.encode()), mode
            tar.addfile(info, io.BytesIO(text.encode()))
    made = oci_image.derive(base, target)
    blobs = pathlib.Path(target) / "blobs/sha256"

    def put(content):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"digest": "sha256:" + digest, "size": len(content)}
    image = oci_image.Image.of(made)
    image.config["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256(data.getvalue()).hexdigest())
    image.manifest["layers"].append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **put(gzip.compress(data.getvalue(), mtime=0))})
    image.manifest["config"].update(put(json.dumps(image.config).encode()))
    index = json.loads((pathlib.Path(target) / "index.json").read_text())
    index["manifests"][0].update(put(json.dumps(image.manifest).encode()))
    (pathlib.Path(target) / "index.json").write_text(json.dumps(index))
    return made


@pytest.fixture(scope="session")
def odd_builders(cnb, scratch):
    """{name: reference} of builders with buildpacks of this file's."""
    folder = scratch / "odd-builders"
    return {name: with_buildpacks(reference, folder / name, scripts) for name, reference, scripts in (
        ("everything", cnb.builder, {"odd/every/thing": EVERYTHING, "odd/nothing": NOTHING}),
        ("everything-old", cnb.builder_old, {"odd/every/thing": EVERYTHING, "odd/nothing": NOTHING}),
        ("slices", cnb.builder, {"odd/slices": SLICES, "odd/nothing": NOTHING}),
        ("nothing", cnb.builder, {"odd/nothing": NOTHING}))}


def odd_app(target):
    """Files whose names sort one way by folders and another by whole paths, with every mode and kind that is sent to a build."""
    for path, text in {"a/b": "x", "a.txt": "y", "a-b/c": "", "a0": "z", "ä/ö": "u", "deep/" + "d/" * 40 + "end": "e", "n" * 180: "long", "x": "1", "xy": "2",
                       "static/page.js": "p", "static/css/page.css": "c", "b/one": "1", "b/two/three": "3", "a.b/c/d": "", "d/e/f": "f", "d/e/g": "g", "d/h/f": "f",
                       "c/*": "star", "c/x": "", "y\\z": "back"}.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text)
    (target / "empty").mkdir()
    (target / "static/css").chmod(0o2775)
    os.link(target / "a.txt", target / "hard")
    os.symlink("a/b", target / "link")
    os.symlink("../" * 5 + "outside", target / "out")
    return target


def corpus(cnb, odd_builders, tmp_path):
    """(name, app, builder) of every case."""
    for app in sorted(p.name for p in APPS.iterdir()):
        yield app, copy_app(app, tmp_path / app), cnb.builder
    for name, marks, contents in (("labels", (), {"labels": "com.example.a 1\ncom.example.<b> x & y\n"}), ("store", ("store",), {}), ("exec-env", ("exec-env",), {}),
                                  ("or-plan", (), {"or_plan": "b\n"}), ("meta", (), {"meta": "one\ntwo\n"}), ("layers-odd", (), {"layers": "fifo l\nsetuid l\ncontent other\n"})):
        yield name, app_of(tmp_path / name, *marks, **contents), cnb.builder
    for name in ("everything", "everything-old", "slices", "nothing"):
        yield f"odd-{name}", odd_app(tmp_path / f"odd-{name}"), odd_builders[name]
    yield "node-old", copy_app("node", tmp_path / "node-old"), cnb.builder_old
    yield "layers-old", copy_app("layers", tmp_path / "layers-old"), cnb.builder_old


CASES = ["env", "layers", "libpak", "node", "processes", "procfile", "sbom", "shell", "slices", "labels", "store", "exec-env", "or-plan", "meta", "layers-odd",
         "odd-everything", "odd-everything-old", "odd-slices", "odd-nothing", "node-old", "layers-old"]
EVERY_DAY = {"procfile", "odd-everything"}


@pytest.fixture(scope="session")
def cases(cnb, odd_builders, scratch):
    folder = scratch / "export-cases"
    folder.mkdir()
    made = {name: (app, builder) for name, app, builder in corpus(cnb, odd_builders, folder)}
    assert list(made) == CASES
    return made


@pytest.fixture
def own(locald):
    """A copy of an app that who runs locald owns."""
    def make(app):
        target = locald.home / "user" / pathlib.Path(app).name
        shutil.copytree(app, target, symlinks=True)
        locald.identity.own(target)
        return target
    return make


# ---- the oracle

@pytest.mark.long
@pytest.mark.parametrize("case", params(CASES, EVERY_DAY))
def test_a_hybrid_build_exports_what_a_strict_one_does(cases, cnb, make_locald, case):
    """Two homes, two ways to build, the same image: of the first build, and of a second one that finds the first."""
    app, builder = cases[case]
    ways = {}
    for way in ("hybrid", "strict"):
        locald = make_locald()
        place = locald.home / "user" / app.name
        shutil.copytree(app, place, symlinks=True)
        locald.identity.own(place)
        options = ["--strict"] if way == "strict" else []
        first = build(locald, place, builder, cnb.run, *options)
        second = build(locald, place, builder, cnb.run, "--again", *options)
        ways[way] = [first, second]
    for hybrid, strict in zip(ways["hybrid"], ways["strict"]):
        same(hybrid.text, strict.text)
        assert hybrid.id == strict.id
        assert {layer["mediaType"] for layer in hybrid.manifest["layers"]} == {"application/vnd.oci.image.layer.v1.tar+gzip"}
        assert hybrid.manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"


@pytest.mark.parametrize("case", params(CASES, EVERY_DAY))
def test_the_image_has_the_id_of_the_one_that_the_real_exporter_publishes(cases, cnb, cnb_registry, oracle, locald, own, case):
    """The five real phases without locald, to a registry; locald, from the same run image."""
    app, builder = cases[case]
    place = own(app)
    real = oracle if builder == cnb.builder else type(oracle)(oracle.folder, builder, cnb.run, cnb.run_name)
    name = f"{case}-{locald.identity.name}"
    published = real.build(place, name=name, registry=cnb_registry)
    assert published.rc == 0, published
    ours = build(locald, place, builder, f"{cnb_registry}/cnb/run:1")
    theirs = published.image.blob(published.image.manifest["config"]["digest"]).read_text()
    same(ours.text, theirs)
    assert ours.id == published.image.manifest["config"]["digest"]


# ---- what leaves the store, and who can use it

def skopeo(*args):
    p = subprocess.run(["skopeo", "--insecure-policy", *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 0, p.stderr
    return p.stdout


def inspect(reference, *more):
    """(digest, configuration) as skopeo reads them."""
    told = json.loads(skopeo("inspect", *more, reference))
    return told["Digest"], skopeo("inspect", "--raw", "--config", *more, reference)


def tree(folder):
    return sorted(str(p.relative_to(folder)) for p in pathlib.Path(folder).rglob("*"))


@pytest.fixture
def app(locald, cnb, own):
    """The procfile app, built and named test/app."""
    place = own(APPS / "procfile")
    image = build(locald, place, cnb.builder, cnb.run)
    image.place = place
    return image


def test_output_goes_to_layouts_and_archives(locald, cnb, own):
    place = own(APPS / "procfile")
    r = told_of_build(locald, place, cnb.builder, cnb.run, "--output", "oci:out:first")
    user = locald.home / "user"
    assert inspect(f"oci:{user}/out:first")[0] == r["image"]["digest"]
    # An unchanged app is not built again for it; the layout is added to.
    (place / "Procfile").write_text("web: echo other\n")
    r2 = told_of_build(locald, place, cnb.builder, cnb.run, "-o", "oci:./out:second", "--tag", "test/app")
    r3 = told_of_build(locald, place, cnb.builder, cnb.run, "-o", "oci-archive:app.tar:v1")
    assert not r3["built"] and r3["image"]["digest"] == r2["image"]["digest"] != r["image"]["digest"]
    assert inspect(f"oci:{user}/out:first")[0] == r["image"]["digest"]
    assert inspect(f"oci:{user}/out:second")[0] == inspect(f"oci-archive:{user}/app.tar:v1")[0] == r2["image"]["digest"]
    assert {"blobs", "index.json", "oci-layout"} == set(os.listdir(user / "out"))
    assert sorted(os.listdir(user)) == ["app.tar", "out", "procfile"]
    names = [i["name"] for i in locald("image", "ls", "--json").json()["images"]]
    assert "docker.io/test/app:latest" in names


def test_output_elsewhere_is_refused_before_anything_is_built(locald, cnb, own):
    place = own(APPS / "procfile")
    for option, words in (("--output=docker-archive:x", "oci:DIR[:TAG]"), ("--output=registry.example/x", "oci:DIR[:TAG]"), ("--tag=oci:x:1", "--output oci:x:1"),
                          ("--tag=UPPER", "lower case")):
        r = locald("build", place, "-B", cnb.builder, "--run-image", cnb.run, option, check=False)
        assert r.rc == 1 and words in r.err, r
    assert not (locald.home / "data/cnb").exists()


def test_any_stored_image_can_be_exported(locald, busybox):
    """One that no buildpack has seen, by name and by id; bytes as they came."""
    locald("image", "pull", busybox)
    image = locald("image", "ls", "--json").json()["images"][0]
    user = locald.home / "user"
    locald("image", "export", busybox, "oci:out:a")
    assert locald("image", "export", image["id"], "oci-archive:x.tar:b").out == f"oci-archive:{user}/x.tar:b@{image['digest']}\n"
    assert inspect(f"oci:{user}/out:a") == inspect(f"oci-archive:{user}/x.tar:b") == inspect(busybox)
    r = locald("image", "export", "no/such:1", "oci:out:c", check=False)
    assert r.rc == 1 and "not in the store" in r.err
    (user / "full").mkdir()
    (user / "full/mine").write_text("x")
    locald.identity.own(user / "full")
    r = locald("image", "export", busybox, "oci:full:c", check=False)
    assert r.rc == 1 and tree(user / "full") == ["mine"]


def test_a_full_disk_leaves_nothing(locald, app):
    if os.geteuid() != 0:
        pytest.skip("to mount a small file system needs root")
    small = locald.home / "user/small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=777", "tmpfs", small], check=True)
    try:
        for target in ("oci:small/out:1", "oci-archive:small/out.tar"):
            r = locald("image", "export", "test/app", target, check=False)
            assert r.rc == 1 and "no space" in r.err.lower() and tree(small) == [], r
    finally:
        subprocess.run(["umount", small], check=True)


def test_what_stands_in_the_way_of_an_export_stays(locald, app):
    user = locald.home / "user"
    os.mkfifo(user / "x")
    locald.identity.own(user)
    r = locald("image", "export", "test/app", "oci:x:1", check=False)
    assert r.rc == 1 and "not a folder" in r.err and sorted(os.listdir(user)) == ["procfile", "x"], r
    os.symlink("/dev/full", user / "device")
    for name in ("x", "device"):
        r = locald("image", "export", "test/app", f"oci-archive:{name}", check=False)
        assert r.rc == 1 and "is not a regular file" in r.err, r
    assert (user / "x").is_fifo() and (user / "device").is_symlink() and sorted(os.listdir(user)) == ["device", "procfile", "x"]


@pytest.mark.long
def test_podman_runs_the_image_unchanged(locald, app, cnb_registry, scratch):
    """Exported and loaded, pushed and pulled: the id is the one that locald says; `podman run` of it: the default process answers, another too."""
    if os.geteuid() != 0:
        pytest.skip("podman runs as root here")
    if not shutil.which("podman") or not shutil.which("runc"):
        pytest.skip("needs podman and runc (apt-get install podman runc)")
    user = locald.home / "user"
    pushed = f"{cnb_registry}/podman/{locald.identity.name}:v1"
    locald("image", "export", "test/app", "oci-archive:app.tar:app")
    locald("image", "push", "test/app", pushed)
    podman = ["podman", "--root", scratch / "podman", "--runroot", scratch / "podman-run", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs",
              "--runtime", shutil.which("runc")]  # podman prefers crun where there is one, and crun refuses hybrid cgroups

    def run(*args):
        p = subprocess.run([*map(str, podman), *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100)
        assert p.returncode == 0, p.stderr
        return p.stdout
    try:
        run("load", "-q", "-i", user / "app.tar")
        image, = json.loads(run("images", "--format", "json"))
        assert "sha256:" + image["Id"] == app.id
        run("rmi", "-f", image["Id"])
        assert "sha256:" + run("pull", "-q", "--tls-verify=false", pushed).strip() == app.id
        limits = ["--network=host", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]
        assert run("run", "--rm", *limits, "-e", "PORT=81", image["Id"]) == "web 1002:1000 in /workspace on 81\n"
        assert run("run", "--rm", *limits, "--entrypoint", "/cnb/process/worker", image["Id"]).startswith("worker quoted")
        assert run("run", "--rm", *limits, "--entrypoint", "launcher", image["Id"], "--", "id", "-un").strip() == "cnbrun"
    finally:
        subprocess.run([*map(str, podman), "system", "reset", "--force"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.long
def test_umoci_unpacks_it_and_runc_runs_it(locald, app, scratch):
    if os.geteuid() != 0:
        pytest.skip("unpacking with owners needs root")
    user, bundle = locald.home / "user", scratch / "bundle"
    locald("image", "export", "test/app", "oci:out:v1")
    subprocess.run(["umoci", "unpack", "--image", f"{user}/out:v1", bundle], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    config = json.loads((bundle / "config.json").read_text())
    config["process"]["terminal"] = False
    config["process"].pop("rlimits", None)
    config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "network"]
    config["linux"].pop("resources", None)
    (bundle / "config.json").write_text(json.dumps(config))
    p = subprocess.run(["runc", "--root", bundle / "runc", "run", "-b", bundle, "from-umoci"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    shutil.rmtree(bundle)
    assert p.stdout.startswith("web 1002:1000 in /workspace"), p.stdout


def test_locald_runs_what_it_has_exported(locald, app):
    """The image as a container's: layers are applied from the store, nobody is asked."""
    assert locald("container", "run", "--rm", "-e", "PORT=7", "test/app").out.replace("\r", "") == "web 1002:1000 in /workspace on 7\n"
    r = locald("container", "run", "--rm", "--entrypoint", "/cnb/lifecycle/launcher", "test/app", "--", "id", "-u")
    assert r.out.strip() == "1002"


def test_what_has_not_changed_is_not_packed_again(locald, cnb, own):
    """Of the second generation's layers only the app's is new; the memory of the digests is no more than that."""
    place = own(APPS / "node")
    blobs = locald.home / "data/images/blobs/sha256"
    first = build(locald, place, cnb.builder, cnb.run)
    times = {p.name: p.stat().st_mtime_ns for p in blobs.iterdir()}
    (place / "public/style.css").write_text("body { color: blue }\n")
    second = build(locald, place, cnb.builder, cnb.run)
    assert len([x for x in second.layers if x not in first.layers]) == 1
    assert {name: t for name, t in times.items() if name in second.text or name in json.dumps(second.manifest)}.items() <= {
        p.name: p.stat().st_mtime_ns for p in blobs.iterdir()}.items()
    # A damaged memory costs time alone.
    packed, = (locald.home / "data/cnb").glob("*/packed.json")
    packed.write_text("{")
    assert build(locald, place, cnb.builder, cnb.run).id == second.id
    # And a blob that is gone is made again, the same.
    locald("image", "rm", "test/app", f"locald.local/{packed.parent.name}")
    again = build(locald, place, cnb.builder, cnb.run)
    assert (again.id, again.digest) == (second.id, second.digest)


# ---- registries

def test_an_image_is_pushed_and_pulled_back(locald, make_locald, app, cnb_registry):
    name = f"{cnb_registry}/pushed/{locald.identity.name}:v1"
    r = locald("image", "push", "test/app", name)
    assert r.out == f"{name}@{app.digest}\n"
    assert inspect(f"docker://{name}", "--tls-verify=false") == (app.digest, app.text)
    again = locald("image", "push", "test/app", name, "--json").json()
    assert (again["uploaded"], again["there_before"]) == (0, len(app.layers) + 1)
    other = make_locald()
    other("image", "pull", name)
    assert Stored(other, app.digest).text == app.text
    assert other("container", "run", "--rm", name).out.startswith("web 1002:1000")
    copied = locald.home / "user/copied"
    skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{name}", f"oci:{copied}:x")
    assert oci_image.Image(copied).digest == app.digest


def test_the_run_images_layers_are_mounted_and_not_sent(locald, cnb, cnb_registry, own):
    name = f"{cnb_registry}/mounted/{locald.identity.name}:v1"
    locald("build", own(APPS / "procfile"), "-B", cnb.builder, "--run-image", f"{cnb_registry}/cnb/run:1", "--tag", name, timeout=200)
    told = locald("image", "push", name, "--json").json()
    run_layers = len(oci_image.Image.of(cnb.run).diff_ids)
    assert told["mounted"] == run_layers and told["uploaded_bytes"] < 8e6, told
    assert inspect(f"docker://{name}", "--tls-verify=false")[0] == told["digest"]


def test_logins_of_podman_and_docker_are_read_and_go_nowhere_else(locald, make_locald, app, guarded_registry):
    name = f"{guarded_registry}/team/app:1"
    r = locald("image", "push", "test/app", name, check=False)
    assert r.rc == 1 and f"locald login {guarded_registry}" in r.err, r
    user = locald.home / "user"
    (user / ".docker").mkdir()
    config = user / ".docker/config.json"
    config.write_text(json.dumps({"auths": {guarded_registry: {}}, "credsStore": "desktop"}))
    locald.identity.own(user)
    r = locald("image", "push", "test/app", name, check=False)
    assert r.rc == 1 and "docker-credential-desktop" in r.err, r
    login = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    config.write_text(json.dumps({"auths": {f"https://{guarded_registry}/v2/": {"auth": login}}}))
    locald("image", "push", "test/app", name)
    assert inspect(f"docker://{name}", "--tls-verify=false", f"--creds=user:{PASSWORD}")[0] == app.digest

    other = make_locald()
    (other.home / "user/containers").mkdir()
    (other.home / "user/containers/auth.json").write_text(json.dumps({"auths": {f"{guarded_registry}/team": {"auth": login}}}))
    other.identity.own(other.home / "user")
    r = other("image", "pull", name, check=False)
    assert r.rc == 1, r
    other("image", "pull", name, env={"XDG_RUNTIME_DIR": str(other.home / "user")})
    for who in (locald, other):
        for folder, _, files in os.walk(who.home):
            for f in files:
                path = pathlib.Path(folder) / f
                if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 20 and "user" not in path.relative_to(who.home).parts[0]:
                    assert PASSWORD.encode() not in path.read_bytes() and login.encode() not in path.read_bytes(), path


# ---- rebase

@pytest.fixture
def rebaser(oracle, cnb, cnb_registry):
    """rebaser(NAME, *options): the lifecycle's own, upon images in the registry. (exit code, what it said)"""
    def run(name, *options):
        work = oracle.folder / "state/rebaser"
        environment = {"CNB_PLATFORM_API": oracle.platform_api, "CNB_NO_COLOR": "true", "HOME": "/home/cnb"}
        argv = oracle._container(work, [oracle.builder_root], ["/cnb/lifecycle/rebaser", "-uid", str(oracle.uid), "-gid", str(oracle.gid), "-report", "/tmp/report.toml", *options, name],
                                 (oracle.uid, oracle.gid), "/tmp", environment, network=True)
        p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100)
        return p.returncode, p.stdout
    return run


def published_config(name):
    """The configuration's text of an image in the registry. By hand: the rebaser leaves a manifest of Docker's type with layers of OCI's, which skopeo refuses."""
    host, _, rest = name.partition("/")
    repository, _, tag = rest.rpartition(":")
    accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    with urllib.request.urlopen(urllib.request.Request(f"http://{host}/v2/{repository}/manifests/{tag}", headers={"Accept": accept})) as r:
        manifest = json.load(r)
    with urllib.request.urlopen(f"http://{host}/v2/{repository}/blobs/{manifest['config']['digest']}") as r:
        return r.read().decode()


@pytest.mark.parametrize("case", params(["procfile", "store", "odd-everything", "odd-slices", "sbom"], EVERY_DAY))
def test_a_rebased_image_has_the_id_of_the_real_rebasers(cases, cnb, cnb_registry, locald, own, rebaser, case):
    """The run image's name comes to mean its next release; both rebase the same pushed image."""
    app, builder = cases[case]
    run = f"{cnb_registry}/rebase/run-{locald.identity.name}-{case}:1"
    name = f"{cnb_registry}/rebase/app-{locald.identity.name}-{case}:1"
    skopeo("copy", "-q", "--dest-tls-verify=false", cnb.run, f"docker://{run}")
    before = build(locald, own(app), builder, run, tag=name)
    locald("image", "push", name)
    r = locald("image", "rebase", name)
    assert "already up to date with" in r.err and r.out == f"{name}@{before.digest}\n", r
    skopeo("copy", "-q", "--dest-tls-verify=false", cnb.run_next, f"docker://{run}")
    told = locald("image", "rebase", name, "--json").json()
    ours = Stored(locald, told["digest"])
    code, said = rebaser(name)
    assert code == 0, said
    same(ours.text, published_config(name))
    assert told["changed"] and ours.layers[-1] == before.layers[-1] and ours.layers != before.layers
    # What was rebased twice, too.
    skopeo("copy", "-q", "--dest-tls-verify=false", cnb.run, f"docker://{run}")
    ours = Stored(locald, locald("image", "rebase", name, "--json").json()["digest"])
    assert rebaser(name)[0] == 0
    same(ours.text, published_config(name))
    locald("image", "push", name)
    assert inspect(f"docker://{name}", "--tls-verify=false")[0] == ours.digest


@pytest.mark.long
@pytest.mark.parametrize("run, words", [("run:named", "none of its names"), ("run:2", "none of its names")])
def test_a_rebase_upon_another_run_image_wants_force(cnb, cnb_registry, locald, own, rebaser, run, words):
    base = f"{cnb_registry}/cnb/run:1"
    name = f"{cnb_registry}/rebase/forced-{locald.identity.name}-{run.replace(':', '-')}:1"
    other = f"{cnb_registry}/cnb/{run}"
    before = build(locald, own(APPS / "procfile"), cnb.builder, base, tag=name)
    locald("image", "push", name)
    r = locald("image", "rebase", name, "--run-image", other, check=False)
    code, said = rebaser(name, "-run-image", other)
    assert (r.rc, code) == (1, 72) and words in r.err and "--force" in r.err, (r, said)
    assert locald("image", "ls", "--json").out.count(before.digest) >= 1
    told = locald("image", "rebase", name, "--run-image", other, "--force", "--json")
    assert words in told.err
    assert rebaser(name, "-run-image", other, "-force")[0] == 0
    same(Stored(locald, told.json()["digest"]).text, published_config(name))


def test_what_is_no_app_cannot_be_rebased(locald, busybox):
    locald("image", "pull", busybox)
    r = locald("image", "rebase", busybox, check=False)
    assert r.rc == 1 and "not made by buildpacks" in r.err
