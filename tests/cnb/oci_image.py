"""Images in OCI layouts, as the tests look at them: read, compared, unpacked, made sparse. No root needed but for unpack()."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

SBOM = "io.buildpacks.lifecycle.metadata"


class Image:
    """One manifest of a layout folder."""

    def __init__(self, layout, tag=None):
        self.layout = pathlib.Path(layout)
        manifests = json.loads((self.layout / "index.json").read_text())["manifests"]
        found = [m for m in manifests if tag is None or m.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag]
        assert len(found) == 1, f"{layout} has {len(found)} images{' with tag ' + tag if tag else ''}"
        self.digest = found[0]["digest"]
        self.manifest = json.loads(self.blob(self.digest).read_bytes())
        self.config = json.loads(self.blob(self.manifest["config"]["digest"]).read_bytes())

    @classmethod
    def of(cls, reference):
        """Of `oci:FOLDER:TAG` or `FOLDER:TAG`."""
        folder, _, tag = str(reference).removeprefix("oci:").rpartition(":")
        return cls(folder, tag)

    def blob(self, digest):
        return self.layout / "blobs" / digest.replace(":", "/")

    @property
    def diff_ids(self):
        return self.config["rootfs"]["diff_ids"]

    @property
    def labels(self):
        """Those that hold JSON, parsed."""
        labels = self.config["config"].get("Labels") or {}
        return {k: json.loads(v) if k.startswith("io.buildpacks.") and v[:1] in "{[" else v for k, v in labels.items()}

    def env(self):
        return dict(e.split("=", 1) for e in self.config["config"]["Env"])

    def entries(self, index):
        """What the tar of a layer says, in its order: [(name, type, mode, uid, gid, mtime, size, linkname, sha256 of the content)]."""
        found = []
        with tarfile.open(self.blob(self.manifest["layers"][index]["digest"]), "r:*", encoding="utf-8", errors="surrogateescape") as tar:
            for e in tar:
                content = hashlib.sha256(tar.extractfile(e).read()).hexdigest() if e.isreg() else ""
                found.append((e.name, e.type.decode(), oct(e.mode), e.uid, e.gid, e.mtime, e.size, e.linkname, content))
        return found

    def layer_with(self, path):
        """The index of the topmost layer that has this path; a layer whose blob is not here is taken for one that has not."""
        for i in reversed(range(len(self.diff_ids))):
            if self.blob(self.manifest["layers"][i]["digest"]).exists() and any(e[0].lstrip("/") == path.lstrip("/") for e in self.entries(i)):
                return i
        raise AssertionError(f"no layer has {path}")


def differences(a, b):
    """How two images differ, as lines; none if in nothing that a run or a later build could see. Digests of manifests may differ by compression."""
    found = []
    for key in ("architecture", "os", "variant"):
        if a.config.get(key) != b.config.get(key):
            found.append(f"{key}: {a.config.get(key)} / {b.config.get(key)}")
    of_a, of_b = dict(a.config["config"]), dict(b.config["config"])
    of_a.pop("Labels", None), of_b.pop("Labels", None)
    for part, x, y in (("config", of_a, of_b), ("label", a.labels, b.labels)):
        for key in sorted({*x, *y}):
            if x.get(key) != y.get(key):
                found.append(f"{part} {key}: {json.dumps(x.get(key), sort_keys=True)} / {json.dumps(y.get(key), sort_keys=True)}")
    if a.diff_ids != b.diff_ids:
        found.append(f"layers: {len(a.diff_ids)} / {len(b.diff_ids)}")
        for i, (x, y) in enumerate(zip(a.diff_ids, b.diff_ids)):
            if x != y:
                found.append(f"layer {i}: {x} / {y}")
                in_a, in_b = a.entries(i), b.entries(i)
                found += [f"  only in the first: {e}" for e in in_a if e not in in_b][:10] + [f"  only in the second: {e}" for e in in_b if e not in in_a][:10]
                if sorted(in_a) == sorted(in_b):
                    found.append("  the same entries, in another order or form")
    return found


def snapshot(root):
    """{path: (type, mode, content)} of a tree; content: the text of a .toml, the sha256 of another file, the target of a link."""
    found = {}
    for folder, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(folder, name)
            s, at = os.lstat(path), os.path.relpath(path, root)
            kind = {0o040000: "d", 0o100000: "f", 0o120000: "l", 0o010000: "p", 0o140000: "s"}.get(s.st_mode & 0o170000, "?")
            content = ""
            if kind == "l":
                content = os.readlink(path)
            elif kind == "f":
                data = pathlib.Path(path).read_bytes()
                content = data.decode() if at.endswith(".toml") else hashlib.sha256(data).hexdigest()
            found[at] = (kind, oct(s.st_mode & 0o7777), content)
    return found


def make_sparse(layout):
    """Leaves manifest, configuration and the layer of bills of materials: the lifecycle needs no more of a previous image, and
    would decompress every other blob that it finds."""
    image = Image(layout)
    keep = {image.digest[7:], image.manifest["config"]["digest"][7:]}
    sbom = ((image.labels.get(SBOM) or {}).get("sbom") or {}).get("sha")
    if sbom in image.diff_ids:
        keep.add(image.manifest["layers"][image.diff_ids.index(sbom)]["digest"][7:])
    for blob in (image.layout / "blobs/sha256").iterdir():
        if blob.name not in keep:
            blob.unlink()


def derive(image, target, change=None, files=None, tag="1"):
    """`oci:TARGET:TAG`, another image in a new folder: change(config) edits the configuration, files {path: text} are one layer more, those in a folder
    `bin`, and scripts, executable."""
    target = pathlib.Path(target)
    blobs = target / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(data, media_type):
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"mediaType": media_type, "digest": "sha256:" + name, "size": len(data)}
    manifest, config = json.loads(json.dumps(image.manifest)), json.loads(json.dumps(image.config))
    for layer in manifest["layers"]:
        _link(image.blob(layer["digest"]), blobs / layer["digest"][7:])
    if files:
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            for path, text in files.items():
                info = tarfile.TarInfo(path)
                info.size = len(text.encode())
                info.mode = 0o755 if "/bin/" in path or text.startswith("#!") else 0o644
                tar.addfile(info, io.BytesIO(text.encode()))
        config["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256(data.getvalue()).hexdigest())
        config.setdefault("history", []).append({"created_by": "a test"})
        manifest["layers"].append(put(gzip.compress(data.getvalue(), mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip"))
    if change:
        change(config)
    manifest["config"] = put(json.dumps(config).encode(), manifest["config"]["mediaType"])
    descriptor = put(json.dumps(manifest).encode(), manifest.get("mediaType", "application/vnd.oci.image.manifest.v1+json"))
    (target / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (target / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [{**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}}]}))
    return f"oci:{target}:{tag}"


def _link(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def copy_sparse(image, target):
    """A layout with nothing but the image's manifest and configuration, readable by everybody: a run image for the lifecycle."""
    target = pathlib.Path(target)
    blobs = target / "blobs/sha256"
    blobs.mkdir(parents=True)
    for digest in (image.digest, image.manifest["config"]["digest"]):
        shutil.copyfile(image.blob(digest), blobs / digest[7:])
    (target / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    descriptor = {"mediaType": image.manifest["mediaType"], "digest": image.digest, "size": image.blob(image.digest).stat().st_size,
                  "platform": {"os": image.config["os"], "architecture": image.config["architecture"]}}
    (target / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))


def unpack(image, target, indices=None):
    """The image's files, or those of some of its layers, with owners and modes, one layer over the other, in a new folder. Root."""
    target = pathlib.Path(target)
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for i in range(len(image.diff_ids)) if indices is None else indices:
        blob = image.blob(image.manifest["layers"][i]["digest"])
        names = subprocess.run(["tar", "-tzf", blob], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode(errors="surrogateescape").splitlines()
        for name in names:
            folder, leaf = os.path.split(name.lstrip("/"))
            if leaf == ".wh..wh..opq":
                for child in (part / folder).iterdir():
                    _remove(child)
            elif leaf.startswith(".wh."):
                _remove(part / folder / leaf[4:])
        p = subprocess.run(["tar", "--numeric-owner", "--exclude=.wh.*", "-xpzf", blob, "-C", part], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert p.returncode == 0, f"{blob}: {p.stdout}"
    os.rename(part, target)


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
