"""What a project file and its surroundings may say: one path for `config check` and `up`, bounds of what grows, and whose environment counts."""
import json
import os
import resource
import time

import images_by_hand as by_hand
import pytest
from support import alive

EXEC = "[services.a]\ncommand = 'exec sleep 100000'\n"
CONTAINER = "[services.a]\ntype = 'container'\nimage = 'oci:/nowhere:1'\n"
CNB = "[services.a]\ntype = 'cnb'\n"

# What is wrong: (the file after [project], what the message must hold).
WRONG = {
    "not TOML": ("[services.a\n", ["locald.toml:3:"]),
    "an unknown key": (EXEC + "prot = 1\n", [":5:1:", "did you mean `port`"]),
    "no such service": (EXEC + "depends_on = ['b']\n", [":5:15:", "'b'"]),
    "an env_file that is missing": (EXEC + "env_file = 'missing.env'\n", [":5:12:", "missing.env", "No such file"]),
    "an env_file that is a folder": (EXEC + "env_file = 'folder'\n", [":5:12:", "not a regular file"]),
    "an env_file with a line that is none": (EXEC + "env_file = 'bad.env'\n", ["bad.env:2:1:", "not NAME=VALUE"]),
    "a bind whose source is missing": (CONTAINER + "volumes = ['./nowhere:/d']\n", [":6:12:", "does not exist"]),
    "a bind of our own folder": (CONTAINER + "volumes = ['../..:/d']\n", [":6:12:", "locald keeps its own files"]),
    "a volume with too many colons": (CONTAINER + "volumes = ['./a:b:/d']\n", [":6:12:", "source = "]),
    "two volumes at one place": (CONTAINER + "volumes = ['a:/d', 'b:/d']\n", [":6:20:", "two volumes at /d"]),
    "a volume over /proc": (CONTAINER + "volumes = ['a:/proc/x']\n", [":6:12:", "/proc"]),
    "a relative tmpfs": (CONTAINER + "tmpfs = ['rel']\n", [":6:10:", "absolute"]),
    "an option of a tmpfs": (CONTAINER + "tmpfs = ['/t:mode=1777']\n", [":6:10:", "not supported yet"]),
    "too little memory": (CONTAINER + "memory = '1m'\n", ["at least 6m"]),
    "a variable that is not set": (EXEC + "env = { A = '${NOT_SET}' }\n", [":5:13:", "${NOT_SET} is not set", "${NOT_SET:-}"]),
    "a shell's variable in a command": ("[services.a]\ncommand = 'echo ${NOT_SET}'\n", [":4:11:", "$NOT_SET or $${NOT_SET}"]),
    "a variable that is demanded": (EXEC + "env = { A = '${NOT_SET:?say who}' }\n", [":5:13:", "say who"]),
    "a bad image name": ("[services.a]\ntype = 'container'\nimage = 'Not An Image'\n", [":5:9:", "image: "]),
    "a workdir that is missing": (EXEC + "workdir = 'nowhere'\n", [":5:11:", "nowhere is not there"]),
    "a workdir that is a file": (EXEC + "workdir = 'bad.env'\n", [":5:11:", "is not a folder"]),
    "a user of three parts": ("[services.a]\ntype = 'container'\nimage = 'a'\nuser = '1:2:3'\n", [":6:8:", 'invalid user "1:2:3"']),
    "a user without end": ("[services.a]\ntype = 'container'\nimage = 'a'\nuser = '99999999999'\n", [":6:8:", "invalid id 99999999999"]),
    "an app's folder that is missing": (CNB + "builder = 'b'\npath = 'nowhere'\n", [":6:8:", "the app's folder"]),
    "a bad builder": (CNB + "builder = 'B B'\n", [":5:11:", "builder: "]),
    "a binding that is missing": (CNB + "builder = 'b'\nbindings = { a = './nowhere' }\n", [":6:18:", "does not exist"]),
    "a check of a port that is none": (EXEC + "health = { tcp = '${PORTNAME:-x}' }\n", [":5:18:", "has no port"]),
    "a .env with a line that is none": (EXEC + "env = { A = '${NOT_SET:-}' }\n# dotenv\n", [".env:2:1:"]),
    "a value without end": (EXEC + "env_file = 'bomb.env'\n", ["bomb.env:5:1:", "128 KiB"]),
    "a NUL byte in an env_file": (EXEC + "env_file = 'nul.env'\n", ["nul.env:2:1:", "B: the value contains a NUL byte"]),
    "a variable that is too long by one byte": (EXEC + "env_file = 'long.env'\n", ["long.env:2:1:", "B: the value is longer than 131069 bytes"]),
    "a word that is too long by one byte": ("[services.a]\ncommand = ['echo', '" + "x" * 131072 + "']\n", [":4:20:", "grows beyond 128 KiB"]),
    "two volumes at one place, written otherwise": (CONTAINER + "volumes = ['a:/d/', 'b:/d']\n", [":6:21:", "two volumes at /d"]),
    "a volume at a name that is too long": (CONTAINER + "volumes = ['a:/" + "n" * 256 + "']\n", [":6:12:", "the path is too long"]),
    "too many env files": (EXEC + "env_file = [" + "'bad.env', " * 101 + "]\n", ["a has more than 100 env files"]),
    "a command without end": ("[services.a]\ncommand = 'echo " + "${HOME}" * 60000 + "'\n", [":4:11:", "128 KiB"]),
}


def bomb():
    return "A0=xxxxxxxxxxxxxxxx\n" + "".join(f"A{i}=" + f"${{A{i - 1}}}" * 10 + "\n" for i in range(1, 12))


@pytest.mark.parametrize("what", WRONG)
def test_config_check_refuses_what_up_refuses_with_the_same_words(project, what):
    text, said = WRONG[what]
    p = project("", "p", {"bad.env": "A=1\n!\n", "bomb.env": bomb(), "folder/x": "", "nul.env": "A=1\nB=x\0y\n",
                          "long.env": f"A={'x' * 131069}\nB={'x' * 131070}\n"})
    (p.dir / "locald.toml").write_text("[project]\nname = 'p'\n" + text)
    if "# dotenv" in text:
        p.write(".env", "A=1\n!\n")
    check, up = p("config", "check", check=False), p("up", "-d", check=False)
    assert check.rc == 1 and check.out == "", check
    assert (up.rc, up.out, up.err) == (1, "", check.err), f"{check!r}\n{up!r}"
    for word in said:
        assert word in check.err, f"'{word}' is not said\n{check!r}"
    assert json.loads(p("project", "ls", "--json").out)["projects"] == [], "nothing was touched"


@pytest.mark.parametrize("more, said", [("memory = '64m'\n", "memory: limits need a cgroup"), ("port = 80\n", "port 80 needs privileges")])
def test_config_check_knows_what_this_user_may_not(project, more, said):
    p = project("", "p", {})
    text = "[project]\nname = 'p'\n[services.a]\ncommand = 'exec sleep 100000'\n"
    p.write("locald.toml", text)
    p("up", "-d")
    p.write("locald.toml", text + "[services.b]\ntype = 'container'\nimage = 'none'\n" + more)
    check = p("config", "check", check=False)
    if p.locald.identity.root:
        assert said not in check.err
        return
    up = p("up", "-d", check=False)
    assert check.rc == 1 and said in check.err and up.err == check.err, f"{check!r}\n{up!r}"
    assert p.status()["a"]["state"] == "running", "what ran runs on"


def test_a_great_many_notices_are_told_in_part(project):
    """A reply is bounded, whatever the files hold: it was cut, and the service started all the same."""
    p = project(EXEC + "env_file = 'many.env'\n", "p", {"many.env": "".join(f"A{i}=$v{i}\n" for i in range(15000))})
    up = p("up", "-d")
    assert up.err.count("is not set and counts as empty") == 100 and "and 14900 more notices" in up.err, up


def test_a_command_takes_the_longest_word_that_there_is(project):
    p = project(f"[services.a]\ncommand = ['sh', '-c', 'echo $#; exec sleep 100000', 'x', '{'x' * 131071}']\nenv_file = 'long.env'\n", "p",
                {"long.env": f"A={'x' * 131069}\n"})
    p("up", "-d")
    p.logs_with("a", "1")


def test_config_check_passes_what_up_takes(project, busybox):
    p = project(f"""
        [project]
        name = "p"
        [services.a]
        command = "exec sleep 100000"
        env = {{ HOST_NAME = "${{FROM_DOTENV}}" }}
        env_file = "a.env"
        [services.c]
        type = "container"
        image = "{busybox}"
        command = ["sleep", "100000"]
        volumes = ["./d:/d:z", {{ source = "./a:b", target = "/colon", read_only = true }}, "v:/v:nocopy"]
        """, "p", {"a.env": 'PW="abc$def"\n', ".env": "FROM_DOTENV=yes\n", "d/x": "", "a:b/inside": "colon\n"})
    check = p("config", "check")
    assert "fine" in check.out
    for r in (check, p("up", "-d")):
        assert "z has no effect" in r.err and "a.env:1: PW: $def is not set" in r.err, r
    assert p("exec", "c", "--", "cat", "/colon/inside").out == "colon\n"
    assert p("exec", "c", "--", "touch", "/colon/x", check=False).rc != 0


# -- whose environment counts --------------------------------------------------------------------------------------------

WEB = """
    [project]
    name = "shop"
    [services.web]
    command = "echo web url=$URL path=$PATH; exec sleep 100000"
    env = { URL = "postgres://${PASSWORD}@${DBHOST:-localhost}" }
    depends_on = { migrate = "completed" }
    [services.migrate]
    command = "echo migrate url=$URL path=$PATH venv=$VENV; exit 0"
    env = { URL = "${PASSWORD}" }
    """


def pids(p):
    return {name: s["pid"] for name, s in p.status().items()}


def test_up_from_a_terminal_without_the_variables_changes_nothing(project):
    p = project(WEB, "shop")
    p("up", "-d", env={"PASSWORD": "secret", "VENV": "first"})
    before = pids(p)
    other = {"PATH": "/opt/other/bin:" + os.environ.get("PATH", "/usr/bin:/bin"), "VENV": None}
    r = p("up", "-d", env=other)
    assert "PASSWORD" in r.err and "secret" not in r.text, r
    assert pids(p) == before and p.logs("migrate").count("migrate url=") == 1
    # A start takes the captured environment: the first one's PATH and variables.
    p.write("locald.toml", WEB.replace("echo migrate", "echo again migrate"))
    r = p("up", "-d", env=other)
    assert "migrate" in r.err and "PATH" in r.err and "--env-refresh" in r.err, r
    assert "/opt/other" not in p.logs_with("migrate", "again migrate", "venv=first")
    assert pids(p)["web"] == before["web"]


def test_another_value_is_refused_before_anything_is_touched(project):
    p = project(WEB, "shop")
    p("up", "-d", env={"PASSWORD": "secret"})
    before = pids(p)
    p.write("locald.toml", WEB.replace("echo migrate", "echo again migrate"))  # which `up` would act on
    for verb in (["up", "-d"], ["config", "check"]):
        r = p(*verb, env={"PASSWORD": "other", "DBHOST": "elsewhere"}, check=False)
        assert r.rc == 1 and "secret" not in r.text and "other" not in r.text.replace("another", ""), r
        assert "PASSWORD has another value" in r.err and "used by migrate, web" in r.err and "--env-refresh" in r.err, r
        assert "DBHOST has another value" in r.err, r
    assert pids(p) == before and "again" not in p.logs("migrate")
    p("up", "-d", "--env-refresh", env={"PASSWORD": "other", "DBHOST": "elsewhere"})
    assert pids(p)["web"] != before["web"]
    p.logs_with("web", "url=postgres://other@elsewhere")
    # Those are the captured ones now.
    before = pids(p)
    p("up", "-d")
    assert pids(p) == before
    # `down` forgets: now there is none.
    p("down")
    r = p("up", "-d", check=False)
    assert r.rc == 1 and "${PASSWORD} is not set" in r.err, r


def test_what_a_refresh_of_one_service_leaves_for_the_next_up_is_told(project):
    p = project(WEB, "shop")
    p("up", "-d", env={"PASSWORD": "secret"})
    before = pids(p)
    r = p("up", "-d", "--env-refresh", "migrate", env={"PASSWORD": "other"})
    assert "web: keeps the earlier value of PASSWORD until the next `locald up`" in r.err and pids(p)["web"] == before["web"], r
    r = p("up", "-d")
    assert "web: recreated: `locald up --env-refresh` has changed PASSWORD, which it uses" in r.err and "web: recreated (env)" in r.err, r
    assert "secret" not in r.text and "other" not in r.text, r
    assert pids(p)["web"] != before["web"]
    assert "--env-refresh" not in p("up", "-d").err
    p("down")


def test_an_unset_variable_is_an_error_and_what_runs_goes_on(project):
    p = project(WEB, "shop")
    p("up", "-d", env={"PASSWORD": "secret"})
    before = pids(p)
    p.write("locald.toml", WEB.replace("echo web", "echo ${OTHER} web"))
    r = p("up", "-d", check=False)
    assert r.rc == 1 and "${OTHER} is not set" in r.err and "$OTHER or $${OTHER}" in r.err and "${OTHER:-}" in r.err, r
    assert pids(p) == before


def test_an_edited_dotenv_takes_effect_and_is_in_no_process(project):
    p = project("""
        [project]
        name = "p"
        [services.a]
        command = "env; exec sleep 100000"
        env = { A = "${FROM_FILE}" }
        [services.b]
        command = "exec sleep 100000"
        """, "p", {".env": "FROM_FILE=one\nBASE=x\n"})
    p("up", "-d")
    before = pids(p)
    said = p.logs_with("a", "A=one")
    assert "FROM_FILE" not in said and "BASE" not in said
    p.write(".env", "FROM_FILE=two\nBASE=x\n")
    p("up", "-d")
    p.logs_with("a", "A=two")
    assert pids(p)["a"] != before["a"] and pids(p)["b"] == before["b"]
    # The environment goes before the file; that is another value then.
    assert p("up", "-d", env={"FROM_FILE": "three"}, check=False).rc == 1
    p("up", "-d", env={"FROM_FILE": "two"})


def test_the_captured_is_kept_by_the_next_server_and_holds_only_what_is_used(project):
    p = project(WEB, "shop")
    p("up", "-d", env={"PASSWORD": "secret", "UNUSED": "1"})
    before = pids(p)
    record = p.locald.home / "run/projects/shop.json"
    captured = json.loads(record.read_text())["captured"]["values"]
    assert set(captured) == {"PASSWORD", "DBHOST"} and record.stat().st_mode & 0o777 == 0o600
    p.locald("server", "stop")
    r = p("up", "-d")
    assert pids(p) == before and "PASSWORD" in r.err
    assert p("up", "-d", env={"PASSWORD": "other"}, check=False).rc == 1


def test_a_record_of_a_version_that_captured_nothing_says_unchanged(project):
    p = project(WEB, "shop")
    p("up", "-d", env={"PASSWORD": "secret"})
    before = pids(p)
    p.locald("server", "stop")
    record = p.locald.home / "run/projects/shop.json"
    old = json.loads(record.read_text())
    del old["captured"]
    record.write_text(json.dumps(old))
    p("up", "-d")  # from a terminal without the variable
    assert pids(p) == before and p.logs("migrate").count("migrate url=") == 1
    assert json.loads(record.read_text())["captured"]["values"]["PASSWORD"]["value"] == "secret"


# -- what grows ----------------------------------------------------------------------------------------------------------

def test_what_grows_without_end_ends_the_request_and_not_the_server(project):
    """Held to 1.5 GB of address space: a server that lets it grow dies of it."""
    ok = project("[project]\nname = 'ok'\n" + EXEC, "ok")
    bad = project("[project]\nname = 'bomb'\n[services.a]\ncommand = 'true'\nenv_file = 'bomb.env'\n", "bomb", {"bomb.env": bomb()})
    limit = 1500 << 20
    starter = ok.locald.popen("server", "start", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY)))
    assert starter.wait(timeout=30) == 0
    ok("up", "-d")
    server = ok.locald.server_pid()
    for text, env in (("env_file = 'bomb.env'\n", {}), ("env = { B = '" + "${BIG}" * 150000 + "' }\n", {"BIG": "y" * 100000}),
                      ("env = { " + ", ".join(f"B{i} = '${{BIG}}'" for i in range(4000)) + " }\n", {"BIG": "y" * 100000})):
        (bad.dir / "locald.toml").write_text("[project]\nname = 'bomb'\n[services.a]\ncommand = 'true'\n" + text)
        started = time.monotonic()
        r = bad("up", "-d", env=env, check=False)
        assert r.rc == 1 and ("128 KiB" in r.err or "2 MiB" in r.err), r
        assert time.monotonic() - started < 60, r
        assert ok.service("a")["state"] == "running"
    assert ok.locald.server_pid() == server and alive(server)


def cpu_seconds(pid):
    """Of a process, without its children: what runc takes for an environment grows with the square of its length."""
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def test_the_cost_of_an_images_env_grows_as_its_length_and_one_without_end_is_refused(locald, busybox_layer, tmp_path):
    """Where each name was looked up among all before it, 19,000 took 6 s: four times as long for twice as many."""
    layouts = locald.home / "user/layouts"
    layouts.mkdir()
    for name, count in (("half", 9500), ("long", 19000), ("endless", 100000)):
        blobs, manifest = by_hand.image([busybox_layer], config={"Cmd": ["/bin/sh", "-c", f"echo here $V{count - 1}"], "Env": ["PATH=/bin"] + [f"V{i}=x{i}" for i in range(count)]})
        by_hand.write_layout(layouts / name, "1", blobs, manifest)
    locald.identity.own(layouts)
    locald("server", "start")
    server = locald.server_pid()

    def cost(name, last):
        """CPU of the server; the least of two, for the first also fetches the image."""
        seconds = []
        for _ in range(2):
            before = cpu_seconds(server)
            assert f"here {last}" in locald("container", "run", "--rm", f"oci:{layouts}/{name}:1").out
            locald.at_rest()
            seconds.append(cpu_seconds(server) - before)
        assert locald.server_pid() == server
        return min(seconds)

    half, long = cost("half", "x9499"), cost("long", "x18999")
    assert long < 3 * half + 0.1, (half, long)  # it was four times as long; 0.1: clock ticks, where both are next to nothing
    r = locald("container", "run", "--rm", f"oci:{layouts}/endless:1", check=False)
    assert r.rc == 125 and "Env has 100001 entries" in r.err and "20000" in r.err, r
