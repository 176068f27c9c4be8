"""Every file that the server keeps is damaged in every way, with the server killed: what runs goes on, every command ends, `down` leaves nothing,
and `up` brings all back."""
import os
import random
import signal

import pytest
from support import alive, wait_until

RECORDS = ["run/projects/co.json", "run/projects/co.state.json", "run/svc/*/instance.json", "run/svc/*/pid", "run/bundles/*/config.json", "run/runc/*/state.json", "run/server.lock",
           "state/projects.json", "state/services/co/*/log/*.idx", "state/services/co/*/log/*.log", "data/facts/*", "data/layers/*/layer.json", "data/containers/*/image",
           "data/images/index.json", "data/images/oci-layout", "data/images/blobs/sha256/*"]


def damage(path, how, rng):
    data, stat = path.read_bytes(), path.stat()
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how != "gone":
        at = rng.randrange(len(data) or 1)
        path.write_bytes({"cut": data[:len(data) // 2], "flipped": data[:at] + bytes(b ^ 0x55 for b in data[at:at + 1]) + data[at + 1:], "garbage": rng.randbytes(300)}[how])
        path.chmod(stat.st_mode & 0o7777)
    if how != "gone":
        os.chown(path, stat.st_uid, stat.st_gid)


@pytest.mark.parametrize("record", RECORDS)
def test_a_damaged_file_ends_nothing_and_leaves_nothing(project, busybox, record):
    p = project(f"""
        [project]
        name = "co"
        [services.a]
        command = "echo here; exec sleep 1000"
        stop_timeout = "1s"
        [services.box]
        type = "container"
        image = "{busybox}"
        command = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
        stop_timeout = "1s"
        """)
    locald, rng = p.locald, random.Random(record)
    for how in ("cut", "flipped", "garbage", "gone", "folder"):
        p("up", "-d")
        pids = [s["pid"] for s in p.status().values()]
        server = locald.server_pid()
        os.kill(server, signal.SIGKILL)
        wait_until(lambda: not alive(server), "the server is dead")
        path = rng.choice(sorted(f for f in locald.home.glob(record) if f.is_file()))
        damage(path, how, rng)
        what = f"{path.relative_to(locald.home)} {how}"
        for verb in (["status"], ["logs", "a"], ["exec", "box", "--", "true"], ["image", "ls"], ["up", "-d"]):
            r = p(*verb, check=False, timeout=30)
            assert r.rc in (0, 1, 125), f"{what}: {r}"
            assert verb[0] == "up" or all(alive(pid) for pid in pids), f"{what}: a service has ended at {r}"
        p("restart", "a", check=False, timeout=30)
        r = p("down", check=False, timeout=30)
        assert r.rc == 0, f"{what}: {r}"
        try:
            locald.assert_nothing_left()
        except AssertionError as e:
            raise AssertionError(f"{what}: {e}") from None
        if path.is_dir():
            path.rmdir()
        r = p("up", "-d", check=False)
        assert r.rc == 0 and all(s["state"] == "running" for s in p.status().values()), f"{what}: {r}"
        p("down")


def test_a_list_that_cannot_be_read_stops_no_server(project, identity):
    """One without permission (root reads it all the same), of wrong types, with an id that leads elsewhere."""
    p = project("[project]\nname = 'co'\n[services.a]\ncommand = 'exec sleep 1000'\n")
    p("up", "-d")
    pid = p.service("a")["pid"]
    for name, texts in {"containers.json": ['{"format": 1, "containers": -7}', '{"format": 1, "containers": {"../x": {}}}'], "projects.json": ['{"format": 1, "projects": []}']}.items():
        file = p.locald.home / "state" / name
        for text in [None, *texts]:
            if text is None and identity.root:
                continue
            server = p.locald.server_pid()
            os.kill(server, signal.SIGKILL)
            wait_until(lambda pid=server: not alive(pid), "the server is dead")
            if text is not None:
                file.write_text(text)
            elif file.exists():
                file.chmod(0)
            else:
                continue
            assert p.service("a")["pid"] == pid
            aside = list(file.parent.glob(name + ".corrupt-*"))
            assert aside and ".corrupt-" in (p.locald.home / "state/server.log").read_text(), (text, aside)
            assert "../x" not in p("container", "ls").out
            for path in aside:
                path.unlink()
    p("down")
    assert not alive(pid)
