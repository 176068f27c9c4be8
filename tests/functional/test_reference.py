"""docs/locald-toml.md and `locald config schema`, held against the program: every key that the page names is taken, no other one is, every example works, and a validator of JSON Schema says the same as `config check`."""
import json
import pathlib
import re
import tomllib

import pytest

try:
    import jsonschema
except ImportError:
    jsonschema = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/locald-toml.md").read_text()
# Services and networks that examples name; files and folders that they name.
AROUND = """
[services.db]
type = "container"
image = "i"
container_port = 1
health = { tcp = true }
[networks.front]
[networks.back]
subnet = "10.100.0.0/24"
"""
FILES = {".env": "A=1\n", "src/x": "", "api/x": "", "data/x": "", "seed/x": "", "mail/x": "", "mirror/x": "",
         "back.conflist": '{"cniVersion": "1.0.0", "name": "back", "plugins": [{"type": "bridge"}]}\n'}
KINDS = {"exec": "command = 'true'\n", "container": "type = 'container'\nimage = 'i'\n", "cnb": "type = 'cnb'\nbuilder = 'b'\n"}
# The kinds that have the keys of a section.
SECTIONS = {
    "Every service: `[services.NAME]`": list(KINDS),
    "Host processes and containers": ["exec", "container"],
    "Containers and apps": ["container", "cnb"],
    "Containers": ["container"],
    "Apps": ["cnb"],
}


def sections():
    """{title: [(heading, key, example)]}"""
    found = {}
    for part in re.split(r"^## ", PAGE, flags=re.M)[1:]:
        title, _, body = part.partition("\n")
        for entry in re.split(r"^### ", body, flags=re.M)[1:]:
            heading = entry.split("`")[1]
            example = re.search(r"```toml\n(.*?)```", entry, flags=re.S)
            found.setdefault(title, []).append((heading, re.split(r"[. ]", heading)[-1], example and example[1]))
    return found


def files():
    """(heading, file) of each example, in each table where it may stand."""
    for title, entries in sections().items():
        for heading, _, example in entries:
            if example is None:
                continue
            if title == "`[project]`":
                yield heading, f"[project]\n{example}[services.a]\n{KINDS['container']}"
            elif title == "`[networks.NAME]`":
                yield heading, f"[networks.other]\n{example}[services.a]\n{KINDS['container']}networks = ['other']\n"
            elif heading.startswith("build.") or heading.startswith("dev."):
                yield heading, f"[services.a]\n{KINDS['cnb']}[services.a.{heading.split('.')[0]}]\n{example}"
            elif not heading.startswith("config.toml"):
                kinds = SECTIONS.get(title) or next(k for t, k in SECTIONS.items() if any(h == heading.split(".")[0] for h, *_ in sections()[t]))
                for kind in kinds:
                    key = example.split(" ")[0]
                    rest = "".join(line + "\n" for line in KINDS[kind].splitlines() if not line.startswith(key + " "))
                    # A port for checks of it; host processes are on the host's network, and containers say that they are ready in another way.
                    port = "port = 'auto'\n" if key == "health" else ""
                    if kind == "exec" and key == "network" or kind != "exec" and "notify" in example:
                        continue
                    yield heading, f"[services.a]\n{rest}{port}{example}" + (AROUND if kind != "exec" or "db" in example else "")


EXAMPLES = list(files())


def test_every_example_of_the_page_is_taken(project):
    p = project("", "p", FILES)
    limits = missing = 0
    for heading, text in EXAMPLES:
        p.write("locald.toml", text)
        check = p("config", "check", check=False)
        if check.rc != 0 and "limits need a cgroup" in check.err:
            limits += 1
            continue
        # What an example needs of this machine: a CNI plugin, pasta.
        if check.rc != 0 and re.search(r"plugin bridge: not found|pasta", check.err):
            missing += 1
            continue
        assert check.rc == 0, f"{heading}\n{text}\n{check!r}"
    assert missing <= 2
    assert len(EXAMPLES) > 80 and limits <= 2 * 3, "memory, cpus and pids of containers and apps"
    whole = re.search(r"```toml\n(\[project\].*?)```", PAGE, flags=re.S)[1]
    p.write("locald.toml", whole)
    assert p("config", "check").rc == 0


def known_in(p, table):
    """The keys that the reader of `table` says it knows."""
    p.write("locald.toml", table)
    said = p("config", "check", check=False).err
    return re.search(r"unknown key `qqqqqqqq` in .*?known here: ([^)\n]*)", said, flags=re.S)[1].split(", ")


def test_the_page_has_every_key_that_the_reader_knows_and_no_other(project):
    p = project("", "p")
    pages = {title: {key for _, key, _ in entries} for title, entries in sections().items()}
    for kind, begin in KINDS.items():
        expected = set().union(*(pages[t] for t, kinds in SECTIONS.items() if kind in kinds))
        assert set(known_in(p, f"[services.a]\n{begin}qqqqqqqq = 1\n")) == expected, kind
    a = "[services.a]\n" + KINDS["container"]
    app = "[services.a]\n" + KINDS["cnb"]
    inner = {
        "`[project]`": f"[project]\nqqqqqqqq = 1\n{a}",
        "`[networks.NAME]`": f"[networks.other]\nqqqqqqqq = 1\n{a}",
        "`health` as a table": f"{a}health = {{ qqqqqqqq = 1 }}\n",
        "`restart` as a table": f"{a}restart = {{ qqqqqqqq = 1 }}\n",
        "`volumes` as a table": f"{a}volumes = [{{ qqqqqqqq = 1 }}]\n",
        "`ulimits` as a table": f"{a}ulimits = {{ nofile = {{ qqqqqqqq = 1 }} }}\n",
        "`watch` as a table": f"{a}watch = [{{ qqqqqqqq = 1 }}]\n",
        "`networks` as a table": f"{a}networks = [{{ qqqqqqqq = 1 }}]\n",
        "`build`": f"{app}build = {{ qqqqqqqq = 1 }}\n",
        "`dev`": f"{app}dev = {{ qqqqqqqq = 1 }}\n",
    }
    for title, text in inner.items():
        assert set(known_in(p, text)) == pages[title], title
    process = set(known_in(p, f"{app}[services.a.processes.worker]\nqqqqqqqq = 1\n"))
    assert process == pages["Every service: `[services.NAME]`"] - {"type"} | pages["Containers and apps"] | {"process", "args"}
    assert set(pages) == set(SECTIONS) | set(inner) | {"`config.toml`"}
    assert set(known_in(p, f"qqqqqqqq = 1\n{a}")) == {"project", "services", "networks"}


def test_config_toml_takes_what_the_page_says(locald):
    keys = sections()["`config.toml`"]
    config = locald.home / "config.toml"
    config.write_text("".join(example for _, _, example in keys))
    locald.identity.own(config)
    assert locald("server", "start").rc == 0
    locald("server", "stop")
    config.write_text("qqqqqqqq = 1\n")
    failed = locald("server", "start", check=False)
    known = re.search(r"known here: ([^)\n]*)", failed.err)
    assert failed.rc == 1 and sorted(known[1].split(", ")) == sorted(key for _, key, _ in keys), failed
    config.unlink()


WRONG = {
    "an unknown key": "[services.a]\ncommand = 'x'\nprot = 1\n",
    "a key of another type of service": "[services.a]\ntype = 'exec'\ncommand = 'x'\nimage = 'i'\n",
    "a key of containers without an image": "[services.a]\ncommand = 'x'\ntmpfs = ['/x']\n",
    "a key of apps beside an image": "[services.a]\nimage = 'i'\nbuilder = 'b'\n",
    "a key of apps in a container": "[services.a]\ntype = 'container'\nimage = 'i'\nbuilder = 'b'\n",
    "a host process without command": "[services.a]\nport = 1\n",
    "a container without image": "[services.a]\ntype = 'container'\n",
    "an unknown type": "[services.a]\ntype = 'docker'\nimage = 'i'\n",
    "a port that is too high": "[services.a]\ncommand = 'x'\nport = 65536\n",
    "a port that is a word": "[services.a]\ncommand = 'x'\nport = 'any'\n",
    "a duration without unit": "[services.a]\ncommand = 'x'\nstop_timeout = '10'\n",
    "a duration of another order": "[services.a]\ncommand = 'x'\nstop_timeout = '1s2m'\n",
    "a size": "[services.a]\ntype = 'container'\nimage = 'i'\nmemory = '1x'\n",
    "an empty command": "[services.a]\ncommand = []\n",
    "a command of blanks": "[services.a]\ncommand = '  '\n",
    "a policy": "[services.a]\ncommand = 'x'\nrestart = 'sometimes'\n",
    "a restart without policy": "[services.a]\ncommand = 'x'\nrestart = { max = 5 }\n",
    "two checks": "[services.a]\ncommand = 'x'\nport = 1\nhealth = { tcp = true, http = '/' }\n",
    "no check": "[services.a]\ncommand = 'x'\nhealth = { interval = '1s' }\n",
    "a check that is off": "[services.a]\ncommand = 'x'\nport = 1\nhealth = { tcp = false }\n",
    "an unknown condition": "[services.a]\ncommand = 'x'\ndepends_on = { b = 'up' }\n[services.b]\ncommand = 'x'\n",
    "a name": "[services.A]\ncommand = 'x'\n",
    "a project's name": "[project]\nname = 'My Shop'\n[services.a]\ncommand = 'x'\n",
    "no services": "[project]\nname = 'p'\n",
    "an unknown table": "[services.a]\ncommand = 'x'\n[volumes.a]\n",
    "a network": "[services.a]\ntype = 'container'\nimage = 'i'\nnetwork = 'bridge'\n",
    "a network without name": "[services.a]\ntype = 'container'\nimage = 'i'\nnetworks = [{ aliases = ['x'] }]\n",
    "no network": "[services.a]\ntype = 'container'\nimage = 'i'\nnetworks = []\n",
    "an action of `watch`": "[services.a]\ncommand = 'x'\nwatch = [{ paths = ['*'], action = 'sync' }]\n",
    "a watch of nothing": "[services.a]\ncommand = 'x'\nwatch = [{ ignore = ['*'] }]\n",
    "a watch of an app": "[services.a]\ntype = 'cnb'\nbuilder = 'b'\nwatch = ['*']\n",
    "a volume without target": "[services.a]\ntype = 'container'\nimage = 'i'\nvolumes = [{ source = 'x' }]\n",
    "a variable that is a list": "[services.a]\ncommand = 'x'\nenv = { A = ['1'] }\n",
    "an unknown key of a process type": "[services.a]\ntype = 'cnb'\nbuilder = 'b'\n[services.a.processes.worker]\nbuilder = 'c'\n",
}


def validator(locald):
    if jsonschema is None:
        pytest.skip("python3-jsonschema is not installed")
    schema = json.loads(locald("config", "schema").out)
    assert schema == json.loads((ROOT / "docs/locald.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def test_the_schema_takes_what_the_reader_takes(locald):
    valid = validator(locald)
    for path in sorted((ROOT / "examples").glob("*/locald.toml")):
        assert [e.message for e in valid.iter_errors(tomllib.loads(path.read_text()))] == [], path
    for heading, text in EXAMPLES:
        assert [e.message for e in valid.iter_errors(tomllib.loads(text))] == [], f"{heading}\n{text}"


def test_the_schema_refuses_what_the_reader_refuses(project, locald):
    valid = validator(locald)
    p = project("", "p")
    for what, text in WRONG.items():
        p.write("locald.toml", text)
        assert p("config", "check", check=False).rc == 1, what
        assert not valid.is_valid(tomllib.loads(text)), what
