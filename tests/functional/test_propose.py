"""`locald init`: proposes a locald.toml from a folder's files, which is then really started; a Procfile is named where a locald.toml is looked for."""
import json
import shutil

import pytest

from support import PATH, http_get

SERVER = """
const http = require('http'), net = require('net');
http.createServer((request, response) => {
  const url = new URL(process.env.REDIS_URL);
  const redis = net.connect(url.port, url.hostname, () => redis.write('INCR visits\\r\\n'));
  redis.once('data', data => { response.end('visit ' + data); redis.end(); });
  redis.on('error', error => response.end(String(error)));
}).listen(process.env.PORT, '127.0.0.1');
"""


@pytest.fixture
def folder(project):
    """A project's folder without a locald.toml."""
    def make(files, name="shop"):
        p = project("", name, files)
        (p.dir / "locald.toml").unlink()
        return p
    return make


def test_pages_are_served(folder):
    p = folder({"index.html": "hello\n"})
    shown = p("init", "--print").out
    assert not (p.dir / "locald.toml").exists()
    r = p("init", "--yes")
    assert (p.dir / "locald.toml").read_text() == shown and "next: look it through" in r.err, r
    p("up", "--wait")
    assert http_get(p.service("web")["port"]) == (200, "hello\n")
    again = p("init", "--yes", check=False)
    assert again.rc == 1 and "locald.toml is there already" in again.err, again
    assert (p.dir / "locald.toml").read_text() == shown


@pytest.mark.skipif(not shutil.which("node", path=PATH), reason="node is not installed")
def test_an_app_of_node_with_its_redis(folder, registry):
    p = folder({"package.json": json.dumps({"scripts": {"start": "node server.js"}, "dependencies": {"redis": "5"}}), "server.js": SERVER})
    p("init", "--yes")
    text = (p.dir / "locald.toml").read_text()
    assert 'command = "npm run start"' in text and 'image = "redis:7"' in text, text
    # The image of this test's registry; and npm asks nobody whether it is the newest.
    p.write("locald.toml", text.replace("redis:7", f"{registry}/library/redis:7"))
    p("up", "--wait", env={"NPM_CONFIG_UPDATE_NOTIFIER": "false"})
    port = p.service("web")["port"]
    assert [http_get(port)[1] for _ in range(2)] == ["visit :1\r\n", "visit :2\r\n"]
    assert p.service("redis")["health"] == "healthy"
    p("down")
    p("up", "--wait", env={"NPM_CONFIG_UPDATE_NOTIFIER": "false"})
    assert p("exec", "redis", "--", "redis-cli", "ping").out == "PONG\n"


def test_a_procfile_runs_as_it_is(folder):
    p = folder({"Procfile": "web: exec python3 -m http.server --bind 127.0.0.1 ${PORT:-5000}\nrelease: echo $NAME > released\n",
                ".env": "NAME=x\n", "index.html": "from a Procfile\n"})
    for verb in (["up", "-d"], ["status"], ["logs"], ["config", "check"], ["down"]):
        r = p(*verb, check=False)
        assert r.rc == 1 and f"but {p.dir}/Procfile" in r.err and "hint: locald init makes a locald.toml of a Procfile" in r.err, r
    r = p("-f", "Procfile", "up", check=False)
    assert r.rc == 1 and "Procfile is a Procfile, not TOML" in r.err, r
    p("init", "--yes")
    p("up", "--wait")
    assert (p.dir / "released").read_text() == "x\n"
    assert http_get(p.service("web")["port"]) == (200, "from a Procfile\n")


def test_it_asks_at_a_terminal(folder):
    p = folder({"package.json": json.dumps({"scripts": {"start": "node s.js", "worker": "node w.js"}, "dependencies": {"pg": "8", "redis": "5"}}), "s.js": "x"})
    r = p("init", check=False)
    assert r.rc == 2 and "locald init --yes" in r.err and not (p.dir / "locald.toml").exists(), r
    terminal = p.pty("init")
    terminal.expect(r"found package\.json")
    terminal.expect(r"worker +npm run worker +package\.json: scripts\.worker")
    terminal.expect(r"Write .*/locald\.toml\? ")
    terminal.send("n\n")
    assert terminal.wait() == 1 and not (p.dir / "locald.toml").exists()
    terminal = p.pty("init")
    terminal.expect(r"\[c\]hoose services: ")
    terminal.send("c\n")
    for answer in ("db", "y"), ("redis", "n"), ("web", ""), ("worker", "n"):
        terminal.expect(rf"{answer[0]} \(.*\)\? ")
        terminal.send(answer[1] + "\n")
    terminal.expect("wrote .*/locald.toml")
    assert terminal.wait() == 0
    r = p("config", "check")
    assert "2 services: db, web" in r.out and "REDIS" not in (p.dir / "locald.toml").read_text(), r


def test_where_nothing_is_found(folder):
    p = folder({"README.md": "x"})
    r = p("init", "--yes", check=False)
    assert r.rc == 1 and "nothing here tells what runs" in r.err and "package.json" in r.err, r
    r = p("up", check=False)
    assert r.rc == 1 and "Procfile" not in r.err, r
    # -f says where the file is to be, and where to look.
    p.write("sub/index.html", "x")
    p("-f", "sub/my.toml", "init", "--yes")
    assert "http.server" in (p.dir / "sub/my.toml").read_text()


def test_files_that_are_broken_are_named_and_tell_a_terminal_nothing(folder):
    p = folder({"package.json": '{\n "scripts": {\n  "dev" "vite"\n }\n}\n', "Procfile": "web: \x1b[31mx\n", "go.mod": "module shop\n",
                "cmd/a-very-long-name-of-a-program-that-fills-lines-and-more-lines/main.go": "package main\nfunc main() {}\n"})
    r = p("init", "--yes", check=False)
    assert r.rc == 0 and "package.json:3: not JSON" in r.err and "Procfile: not a text" in r.err and "\x1b" not in r.err, r
    assert "./cmd/a-very-long-name-of-a-program-that-fills-lines-and-more-lines" in r.err, "nothing is cut where it is no terminal"
