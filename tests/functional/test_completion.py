"""Completion by Tab, in the shells themselves where they are installed, and how long it takes."""
import os
import shutil
import subprocess

import pytest
from support import Pty

TOML = """
    [project]
    name = "tab"
    [services.web]
    command = "exec sleep 100000"
    [services.worker]
    command = "exec sleep 100000"
    [services.db]
    command = "exec sleep 100000"
    """


def path_of(p):
    return f"{p.locald.dist}/bin:{os.environ['PATH']}"


def shell(p, *argv):
    """What a shell says, with `locald` in its PATH."""
    r = p.locald.as_user("sh", "-c", 'cd "$1" && PATH=$2 && export PATH && shift 2 && exec "$@"', "sh", p.dir, path_of(p), *argv)
    assert r.returncode == 0, r
    return r.stdout


def bash(p, line):
    """The replies of the function that bash would call at the end of `line`, split as readline does it: at blanks and colons."""
    script = """
        source <(locald completion bash)
        COMP_LINE=$1 COMP_POINT=${#1}
        read -ra COMP_WORDS <<<"${1//:/ : }"; [[ $1 == *' ' || $1 == *: ]] && COMP_WORDS+=("")
        COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
        compopt() { :; }
        _locald; printf '%s\\n' "${COMPREPLY[@]}"
        """
    return shell(p, "bash", "--norc", "-c", script, "bash", line).split()


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def test_bash(project, busybox):
    p = project(TOML, "tab", {"file.txt": ""})
    assert set(bash(p, "locald sta")) == {"start", "status", "stats"}
    assert bash(p, "locald up w") == ["web", "worker"], "of the file, while nothing is up"
    assert bash(p, "locald image p") == ["pull", "prune", "push"]
    assert bash(p, "locald up --wa") == ["--wait"]
    assert "file.txt" in bash(p, "locald exec web cat fi")
    p("container", "run", "-d", "--name", "box", busybox, "sleep", "1000")
    assert bash(p, "locald container rm b") == ["box"]
    name = p("image", "ls", "--json").json()["images"][0]["name"]
    assert name in bash(p, "locald inspect " + name[:2]) or name.split(":", 1)[1] in bash(p, "locald inspect " + name[:-1])
    assert bash(p, f"locald -C {p.dir} stop d") == ["db"]
    p("container", "rm", "-f", "box")


def test_bash_at_a_terminal(project):
    p = project(TOML, "tab")
    t = Pty(["bash", "--norc", "--noprofile", "-i"], p.dir, {**p.locald.env, "PATH": path_of(p), "PS1": "ready> ", "TERM": "dumb"}, p.locald.identity, 24, 80)
    t.send("source <(locald completion bash)\n")
    t.send("locald down --vo\t")
    t.expect(r"locald down --volumes ")
    t.send("\x15locald up wo\t\x01echo \n")
    t.expect(r"up worker ?\r\n")
    t.send("exit\n")
    t.wait()
    t.close()


def test_zsh(project):
    need("zsh")
    p = project(TOML, "tab")
    # The parts that need the line editor are in its place here: what is offered is printed.
    script = """
        autoload -Uz compinit && compinit -u -D
        source <(locald completion zsh)
        _describe() { print -l -- "${(@P)${@[-1]}}" }
        _files() { print FILES }
        words=(locald up w) CURRENT=3; _locald
        words=(locald exec web "") CURRENT=4; _locald
        words=(locald image rm "") CURRENT=4; _locald
        """
    out = shell(p, "zsh", "-f", "-c", script)
    assert out.split("\n")[:3] == ["web:service", "worker:service", "FILES"], out


def test_fish(project):
    need("fish")
    p = project(TOML, "tab")
    out = shell(p, "fish", "--no-config", "-c", "locald completion fish | source; complete -C 'locald up w'; complete -C 'locald sta'; complete -C 'locald stop '")
    assert [line.split("\t")[0] for line in out.split("\n")[:-1]] == ["web", "worker", "start", "stats", "status", "db", "web", "worker"], out


def test_a_wrong_shell(locald):
    r = locald("completion", "tcsh", check=False)
    assert r.rc == 2 and "bash, zsh, fish" in r.err, r


def test_it_never_starts_a_server_and_fails_in_silence(project):
    p = project(TOML, "tab")
    assert bash(p, "locald container rm ") == [] and not (p.locald.home / "run/server.sock").exists()
    p.write("locald.toml", "not = [toml")
    r = p("__complete", "bash", "locald up w")
    assert (r.rc, r.out, r.err) == (0, "", "")


def test_it_costs_no_more_than_a_few_starts_of_the_program(project, busybox):
    """Processor time beside that of `--version`, in turns: a shell waits for it at each TAB."""
    p = project("[project]\nname = 'many'\n" + "".join(f"[services.s{i}]\ncommand = 'exec sleep 100000'\nenv = {{ A = '{i}' }}\n" for i in range(100)), "many")
    p("container", "run", "-d", "--name", "box", busybox, "sleep", "1000")

    def own_time(*command):
        process = p.popen(*command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        process.stderr.close()
        return usage.ru_utime + usage.ru_stime

    for line in ("locald up s", "locald inspect ", "locald "):
        pairs = [(own_time("__complete", "bash", line), own_time("--version")) for _ in range(20)]
        asked, start = (sorted(times)[10] for times in zip(*pairs))
        print(f"{line!r}: its own time, median {1000 * asked:.1f} ms; of `--version` {1000 * start:.1f} ms")
        assert asked < 5 * start, line
    p("container", "rm", "-f", "box")
