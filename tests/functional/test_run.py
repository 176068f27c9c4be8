"""`run`: a command once, in a process or container of its own, as a service would run; `restart` of all."""
from support import alive, free_port, wait_until

SHOP = """
    [project]
    name = "shop"
    [services.db]
    type = "container"
    image = "{busybox}"
    command = ["sh", "-c", "while :; do nc -l -p 5432 -e echo ready; done"]
    container_port = 5432
    health = {{ exec = ["test", "-e", "/etc/passwd"] }}
    [services.migrate]
    command = "echo migrated >> migrated.txt"
    [services.web]
    type = "container"
    image = "{busybox}"
    command = ["sh", "-c", "echo own command; exec sleep 100000"]
    container_port = 8080
    port = {port}
    env = {{ DB = "${{services.db.host}}:${{services.db.port}}", KIND = "web" }}
    volumes = ["data:/data"]
    depends_on = {{ db = "healthy", migrate = "completed" }}
    [services.other]
    command = "exec sleep 100000"
    """


def shop(project, busybox, port=None):
    return project(SHOP.format(busybox=busybox, port=port or free_port()), "shop")


def test_dependencies_come_up_first_and_alone(project, busybox):
    p = shop(project, busybox)
    r = p("run", "web", "--", "sh", "-c", "echo $KIND; nc -w 5 db 5432 < /dev/null; exit 3", check=False)
    assert r.rc == 3 and r.out == "web\nready\n", r
    assert (p.dir / "migrated.txt").read_text() == "migrated\n", "what it waits for had ended"
    states = {name: s["state"] for name, s in p.status().items()}
    assert states == {"db": "running", "migrate": "exited", "web": "stopped", "other": "stopped"}
    assert p("run", "web", "true").rc == 0
    p("down")
    p.locald.assert_nothing_left()


def test_a_container_of_its_own_beside_the_service(project, busybox):
    port = free_port()
    p = shop(project, busybox, port)
    p("up", "-d", "web")
    before = p.service("web")
    containers = p.locald.home / "data/containers"
    kept = sorted(x.name for x in containers.iterdir())
    r = p("run", "web", "--", "sh", "-c", "touch /mark /data/mark; hostname; ls /etc/hostname; grep -c . /proc/1/cmdline", check=False)
    assert r.rc == 0 and r.out.startswith("web-run-"), r
    assert p("exec", "web", "--", "ls", "/data/mark").out == "/data/mark\n", "the volume is the service's"
    assert p("exec", "web", "--", "ls", "/mark", check=False).rc == 1, "the rest is its own"
    after = p.service("web")
    assert (after["pid"], after["port"]) == (before["pid"], port), "the service and its port are not touched"
    p.locald.at_rest()
    assert sorted(x.name for x in containers.iterdir()) == kept, "its folder goes with its end"
    assert p("exec", "web", "--", "nslookup", r.out.split()[0], check=False).rc != 0, "and its name"


def test_without_a_command_it_runs_the_service_s(project):
    p = project("[project]\nname = 'h'\n[services.a]\ncommand = 'echo $A $PORT; pwd; cat; exit 7'\nworkdir = 'sub'\nport = 'auto'\nenv = { A = 'own' }\n", "h", {"sub/x": ""})
    r = p("run", "a", check=False, input="from here\n")
    port = p.service("a")["port"]
    assert (r.rc, r.out) == (7, f"own {port}\n{p.dir}/sub\nfrom here\n"), r


def test_the_options_of_exec(project, busybox):
    p = shop(project, busybox)
    out = p("run", "-e", "KIND=given", "-e", "HERE", "-w", "/tmp", "-u", "1000:1000", "web", "sh", "-c", "echo $KIND $HERE; pwd; id -u", env={"HERE": "x"}).out
    assert out == "given x\n/tmp\n1000\n" or p.locald.identity.single, out
    q = project("[project]\nname = 'h'\n[services.a]\ncommand = 'x'\n", "h")
    assert q("run", "-w", str(q.dir), "-e", "A=1", "a", "--", "sh", "-c", "echo $A; pwd").out == f"1\n{q.dir}\n"
    r = q("run", "-u", "root", "a", "true", check=False)
    assert r.rc == 125 and "host process" in r.err, r


def test_a_terminal_at_a_terminal(project, busybox):
    p = shop(project, busybox)
    t = p.pty("run", "web", "--", "sh", rows=20, columns=66)
    t.expect(r"[#$] ", deadline=40)
    t.send("stty size; tty\n")
    t.expect(r"20 66\r\n")
    t.send("exit 5\n")
    assert t.wait() == 5
    t.close()
    t = p.pty("run", "-T", "web", "--", "sh", "-c", "test -t 1 || echo none; exit 6")
    t.expect("none", deadline=40)
    assert t.wait() == 6
    t.close()
    assert p("run", "web", "--", "sh", "-c", "test -t 1 || echo none").out == "none\n"


def test_what_it_depends_on_fails(project):
    p = project("[project]\nname = 'h'\n[services.bad]\ncommand = 'echo why not; exit 3'\n[services.a]\ncommand = 'touch ran'\ndepends_on = { bad = 'completed' }\n", "h")
    r = p("run", "a", check=False)
    assert r.rc == 125 and "bad" in r.err and "why not" in r.err, r
    assert not (p.dir / "ran").exists()


def test_a_failed_start_and_wrong_names(project, busybox):
    p = shop(project, busybox)
    assert p("run", "web", "--", "no-such-command", check=False).rc == 127
    assert p("run", "web", "--", "/etc/passwd", check=False).rc == 126
    assert p("run", "web", "--", "sh", "-c", "kill -TERM $$", check=False).rc in (143, 0), "PID 1 is not ended by it"
    r = p("run", "wbe", "true", check=False)
    assert r.rc == 125 and "web" in r.err, r
    p.locald.at_rest()
    assert not [x for x in (p.locald.home / "data/containers").iterdir() if "-run-" in x.name]


def test_down_ends_what_runs(project, busybox):
    p = shop(project, busybox)
    for service in ("web", "other"):
        t = p.pty("run", service, "--", "sh", "-c", "echo here; exec sleep 5432")
        t.expect("here", deadline=40)
        p("down")
        assert t.wait() == 137
        t.close()
        p.locald.assert_nothing_left()


def test_it_outlives_the_server_like_what_it_stands_beside(project, busybox):
    p = shop(project, busybox)
    t = p.pty("run", "web", "--", "sh", "-c", "echo here; read x; echo got $x; exit 4")
    t.expect("here", deadline=40)
    p("server", "restart")
    t.send("word\n")
    t.expect("got word")
    assert t.wait() == 4
    t.close()
    p("down")
    p.locald.assert_nothing_left()
    assert not [x for x in (p.locald.home / "data/containers").iterdir() if "-run-" in x.name]


def test_restart_without_names_restarts_all(project):
    p = project("""
        [project]
        name = "all"
        [services.db]
        command = "trap 'echo db down >> log; exit 0' TERM; echo db up >> log; while :; do sleep 0.1; done"
        [services.web]
        command = "trap 'echo web down >> log; exit 0' TERM; echo web up >> log; while :; do sleep 0.1; done"
        depends_on = ["db"]
        """, "all")
    p("up", "-d")
    wait_until(lambda: (p.dir / "log").read_text().count("up") == 2, "both have said so")
    pids = {s["pid"] for s in p.status().values()}
    p("restart")
    wait_until(lambda: (p.dir / "log").read_text().count("up") == 4, "both have said so again")
    said = (p.dir / "log").read_text().split("\n")[:-1]
    assert sorted(said[:2]) == ["db up", "web up"] and sorted(said[2:]) == ["db down", "db up", "web down", "web up"], said
    now = {s["pid"] for s in p.status().values()}
    assert not pids & now and not any(alive(pid) for pid in pids)
    p("down")
    r = p("restart", check=False)
    assert r.rc == 1 and "locald up" in r.err, r
