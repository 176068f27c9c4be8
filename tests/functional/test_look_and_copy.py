"""`top`, `events`, `cp`: a closer look at services, and their files."""
import json
import os
import signal
import stat

import pytest
from images_by_hand import file
from support import wait_until

PROJECT = """
    [project]
    name = "look"
    [services.host]
    command = "sleep 100000 & exec sleep 100001"
    [services.box]
    image = "{image}"
    command = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"]
    user = "{user}"
    volumes = ["./shared:/shared"]
    """


def test_top(project, busybox):
    p = project(PROJECT.format(image=busybox, user="0"), "look", {"shared/x": ""})
    p("up", "-d")
    wait_until(lambda: len(p("top", "host", "--json").json()["processes"]) == 2, "both are listed")
    first, second = p("top", "host", "--json").json()["processes"]
    assert first["command"] == "sleep 100001" and second["parent"] == first["pid"] == p.service("host")["pid"], (first, second)
    assert first["pid_inside"] is None and first["user"] == p.locald.identity.name and first["memory"] > 10_000 and first["state"] == "S"
    box = p("top", "box", "--json").json()["processes"][0]
    assert box["pid_inside"] == 1 and box["user"] == "0" and box["pid"] == p.service("box")["pid"] and box["command"].startswith("sh -c trap"), box
    lines = p("top", "box").out.splitlines()
    assert lines[0].split() == ["PID", "INSIDE", "PARENT", "USER", "STATE", "CPU", "MEMORY", "UP", "COMMAND"] and "sh -c trap" in lines[1], lines
    p("stop", "host")
    r = p("top", "host", check=False)
    assert r.rc == 1 and "host is stopped" in r.err and "locald start host" in r.err, r


@pytest.mark.single_id
def test_files_go_in_and_out_and_nowhere_else(project, make_image, tmp_path):
    image = make_image(file("srv/app/run", b"#!/bin/sh\n", 0o755), file("srv/app/deep/conf", b"a = 1\n"), file("etc/secret", b"of the container\n"))
    single = "nosub" in project("").locald.identity.name
    p = project(PROJECT.format(image=image, user="0" if single else "7:8"), "look", {"shared/x": "", "site/index.html": "hello\n", "site/css/a.css": "a\n", "one": "1\n"})
    p("up", "-d")
    # Out: a folder into one that is there, its contents, a file by a new name.
    (p.dir / "out").mkdir()
    p.locald.identity.own(p.dir / "out")
    r = p("cp", "box:/srv/app", "out")
    assert "4 entries" in r.err, r
    assert (p.dir / "out/app/deep/conf").read_text() == "a = 1\n" and os.access(p.dir / "out/app/run", os.X_OK)
    p("cp", "box:srv/app/.", "out")
    assert (p.dir / "out/run").exists() and (p.dir / "out/run").stat().st_uid == p.dir.stat().st_uid, "what comes out belongs to who copies"
    p("cp", "-q", "box:/srv/app/deep/conf", "renamed")
    assert (p.dir / "renamed").read_text() == "a = 1\n"
    # In: it belongs to the user that runs there.
    inside = lambda *argv: p("exec", "-u", "0", "box", "--", *argv).out  # noqa: E731
    p("cp", "site", "box:/tmp")
    assert inside("cat", "/tmp/site/index.html", "/tmp/site/css/a.css") == "hello\na\n"
    if not single:
        assert inside("stat", "-c", "%u:%g", "/tmp/site/index.html", "/tmp/site").split() == ["7:8", "7:8"]
    p("cp", "site/.", "box:/tmp/new")
    p("cp", "one", "box:/tmp/new/index.html")
    assert inside("cat", "/tmp/new/index.html", "/tmp/new/css/a.css") == "1\na\n"
    # What is wrong is said.
    for words, said in ((["box:/none", "."], "none"), (["one", "box:/no/such/"], "/no/such"), (["none", "box:/tmp"], "none"), (["box:/etc", "one"], "not a folder"),
                        (["host:/etc/hosts", "."], "host process")):
        r = p("cp", *words, check=False)
        assert r.rc == 1 and said in r.err, r
    for words in (["one", "two"], ["box:/a", "box:/b"], ["-", "box:/tmp"]):
        assert p("cp", *words, check=False).rc == 2, words
    # Links of the container's lead nowhere but in the container.
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "hosts").write_text("of the host\n")
    os.chmod(tmp_path, 0o777)
    os.chmod(outside, 0o777)
    inside("sh", "-c", f"ln -s {outside} /tmp/away; ln -s {outside}/hosts /tmp/file; mkdir -p /srv{outside}; ln -s /etc/secret /tmp/secret; ln -s ../../../../../..{outside} /tmp/up; chmod 777 /tmp /etc")
    for target in ("/tmp/away/", "/tmp/up/", "/tmp/away/x"):
        assert p("cp", "one", f"box:{target}", check=False).rc == 1
    p("cp", "one", "box:/tmp/file")
    assert [f.name for f in outside.iterdir()] == ["hosts"] and (outside / "hosts").read_text() == "of the host\n"
    p("cp", "-L", "box:/tmp/secret", "taken")
    assert (p.dir / "taken").read_text() == "of the container\n"
    p("cp", "box:/tmp/secret", "link")
    assert os.readlink(p.dir / "link") == "/etc/secret"
    assert p("cp", "box:/tmp/up/hosts", "stolen", check=False).rc == 1 and not (p.dir / "stolen").exists()
    # A link that a container plants where it can write on the host is not followed there.
    inside("sh", "-c", f"ln -s {outside} /shared/away")
    r = p("cp", "box:/srv/app/run", "shared/away/run", check=False)
    assert r.rc == 1 and "link" in r.err and not (outside / "run").exists(), r
    # All of it: trees of the kernel's are left out.
    r = p("cp", "box:/", "all")
    assert "left out" in r.err and (p.dir / "all/etc/secret").exists() and not (p.dir / "all/proc").exists(), r
    assert not any(stat.S_ISBLK(f.lstat().st_mode) or stat.S_ISCHR(f.lstat().st_mode) for f in (p.dir / "all/dev").glob("*"))


def test_events(project):
    p = project("[services.a]\ncommand = 'exec sleep 100000'\n[services.b]\ncommand = 'exec sleep 100000'\n", "p")
    stream = p.popen("events", "--json")
    def following():
        return json.loads(stream.stdout.readline())
    first = following()
    assert first["event"] == "snapshot" and first["projects"] == [], first
    p("up", "-d")
    seen = []
    while not seen or seen[-1]["service"] != "b" or seen[-1]["status"]["state"] != "running":
        seen.append(following())
    assert seen[0]["kind"] == "up" and [e["seq"] for e in seen] == list(range(first["seq"] + 1, first["seq"] + 1 + len(seen))), seen
    # Who was cut off goes on after the last number.
    middle = seen[len(seen) // 2]["seq"]
    again = p.popen("events", "--json", "--since", str(middle))
    assert [json.loads(again.stdout.readline()) for _ in seen[len(seen) // 2 + 1:]] == seen[len(seen) // 2 + 1:]
    # The next server has other numbers, and knows how things stand.
    os.kill(p.locald.server_pid(), signal.SIGKILL)
    p("status")
    snapshot = following()
    while snapshot["event"] == "change":  # of the end of `up`
        snapshot = following()
    assert snapshot["event"] == "snapshot" and snapshot["seq"] > seen[-1]["seq"], snapshot
    assert {s["name"]: s["state"] for s in snapshot["projects"][0]["services"]} == {"a": "running", "b": "running"}
    people, of_b = p.popen("events", "--all"), p.popen("events", "b")
    assert b"  p/a: running" in people.stdout.readline() and b"  p/b: running" in people.stdout.readline()
    assert b"  p/b: running" in of_b.stdout.readline()
    p("stop", "a")
    assert b"  p/a: stopping" in people.stdout.readline()
    p("down")
    told = people.stdout.readline()
    while b"p: down" not in told:
        told = people.stdout.readline()
    assert b"p/b" in of_b.stdout.readline(), "nothing of a"
    for each in (stream, again, people, of_b):
        each.terminate()
        each.communicate()
    r = p("events", "--since", "x", check=False)
    assert r.rc == 2 and "not a number" in r.err, r
