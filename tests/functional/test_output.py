"""Where output goes: standard descriptors that are closed, disks that are full, readers that are gone."""
import itertools
import os
import subprocess

import pytest
from support import wait_until

TOML = """
    [project]
    name = "out"
    [services.a]
    command = "echo one line; exec sleep 1000"
    [services.b]
    command = "exec sleep 1000"
    depends_on = ["a"]
    """


def closed(p, which, *args, timeout=60):
    """`locald ARGS` with these of the descriptors 0, 1 and 2 closed; what is left of them is captured."""
    ends = " ".join({0: "<&-", 1: ">&-", 2: "2>&-"}[n] for n in which)
    return subprocess.run(["sh", "-c", f'exec "$@" {ends}', "sh", p.locald.binary, *args], cwd=p.dir, env=p.locald._environ(None), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, **p.locald.identity.popen_args())


ANY = [c for n in (1, 2, 3) for c in itertools.combinations((0, 1, 2), n)]


def test_up_and_status_work_with_standard_descriptors_closed(project):
    p = project(TOML)
    for which in ANY:  # the first of them starts the server, too
        assert closed(p, which, "up", "-d").returncode == 0, which
        assert {n: s["state"] for n, s in p.status().items()} == {"a": "running", "b": "running"}, which
        r = closed(p, which, "status")
        assert r.returncode == 0 and (1 in which or b"running" in r.stdout), (which, r)
        p("down")
    assert "one line" in p.logs("--all", "a")


def test_a_server_started_with_descriptors_closed_keeps_them_apart_from_its_sockets(project):
    p = project(TOML)
    assert closed(p, (0, 1, 2), "server", "start").returncode == 0
    p("up", "-d")
    pid = p.locald.server_pid()
    for fd in (0, 1, 2):
        assert "socket" not in os.readlink(f"/proc/{pid}/fd/{fd}")
    p("down")


def test_exec_without_stdin_ends_at_once(project):
    p = project(TOML)
    p("up", "-d")
    r = closed(p, (0,), "exec", "-i", "a", "--", "cat", timeout=20)
    assert (r.returncode, r.stdout, r.stderr) == (0, b"", b""), r
    r = closed(p, (0,), "exec", "-i", "a", "--", "sh", "-c", "ls /proc/self/fd | wc -l", timeout=20)
    assert r.returncode == 0 and int(r.stdout) == 4, r  # 0, 1, 2, and what ls looks through
    r = closed(p, (1,), "exec", "-i", "a", "--", "echo", "hi", timeout=20)
    assert r.returncode == 0 and r.stderr == b"", r
    p("down")


PRINTING = [["--help"], ["--version"], ["help", "up"], ["up", "--help"], ["version"], ["status"], ["status", "--json"], ["status", "--all"], ["logs"], ["logs", "a"],
            ["logs", "--json"], ["logs", "-f"], ["image", "ls"], ["image", "ls", "--json"], ["container", "ls"], ["container", "ls", "--json"],
            ["cache", "ls"], ["cache", "ls", "--json"], ["project", "ls"], ["project", "ls", "--json"], ["config", "check"], ["config", "check", "--json"],
            ["doctor"], ["doctor", "--json"], ["server", "status"], ["server", "status", "--json"], ["image", "pull"],
            ["exec", "a", "--", "echo", "hi"], ["exec", "a", "--", "sh", "-c", "yes | head -c 3000000"], ["container", "run", "--rm"], ["container", "run", "-d"]]


def run_into(p, path, args, timeout=60):
    with open(path, "w") as full:
        r = p.popen(*args, stdout=full, stderr=subprocess.PIPE)
        return r.communicate(timeout=timeout)[1].decode(), r.returncode


@pytest.mark.parametrize("args", PRINTING, ids=" ".join)
def test_output_that_could_not_be_written_is_an_error(project, busybox, request, args):
    p = project(TOML)
    p("up", "-d")
    p.logs_with("a", "one line")
    more = {"image pull": [busybox], "container run --rm": [busybox, "echo", "hi"], "container run -d": [busybox, "true"]}.get(" ".join(args), [])
    err, code = run_into(p, "/dev/full", args + more)
    assert code == (125 if args[0] == "exec" or args[:2] == ["container", "run"] else 1), (code, err)
    assert "error: write to stdout: No space left on device" in err and "hint:" in err, err
    for c in p("container", "ls", "--json").json()["containers"]:
        p("container", "rm", "--force", c["id"], check=False)  # what ran with --rm may be on its way
    p("down")


def test_a_file_that_may_not_grow_is_an_error(project, tmp_path):
    p = project(TOML)
    p("up", "-d")
    r = subprocess.run(["sh", "-c", 'trap "" XFSZ; ulimit -f 1; exec "$@" > log', "sh", p.locald.binary, "exec", "a", "--", "sh", "-c", "yes | head -c 3000000"], cwd=p.dir,
                       env=p.locald._environ(None), stderr=subprocess.PIPE, timeout=60, **p.locald.identity.popen_args())
    assert r.returncode == 125 and b"write to stdout: File too large" in r.stderr, r
    p("down")


def test_a_reader_that_is_gone_is_no_error(project):
    p = project(TOML)
    p("up", "-d")
    for args in (["status"], ["logs", "-f"], ["--help"], ["image", "ls", "--json"], ["exec", "a", "--", "sh", "-c", "yes | head -c 3000000"]):
        read, write = os.pipe()
        os.close(read)
        r = p.popen(*args, stdout=write, stderr=subprocess.PIPE)
        os.close(write)
        assert r.communicate(timeout=60)[1] == b"", args
    p("down")


def test_input_that_cannot_be_read_is_an_error(project):
    p = project(TOML)
    p("up", "-d")
    folder = os.open(p.dir, os.O_RDONLY)  # reads of it fail
    r = p.popen("exec", "-i", "a", "--", "cat", stdin=folder)
    os.close(folder)
    out, err = r.communicate(timeout=30)
    assert (r.returncode, out) == (125, b"") and b"read stdin: Is a directory" in err, err
    p("down")


def test_up_in_the_foreground_says_why_it_goes_down(project):
    p = project(TOML)
    err, code = run_into(p, "/dev/full", ["up"])
    assert code == 1 and "write to stdout: No space left on device" in err and "stopping" in err, err
    wait_until(lambda: all(s["state"] == "stopped" for s in p.status().values()), "everything is down")
