"""Images out: what locald exports of an app is, byte for byte, what the real exporter makes of the same build; it leaves by layouts,
archives and registries, and others can use it."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

import oci_image
import pytest
from cnb_support import APPS, app_of, copy_app

LABEL = "io.buildpacks.lifecycle.metadata"


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


def build(locald, app, builder, run, *more, tag="test/app"):
    """Builds and exports; the image."""
    r = locald("build", app, "-B", builder, "--run-image", run, "--tag", tag, *more, timeout=200)
    reply = r.json()
    assert reply["notices"] == [], r
    return Stored(locald, reply["image"]["digest"])


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

@pytest.mark.parametrize("case", CASES)
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


@pytest.mark.parametrize("case", CASES)
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
