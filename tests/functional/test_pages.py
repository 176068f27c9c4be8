"""Pages that people follow step by step: each file that a page shows is written, each command that it shows is run, in its order.

`NAME`: before a fenced block is a file; indented lines are commands (what stands behind three blanks is for people); a block of
kind text is what the command before it has printed, among other things."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from support import PATH

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"


def steps(page):
    """("file", NAME, text), ("run", command) and ("says", text), in order."""
    name, fence, block = None, None, []
    for line in (DOCS / page).read_text().splitlines():
        if fence is not None:
            if line == "```":
                if name:
                    yield "file", name, "\n".join(block) + "\n"
                elif fence == "text":
                    yield "says", "\n".join(block), ""
                name, fence, block = None, None, []
            else:
                block.append(line)
        elif line.startswith("```"):
            fence = line[3:]
        elif m := re.fullmatch(r"`([\w./-]+)`:", line):
            name = m[1]
        elif line.startswith("    "):
            yield "run", re.split(r" {3,}", line.strip())[0], ""


def follow(page, locald, folder, changed=lambda text: text, leave=()):
    folder.mkdir(parents=True, exist_ok=True)
    locald.identity.own(folder)
    env = {**locald._environ({"NPM_CONFIG_UPDATE_NOTIFIER": "false"}), "PATH": f"{locald.dist}/bin:/usr/local/go/bin:{PATH}"}
    said, count = "", 0
    for kind, first, text in steps(page):
        if kind == "file":
            path = folder / first
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(changed(text))
            locald.identity.own(folder)
        elif kind == "run" and not any(word in first for word in leave):
            p = subprocess.run(["sh", "-c", first], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               timeout=150, **locald.identity.popen_args())
            said, count = p.stdout, count + 1
            assert p.returncode == 0, f"{page}: {first}: {p.returncode}\n{said}"
        elif kind == "says":
            for line in first.splitlines():
                assert line in said, f"{page}: {line!r} is not in\n{said}"
    return count


def needs(program):
    return pytest.mark.skipif(not shutil.which(program, path=f"/usr/local/go/bin:{PATH}"), reason=f"{program} is not installed")


@pytest.mark.parametrize("page, commands", [("tutorial-python.md", 16), pytest.param("tutorial-node.md", 7, marks=needs("node"))])
def test_a_tutorial_works_as_it_is_written(page, commands, locald, registry):
    folder = locald.home / "user/tutorial"
    images = lambda text: re.sub(r'image = "(redis|postgres):', rf'image = "{registry}/library/\1:', text)  # noqa: E731
    assert follow(page, locald, folder, images) == commands
    locald.assert_nothing_left()


@pytest.mark.long  # the first build compiles Go's library: a minute
@needs("go")
def test_the_tutorial_of_go_works_as_it_is_written(locald):
    locald.env["GOCACHE"], locald.env["GOTOOLCHAIN"], locald.env["GOFLAGS"] = str(locald.home / "user/go-cache"), "local", "-mod=mod"
    assert follow("tutorial-go.md", locald, locald.home / "user/tutorial") == 6
    locald.assert_nothing_left()
    assert os.listdir(locald.home / "user/tutorial/bin") == ["web"]


# Lines of howto.md that need what no test has: a registry of that name, systemd, root.
ELSEWHERE = ("registry.example", "locald autostart on", "sudo ")


def test_each_how_to_works_as_it_is_written(locald, registry):
    folder = locald.home / "user/howto"
    images = lambda text: text.replace('"redis:7"', f'"{registry}/library/redis:7"')  # noqa: E731
    follow("howto.md", locald, folder, images, leave=ELSEWHERE)
    assert (folder / "cache.log").stat().st_size > 0
    locald.assert_nothing_left()


@pytest.mark.parametrize("page", ["variables.md", "everyday.md", "howto.md", "tutorial-python.md", "tutorial-node.md", "tutorial-go.md"])
def test_each_file_of_a_page_is_fine(page, locald):
    blocks = [b for b in re.findall(r"^```toml\n(.*?)^```", (DOCS / page).read_text(), flags=re.S | re.M) if "[services." in b]
    assert blocks
    for number, block in enumerate(blocks):
        folder = locald.home / f"user/{page}-{number}"
        (folder / "web").mkdir(parents=True)
        (folder / "conf").mkdir()
        (folder / "locald.toml").write_text(block if 'depends_on = ["db"]' not in block else block + "\n[services.db]\ncommand = 'x'\n")
        locald.identity.own(folder)
        assert "fine" in locald("config", "check", cwd=folder).out


def test_each_key_of_the_translations_is_one():
    page = (DOCS / "moving.md").read_text()
    keys = (DOCS / "locald-toml.md").read_text()
    for row in re.findall(r"^\| (?!`(?:docker|process|foreman|up|start|run|pull|config|attach|overmind)).* \| (.*) \|$", page, flags=re.M):
        for key in re.findall(r"`([a-z_]+) = ", row):
            assert f"`{key}`" in keys, key
