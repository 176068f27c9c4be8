"""`init`, and containers of other users than 0: as root, with a full id map, and where there is a single id."""
import os
import re
import signal
import tarfile
import time

import pytest
from images_by_hand import file
from support import alive, free_port, http_get, tree, wait_until

pytestmark = pytest.mark.single_id


def run(locald, image, *args, options=("--init",), **more):
    return locald("container", "run", "--rm", *options, image, *args, **more)


def service(name, image, text):
    return f'[services.{name}]\ntype = "container"\nimage = "{image}"\nstop_timeout = "1s"\n{text}\n'


def up(project, *services, name="init", files=None):
    p = project(f'[project]\nname = "{name}"\n' + "".join(services), name, files)
    p("up", "-d", "--wait")
    return p


SLEEP = 'command = ["sleep", "1000"]'


# ---- PID 1 ----------------------------------------------------------------------------------------------------------

def test_pid_1_is_ours_and_the_command_its_child(locald, busybox):
    script = "tr '\\0' ' ' < /proc/1/cmdline; echo; echo $$ $PPID; cat /proc/1/comm"
    lines = run(locald, busybox, "sh", "-c", script).out.splitlines()
    assert lines[0].startswith("/dev/init --report -- sh -c "), lines
    assert re.fullmatch(r"\d+ 1", lines[1]) and lines[2] == "init", lines
    assert run(locald, busybox, "sh", "-c", "echo $$; ls /dev/init", options=(), check=False).out == "1\n", "off by default"


def test_zombies_are_reaped(project, busybox):
    p = up(project, service("plain", busybox, SLEEP), service("init", busybox, SLEEP + "\ninit = true"))
    orphans = "for i in 1 2 3 4 5; do sh -c 'sleep 0.05 &'; done; sleep 0.4; grep -l '^State:.*Z' /proc/[0-9]*/status | wc -l"
    assert p("exec", "plain", "sh", "-c", orphans).out == "5\n", "the test's own zombies"
    assert p("exec", "init", "sh", "-c", orphans).out == "0\n"


def test_signals_reach_the_command_and_its_code_is_exact(locald, busybox):
    for script, code in (("exit 0", 0), ("exit 42", 42), ("kill -TERM $$", 143), ("kill -KILL $$", 137)):
        assert run(locald, busybox, "sh", "-c", script, check=False).rc == code, script

    def signalled(number, script):
        f = locald.popen("container", "run", "--rm", "--init", busybox, "sh", "-c", script)
        assert f.stdout.readline() == b"up\n"
        os.kill(next(p for p, c in locald.processes().items() if c.startswith("/dev/init")), number)
        out = f.communicate(timeout=20)[0].decode()
        return f.returncode, out
    # As PID 1 itself `sleep` would not hear it at all.
    assert signalled(signal.SIGTERM, "echo up; exec sleep 1000") == (143, "")
    loop = "echo up; while :; do sleep 0.02; done"
    assert signalled(signal.SIGTERM, f"trap 'echo term; exit 42' TERM; {loop}") == (42, "term\n")
    assert signalled(signal.SIGRTMIN + 5, f"trap 'echo rt; exit 43' {signal.SIGRTMIN + 5}; {loop}") == (43, "rt\n")
    locald.assert_nothing_left()


def test_a_command_that_does_not_exist_is_127_and_one_that_cannot_run_126(locald, make_image):
    ref = make_image(file("script", b"#!/no/such/interpreter\n", 0o755), file("elf", b"\x7fELFjunk" * 10, 0o755))
    for command, code in (("no-such-command", 127), ("/no/such", 127), ("/script", 127), ("/etc/passwd", 126), ("/elf", 126)):
        for options in (("--init",), ("-u", "1000:1000"), ("--init", "-u", "1000:1000")):
            r = run(locald, ref, command, options=options, check=False)
            assert r.rc == code and command in r.err and r.out == "", r
            t = locald.pty("container", "run", "--rm", "-it", *options, ref, command)
            assert t.wait() == code and command in t.seen, t.seen
            t.close()
    r = run(locald, ref, "no-such-command", options=("--init", "-d"), check=False)
    assert r.rc == 127 and "no-such-command" in r.err and r.out == "", r
    locald.assert_nothing_left()


def test_a_service_that_cannot_run_says_so_as_without_init(project, busybox):
    p = project('[project]\nname = "cannot"\n' + service("gone", busybox, 'init = true\nrestart = "always"\ncommand = ["no-such-program"]')
                + service("denied", busybox, 'user = "1000:1000"\nrestart = "always"\ncommand = ["/etc/passwd"]'))
    r = p("up", "-d", check=False)
    assert r.rc == 1, r
    s = p.status()
    for name, code, word in (("gone", 127, "no-such-program"), ("denied", 126, "/etc/passwd")):
        assert (s[name]["state"], s[name]["exit_code"], s[name]["restarts"]) == ("failed", code, 0), s[name]
        assert word in s[name]["reason"] and word in r.text


def test_a_terminal_is_the_commands(locald, busybox):
    t = locald.pty("container", "run", "--rm", "-it", "--init", busybox, "sh", rows=21, columns=67)
    t.expect(r"[#$] ")
    t.send("stty size; echo $((1+1))go; sleep 1000\n")
    t.expect(r"21 67\r\n")
    t.expect("2go\r\n")
    time.sleep(0.2)  # until the shell has made sleep the foreground
    t.send("\x03")
    t.expect(r"[#$] ", 5)
    t.send("echo code $?\n")
    t.expect("code 130")
    t.send("sleep 1000\n")
    time.sleep(0.2)
    t.send("\x1a")
    t.expect("Stopped", 5)
    t.send("kill %1; exit 5\n")
    t.send("exit 5\n")
    assert t.wait() == 5
    t.close()
    locald.assert_nothing_left()


def test_ctrl_c_and_ctrl_z_without_a_shell(locald, busybox):
    t = locald.pty("container", "run", "--rm", "-it", "--init", busybox, "sleep", "98762")
    wait_until(lambda: any(c == "sleep 98762" for c in locald.processes().values()), "it runs")
    time.sleep(0.1)
    t.send("\x1a")  # nobody could wake it up, so it is not stopped
    time.sleep(0.1)
    t.send("\x03")
    assert t.wait() == 130
    t.close()


def test_kill_9_of_the_shim_leaves_nothing(project, busybox):
    p = up(project, service("c", busybox, 'init = true\nuser = "1000:1000"\ncommand = ["sh", "-c", "setsid sleep 98763 & trap \'\' TERM; while :; do sleep 1; done"]'))
    pids = wait_until(lambda: (t := tree(p.service("c")["pid"])) and len(t) >= 3 and t, "its children run")
    os.kill(p.service("c")["shim_pid"], signal.SIGKILL)
    wait_until(lambda: not any(alive(pid) for pid in pids), "all of them are gone", 3)
    p("down")
    p.locald.assert_nothing_left()


def test_stop_keeps_its_time(project, busybox):
    deaf = 'command = ["sh", "-c", "trap \'\' TERM; (setsid sleep 98764 &); echo up; while :; do sleep 1; done"]'
    for n, user in enumerate(("", 'user = "1000:1000"')):
        p = up(project, service("quick", busybox, f"init = true\n{user}\n{SLEEP}"),
               service("deaf", busybox, f"init = true\n{user}\n{deaf}"), name=f"stop{n}")
        p.logs_with("deaf", "up")
        pids = tree(p.service("deaf")["pid"])
        started = time.monotonic()
        p("stop", "quick")
        assert time.monotonic() - started < 0.9, "TERM reaches it, though as PID 1 it would not"
        started = time.monotonic()
        p("stop", "deaf")
        assert 0.9 < time.monotonic() - started < 2.5
        assert not any(alive(pid) for pid in pids)
        p("down")
    p.locald.assert_nothing_left()


def test_pid_1_sleeps_and_needs_next_to_nothing(project, busybox):
    p = up(project, service("c", busybox, f'init = true\nuser = "1000:1000"\n{SLEEP}'))
    pid = p.service("c")["pid"]

    def switches():
        return sum(int(n) for n in re.findall(r"ctxt_switches:\s*(\d+)", open(f"/proc/{pid}/status").read()))
    time.sleep(0.2)
    before = switches()
    time.sleep(1.5)
    assert switches() == before, "it was woken up"
    assert len(os.listdir(f"/proc/{pid}/fd")) == 3
    own = re.search(r"Anonymous:\s*(\d+) kB", open(f"/proc/{pid}/smaps_rollup").read())[1]
    assert int(own) <= 96, f"{own} kB of its own"


# ---- users ----------------------------------------------------------------------------------------------------------

@pytest.fixture
def image_of_1000(make_image):
    """USER 1000:1000 and a folder /v of that user."""
    def folder(name, mode):
        return file(name, type=tarfile.DIRTYPE, mode=mode, uid=1000, gid=1000)
    return make_image(folder("v", 0o755), folder("secret", 0o700), config={"Cmd": ["sh"], "User": "1000:1000"})


@pytest.mark.parametrize("init", ["", "init = true"], ids=["bare", "init"])
@pytest.mark.parametrize("user", ["", 'user = "1000:1000"'], ids=["of-the-image", "of-the-file"])
def test_a_service_as_another_user(project, image_of_1000, init, user):
    p = up(project, service("c", image_of_1000, f"""
        {init}
        {user}
        command = ["sh", "-c", "id -u; id -g; echo $HOME; touch /v/main; exec sleep 1000"]
        volumes = ["v:/v"]
        health = {{ exec = "id -u >> /v/probe; id -g >> /v/probe; test -w /secret", interval = "100ms" }}
        """))
    assert p.logs("c") == "1000\n1000\n/\n"
    assert p.service("c")["health"] == "healthy"
    assert p("exec", "c", "sh", "-c", "id -u; id -g; touch /v/exec; kill -0 1 && echo signals").out == "1000\n1000\nsignals\n"
    assert p("exec", "-u", "0", "c", "sh", "-c", "id -u; id -g; unshare -U true 2>/dev/null || echo refused; grep CapEff /proc/self/status").out == "0\n0\nrefused\nCapEff:\t0000000000000000\n"
    assert p("exec", "-u", "daemon", "c", "id", "-u").out == "1\n"
    assert p("exec", "-u", "33:44", "c", "sh", "-c", "id -u; id -g").out == "33\n44\n"
    volume = p.locald.home / "data/volumes/init/v"
    for name in ("main", "probe", "exec"):
        s = (volume / name).stat()
        assert (s.st_uid, s.st_gid) == (p.locald.identity.outside(1000),) * 2, name
    assert set((volume / "probe").read_text().split()) == {"1000"}
    # Codes and streams as without a helper in between.
    for command, code in (("exit 7", 7), ("kill -TERM $$", 143)):
        assert p("exec", "c", "sh", "-c", command, check=False).rc == code
    r = p("exec", "c", "no-such", check=False)
    assert r.rc == 127 and "no-such" in r.err and r.out == "", r
    assert p("exec", "c", "/etc/passwd", check=False).rc == 126
    t = p.pty("exec", "-it", "c", "sh")
    t.expect(r"[#$] ")
    t.send("id -u; test -t 0 && echo a $((1+1))terminal\n")
    t.expect(r"1000\r\n")
    t.expect("a 2terminal")
    t.send("exit 9\n")
    assert t.wait() == 9
    t.close()
    p("down")
    p.locald.assert_nothing_left()


def test_nothing_is_left_to_gain_inside(locald, busybox):
    script = """
        test -e /dev/init || { echo done; exit; }
        grep -hE '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status /proc/1/status | grep -v 0000000000000000 && echo BAD capability
        grep NoNewPrivs: /proc/self/status
        for f in -U -m -n -p -i -u -C "-U -m"; do unshare $f true 2>/dev/null && echo BAD unshare $f; done
        (echo x > /dev/init) 2>/dev/null && echo BAD write
        (echo x > /proc/1/exe) 2>/dev/null && echo BAD exe
        rm -f /dev/init 2>/dev/null; test -x /dev/init || echo BAD removed
        chown 5:5 /tmp 2>/dev/null && echo BAD chown
        mount -t tmpfs x /tmp 2>/dev/null && echo BAD mount
        /dev/init --map 5:5 --exec -- id 2>&1 | grep uid=5 && echo BAD helper
        /dev/init --map 0:0 --exec -- id 2>&1 | grep uid=0 && echo BAD root
        grep ' /dev/init ' /proc/mounts | grep -oE ' ro,[a-z,]*'; echo done"""
    for options in (("--init", "-u", "1000:1000"), ("-u", "1000:1000")):
        out = run(locald, busybox, "sh", "-c", script, options=options, check=False).out
        assert "BAD" not in out and out.endswith("done\n"), out
        if "--init" in options or locald.identity.single:
            assert "NoNewPrivs:\t1" in out and " ro,nosuid" in out, out
        else:
            assert out == "done\n", "no helper where none is needed"


def test_users_of_exec_in_a_container_of_root(project, busybox):
    p = up(project, service("c", busybox, SLEEP))
    assert p("exec", "-u", "0", "c", "id", "-u").out == "0\n"
    if not p.locald.identity.single:
        return
    r = p("exec", "-u", "daemon", "c", "id", check=False)
    assert r.rc == 125 and "1:1" in r.err and "locald doctor" in r.err and "`user`" in r.err, r


def test_another_server_finds_the_users_again(project, busybox):
    p = up(project, service("c", busybox, f'init = true\nuser = "1000:1000"\n{SLEEP}'))
    pid = p.service("c")["pid"]
    os.kill(p.locald.server_pid(), signal.SIGKILL)
    assert p.service("c")["pid"] == pid
    assert p("exec", "c", "id", "-u").out == "1000\n"
    assert p("exec", "-u", "5", "c", "id", "-u").out == "5\n"
    p("down")
    p.locald.assert_nothing_left()


def test_real_images_as_their_own_users(locald, project, registry):
    """Where there is a single id they cannot change to their user as they would, but can be it from the start."""
    nginx = free_port()
    services = [service("redis", f"{registry}/library/redis:7", """
        user = "redis"
        command = ["redis-server", "--appendonly", "yes"]
        volumes = ["cache:/data"]
        health = { exec = ["redis-cli", "ping"] }
        """), service("postgres", f"{registry}/library/postgres:15", """
        user = "postgres"
        init = true
        env = { POSTGRES_DB = "shop", POSTGRES_HOST_AUTH_METHOD = "trust" }
        volumes = ["db:/var/lib/postgresql/data"]
        health = { exec = ["pg_isready", "-h", "127.0.0.1"] }
        """)]
    if locald.identity.single:  # elsewhere nginx must begin as root: the folders it writes to are root's
        services.append(service("nginx", f"{registry}/library/nginx:1", f"""
        user = "nginx"
        command = ["nginx", "-g", "daemon off;"]
        volumes = ["./site.conf:/etc/nginx/conf.d/default.conf:ro"]
        container_port = 8080
        port = {nginx}
        health = {{ http = "/" }}
        """))
    p = up(project, *services, files={"site.conf": "server { listen 8080; location / { return 200 'hello'; } }\n"})
    assert p("exec", "redis", "redis-cli", "set", "a", "b").out == "OK\n"
    assert p("exec", "postgres", "psql", "-Atc", "create table t as select 7 as n", "shop").rc == 0
    p("restart", "redis", "postgres")
    p("up", "-d", "--wait")
    assert p("exec", "redis", "redis-cli", "get", "a").out == "b\n"
    assert p("exec", "-u", "postgres", "postgres", "psql", "-Atc", "select n, current_user from t", "shop").out == "7|postgres\n"
    if locald.identity.single:
        assert http_get(nginx) == (200, "hello")
    p("down")
    p.locald.assert_nothing_left()


@pytest.mark.single_id(only=True)
def test_what_must_change_its_user_says_so_and_user_helps(locald, registry):
    ref = f"{registry}/library/redis:7"
    r = run(locald, ref, "redis-server", "--port", free_port(), options=(), check=False)
    assert r.rc != 0 and "chown" in r.err, r
    assert "user = " in r.err, r
    assert run(locald, ref, "redis-server", "--version", options=("-u", "redis")).out.startswith("Redis server")
