"""What checks that messages name what exists must be able to fail."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import names

ROOT = pathlib.Path(__file__).parents[2]
KNOWN = {"up": {"-d", "--detach", "--wait"}, "image ls": {"--json"}, "image rm": set(), "exec": {"-i", "--interactive"}}
OPTIONS = set().union(names.GLOBAL, *KNOWN.values())
KEYS = {"health", "env_file"}

BAD = [
    ("free some: locald image prune", "no verb `locald image prune`"),
    ("what holds it: locald system df", "no verb `locald system`"),
    ("try locald up --force", "`locald up` has no option --force"),
    ("locald -p shop up --detach --forse; then locald image ls", "`locald up` has no option --forse"),
    ("with --nothing it works", "no verb has an option --nothing"),
    ("set `env_files` in the file", "no file of ours has a key `env_files`"),
    ("see docs/no-such-page.md", "there is no docs/no-such-page.md"),
    ("set image.max_ratio in config.toml", "no file of ours has a key `image.max_ratio`"),
    ("raise `health.most`, or", "no file of ours has a key `health.most`"),
    ("make one: scripts/package --rpm", "`scripts/package` has no option --rpm"),
    ("try locald up --nope", "`locald up` has no option --nope"),
]
GOOD = ["locald image rm NAME frees it", "locald says so; see docs/architecture.md", "locald up -d --wait", "locald exec -i db -- psql --csv", "set `health`, or `env_file`",
        "sudo apt-get install --reinstall uidmap", "locald --version", "more: locald up --help", "in a clone: scripts/package --runc --install", "locald image"]


@pytest.mark.parametrize("text, finding", BAD)
def test_what_does_not_exist_is_found(text, finding):
    assert any(finding in f for f in names.check_text(text, KNOWN, OPTIONS, KEYS, ROOT, code=True))


@pytest.mark.parametrize("text", [g for g in GOOD if "says" not in g])
def test_what_exists_passes(text):
    assert list(names.check_text(text, KNOWN, OPTIONS, KEYS, ROOT, code=True)) == []


def test_comments_and_pages_are_read_too():
    files = names.tree_files(ROOT)
    assert list(names.check_comment("// see docs/nope.md", KNOWN, files)) == ["there is no docs/nope.md"]
    assert list(names.check_comment("// see base/nope.h", KNOWN, files)) == ["there is no base/nope.h"]
    assert list(names.check_comment("// `locald system df` says", KNOWN, files)) == ["there is no verb `locald system`"]
    assert list(names.check_comment("// base/sys/sys.h, sys/sys.h, sys.h, docs/architecture.md, linux/mount.h, `locald up -d`", KNOWN, files)) == []


@pytest.mark.parametrize("page, finding", [
    ("see `--nope`", "no verb has an option --nope"),
    ("[why](nope.md)", "there is no nope.md"),
    ("it is in `cli/nope.cc`", "there is no cli/nope.cc"),
    ("| key | what |\n|---|---|\n| `max_ratio` | |", "no file of ours has a key `max_ratio`"),
    ("```toml\n[services.x]\nhealt = 1\n```\n", "no file of ours has a key `services.x.healt`"),
    ("```toml\n[services.x\n```\n", "an example is not TOML"),
])
def test_what_a_page_names_exists(page, finding):
    found = list(names.check_page("docs/a.md", page, KNOWN, OPTIONS, KEYS | {"services"}, names.tree_files(ROOT), ROOT))
    assert any(finding in f for _, f in found), found


def test_what_exists_is_read_from_the_tables():
    known = names.verbs(ROOT)
    assert {"up", "image pull", "server status", "version"} <= set(known) and len(known) > 30
    assert {"-d", "--detach", "--timeout"} <= known["up"] and "--timeout" in known["restart"] and "--json" in known["image push"]
    assert {"env_file", "health", "stop_timeout", "container_port"} <= names.keys(ROOT)


def test_literals_are_joined_as_the_compiler_does():
    assert names.literals('f("a " // why\n  "b", "c\\n");\ng("d");') == [(1, "a b"), (2, "c\n"), (3, "d")]


def test_the_tree_names_only_what_exists():
    assert list(names.check_tree(ROOT)) == []
