"""What was up when the machine went down comes up again, in order; units of systemd are written and enabled."""
import json
import os
import shutil
import signal

from support import wait_until

SERVICE = "[project]\nname = '{0}'\n[services.web]\ncommand = 'echo {0} >> ../order; exec sleep 100000'\n[services.other]\ncommand = 'exec sleep 100000'\n"


def machine_ends(locald):
    """All processes at once, and what lies on a tmpfs."""
    for pid in locald.processes():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    wait_until(lambda: not locald.processes(), "all have ended")
    shutil.rmtree(locald.home / "run", ignore_errors=True)


def test_what_was_up_comes_up_in_order(project):
    second, first, down, broken = (project(SERVICE.format(name), name) for name in ("b", "a", "c", "d"))
    locald = first.locald
    assert "nothing to bring up" in locald("autostart", "run").err
    for p in (first, second, down, broken):
        p("up", "-d")
    second("stop", "other")
    down("down")
    locald("server", "restart")
    assert "nothing to bring up" in locald("autostart", "run").err, "they are up"
    machine_ends(locald)
    broken.write("locald.toml", "oops")
    order = locald.home / "user/order"
    order.unlink()
    r = locald("autostart", "run", check=False)
    assert r.rc == 1 and "project d" in r.err and "project a: up" in r.err and "project b: up" in r.err and "project c" not in r.err, r
    assert order.read_text().split() == ["a", "b"]
    assert second.service("other")["state"] == "stopped" and second.service("web")["state"] == "running"
    assert first.service("other")["state"] == "running"
    # A down of one that could not come up is the end of it.
    broken.write("locald.toml", SERVICE.format("d"))
    broken("down")
    machine_ends(locald)
    first("down")
    r = locald("autostart", "run")
    assert "project b: up" in r.err and "project a" not in r.err and "project d" not in r.err, r


def test_the_units_are_written_and_enabled(locald):
    """systemd itself runs in scripts/test-vm; here a program in its place writes down what it is asked."""
    programs, asked = locald.home / "user/programs", locald.home / "user/asked"
    programs.mkdir()
    for name, text in (("systemctl", f'echo "$@" >> {asked}; test "$2" != cat'), ("loginctl", "echo Linger=no")):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    locald.identity.own(programs)
    units = locald.home / "user/.config/systemd/user"
    env = {"PATH": f"{programs}:/usr/bin:/bin"}
    r = locald("autostart", "on", env=env)
    assert "enable-linger" in r.err and "on: " in r.err, r
    assert asked.read_text().splitlines() == ["--user cat locald.service", "--user daemon-reload", "--user enable locald.service locald-projects.service",
                                              "--user start locald.service"]
    text = (units / "locald-projects.service").read_text()
    assert f"ExecStart={locald.binary} autostart run\n" in text, text
    assert "Type=notify" in (units / "locald.service").read_text()
    locald("autostart", "off", env=env)
    assert not (units / "locald-projects.service").exists()
    r = locald("autostart", "on", env={"PATH": "/nowhere"}, check=False)
    assert r.rc == 1 and "systemd" in r.err, r
    assert json.loads(locald("project", "ls", "--json").out)["projects"] == []
