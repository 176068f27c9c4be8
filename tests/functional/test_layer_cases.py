"""Recorded layer cases of other extractors, replayed through `locald image unpack`.

A case is the tree before (pre.tar), a layer (layer.tar) and the tree that the peer made of it (post.tar). Before and layer
become an image of two layers. What must come out is said by `Model` below: the image specification and our policy where
peers disagree (docs/architecture.md, "layers"). The model itself is checked against the peers' recorded trees, so that it
cannot quietly agree with a fault of ours: every case in which it differs from the peer must be of a kind listed in PEER_DIFFERS.

The recordings are taken from LOCALD_LAYER_CASES (a folder or the .tar.zst), or from a folder of shared fixtures beside the clone, where there is one.
"""
import hashlib
import io
import json
import os
import pathlib
import posixpath
import stat
import subprocess
import tarfile

import images_by_hand as by_hand
import pytest
from support import ROOT


def find_cases():
    given = os.environ.get("LOCALD_LAYER_CASES")
    for path in [pathlib.Path(given)] if given else [ROOT.parent / "shared/fixtures/layer-cases.tar.zst"]:
        if path.exists():
            return path
    return None


# ---- the model -------------------------------------------------------------------------------------------------------

class Refused(Exception):
    pass


class Node:
    def __init__(self, kind, mode=0o755, uid=0, gid=0, mtime=None, data=b"", link="", xattrs=None, children=None):
        self.kind, self.mode, self.uid, self.gid, self.mtime = kind, mode, uid, gid, mtime
        self.data, self.link, self.xattrs = data, link, dict(xattrs or {})
        self.children = children if children is not None else ({} if kind == "dir" else None)
        self.layer = None  # which layer put it there


KINDS = {tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.CONTTYPE: "file", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink",
         tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block", tarfile.FIFOTYPE: "fifo"}


class Model:
    """An image's tree in memory: layers applied one after the other by the specification and the policy."""

    def __init__(self):
        self.root = Node("dir", mtime=None)
        self.layers = 0

    @staticmethod
    def parts(name):
        out = []
        for c in name.split("/"):
            if c in ("", "."):
                continue
            if c == "..":
                if not out:
                    raise Refused(f"'{name}' leaves the root by '..'")
                out.pop()
            else:
                out.append(c)
        return out

    def walk(self, parts, create, depth=0, at=None):
        """The folder that `parts` lead to, symlinks resolved inside of the root; None where it is missing and not created."""
        stack = list(at or [self.root])
        rest = list(parts)
        while rest:
            c = rest.pop(0)
            if c in ("", "."):
                continue
            if c == "..":
                if len(stack) > 1:
                    stack.pop()
                continue
            here = stack[-1]
            child = here.children.get(c)
            if child is None:
                if not create:
                    return None
                child = here.children[c] = Node("dir")
                child.layer = self.layers
            if child.kind == "symlink":
                depth += 1
                if depth > 40:
                    raise Refused("too many symlinks")
                if child.link.startswith("/"):
                    stack = [self.root]
                rest = child.link.split("/") + rest
                continue
            if child.kind != "dir":
                if not create:
                    return None
                raise Refused("a parent is no folder")
            stack.append(child)
        return stack

    def lower_only(self, node):
        return node.layer != self.layers

    def drop_lower(self, folder, name):
        """Removes what lower layers put at folder/name; what this layer put there stays."""
        node = folder.children.get(name)
        if node is None:
            return
        if node.kind == "dir":
            for n in list(node.children):
                self.drop_lower(node, n)
            if self.lower_only(node) and not node.children:
                del folder.children[name]
        elif self.lower_only(node):
            del folder.children[name]

    def apply(self, layer):
        self.layers += 1
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            for info in tar:
                self.entry(info, tar.extractfile(info).read() if info.isreg() else b"")

    def entry(self, info, data):
        name = info.name
        # tarfile strips a final slash and keeps all else
        base = posixpath.basename(name.rstrip("/"))
        parts = self.parts(name)
        if base.startswith(".wh."):
            folder = self.walk(parts[:-1], create=False)
            if base == ".wh..wh..opq":
                for n in list(folder[-1].children) if folder else ():
                    self.drop_lower(folder[-1], n)
                return
            if base.startswith(".wh..wh."):
                return
            target = base[4:]
            if target in ("", ".", ".."):
                raise Refused(f"whiteout of '{target}'")
            if folder:
                self.drop_lower(folder[-1], target)
            return
        if info.type not in KINDS and not info.islnk():
            raise Refused(f"type {info.type!r}")
        xattrs = {k[13:]: v for k, v in info.pax_headers.items() if k.startswith("SCHILY.xattr.") and not k.startswith("SCHILY.xattr.security.selinux")}
        if not parts:
            if not info.isdir():
                raise Refused("changes the root's type")
            self.set(self.root, info, xattrs)
            return
        folder = self.walk(parts[:-1], create=True)[-1]
        last = parts[-1]
        old = folder.children.get(last)
        if info.islnk():
            target = [c for c in info.linkname.split("/") if c not in ("", ".")]
            where = self.walk(target[:-1], create=False) if target else None
            node = where[-1].children.get(target[-1]) if where and target[-1] != ".." else None
            if node is None or node.kind == "dir":
                raise Refused(f"hard link to '{info.linkname}', which is not there")
            folder.children[last] = node  # the metadata of the link's entry are ignored
            return
        kind = KINDS[info.type]
        if not (old and old.kind == "dir" and kind == "dir"):
            folder.children[last] = old = Node(kind)
        if kind == "file":
            old.data = data
        if kind == "symlink":
            old.link = info.linkname
        self.set(old, info, xattrs)

    def set(self, node, info, xattrs):
        node.mode, node.uid, node.gid, node.mtime, node.xattrs, node.layer = info.mode & 0o7777, info.uid, info.gid, int(info.mtime), xattrs, self.layers

    def tree(self):
        """{path: facts}, comparable with `read_tree`."""
        out, names = {}, {}

        def visit(node, path):
            facts = {"type": node.kind, "uid": node.uid, "gid": node.gid, "xattrs": node.xattrs}
            if node.kind != "symlink":
                facts["mode"] = oct(node.mode)
            if node.kind == "file":
                facts["data"] = hashlib.sha256(node.data).hexdigest()[:16]
            if node.kind == "symlink":
                facts["link"] = node.link
            if node.kind == "file" and node.mtime is not None:
                facts["mtime"] = node.mtime
            out[path] = facts
            if node.kind != "dir":
                names.setdefault(id(node), []).append(path)
            for n, c in sorted((node.children or {}).items()):
                visit(c, posixpath.join(path, n))
        visit(self.root, "/")
        for group in names.values():
            if len(group) > 1:
                for path in group:
                    out[path]["same"] = sorted(group)
        return out


def xattr(name, value):
    # In a user namespace the kernel keeps file capabilities in version 3, with the namespace's root id at the end.
    if name == "security.capability" and len(value) == 24:
        value = value[:3] + b"\2" + value[4:20]
    return value.decode(errors="surrogateescape")


def read_tree(root, inside):
    """The same of a tree on disk. `inside`: the container's id for the host's."""
    out, names = {}, {}
    for folder, dirs, files in os.walk(os.fsencode(root)):
        for full in [folder] * (folder == os.fsencode(root)) + [os.path.join(folder, n) for n in dirs + files]:
            st = os.lstat(full)
            path = "/" + os.path.relpath(full, os.fsencode(root)).decode(errors="surrogateescape")
            path = "/" if path == "/." else path
            kind = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFCHR: "char", stat.S_IFBLK: "block", stat.S_IFIFO: "fifo"}[stat.S_IFMT(st.st_mode)]
            facts = {"type": kind, "uid": inside(st.st_uid), "gid": inside(st.st_gid),
                     "xattrs": {k: xattr(k, os.getxattr(full, k, follow_symlinks=False)) for k in os.listxattr(full, follow_symlinks=False) if not k.startswith("security.selinux")}}
            if kind != "symlink":
                facts["mode"] = oct(stat.S_IMODE(st.st_mode))
            if kind == "file":
                facts["data"], facts["mtime"] = hashlib.sha256(open(full, "rb").read()).hexdigest()[:16], int(st.st_mtime)
            if kind == "symlink":
                facts["link"] = os.readlink(full).decode(errors="surrogateescape")
            out[path] = facts
            if kind != "dir":
                names.setdefault((st.st_dev, st.st_ino), []).append(path)
    for group in names.values():
        if len(group) > 1:
            for path in group:
                out[path]["same"] = sorted(group)
    return out


def tree_of(locald, folder, inside):
    if locald.identity.root or locald.identity.switch:
        return read_tree(folder, lambda i: inside.get(i, i))
    # The files belong to subordinate ids: a user reads them from inside of such a namespace, where the ids are the container's.
    p = subprocess.run(["unshare", "--user", "--map-root-user", "--map-auto", "/usr/bin/python3", "-B", __file__, str(folder)], stdout=subprocess.PIPE, check=True)
    return json.loads(p.stdout)


def differences(want, got):
    lines = []
    for path in sorted(set(want) | set(got)):
        a, b = want.get(path), got.get(path)
        if a is None or b is None:
            lines.append(f"{path}: {'missing' if b is None else 'should not be there'}")
        else:
            lines += [f"{path}: {k} is {b.get(k)!r}, should be {a[k]!r}" for k in a if a[k] != b.get(k)] + [f"{path}: {k} is {b[k]!r}, should not be" for k in b if k not in a and k != "mtime"]
    return lines


# ---- where the model, that is our policy, differs from the recorded peer -----------------------------------------------

PEER_DIFFERS = {
    "metadata": "the metadata of a hard link's entry are ignored",
    "symlink": "a symlink that points outside is stored as it is",
    "root": "an entry that would change the root's type is refused",
    "untar": "recorded without whiteout handling: the markers stayed as files",
    "hardlink": "a hard link's target is resolved inside of the root",
    "dangling": "a whiteout below a symlink to nowhere does nothing",
    "parents": "the peer knew a parent from a lower layer that was not recorded; for us it is a missing parent (0755)",
}


def run_model(pre, layer):
    m = Model()
    try:
        m.apply(pre)
        m.apply(layer)
    except Refused as e:
        return None, str(e)
    return m.tree(), ""


def peer_tree(post):
    """post.tar as facts; in overlay mode (character device 0:0) a whiteout is an absent file."""
    m = Model()
    m.layers = 1
    skip = []
    with tarfile.open(fileobj=io.BytesIO(post)) as tar:
        for info in tar:
            if info.type == tarfile.CHRTYPE and (info.devmajor, info.devminor) == (0, 0):
                continue
            info.name = "x/" + info.name if os.path.basename(info.name).startswith(".wh.") else info.name
            if info.name.startswith("x/"):
                skip.append(info.name)
                continue
            info.pax_headers = {k: v for k, v in info.pax_headers.items() if "overlay.opaque" not in k}
            m.entry(info, tar.extractfile(info).read() if info.isreg() else b"")
    return m.tree(), bool(skip)


def classify(case, meta, want, refused, post, had_markers):
    """None where the model says what the peer did, else the kind of difference, or a text when there is no such kind."""
    if "error" in meta:
        if want is None:
            return None
        return "symlink" if "symlink" in meta["error"] else "hardlink" if "hardlink" in meta["error"] else f"the peer refused it: {meta['error']}"
    if want is None:
        return "root" if ".." in refused or "root" in refused else f"the model refuses it: {refused}"
    if had_markers:
        return "untar"
    rest = [d for d in differences(post, want) if "mtime" not in d]
    if not rest:
        return None
    if all(": mode is" in d or ": uid is" in d or ": gid is" in d for d in rest) and any("same" in want.get(d.split(": ")[0], {}) for d in rest):
        return "metadata"
    if case.split("/")[1] == "TestOverlayApplyNoParents" and all(post[d.split(": ")[0]]["type"] == "dir" for d in rest):
        return "parents"
    if [e for e in want if want[e]["type"] == "symlink" and want[e]["link"].strip("/") in [d.split(": ")[0].strip("/") for d in rest]] and all(d.endswith("missing") for d in rest):
        return "dangling"
    return "; ".join(rest[:4])


@pytest.fixture(scope="session")
def cases(scratch):
    path = find_cases()
    if path is None:
        pytest.skip("the recorded cases are not here: give LOCALD_LAYER_CASES=…/layer-cases.tar.zst")
    if path.is_file():
        target = scratch / "cases"
        target.mkdir(exist_ok=True)
        subprocess.run(["tar", "-I", "zstd", "-xf", path, "-C", target], check=True)
        path = target
    found = []
    for meta in sorted(path.rglob("meta.json")):
        found.append((str(meta.parent.relative_to(path)), json.loads(meta.read_text()), *((meta.parent / f"{n}.tar").read_bytes() for n in ("pre", "layer", "post"))))
    return found


def test_the_model_agrees_with_the_recorded_peers(cases):
    strange, kinds = [], {}
    for case, meta, pre, layer, post in cases:
        want, refused = run_model(pre, layer)
        tree, had_markers = peer_tree(post)
        kind = classify(case, meta, want, refused, tree, had_markers)
        kinds.setdefault(kind, []).append(case)
        if kind is not None and kind not in PEER_DIFFERS:
            strange.append(f"{case}: {kind}")
    print({str(k): len(v) for k, v in kinds.items() if k is None or k in PEER_DIFFERS})
    assert not strange, "\n".join(strange)


def test_replay(cases, locald, record_property):
    inside = {locald.identity.outside(i): i for i in range(0, 65536)} if not locald.identity.root else {}
    wrong, seconds = [], 0.0
    for case, meta, pre, layer, post in cases:
        want, refused = run_model(pre, layer)
        folder = locald.home / "user/cases" / case
        blobs, manifest = by_hand.image([pre, layer])
        by_hand.write_layout(folder / "image", "1", blobs, manifest)
        locald.identity.own(folder)
        r = locald("image", "unpack", f"oci:{folder}/image:1", folder / "out", check=False)
        seconds += r.seconds
        if want is None:
            if r.rc == 0:
                wrong.append(f"{case}: accepted, although {refused}")
        elif r.rc != 0:
            wrong.append(f"{case}: refused: {r.err.strip()[-200:]}")
        else:
            if d := differences(want, tree_of(locald, folder / "out", inside)):
                wrong.append(f"{case}: " + "; ".join(d[:3]))
        if want is None and (folder / "out").exists() and os.listdir(folder / "out"):
            wrong.append(f"{case}: refused, but something is left in the output folder")
    good = len(cases) - len({w.split(": ")[0] for w in wrong})
    text = f"{good} of {len(cases)} recorded cases end as the policy says ({locald.identity}, {seconds:.1f} s)"
    record_property("layer_cases", text)
    print(text)
    with open(ROOT / "build/layer-cases.txt", "a") as f:
        f.write(text + "\n" + "".join(f"  {w}\n" for w in wrong))
    assert not wrong, text + "\n" + "\n".join(wrong)


if __name__ == "__main__":
    import sys
    print(json.dumps(read_tree(sys.argv[1], lambda i: i)))
