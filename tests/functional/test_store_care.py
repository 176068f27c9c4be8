"""Images are named, looked at and pruned; what takes how much of the disk; logins for registries."""
import base64
import json
import os
import stat
import subprocess

from images_by_hand import file
from support import PASSWORD, wait_until


def names(locald):
    return [i["name"] for i in locald("image", "ls", "--json").json()["images"]]


def test_images_are_named_looked_at_and_pruned(project, make_image, busybox):
    layered = make_image(file("data", os.urandom(300_000)), config={"Cmd": ["/bin/sh"], "Env": ["TOKEN=hush"]})
    p = project(f"[project]\nname = 'p'\n[services.box]\nimage = \"{busybox}\"\ncommand = \"trap 'exit 0' TERM; while :; do sleep 0.2; done\"\n", "p")
    locald = p.locald
    locald("image", "pull", layered)
    assert locald("image", "tag", layered, "team/app:1").out == "docker.io/team/app:1\n"
    assert locald("image", "tag", "team/app:1", "registry.example:5000/app").out == "registry.example:5000/app:latest\n"
    r = locald("image", "tag", "team/app:1", "Not A Name", check=False)
    assert r.rc == 1 and "Not A Name" in r.err, r
    one = locald("image", "inspect", "team/app:1").json()
    assert one["command"] == ["/bin/sh"] and one["env"] == {"TOKEN": "…"}, one
    two = locald("image", "inspect", "--env", "team/app:1", layered).json()
    assert len(two) == 2 and two[0]["env"] == {"TOKEN": "hush"}, two
    steps = locald("image", "history", "--json", "team/app:1").json()["steps"]
    assert len([s for s in steps if s["diff_id"]]) == 2 and steps[0]["size"] > 250_000 and steps[0]["diff_id"] == one["diff_ids"][-1], steps
    lines = locald("image", "history", "team/app:1").out.splitlines()
    assert lines[0].split() == ["CREATED", "SIZE", "CREATED", "BY"] and len(lines) == 1 + len(steps), lines
    # A name that moves on leaves what nobody names.
    p("up", "-d")
    locald("image", "tag", busybox, "team/app:1")
    locald("image", "tag", busybox, "registry.example:5000/app")
    other = [n for n in names(locald) if n.startswith("oci:") and n != busybox][0]
    use = {u["kind"]: u for u in locald("system", "df", "--json").json()["uses"]}
    assert use["images"]["count"] == 4 and use["images"]["free_count"] >= 1 and use["layers"]["count"] == 2 and use["layers"]["free_count"] == 1, use
    assert use["images"]["free_bytes"] > 250_000 and use["layers"]["bytes"] > use["layers"]["free_bytes"] > 250_000, use
    assert "NOT IN USE" in locald("system", "df").out
    r = locald("image", "prune")
    assert r.out == "" and "more that nothing uses" in r.err and other in names(locald), r
    dry = locald("image", "prune", "--all", "--dry-run")
    assert other in dry.out.splitlines() and "would be freed" in dry.err and other in names(locald), dry
    assert busybox not in dry.out
    ended = locald("container", "run", "-d", busybox, "true").out.strip()
    wait_until(lambda: locald("container", "ls", "--json").json()["containers"][0]["state"] == "exited", "it has ended")
    r = locald("system", "prune", check=False)
    assert r.rc == 2 and "--yes" in r.err, r
    assert f"container {ended}, which has ended" in locald("system", "prune", "--dry-run").out
    t = locald.pty("system", "prune", "--all")
    t.expect(r"Remove this\? \[y/N\]")
    t.send("n\n")
    assert t.wait() == 1 and other in names(locald)
    t.close()
    r = locald("system", "prune", "--all", "--yes")
    assert f"container {ended}" in r.out and f"image {other}" in r.out and "freed" in r.err, r
    assert other not in names(locald) and busybox in names(locald) and not locald("container", "ls", "--json").json()["containers"]
    use = {u["kind"]: u for u in locald("system", "df", "--json").json()["uses"]}
    assert use["layers"]["count"] == 1 and use["layers"]["free_count"] == 0, use
    assert p("exec", "box", "--", "echo", "well").out == "well\n"
    p("restart", "box")
    p("down")
    # Nothing stands on it now.
    locald("image", "prune", "-a")
    assert names(locald) == [] and {u["kind"]: u["bytes"] for u in locald("system", "df", "--json").json()["uses"]}["layers"] == 0


def test_login_and_logout(locald, guarded_registry, busybox):
    auth = locald.home / "user/.config/containers/auth.json"
    name = f"{guarded_registry}/team/box:1"
    locald("image", "pull", busybox)
    locald("image", "tag", busybox, name)
    r = locald("image", "push", name, check=False)
    assert r.rc == 1 and f"locald login {guarded_registry}" in r.err, r
    r = locald("login", guarded_registry, check=False)
    assert r.rc != 0 and "--password-stdin" in r.err, r
    r = locald("login", "-u", "user", "--password-stdin", guarded_registry, input="wrong\n", check=False)
    assert r.rc == 1 and "refuses this user and password" in r.err and not auth.exists(), r
    for registry in ("not a registry", f"{guarded_registry}/team"):
        r = locald("login", "-u", "user", "--password-stdin", registry, input="x", check=False)
        assert r.rc == 1 and "invalid registry" in r.err, r
    # Asked at a terminal, which shows nothing of the password.
    t = locald.pty("login", guarded_registry)
    t.expect("User for")
    t.send("user\n")
    t.expect("Password: ")
    t.send(PASSWORD + "\n")
    t.expect("logged in to")
    assert t.wait() == 0 and PASSWORD not in t.seen, t.seen
    t.close()
    assert json.loads(auth.read_text())["auths"][guarded_registry]["auth"] == base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    assert stat.S_IMODE(auth.stat().st_mode) == 0o600
    locald("image", "push", name)
    # The file is podman's: what others read works too.
    p = subprocess.run(["skopeo", "inspect", "--authfile", auth, "--tls-verify=false", f"docker://{name}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert p.returncode == 0, p.stdout
    assert "removed from" in locald("logout", guarded_registry).err
    assert locald("image", "push", name, check=False).rc == 1
    r = locald("logout", guarded_registry, check=False)
    assert r.rc == 1 and "no login for" in r.err, r
    locald("login", "-u", "user", "--password-stdin", guarded_registry, input=PASSWORD + "\n")
    t = locald.pty("login", "-u", "user", guarded_registry)
    t.expect("Password: ")
    t.send("\x03")
    assert t.wait() == 1 and guarded_registry in auth.read_text()
    t.close()
    locald("image", "push", name)
    for path in [f for folder, _, files in os.walk(locald.home) for f in (os.path.join(folder, x) for x in files)]:
        if not path.startswith(str(locald.home / "user")) and os.path.isfile(path) and os.path.getsize(path) < 1 << 20:
            assert PASSWORD.encode() not in open(path, "rb").read(), path
