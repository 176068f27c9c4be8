"""A disk that is full or read-only, a server with few descriptors: what runs goes on, what fails says why, what is lost is counted,
and once there is room all is as it should be."""
import os
import pathlib
import re
import resource
import signal
import subprocess
import tempfile

import pytest
from support import alive, wait_until

SERVICES = """
    [project]
    name = "starved"
    [services.a]
    command = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.05; done"
    stop_timeout = "1s"
    [services.box]
    type = "container"
    image = "{busybox}"
    command = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    stop_timeout = "1s"
    """


@pytest.fixture
def mounted():
    """Folders where something was mounted, to be unmounted when all else is over."""
    folders = []
    yield folders
    for folder in folders:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def small(mounted, make_locald, scratch):
    """small(megabytes): a locald whose home is a file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root; the run as root does this case for both identities")

    def make(megabytes):
        home = pathlib.Path(tempfile.mkdtemp(prefix="h-small-", dir=scratch))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", home], check=True)
        mounted.append(home)
        locald = make_locald(home=home)
        locald.own_mounts.append(str(home))
        return locald
    return make


def fill(locald):
    """Takes every byte. @return what gives them back."""
    path = locald.home / "user/filler"
    with open(path, "ab") as f:
        for step in (1 << 20, 1 << 12):
            try:
                while True:
                    os.posix_fallocate(f.fileno(), os.fstat(f.fileno()).st_size, step)
            except OSError:
                pass
    return path.unlink


def remount(locald, how):
    # Not while something is still open for writing: what has just ended closes a little later.
    wait_until(lambda: subprocess.run(["mount", "-o", f"remount,{how}", locald.home], stderr=subprocess.DEVNULL).returncode == 0, f"the home is remounted {how}")


def test_a_full_disk_ends_nothing_and_lost_lines_are_counted(small, project, busybox):
    locald = small(40)
    p = project(SERVICES.format(busybox=busybox) + """
        [services.chatty]
        command = "i=0; while :; do echo number $i; i=$((i+1)); [ $((i % 500)) != 0 ] || sleep 0.05; done"
        stop_timeout = "1s"
        """, who=locald)
    p("up", "-d")
    before = p.status()
    room = fill(locald)
    written = [None]

    def stands():
        before, written[0] = written[0], p.logs("--tail", "1", "chatty")
        return before == written[0]
    wait_until(stands, "nothing of what it writes fits any more", step=0.3)
    s = p.status()
    assert {n: x["pid"] for n, x in s.items()} == {n: x["pid"] for n, x in before.items()}, s
    r = p("restart", "a", check=False)  # started or not: an error says what there is none of
    assert r.rc == 0 or "no space left" in r.text.lower(), r
    r = p("stop", "box")
    assert not alive(before["box"]["pid"]), r
    fill(locald)  # what the container had is free again
    r = p("start", "box", check=False)
    assert r.rc == 0 or "no space left" in r.text.lower(), r
    os.kill(locald.server_pid(), signal.SIGKILL)
    r = p("status", check=False)
    assert r.rc == 0 or "no space left" in r.text.lower(), r
    assert alive(before["chatty"]["pid"])
    room()
    p("up", "-d")
    s = p.status()
    assert all(x["state"] == "running" for x in s.values()) and s["chatty"]["pid"] == before["chatty"]["pid"], s
    p.logs_with("chatty", "bytes dropped]")
    wait_until(lambda: not stands(), "it writes on", step=0.3)
    last, told = None, False
    for line in p.logs("chatty").splitlines():
        if m := re.fullmatch(r"number (\d+)", line):
            n = int(m[1])
            assert last is None or n == last + 1 or told, f"from {last} to {n} without a word"
            last, told = n, False
        else:  # "[locald: N bytes dropped]", and lines that were cut by that
            told = True
    p("down")
    p.locald.assert_nothing_left()


def test_a_read_only_home_is_said(small, project, busybox):
    locald = small(64)
    p = project(SERVICES.format(busybox=busybox), who=locald)
    remount(locald, "ro")
    r = p("up", "-d", check=False)
    assert r.rc == 1 and "read-only file system" in r.text.lower(), r
    remount(locald, "rw")
    p("up", "-d")
    p("down")
    p("server", "stop")
    remount(locald, "ro")
    for verb in (["status"], ["up", "-d"], ["down"]):
        r = p(*verb, check=False)
        assert r.rc == 1 and "read-only file system" in r.text.lower(), r
    remount(locald, "rw")
    p("up", "-d")
    p("down")
    p.locald.assert_nothing_left()


def test_a_server_with_too_few_descriptors_says_so_and_leaves_nothing(project, locald):
    p = project("[project]\nname = 'few'\n" + "".join(f"[services.s{i}]\ncommand = 'exec sleep 1000'\n" for i in range(30)))
    started = subprocess.run([locald.binary, "server", "start"], env=locald.env, cwd=p.dir, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)), **locald.identity.popen_args())
    assert started.returncode == 0, started.stdout
    r = p("up", "-d", check=False, timeout=30)
    assert r.rc == 0 or "too many open files" in r.text.lower(), r
    states = {x["state"] for x in p.status().values()}
    assert states <= {"running", "failed", "crash-loop"}, states
    p("down")
    p.locald.assert_nothing_left()
    p("server", "restart")
    p("up", "-d")
    assert all(x["state"] == "running" for x in p.status().values())
    p("down")
    p.locald.assert_nothing_left()
