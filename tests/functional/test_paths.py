"""A path of the host's is what was opened when it was judged, whatever a container exchanges at its name meanwhile."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import alive, wait_until

STARTS = int(os.environ.get("LOCALD_TEST_STARTS", "500"))
# What a container does that has the folder mounted writable, at the speed of system calls.
EXCHANGE = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
pairs = [(p.encode(), (p + ".link").encode()) for p in sys.argv[1:]]
while os.getppid() == PARENT:
    for a, b in pairs * 1000:
        libc.renameat2(-100, a, -100, b, 2)
"""


@contextlib.contextmanager
def exchanging(locald, *paths):
    """Each of `paths` is exchanged with PATH.link in a loop."""
    p = subprocess.Popen([sys.executable, "-c", EXCHANGE.replace("PARENT", str(os.getpid())), *map(str, paths)], cwd="/", **locald.identity.popen_args())
    try:
        yield
    finally:
        p.kill()
        p.wait()


def shared_folder(locald, links):
    """SRC with a folder of its own for each name in `links`, and NAME.link to somewhere else."""
    src = locald.home / "user/src"
    for name, target in links.items():
        (src / name).mkdir(parents=True)
        (src / name / "mark").write_text("ours\n")
        (src / f"{name}.link").symlink_to(target)
    locald.identity.own(src)
    return src


def holder(busybox, volume, name="a"):
    return f"""
        [project]
        name = "{name}"
        [services.{name}]
        type = "container"
        image = "{busybox}"
        command = ["sleep", "1000"]
        stop_signal = "SIGKILL"
        volumes = ["{volume}"]
        """


def test_a_folder_exchanged_in_a_loop_is_never_bound_as_something_else(locald, project, busybox):
    src = shared_folder(locald, {"data": locald.home / "run", "conf": "/etc"})
    project(holder(busybox, f"{src}:/src"), "a")("up", "-d")
    inside = ["sh", "-c", "cat /data/mark /conf/mark; ls -a /data /conf | grep -vx '[.]*'; true"]
    expected = locald("container", "run", "--rm", "-v", f"{src}/data:/data", "-v", f"{src}/conf:/conf", busybox, *inside).out
    assert expected.split() == ["ours", "ours", "/conf:", "mark", "/data:", "mark"], expected

    def start(_):
        return locald("container", "run", "--rm", "-v", f"{src}/data:/data", "-v", f"{src}/conf:/conf", busybox, *inside, check=False)

    with exchanging(locald, src / "data", src / "conf"), ThreadPoolExecutor(3) as pool:
        results = list(pool.map(start, range(STARTS)))
    ran = [r for r in results if r.rc == 0]
    hits = [r for r in ran if r.out != expected]
    assert not hits, f"{len(hits)} of {len(ran)} saw something else: {hits[0]!r}"
    refused = [r for r in results if r.rc != 0]
    assert ran and refused, (len(ran), len(refused))
    for r in refused:
        assert r.rc == 125 and re.search(r"is a symlink in .*/src, which service a of project a can write to; it is not followed|exchanged for something else", r.err), r


def test_a_file_exchanged_in_a_loop_is_never_bound_as_something_else(locald, project, busybox):
    src = locald.home / "user/src"
    src.mkdir()
    (src / "conf").write_text("ours\n")
    (src / "conf.link").symlink_to("/etc/hostname")
    locald.identity.own(src)
    project(holder(busybox, f"{src}:/src"), "a")("up", "-d")
    with exchanging(locald, src / "conf"), ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: locald("container", "run", "--rm", "-v", f"{src}/conf:/conf", busybox, "cat", "/conf", check=False), range(STARTS // 5)))
    assert {r.out for r in results if r.rc == 0} == {"ours\n"}, results
    assert any(r.rc == 125 for r in results)


def test_links_in_what_any_service_can_write_to_are_followed_by_nobody(locald, project, busybox):
    src = shared_folder(locald, {"data": "/etc"})
    (src / "inner").symlink_to("data")
    (src / "real.env").write_text("A=1\n")
    (src / "x.env").symlink_to("real.env")
    locald.identity.own(src)
    a = project(holder(busybox, "../src:/src"), "a")
    b = project(holder(busybox, "../src/inner:/data", "b"), "b")
    b("up", "-d")  # nobody else writes there: the user's own link
    assert b("exec", "b", "--", "cat", "/data/mark").out == "ours\n"
    b("down")
    a("up", "-d")
    refusal = "is a symlink in .*/src, which service a of project a can write to; it is not followed"
    r = b("up", "-d", check=False)
    assert r.rc == 1 and re.search("inner " + refusal, r.err) and "name the folder or file that is meant itself" in r.err, r
    host = project("""
        [services.web]
        command = "sleep 1000"
        workdir = "../src/inner"
        """, "host")
    r = host("up", "-d", check=False)
    assert r.rc == 1 and re.search("workdir: .*inner " + refusal, r.text), r
    host("down")
    host.write("locald.toml", """
        [services.web]
        command = "sleep 1000"
        env_file = ["../src/x.env"]
        """)
    r = host("up", "-d", check=False)
    assert r.rc == 1 and re.search("x.env " + refusal, r.err), r
    # Its container need not run for that, and a new server knows it too.
    a("stop", "a")
    locald("server", "restart")
    r = b("up", "-d", check=False)
    assert r.rc == 1 and re.search(refusal, r.err), r
    a("down")
    b("up", "-d")


def test_a_container_of_nobodys_project_counts_too(locald, busybox):
    src = shared_folder(locald, {"data": "/etc"})
    (src / "inner").symlink_to("data")
    locald("container", "run", "-d", "--name", "one", "-v", f"{src}:/src", busybox, "sleep", "1000")
    for restart in (False, True):
        if restart:
            locald("server", "restart")
        r = locald("container", "run", "--rm", "-v", f"{src}/inner:/data", busybox, "true", check=False)
        assert r.rc == 125 and "which container one can write to" in r.err, r
    locald("container", "rm", "-f", "one")
    assert locald("container", "run", "--rm", "-v", f"{src}/inner:/data", busybox, "cat", "/data/mark").out == "ours\n"


def kill_server(locald):
    server = locald.server_pid()
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not alive(server), "the server is dead")


def replaced_by_a_link(folder):
    """What the container does that has the folder above mounted."""
    folder.rename(folder.with_name("kept"))
    (folder.parent.parent / "elsewhere").mkdir()
    folder.symlink_to("../elsewhere")


REFUSAL = "is a symlink in .*/src{}, which {} can write to; it is not followed"


@pytest.mark.parametrize("how", ["damaged", "deleted", "run folder deleted"])
def test_a_service_that_is_not_managed_counts_too(locald, project, busybox, how):
    src = shared_folder(locald, {"data": "/etc"})
    a = project(holder(busybox, "../src:/src"), "a")
    b = project(holder(busybox, "../src/data:/data", "b"), "b")
    a("up", "-d")
    pid = a.service("a")["pid"]
    kill_server(locald)
    record = locald.home / "run/projects/a.json"
    if how == "damaged":
        record.write_bytes(record.read_bytes()[:-40])
    elif how == "deleted":
        record.unlink()
    else:
        shutil.rmtree(locald.home / "run")
    assert "not managed" in a.service("a")["reason"]
    replaced_by_a_link(src / "data")
    r = b("up", "-d", check=False)
    assert r.rc == 1 and re.search("data " + REFUSAL.format("", "service a of project a"), r.err), r
    r = locald("container", "run", "--rm", "-v", f"{src}/data:/data", busybox, "true", check=False)
    assert r.rc == 125 and re.search(REFUSAL.format("", "service a of project a"), r.err), r
    assert alive(pid)
    a("down")
    b("up", "-d")  # nobody writes there any more: the user's own link


def test_a_shared_folder_is_known_after_it_was_renamed(locald, project, busybox):
    src, renamed = shared_folder(locald, {"data": "/etc"}), locald.home / "user/src2"
    a = project(holder(busybox, "../src:/src"), "a")
    b = project(holder(busybox, "../src2/data:/data", "b"), "b")
    a("up", "-d")
    src.rename(renamed)
    (src / "data").mkdir(parents=True)
    locald.identity.own(src)
    b("up", "-d")
    assert b("exec", "b", "--", "cat", "/data/mark").out == "ours\n"
    b("down")
    replaced_by_a_link(renamed / "data")
    refusal = REFUSAL.format("2 [(].*/src when it was mounted[)]", "service a of project a")
    for restart in (False, True):
        if restart:
            kill_server(locald)
        r = b("up", "-d", check=False)
        assert r.rc == 1 and re.search(refusal, r.err), r
    a("down")
    b("up", "-d")
    b("down")
    a("up", "-d")  # has the new one now
    b("up", "-d")


def test_what_a_container_of_nobodys_project_has_is_known_after_it_was_renamed(locald, busybox):
    src, renamed = shared_folder(locald, {"data": "/etc"}), locald.home / "user/src2"
    locald("container", "run", "-d", "--name", "one", "-v", f"{src}:/src", "-v", f"{src}/data:/data:ro", busybox, "sleep", "1000")
    src.rename(renamed)
    replaced_by_a_link(renamed / "data")
    for restart in (False, True):
        if restart:
            kill_server(locald)
        r = locald("container", "run", "--rm", "-v", f"{renamed}/data:/data", busybox, "true", check=False)
        assert r.rc == 125 and re.search(REFUSAL.format("2 [(].*/src when it was mounted[)]", "container one"), r.err), r
    locald("container", "rm", "-f", "one")
    locald("container", "run", "--rm", "-v", f"{renamed}/data:/data", busybox, "true")


def test_an_instance_whose_record_does_not_say_what_it_can_write_to_is_kept(locald, project, busybox):
    """As an earlier version wrote it: its project says it."""
    src = shared_folder(locald, {"data": "/etc"})
    a = project(holder(busybox, "../src:/src"), "a")
    a("up", "-d")
    pid = a.service("a")["pid"]
    kill_server(locald)
    records = [*locald.home.glob("run/svc/*/instance.json"), *locald.home.glob("state/instances/*.json")]
    assert len(records) == 2
    for path in records:
        doc = json.loads(path.read_text())
        assert [f["path"] for f in doc.pop("writable")] == [str(src.resolve())]
        path.write_text(json.dumps(doc) + "\n")
    replaced_by_a_link(src / "data")
    r = locald("container", "run", "--rm", "-v", f"{src}/data:/data", busybox, "true", check=False)
    assert r.rc == 125 and re.search(REFUSAL.format("", "service a of project a"), r.err), r
    assert a.service("a")["pid"] == pid and a.service("a")["reason"] is None
    a("up", "-d")
    assert a.service("a")["pid"] == pid
    a("down")
    locald.assert_nothing_left()


def test_an_image_is_written_only_where_nobody_can_lead_it_elsewhere(locald, project, busybox):
    src = locald.home / "user/src"
    elsewhere = locald.home / "user/elsewhere"
    (src / "out").mkdir(parents=True)
    elsewhere.mkdir()
    (src / "link").symlink_to(elsewhere)
    locald.identity.own(locald.home / "user")
    locald("image", "pull", busybox)
    project(holder(busybox, "../src:/src"), "a")("up", "-d")
    for verb in (["export", busybox, f"oci-archive:{src}/link/x.tar"], ["export", busybox, f"oci:{src}/link/layout"], ["export", busybox, f"oci:{src}/link"],
                 ["unpack", busybox, src / "link/tree"], ["unpack", busybox, src / "link"]):
        r = locald("image", *verb, check=False)
        assert r.rc == 1 and "which service a of project a can write to; it is not followed" in r.err, r
    assert not os.listdir(elsewhere)
    for verb in (["export", busybox, f"oci-archive:{src}/out/x.tar"], ["export", busybox, f"oci:{src}/out/layout"], ["unpack", busybox, src / "out/new/tree"]):
        locald("image", *verb)
    assert sorted(os.listdir(src / "out")) == ["layout", "new", "x.tar"] and (src / "out/new/tree/bin/busybox").exists()
    locald("container", "run", "--rm", f"oci:{src}/out/layout:latest", "true")


def test_a_working_folder_is_the_one_that_was_there(locald, project):
    p = project("""
        [services.web]
        command = "pwd; cat mark; exec sleep 1000"
        workdir = "app"
        health = { exec = "test -e mark" }
        """, files={"app/mark": "ours\n"})
    p("up", "-d", "--wait")
    assert "ours" in p.logs_with("web", "ours")
    assert p("exec", "web", "--", "cat", "mark").out == "ours\n"
    # A folder of locald's own is no place to work in.
    (p.dir / "app").rename(p.dir / "old")
    (p.dir / "app").symlink_to(locald.home / "run")
    r = p("restart", "web", check=False)
    assert r.rc == 1 and "where locald keeps its own files" in r.text, r


def test_what_is_mounted_is_not_what_pins_a_mount_of_the_hosts(locald, busybox):
    """The descriptors that the server and the shim had open are closed: the file system can be unmounted."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system for the test needs root")
    folder = locald.home / "user/disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "disk", folder], check=True)
    locald.own_mounts.append(str(folder))
    try:
        (folder / "data").mkdir()
        folder.chmod(0o755)
        locald.identity.own(folder)
        locald("container", "run", "-d", "--name", "one", "-v", f"{folder}/data:/data", busybox, "sleep", "1000")
        server = locald.server_pid()
        for pid in [server, *(p for p, c in locald.processes().items() if "locald-shim" in c)]:
            with contextlib.suppress(FileNotFoundError):
                open_now = [os.readlink(f) for f in pathlib.Path(f"/proc/{pid}/fd").iterdir() if os.path.lexists(f)]
                assert not [f for f in open_now if f.startswith(str(folder))], (pid, open_now)
        locald("container", "rm", "-f", "one")
        locald.assert_nothing_left()
    finally:
        wait_until(lambda: subprocess.run(["umount", folder], stderr=subprocess.DEVNULL).returncode == 0, "the file system is unmounted")
