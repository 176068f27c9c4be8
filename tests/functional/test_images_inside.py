"""What an image's own tree may do to its container: mount points, users, volumes, working folders."""
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

import pytest
from images_by_hand import file, image, tar, write_layout
from support import ROOT

SCHEMA = pathlib.Path("/usr/share/gocode/src/github.com/opencontainers/runtime-spec/schema")


@pytest.fixture
def make_bundle(dist, identity):
    """tests/tools/make_bundle as who runs locald: what a start makes, without the start."""
    tool = ROOT / (os.environ.get("LOCALD_BUILD") or "build/dev") / "src/builder/make_bundle"
    if not tool.exists():
        pytest.skip("make_bundle is not built")
    at = dist / "bin/make_bundle"  # finds the shim from there
    shutil.copy2(tool, at)
    return lambda *args: subprocess.run([at, *args], capture_output=True, text=True, **identity.popen_args())


def symlink(name, target):
    return file(name, type=tarfile.SYMTYPE, linkname=target)


def folder(name, mode=0o755, **more):
    return file(name, type=tarfile.DIRTYPE, mode=mode, **more)


def run(locald, ref, script, *options, **more):
    return locald("container", "run", "--rm", *options, ref, "sh", "-c", script, **more)


def test_files_of_etc_that_are_symlinks_are_resolved_inside_the_root(locald, make_image):
    ref = make_image(symlink("etc/resolv.conf", "/run/systemd/resolve/stub-resolv.conf"), symlink("etc/hosts", "../../../../../../var/hosts"))
    r = run(locald, ref, "ls -l /etc/resolv.conf; test -e /run/systemd/resolve/stub-resolv.conf && grep localhost /var/hosts /etc/hosts")
    assert "/etc/resolv.conf -> /run/systemd/resolve/stub-resolv.conf" in r.out
    assert "/var/hosts:127.0.0.1\tlocalhost" in r.out and "/etc/hosts:127.0.0.1\tlocalhost" in r.out
    assert not pathlib.Path("/var/hosts").exists()


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_an_image_whose_system_folder_is_a_symlink_is_refused(locald, make_image, name):
    r = run(locald, make_image(symlink(name, "/tmp")), "true", check=False)
    assert r.rc == 125 and f"/{name}" in r.err and "symlink" in r.err, r


def test_a_working_folder_is_made_or_refused(locald, make_image):
    assert run(locald, make_image(config={"WorkingDir": "/not/there/yet"}), "pwd; touch x; ls").out == "/not/there/yet\nx\n"
    # CVE-2024-21626, and the same by a symlink of the image.
    r = run(locald, make_image(config={"WorkingDir": "/proc/self/fd/7"}), "true", check=False)
    assert r.rc == 125 and "/proc" in r.err, r
    r = run(locald, make_image(symlink("w", "/proc/self/cwd"), config={"WorkingDir": "/w"}), "true", check=False)
    assert r.rc == 125 and "/proc" in r.err, r


def test_users_come_from_the_images_own_files_read_safely(locald, make_image):
    passwd = b"root:x:0:0::/root:/bin/sh\nworker:x:1234:1234::/home/worker:/bin/sh\n77:x:5:5::/:/bin/sh\n"
    group = b"root:x:0:\nworker:x:1234:\nextra:x:4321:worker\n"
    ref = make_image(file("etc/passwd", passwd), file("etc/group", group), config={"User": "worker"})
    assert run(locald, ref, "id -u; id -g; id -G; echo $HOME").out.split("\n")[:4] == ["1234", "1234", "1234 4321", "/home/worker"]
    assert run(locald, ref, "id -u", "-u", "77").out == "77\n", "digits are a number, never a name"
    assert run(locald, ref, "id -u; id -g", "-u", "77:extra").out == "77\n4321\n"
    r = run(locald, ref, "id", "-u", "4294967296", check=False)
    assert r.rc == 125 and "4294967296" in r.err, r
    r = run(locald, ref, "id", "-u", "wroker", check=False)
    assert r.rc == 125 and "did you mean \"worker\"" in r.err, r

    # The runtime would hang on the first, and read the second for ever.
    for trap in (file("etc/passwd", type=tarfile.FIFOTYPE), symlink("etc/group", "/dev/zero")):
        r = run(locald, make_image(trap), "echo up", check=False)
        assert r.rc == 125 and "not a regular file" in r.err, r
    astray = make_image(symlink("etc/passwd", "/../../../../../../etc/passwd.of-the-host"))
    assert run(locald, astray, "echo up").out == "up\n"
    huge = make_image(file("etc/passwd", b"x" * (1 << 20) + b"\n"))
    r = run(locald, huge, "id", "-u", "daemon", check=False)
    assert r.rc == 125 and "1 MiB" in r.err, r


def test_a_new_volume_starts_with_the_images_content_and_keeps_its_own(locald, make_image):
    ref = make_image(folder("data", 0o2770, uid=999, gid=998), file("data/file", b"from the image", 0o640, uid=999, gid=998), symlink("data/link", "/etc/passwd"),
                     folder("data/sub", 0o1777))
    r = run(locald, ref, "stat -c '%n %a %u:%g' /data /data/file /data/sub; readlink /data/link; cat /data/file; echo mine > /data/file", "-v", "v:/data")
    assert r.out.splitlines() == ["/data 2770 999:998", "/data/file 640 999:998", "/data/sub 1777 0:0", "/etc/passwd", "from the image"]
    assert run(locald, ref, "cat /data/file", "-v", "v:/data").out == "mine\n"
    volume = locald.home / "data/volumes/container/v"
    assert (volume.stat().st_uid, volume.stat().st_gid) == (locald.identity.outside(999), locald.identity.outside(998))
    assert not list(volume.parent.glob(".new-*"))


def test_a_volume_through_a_symlink_stays_inside(locald, make_image):
    # CVE-2022-23648: VOLUME /evil -> /etc must not copy the host's /etc.
    ref = make_image(symlink("evil", "/../../../etc"), config={"Cmd": ["/bin/sh"], "Volumes": {"/evil": {}}})
    r = run(locald, ref, "ls /etc; grep -c . /etc/passwd", check=False)
    assert "shadow" not in r.out.split() and "apt" not in r.out.split(), r


def test_volumes_of_the_image_belong_to_one_container(locald, make_image):
    ref = make_image(folder("data", 0o700, uid=999, gid=999), config={"Volumes": {"/data": {}, "/missing/one": {}}})
    r = run(locald, ref, "stat -c '%n %u' /data /missing/one; ls /data; touch /data/x /missing/one/y; grep -c -E ' /data | /missing/one ' /proc/mounts")
    assert r.out.splitlines() == ["/data 999", "/missing/one 0", "2"], r
    assert run(locald, ref, "ls /data /missing/one | grep -c '[xy]'", check=False).out == "0\n"


def test_mounts_in_mounts_and_files_on_files(locald, make_image):
    there = locald.home / "user/conf"
    there.write_text("conf\n")
    locald.identity.own(locald.home / "user")
    ref = make_image(folder("etc/app"), file("etc/app/conf", b"old\n"))
    r = run(locald, ref, "cat /data/deep/conf /etc/app/conf; echo x > /etc/app/conf || echo read-only; df /t | tail -1 | awk '{print $2}'",
            "-v", f"{there}:/data/deep/conf", "-v", "d:/data", "-v", f"{there}:/etc/app/conf:ro", "--tmpfs", "/t:size=1m")
    assert r.out.splitlines() == ["conf", "conf", "read-only", "1024"], r
    r = run(locald, ref, "true", "-v", f"{there}:/etc/app", check=False)
    assert r.rc == 125 and "folder" in r.err, r


@pytest.mark.parametrize("target", ["/", "/proc", "/proc/sys", "/sys", "/dev"])
def test_nothing_is_mounted_over_the_kernels_folders(locald, busybox, target):
    r = locald("container", "run", "--rm", "-v", f"x:{target}", busybox, "true", check=False)
    assert r.rc == 125 and target in r.err, r


def test_our_own_folders_are_never_mounted(locald, busybox):
    for source in (locald.home, locald.home / "data", locald.home / "run", locald.home / "data/images", "/"):
        r = locald("container", "run", "--rm", "-v", f"{source}:/x", busybox, "true", check=False)
        assert r.rc == 125 and "locald" in r.err, r


def test_the_same_layer_twice_is_no_trouble(locald, busybox_layer, scratch):
    extra = tar(file("hello", b"twice\n"))
    where = scratch / f"twice-{locald.identity.name}"
    write_layout(where, "1", *image([busybox_layer, extra, tar(file(".wh.hello")), extra]))
    assert run(locald, f"oci:{where}:1", "cat /hello").out == "twice\n"
    shutil.rmtree(where)


def test_what_is_denied_inside(locald, busybox):
    r = run(locald, busybox, """
        unshare -m true 2>/dev/null && echo BAD unshare
        unshare -U true 2>/dev/null && echo BAD userns
        mount -t tmpfs none /mnt 2>/dev/null && echo BAD mount
        mknod /tmp/mem c 1 1 2>/dev/null; head -c 1 /tmp/mem >/dev/null 2>&1 && echo BAD device
        (echo 1 > /sys/kernel/mm/ksm/run) 2>/dev/null && echo BAD sysfs
        for f in /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs; do test -e $f && (echo $$ > $f) 2>/dev/null && echo BAD cgroup $f; done
        grep -E 'CapInh|CapAmb' /proc/self/status | grep -v 0000000000000000 && echo BAD caps
        cat /proc/keys 2>/dev/null | grep . && echo BAD keys
        echo done""")
    assert r.out == "done\n", r


def test_a_writable_folder_that_was_used_is_looked_at_again(locald, busybox, make_bundle):
    home = locald.home / "user/tool"

    def again(n):
        return make_bundle(home, busybox, home / f"b{n}", "--workdir", "/w", "--", "true")
    first = again(1)
    assert first.returncode == 0 and "look" in first.stdout, first
    upper = home / "data/containers/test/upper"
    assert (upper / "etc/hosts").exists() and (upper / "w").is_dir()
    # What a container may have done while it ran. What is missing is made again …
    (upper / "etc/hosts").unlink()
    (upper / "w").rmdir()
    assert again(2).returncode == 0
    assert (upper / "etc/hosts").is_file() and (upper / "w").is_dir()
    # … a link is read inside the root …
    (upper / "etc/hosts").unlink()
    (upper / "etc/hosts").symlink_to("/../../../../../../../../var/astray")
    r = again(3)
    assert r.returncode == 0, r.stderr
    assert (upper / "var/astray").is_file() and not pathlib.Path("/var/astray").exists()
    config = json.loads((home / "b3/config.json").read_text())
    assert [m["destination"] for m in config["mounts"] if m.get("source", "").endswith("/hosts")] == ["/var/astray"]
    # … and what leads into the kernel's folders ends it, with nothing made.
    (upper / "etc/hosts").unlink()
    (upper / "etc/hosts").symlink_to("/proc/1/environ")
    r = again(4)
    assert r.returncode == 1 and "/etc/hosts" in r.stderr and not (home / "b4").exists(), r
    subprocess.run(["rm", "-rf", upper], check=True)
    assert again(5).returncode == 0, "a writable folder that is gone is made anew"


def test_config_json_fits_the_schema_of_the_runtime_spec(locald, busybox, make_bundle):
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    if not SCHEMA.exists():
        pytest.skip("golang-github-opencontainers-specs-dev is not installed")
    for golden in sorted((ROOT / "tests/golden/spec").glob("*.json")):
        check_schema(jsonschema, json.loads(golden.read_text()))
    home = locald.home / "user/tool"
    r = make_bundle(home, busybox, home / "bundle", "--tty", "--volume", "v:/data", "--", "true")
    assert r.returncode == 0, r.stderr
    check_schema(jsonschema, json.loads((home / "bundle/config.json").read_text()))


def check_schema(jsonschema, document):
    def load(path):
        return json.loads((SCHEMA / path).read_text())
    store = {f"file://{SCHEMA}/{p.name}": load(p.name) for p in SCHEMA.glob("*.json")}
    schema = load("config-schema.json")
    resolver = jsonschema.RefResolver(f"file://{SCHEMA}/config-schema.json", schema, store=store)
    jsonschema.Draft4Validator(schema, resolver=resolver).validate(document)
