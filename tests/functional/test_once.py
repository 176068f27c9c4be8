"""`once`: services that run to their end before others start, and when `up` runs them again; an `image` alone makes a container."""
import os
import signal

import images_by_hand
from images_by_hand import file, tar, write_layout
from support import wait_until

SHOP = """
    [services.migrate]
    command = "echo migrated >> migrated.txt; exit $(cat code)"
    once = true
    [services.web]
    command = "test -s migrated.txt && exec sleep 100000"
    depends_on = ["migrate"]
    """


def times(p, name="migrated.txt"):
    path = p.dir / name
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_dependents_wait_for_its_success(project):
    p = project(SHOP, "p", {"code": "3\n"})
    r = p("up", "-d", check=False)
    assert r.rc == 1 and "migrate did not complete: exited with code 3" in r.err, r
    assert p.service("web")["state"] == "failed" and p.service("migrate")["restarts"] == 0
    p.write("code", "0\n")
    assert p("up", "--wait").rc == 0
    assert p.service("migrate")["state"] == "exited" and p.service("web")["state"] == "running"
    assert times(p) == 2, "it had not succeeded, and ran again"


def test_when_it_runs_again(project):
    p = project(SHOP, "p", {"code": "0\n"})
    p("up", "--wait")
    pid = p.service("web")["pid"]
    for verb in (["up", "--wait"], ["up", "--wait", "web"], ["restart"]):
        p(*verb)
        assert times(p) == 1, verb
    assert p.service("web")["pid"] != pid, "restart without names is of what runs"
    pid = p.service("web")["pid"]
    r = p("up", "--wait", "migrate")
    assert times(p) == 2 and "migrate: started" in r.err, f"it was named\n{r!r}"
    p("restart", "migrate")
    wait_until(lambda: times(p) == 3 and p.service("migrate")["state"] == "exited", "it ran again")
    p.write("locald.toml", SHOP.replace("echo migrated", "echo migrated more"))
    r = p("up", "--wait")
    assert times(p) == 4 and "migrate: recreated (command)" in r.err, r
    assert p.service("web")["pid"] == pid, "who is up stays up"
    # The next server knows that it is done.
    os.kill(p.locald.server_pid(), signal.SIGKILL)
    p("up", "--wait")
    assert times(p) == 4 and p.service("web")["pid"] == pid
    # After `down` nothing is known of it: what it has prepared may be gone too.
    p("down")
    p("up", "--wait")
    assert times(p) == 5


def test_wait_is_for_its_end(project):
    p = project("[services.slow]\ncommand = 'until test -e go; do sleep 0.05; done; exit $(cat go)'\nonce = true\n", "p")
    r = p("up", "--wait", "--timeout", "300ms", check=False)
    assert r.rc == 1 and "slow: not in time" in r.err, r
    p.write("go", "0\n")
    p("up", "--wait")
    assert p.service("slow")["state"] == "exited"


def test_an_image_alone_makes_a_container_and_a_new_image_is_a_reason(project, make_image, busybox_layer):
    image = make_image(file("what", b"first\n"))
    p = project(f"""
        [services.job]
        image = "{image}"
        command = "cat /what >> /data/ran; cat /data/ran"
        volumes = ["data:/data"]
        once = true
        [services.after]
        image = "{image}"
        command = "exec sleep 100000"
        depends_on = ["job"]
        """, "p")
    p("up", "--wait")
    assert p("inspect", "job").json()["config"]["type"] == "container"
    p("up", "--wait")
    assert p.logs("job").split() == ["first"]
    pid = p.service("after")["pid"]
    folder, tag = image.removeprefix("oci:").rsplit(":", 1)
    blobs, manifest = images_by_hand.image([busybox_layer, tar(file("what", b"second\n"))])
    write_layout(folder, tag, blobs, manifest)
    p("image", "pull", image)
    r = p("up", "--wait")
    assert "job: recreated (a new image)" in r.err and "after: unchanged" in r.text, r
    p.logs_with("job", "second")
    assert p.logs("job").split() == ["first", "first", "second"] and p.service("after")["pid"] == pid
    p("up", "--wait")
    assert p.logs("job").split() == ["first", "first", "second"]
