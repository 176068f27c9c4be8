#!/usr/bin/env python3
"""Replays recorded layer cases (folders with pre.tar, layer.tar, post.tar, meta.json) through apply_layer.

    replay_layer_cases.py APPLY_LAYER CASES_DIR [--form flat|overlay] [-v]

Each case is applied as two layers, pre.tar and layer.tar, and the tree compared with post.tar: types, modes, owners,
link targets, hard link groups, contents, devices, xattrs, and the times of what the layer names. Where the peer that was recorded and
our policy differ, POLICY below says what we expect, with the reason. Root is needed (owners, overlay mounts).
"""
import argparse
import glob
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile

ERROR = "error"
PLAIN_UNTAR = "recorded from an untar that is no layer apply: markers stay plain files; we apply them"
STORED = "recorded peer refuses the target; we store symlinks as they are and resolve them inside the root"
ESCAPE = "a name that leaves the root by '..' is an error"
LOWERLESS = "recorded upon lower layers that are not in the case; what they gave to implied folders is not comparable"


def drop(*names):
    return lambda want: {k: v for k, v in want.items() if k not in names}


def add(entries):
    return lambda want: {**want, **entries}


def link(target, mode=0o777):
    return {"type": "symlink", "target": target, "mode": mode, "uid": 0, "gid": 0}


def victim_dir():
    return {"type": "dir", "mode": 0o755, "uid": 0, "gid": 0}


# case (or test name in its meta.json) -> (what we expect, why); a function edits the recorded result
POLICY = {
    "TestBreakouts/SymlinkParentDirectory": (ERROR, ESCAPE + " (the entry would replace the root)"),
    "TestBreakouts/HardlinkDownAndOut": (
        lambda want: want["etc/passwd"].update(mode=0o644) or want, "metadata of a hard link entry are ignored"),
    "TestBreakouts/WhiteoutDeadSymlinkParent": (drop("dne"), "a whiteout below a dangling symlink does nothing"),
    "containers-storage-1.43.0/TestUntarInvalidFilenames/002": (ERROR, ESCAPE),
    "containers-storage-1.43.0/TestOverlayTarAUFSUntar/001": (
        drop("d1/.wh..wh..opq", "d3/.wh.f1"), PLAIN_UNTAR),
    "moby-20.10.24/TestOverlayTarAUFSUntar/001": (
        drop("d1/.wh..wh..opq", "d2/.wh..wh..opq", "d3/.wh.f1"), PLAIN_UNTAR),
    "containers-storage-1.43.0/TestNestedOverlayWhiteouts/001": (
        drop("foo"), "recorded in overlay form: foo is the whiteout device; in the merged tree there is nothing"),
}
# Refused by the peer for the symlink's target; the rest of the layer is then applied as well, in-root.
for case, entries in {
    "containers-storage-1.43.0/TestApplyLayerInvalidSymlink/002": {"slash-dotdot": link("/../victim/hello")},
    "containers-storage-1.43.0/TestUntarInvalidSymlink/002": {"slash-dotdot": link("/../victim/hello")},
    "moby-20.10.24/TestApplyLayerInvalidSymlink/002": {"slash-dotdot": link("/../victim/hello")},
    "moby-20.10.24/TestUntarInvalidSymlink/002": {"slash-dotdot": link("/../victim/hello")},
    "moby-20.10.24/TestUntarInvalidSymlink/001": {"dotdot": link("../victim/hello")},
}.items():
    POLICY[case] = (add(entries), STORED)
for case in ["moby-20.10.24/TestApplyLayerInvalidSymlink/003"]:
    POLICY[case] = (lambda want: {**want, "loophole-victim": link("../victim"), "victim": victim_dir(),
                                  "victim/file": "from layer: loophole-victim/file"}, STORED)
for case in ["moby-20.10.24/TestUntarInvalidSymlink/007", "containers-storage-1.43.0/TestUntarInvalidSymlink/007"]:
    POLICY[case] = (lambda want: {**want, "dir": victim_dir(), "dir/loophole": link("../../victim"), "victim": victim_dir(),
                                  "victim/newdir": victim_dir(),
                                  "victim/newdir/newfile": "from layer: dir/loophole/newdir/newfile"}, STORED)
POLICY["moby-20.10.24/TestUntarInvalidSymlink/006"] = (
    lambda want: {**want, "loophole-victim": "from layer: loophole-victim"}, STORED + "; the second entry replaces the link")
for case in ["moby-20.10.24/TestApplyLayerInvalidSymlink/005", "moby-20.10.24/TestUntarInvalidSymlink/005",
             "containers-storage-1.43.0/TestApplyLayerInvalidSymlink/005",
             "containers-storage-1.43.0/TestUntarInvalidSymlink/005"]:
    POLICY[case] = (ERROR, STORED + "; the hard link through it finds nothing inside the root, which is an error")


def clean(name):
    parts = []
    for part in name.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def of_member(archive, member):
    kind = {tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.FIFOTYPE: "fifo", tarfile.CHRTYPE: "char",
            tarfile.BLKTYPE: "block"}.get(member.type, "file")
    out = {"type": kind, "mode": member.mode & 0o7777, "uid": member.uid, "gid": member.gid, "mtime": int(member.mtime)}
    if kind == "symlink":
        out["target"] = member.linkname
        out["mode"] = 0o777
    if kind == "file":
        data = archive.extractfile(member)
        out["data"] = hashlib.sha256(data.read() if data else b"").hexdigest()
    if kind in ("char", "block"):
        out["dev"] = (member.devmajor, member.devminor)
    xattrs = {k[len("SCHILY.xattr."):]: v for k, v in member.pax_headers.items() if k.startswith("SCHILY.xattr.")}
    xattrs = {k: v.encode("utf-8", "surrogateescape") for k, v in xattrs.items() if k != "security.selinux"}
    if xattrs:
        out["xattrs"] = xattrs
    return out


def read_tar(path):
    """name -> attributes; hard links share a group (the set of their names)."""
    out, links = {}, {}
    if not os.path.exists(path):
        return out
    with tarfile.open(path) as archive:
        for member in archive:
            name = clean(member.name)
            if member.type == tarfile.LNKTYPE:
                links[name] = clean(member.linkname)
                continue
            out[name] = of_member(archive, member)
    for name, target in links.items():
        while target in links:
            target = links[target]
        if target in out:
            out[name] = out[target]
    return out


def groups(tree):
    by_id = {}
    for name, node in tree.items():
        if isinstance(node, dict):
            by_id.setdefault(id(node), []).append(name)
    return sorted(sorted(names) for names in by_id.values() if len(names) > 1)


def read_tree(root):
    out, inodes = {}, {}
    stack = [""]
    while stack:
        rel = stack.pop()
        path = os.path.join(root, rel)
        try:
            st = os.lstat(path)
        except FileNotFoundError:
            continue  # overlayfs lists a whiteout that hides nothing (its folder is in one layer only), and denies it
        if not stat.S_ISDIR(st.st_mode) and st.st_nlink > 1 and (st.st_dev, st.st_ino) in inodes:
            out[rel] = inodes[st.st_dev, st.st_ino]
            continue
        kind = {stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo", stat.S_IFCHR: "char",
                stat.S_IFBLK: "block"}.get(stat.S_IFMT(st.st_mode), "file")
        node = {"type": kind, "mode": stat.S_IMODE(st.st_mode), "uid": st.st_uid, "gid": st.st_gid, "mtime": int(st.st_mtime)}
        if kind == "symlink":
            node["target"] = os.readlink(path)
        if kind == "file":
            node["data"] = hashlib.sha256(open(path, "rb").read()).hexdigest()
        if kind in ("char", "block"):
            node["dev"] = (os.major(st.st_rdev), os.minor(st.st_rdev))
        xattrs = {k: os.getxattr(path, k, follow_symlinks=False) for k in os.listxattr(path, follow_symlinks=False)
                  if k != "security.selinux" and ".overlay." not in k}
        if xattrs:
            node["xattrs"] = xattrs
        out[rel] = node
        inodes[st.st_dev, st.st_ino] = node
        if kind == "dir":
            stack += [os.path.join(rel, child) for child in os.listdir(path)]
    return out


def layer_names(path):
    """(names the layer describes, target of a hard link -> mode that the link's header gives it)"""
    names, link_modes = set(), {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = clean(member.name)
            if member.type == tarfile.LNKTYPE:
                link_modes[clean(member.linkname)] = member.mode
            else:
                names.add(name)
    return names, link_modes


def differences(want, got, described, loose_root, implied_only_type):
    out = []
    for name in sorted(set(want) | set(got)):
        a, b = want.get(name), got.get(name)
        if a is None or b is None:
            out.append(f"{name or '/'}: {'unexpected' if a is None else 'missing'}")
            continue
        for key in sorted(set(a) | set(b)):
            if key == "mtime" and (name not in described or key not in a):
                continue
            if loose_root and name == "" and key in ("mode", "uid", "gid", "mtime"):
                continue
            if implied_only_type and name not in described and key != "type":
                continue
            if a.get(key) != b.get(key):
                out.append(f"{name or '/'}: {key} {a.get(key)!r} recorded, {b.get(key)!r} ours")
    if groups(want) != groups(got):
        out.append(f"hard links {groups(want)} recorded, {groups(got)} ours")
    return out


def run_case(tool, case, name, meta, form, work):
    pre, layer, post = (os.path.join(case, f + ".tar") for f in ("pre", "layer", "post"))
    # opts > 0: recorded in overlay form, without the layers below (see LOWERLESS).
    overlay_form = bool(meta.get("opts"))
    root = os.path.join(work, "root")
    if form == "flat" and not overlay_form:
        result = subprocess.run([tool, "flat", "root", root, pre, layer], capture_output=True, text=True)
        mounted = False
    else:
        layers = [layer] if overlay_form else [pre, layer]
        result = subprocess.run([tool, "overlay", "root", root, *layers], capture_output=True, text=True)
        mounted = not overlay_form and result.returncode == 0
        if overlay_form:
            root = os.path.join(root, "0")
    expect, why = POLICY.get(meta.get("test", "")) or POLICY.get(name) or (None, None)
    if expect is None and meta.get("error"):
        expect, why = ERROR, "recorded as an error too"
    error = None
    if result.returncode != 0:
        error = json.loads(result.stdout.strip().splitlines()[-1])["error"]
    if expect == ERROR:
        return (["applied, though it must be refused"] if error is None else []), why
    if error is not None:
        return [f"error: {error}"], why
    if mounted:
        merged = os.path.join(work, "merged")
        os.mkdir(merged)
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={root}/1:{root}/0", merged], check=True)
        try:
            got = read_tree(merged)
        finally:
            subprocess.run(["umount", merged], check=True)
    else:
        got = read_tree(root)
    want = read_tar(post)
    described, link_modes = layer_names(layer)
    source = {**read_tar(pre), **read_tar(layer)}
    recorded_metadata = False
    for target, mode in link_modes.items():
        # The peers give the link's header to its target; we leave the target as it is.
        node = want.get(target)
        if node is None or node["type"] == "symlink":
            continue
        own = source.get(target)
        if own is not None and (node["mode"] != own["mode"] or node["mtime"] != own["mtime"]):
            node["mode"], node["mtime"] = own["mode"], own["mtime"]
            recorded_metadata = True
    if recorded_metadata:
        why = "metadata of a hard link entry are ignored"
    if expect is not None:
        want = expect(want)
        for key, value in want.items():
            if isinstance(value, str):
                want[key] = source[value.removeprefix("from layer: ")]
    lowerless = overlay_form
    if lowerless:
        # Whiteouts in folders that only the missing lower layers have: nothing to hide, so nothing is made.
        have = {os.path.dirname(n) for n in described if not os.path.basename(n).startswith(".wh.")} | {
            n for n in described if not os.path.basename(n).startswith(".wh.")} | {""}
        gone = {n for n, v in want.items() if v["type"] == "char" and os.path.dirname(n) not in have}
        gone |= {os.path.dirname(n) for n in gone}
        if gone:
            want = {n: v for n, v in want.items() if n not in gone}
        why = LOWERLESS
    return differences(want, got, described, lowerless or form == "overlay", lowerless), why


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("cases")
    parser.add_argument("--form", default="flat", choices=["flat", "overlay"])
    parser.add_argument("-v", action="store_true")
    args = parser.parse_args()
    same = policy = 0
    failed = []
    for meta_path in sorted(glob.glob(os.path.join(args.cases, "**", "meta.json"), recursive=True)):
        case = os.path.dirname(meta_path)
        name = os.path.relpath(case, args.cases)
        meta = json.load(open(meta_path))
        work = tempfile.mkdtemp(prefix="replay.")
        try:
            problems, why = run_case(args.tool, case, name, meta, args.form, work)
        finally:
            shutil.rmtree(work)
        label = name + (f" ({meta['test']})" if meta.get("test") else "")
        if problems:
            failed.append(label)
            print(f"DIFFERS {label}" + (f"  [{why}]" if why else ""))
            for problem in problems:
                print(f"    {problem}")
        elif why and why != "recorded as an error too" and why != LOWERLESS:
            policy += 1
            if args.v:
                print(f"policy  {label}: {why}")
        else:
            same += 1
    print(f"{args.form}: {same + policy + len(failed)} cases: {same} as recorded, {policy} by our policy, {len(failed)} otherwise")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
