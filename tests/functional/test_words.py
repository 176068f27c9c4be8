"""What locald says: the cause that was, the root of it, the same on every way, and what to do next."""
import contextlib
import http.server
import os
import platform
import re
import resource
import signal
import socket
import struct
import subprocess
import threading

import pytest
from images_by_hand import file
from support import Project, free_port, wait_until

CHAIN = "[project]\nname = 'chain'\n" + "".join(
    f"[services.s{i}]\ncommand = 'exec sleep 1000'\n" + (f"depends_on = ['s{i - 1}']\n" if i > 100 else "") for i in range(100, 250))


def limited(p, files, *args):
    """`locald ARGS`, with a limit of open files for it and for the server that it starts."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    r = subprocess.run([p.locald.binary, *args], cwd=p.dir, env=p.locald._environ(None), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
                       preexec_fn=limit, **p.locald.identity.popen_args())
    return r.returncode, r.stdout


def test_too_many_open_files_is_what_is_said_and_by_all_who_depend_on_it_once(project):
    p = project(CHAIN)
    code, out = limited(p, 256, "up", "-d")
    assert code == 1 and "Too many open files" in out, out
    hints = {line.split("hint: ")[1] for line in out.splitlines() if "hint: " in line}
    assert any("ulimit -n" in h for h in hints) and not any("reinstall" in h for h in hints), hints
    assert max(map(len, out.splitlines())) < 500, max(out.splitlines(), key=len)
    assert not re.search(r"failed: s\d+ failed: s\d+ failed", out), out
    p("server", "stop", "--all")


def test_the_root_of_a_failure_reaches_those_who_depend_on_it(project):
    p = project("""
        [project]
        name = "root"
        [services.a]
        command = ["/no/such/program"]
        [services.b]
        command = "exec sleep 1000"
        depends_on = ["a"]
        [services.c]
        command = "exec sleep 1000"
        depends_on = ["b"]
        """)
    r = p("up", "-d", check=False)
    assert r.rc == 1
    for name in ("b", "c"):
        reason = p.service(name)["reason"]
        assert reason.startswith("a failed: ") and "/no/such/program" in reason and "hint" not in reason, reason
    p("server", "restart")  # a server that reads it again says the same
    assert p.service("c")["reason"].startswith("a failed: ")
    p("down")


def test_what_failed_first_shows_its_output_and_is_said_once(project):
    p = project("""
        [project]
        name = "first"
        [services.mig]
        command = "echo MIGRATION BROKE >&2; exit 3"
        [services.web]
        command = "exec sleep 1000"
        depends_on = { mig = "completed" }
        """)
    for verb in (("up", "-d"), ("restart", "web")):
        r = p(*verb, check=False)
        assert r.rc == 1 and "| MIGRATION BROKE" in r.err and "locald logs mig" in r.err and "mig: started" not in r.err, r
        assert "web: failed: mig did not complete: exited with code 3" in r.err, r
    out = p("status").out
    assert "exited 3" in out and "mig: exited" not in out, out
    p("down")


def test_a_start_that_never_ran_is_not_explained_by_the_life_before(project):
    port = free_port()
    p = project(f"""
        [project]
        name = "life"
        [services.a]
        command = "exit 3"
        port = {port}
        """)
    p("up", "-d", check=False)
    p.wait("a", lambda s: s["state"] == "exited", "the first life is over", 10)
    with socket.create_server(("127.0.0.1", port)):
        r = p("up", "-d", check=False)
        assert r.rc == 1 and "is in use" in r.err and "locald logs" not in r.err, r
    p("down")


@pytest.mark.parametrize(("words", "problem", "hint"), [(["config"], "config: its verb is missing", "config check"),
                                                        (["-f", "/nope", "status"], "/nope does not exist", "-f DIR/locald.toml"),
                                                        (["container", "run", "oci:/nope:1"], "open /nope: No such file", "oci:DIR[:NAME]")])
def test_what_is_not_there_has_a_next_step(locald, words, problem, hint):
    r = locald(*words, check=False)
    assert r.rc != 0 and problem in r.err and hint in r.err.split("hint: ")[1], r


def test_a_folder_that_cannot_be_made_names_the_variable(locald, identity, tmp_path):
    blocked = locald.home / "user/file"
    blocked.write_text("")
    r = locald("status", env={"LOCALD_HOME": str(blocked / "home")}, check=False)
    assert r.rc == 1 and f"LOCALD_HOME={blocked}/home names it" in r.err and f"{blocked} is a file" in r.err, r
    r = locald("status", env={"LOCALD_HOME": "relative"}, check=False)
    assert r.rc == 1 and "LOCALD_HOME=relative is not an absolute path" in r.err and "hint: " in r.err, r
    if identity.root:
        return
    r = locald("status", env={"LOCALD_HOME": "/usr/locald-test-home"}, check=False)
    assert r.rc == 1 and "LOCALD_HOME=/usr/locald-test-home names it" in r.err and "/usr belongs to user 0" in r.err, r
    runtime = locald.home / "user/run0"
    runtime.mkdir()
    identity.own(runtime)
    r = locald("status", env={"LOCALD_HOME": None, "XDG_RUNTIME_DIR": "/usr", "XDG_DATA_HOME": str(runtime), "XDG_STATE_HOME": str(runtime)}, check=False)
    assert r.rc == 1 and "XDG_RUNTIME_DIR=/usr names it" in r.err and "su and sudo" in r.err, r


# -- why a command was not executed, in the same words on every way ---------------------------------------------------------------------------------

CASES = [("nothing", "nothing: command not found in PATH"), ("/no/such", "/no/such: no such file"),
         ("/plain", "/plain: cannot be executed: Permission denied"),
         ("/script", "/script: the interpreter that its first line (#!) names, /no/such/interpreter, does not exist"),
         ("/crlf", "/crlf: the interpreter that its first line (#!) names, /bin/sh\\r, does not exist: the line ends with CRLF"),
         ("/bare", "/bare: Exec format error: it is neither a program for this machine nor a script whose first line begins with #!"),
         ("/elf", "/elf: Exec format error: ")]
FILES = {"/plain": (b"text\n", 0o644), "/script": (b"#!/no/such/interpreter\n", 0o755), "/crlf": (b"#!/bin/sh\r\necho hi\r\n", 0o755), "/bare": (b"echo hi\n", 0o755), "/elf": (b"\x7fELFjunk" * 10, 0o755)}


def test_why_a_command_was_not_executed_is_said_alike_by_host_and_container(project, make_image):
    ref = make_image(*(file(name[1:], data, mode) for name, (data, mode) in FILES.items()))
    toml = "[project]\nname = 'exec'\n"
    p = project(toml)
    for name, (data, mode) in FILES.items():
        path = p.dir / ("x" + name[1:])
        path.write_bytes(data)
        path.chmod(mode)
    p.locald.identity.own(p.dir)
    for i, (command, _) in enumerate(CASES):
        here = str(p.dir / ("x" + command[1:])) if command in FILES else command
        toml += f"[services.h{i}]\ncommand = ['{here}']\n[services.c{i}]\ntype = 'container'\nimage = '{ref}'\ncommand = ['{command}']\n"
        toml += f"[services.i{i}]\ntype = 'container'\nimage = '{ref}'\ninit = true\ncommand = ['{command}']\n"
    p.write("locald.toml", toml)
    r = p("up", "-d", check=False)
    assert r.rc == 1
    for i, (command, words) in enumerate(CASES):
        for kind in "hci":
            wanted = words.replace(command, str(p.dir / ("x" + command[1:]))) if kind == "h" and command in FILES else words
            # The runtime may tell of a start before its process is told to execute.
            s = p.wait(f"{kind}{i}", lambda s: s["state"] in ("failed", "exited"), "it has failed")
            assert wanted in s["reason"], (kind, command, s)
    p("down")


# -- what a service that fails is told with -----------------------------------------------------------------------------------------------------------

def test_a_failed_up_repeats_the_last_lines_and_the_log(project):
    p = project("""
        [project]
        name = "last"
        [services.web]
        command = "for i in 1 2 3 4 5 6 7; do echo line $i; done; exit 3"
        [services.after]
        command = "exec sleep 1000"
        depends_on = { web = "completed" }
        """)
    r = p("up", "--wait", check=False)
    assert r.rc == 1, r
    assert "error: web: exited with code 3\n  | line 3\n  | line 4\n  | line 5\n  | line 6\n  | line 7\nhint: its output: locald logs web\n" in r.err, r
    assert "exited: exited" not in r.text + p("status").out
    r = p("restart", "web", check=False)
    assert "exited: exited" not in r.text
    p("down")


def test_up_in_the_foreground_repeats_what_failed_at_its_end(project):
    p = project("""
        [project]
        name = "again"
        [services.web]
        command = "sleep 0.3; echo now; exit 4"
        [services.other]
        command = "while :; do echo noise; sleep 0.02; done"
        """)
    up = p.popen("up", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    p.wait("web", lambda s: s["state"] == "exited", "web has ended")
    p.logs_with("other", "noise")
    up.send_signal(signal.SIGINT)
    out = up.communicate(timeout=30)[0].decode()
    end = out[out.rindex("stopping; press Ctrl-C again to kill"):]
    assert "error: web: exited with code 4\n" in end and "locald logs --all web" in end, end


def test_up_in_the_foreground_ends_with_its_services_though_a_notice_came(project):
    p = project("""
        [project]
        name = "noticed"
        [services.web]
        port = "auto"
        command = ["python3", "-c", "import os, socket, time; s = socket.create_server(('0.0.0.0', int(os.environ['PORT']))); time.sleep(4)"]
        """)
    up = p.popen("up", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    p.wait("web", lambda s: "listens on 0.0.0.0" in (s["reason"] or ""), "its open port is told of", 10)
    out = up.communicate(timeout=30)[0].decode()
    assert up.returncode == 0, out


def test_up_says_what_it_made_of_each_service(project):
    toml = """
        [project]
        name = "changes"
        [services.a]
        command = "exec sleep 1000"
        env = { X = "%s" }
        [services.b]
        command = "exec sleep 1000"
        [services.once]
        command = "exit 0"
        """
    p = project(toml % 1)
    r = p("up", "-d")
    assert {"a: started", "b: started", "once: started"} <= set(r.err.splitlines()), r
    r = p("up", "-d")
    assert {"a: unchanged, running", "b: unchanged, running", "once: unchanged, exited 0"} <= set(r.err.splitlines()), r
    p.write("locald.toml", toml % 2)
    r = p("up", "-d")
    assert {"a: recreated (env)", "b: unchanged, running"} <= set(r.err.splitlines()), r
    p("stop", "b")
    assert "b: started" in p("up", "-d").err.splitlines()
    p("down")


def test_up_waits_until_a_container_has_executed_its_command(project, make_image):
    """Not only until runc has said that it runs: the end that comes a moment later would be missed."""
    ref = make_image(*(file(name[1:], data, mode) for name, (data, mode) in FILES.items()))
    p = project("[project]\nname = 'exec'\n" + "".join(
        f"[services.s{i}]\ntype = 'container'\nimage = '{ref}'\ncommand = ['{command}']\n" for i in range(4) for command in ["/script" if i % 2 else "/bare"]))
    for _ in range(5):
        r = p("up", "-d", "--wait", check=False)
        assert r.rc == 1 and r.err.count("could not be started") >= 4 and ": running" not in r.err, r
        p("down")


def test_what_failed_is_told_with_the_words_of_its_own_life(project):
    toml = "[project]\nname = 'life'\n[services.a]\nhealth = {{ exec = ['false'], start_period = '100s' }}\ncommand = \"{}\"\n"
    p = project(toml.format("echo earlier words; exec sleep 1000"))
    p("up", "-d")
    p.logs_with("a", "earlier words")
    p.write("locald.toml", toml.format("exit 3"))
    r = p("up", "-d", "--wait", check=False)
    assert r.rc == 1 and "exited with code 3" in r.err and "earlier words" not in r.err, r
    p.write("locald.toml", toml.format("echo later words; exit 4"))
    r = p("up", "-d", "--wait", check=False)
    assert r.rc == 1 and "  | later words" in r.err and "earlier words" not in r.err, r


def test_status_never_wraps_and_has_the_reasons_below_the_table(project):
    long = "a-service-with-a-rather-long-name"
    port = free_port()
    p = project(f"""
        [project]
        name = "wide"
        [services.{long}]
        command = "exec sleep 1000"
        port = {port}
        health = {{ http = "/a/rather/long/path/of/a/health/check/that/nobody/answers", retries = 1000 }}
        [services.gone]
        command = ["/no/such/folder/with/a/long/name/that/holds/no/program/at/all"]
        """)
    p("up", "-d", check=False)
    p.wait(long, lambda s: "nothing listens on port" in (s["reason"] or ""), "the check fails")
    for columns in (40, 60, 80, 120):
        t = p.pty("status", columns=columns)
        assert t.wait() == 0
        text = re.sub(r"\x1b\[[0-9;]*m", "", t.seen).replace("\r", "")
        t.close()
        assert all(len(line) <= columns for line in text.splitlines()), text
        table, _, below = text.partition("\n\n")
        assert "SERVICE" in table and "no such file" not in table and "gone: " in below and "no such file" in " ".join(below.split()), text
    assert f"http://127.0.0.1:{port}" in p("status").out  # a pipe has no width
    p("down")


def test_a_container_that_ends_at_once_says_what_ran_and_whose_it_was(project, make_image):
    shell = make_image(config={"Cmd": ["/bin/sh"]})
    p = project(f"""
        [project]
        name = "soon"
        [services.own]
        type = "container"
        image = "{shell}"
        [services.ours]
        type = "container"
        image = "{shell}"
        command = ["sh", "-c", "exit 3"]
        [services.fine]
        type = "container"
        image = "{shell}"
        command = ["true"]
        """)
    p("up", "-d", check=False)
    p.wait("own", lambda s: s["state"] == "exited", "it has ended")
    p.wait("ours", lambda s: s["state"] == "exited", "it has ended")
    assert p.service("own")["reason"] == "exited with code 0: it ran `/bin/sh`, the image's own command, which ends at once without a terminal: give it a `command`"
    assert p.service("ours")["reason"] == "exited with code 3: it ran `sh -c 'exit 3'`, the service's `command`"
    assert p.wait("fine", lambda s: s["state"] == "exited", "it has ended")["reason"] is None
    p("down")
    locald = p.locald
    locald("container", "run", "-d", "--name", "own", shell)
    reason = wait_until(lambda: [c["reason"] for c in locald("container", "ls", "--json").json()["containers"] if c["state"] == "exited"], "it has ended")[0]
    assert "it ran `/bin/sh`, the image's own command" in reason
    locald("container", "rm", "own")


def elf32():
    """A program for i386: exit(7)."""
    code = bytes.fromhex("b801000000bb07000000cd80")
    size = 84 + len(code)
    return (b"\x7fELF\1\1\1" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0x8048054, 52, 0, 0, 52, 32, 1, 0, 0, 0)
            + struct.pack("<8I", 1, 0, 0x8048000, 0x8048000, size, size, 5, 0x1000) + code)


def test_a_32_bit_program_in_a_container_is_told_why_it_ends(project, make_image):
    if platform.machine() != "x86_64":
        pytest.skip("needs x86_64: a program of its 32-bit ancestor is run")
    p = project(f"""
        [project]
        name = "small"
        [services.old]
        type = "container"
        image = "{make_image(file("old", elf32(), 0o755))}"
        command = ["/old"]
        [services.host]
        command = "exec ./old"
        """)
    (p.dir / "old").write_bytes(elf32())
    (p.dir / "old").chmod(0o755)
    p.locald.identity.own(p.dir)
    p("up", "-d", check=False)
    host = p.wait("host", lambda s: s["state"] in ("exited", "failed"), "it has ended")
    p("down")
    if host["exit_code"] != 7:
        pytest.skip("needs a kernel that runs 32-bit programs (CONFIG_IA32_EMULATION)")
    p("up", "-d", check=False)
    reason = p.wait("old", lambda s: s["state"] in ("exited", "failed"), "it has ended")["reason"]
    assert "SIGSYS" in reason and "32-bit" in reason, reason
    p("down")


# -- a registry that asks to wait -----------------------------------------------------------------------------------------------------------------------

@pytest.fixture
def limiting():
    """HOST:PORT of a registry that answers every manifest with 429 and Retry-After."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            ok = self.path.rstrip("/") == "/v2"
            body = b"{}" if ok else b'{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}'
            self.send_response(200 if ok else 429)
            self.send_header("Content-Length", str(len(body)))
            if not ok:
                self.send_header("Retry-After", server.retry_after)
            self.end_headers()
            self.wfile.write(body)
        do_HEAD = do_GET
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.retry_after = "60"
    server.host = f"127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def said_by(process, words, deadline=20):
    """Reads stderr until `words` are there."""
    os.set_blocking(process.stderr.fileno(), False)
    seen = b""

    def ask():
        nonlocal seen
        seen += process.stderr.read() or b""
        return words.encode() in seen
    wait_until(ask, f"{words!r} in {seen!r}", deadline)


def test_a_rate_limit_is_said_at_once_also_to_who_waits_for_the_same_pull(locald, limiting):
    said = f"rate limited by {limiting.host}; next try in 60 s"
    image = f"{limiting.host}/x/y:1"
    first = locald.popen("image", "pull", image)
    said_by(first, said)
    second = locald.popen("image", "pull", image)
    said_by(second, said)
    terminal = locald.pty("image", "pull", image)
    terminal.expect(re.escape(said), 20)
    for process in (second, terminal.process, first):
        process.send_signal(signal.SIGINT)
    for process in (first, second):
        process.communicate(timeout=20)
    terminal.wait()
    terminal.close()


def test_a_terminal_shows_a_rate_limit_that_comes_right_after_something_else(locald, limiting):
    t = locald.pty("image", "pull", f"{limiting.host}/x/y:1")
    t.expect(re.escape(f"rate limited by {limiting.host}; next try in 60 s"), 20)
    t.process.send_signal(signal.SIGINT)
    t.wait()
    t.close()


def test_who_is_asked_to_wait_for_long_is_told_so_at_once(locald, limiting):
    limiting.retry_after = "3600"
    r = locald("image", "pull", f"{limiting.host}/x/y:1", check=False, timeout=30)
    assert r.rc == 1 and f"rate limited by {limiting.host}" in r.err and "pull rate limit" in r.err and "try again in 60 min" in r.err, r


# -- a full run folder ------------------------------------------------------------------------------------------------------------------------------------

def fill(path):
    """Lets the file grow until its disk is full."""
    with contextlib.suppress(OSError), open(path, "ab", buffering=0) as f:
        while True:
            f.write(bytes(4096))


def test_a_full_disk_is_said_where_the_runtime_could_not(make_locald, identity, scratch, busybox):
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root; the run as root does this case for both identities")
    locald = make_locald()
    p = Project(locald, locald.home / "user/p", f"""
        [project]
        name = "full"
        [services.box]
        type = "container"
        image = "{busybox}"
        command = ["sleep", "1000"]
        stop_timeout = "100ms"
        """)
    p("up", "-d")
    p("down")
    p("server", "stop")
    run = locald.home / "run"
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=1m,uid={identity.uid},gid={identity.gid},mode=700", "small", run], check=True)
    locald.own_mounts.append(str(run))
    try:
        p("server", "start")
        fill(run / "ballast")
        said = []
        for kib in range(0, 240, 8):  # somewhere in between the bundle fits, and what the runtime writes does not
            full = os.path.getsize(run / "ballast")
            os.truncate(run / "ballast", max(0, full - kib * 1024))
            r = p("up", "-d", check=False)
            assert r.rc == 0 or "No space left on device" in r.text, (kib, r)
            assert "said nothing" not in r.text, (kib, r)
            said.append(r.rc)
            os.truncate(run / "ballast", 0)
            p("down")
            fill(run / "ballast")
        assert said[0] != 0 and said[-1] == 0, said
        os.unlink(run / "ballast")
        p("server", "stop")
    finally:
        subprocess.run(["umount", "-l", run], check=True)
