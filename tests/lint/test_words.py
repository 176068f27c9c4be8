"""What checks that messages name what exists must be able to fail."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import words

ROOT = pathlib.Path(__file__).parents[2]
KNOWN = {"up": {"-d", "--detach", "--wait"}, "image ls": {"--json"}, "image rm": set(), "exec": {"-i", "--interactive"}}
OPTIONS = set().union(words.GLOBAL, *KNOWN.values())
KEYS = {"health", "env_file"}

BAD = [
    ("free some: locald image prune", "no verb `locald image prune`"),
    ("what holds it: locald system df", "no verb `locald system`"),
    ("try locald up --force", "`locald up` has no option --force"),
    ("locald -p shop up --detach --forse; then locald image ls", "`locald up` has no option --forse"),
    ("with --nothing it works", "no verb has an option --nothing"),
    ("set `env_files` in the file", "no file of ours has a key `env_files`"),
    ("see docs/no-such-page.md", "there is no docs/no-such-page.md"),
]
GOOD = ["locald image rm NAME frees it", "locald says so; see docs/architecture.md", "locald up -d --wait", "locald exec -i db -- psql --csv", "set `health`, or `env_file`",
        "sudo apt-get install --reinstall uidmap", "locald --version", "more: locald up --help", "locald image"]


@pytest.mark.parametrize("text, finding", BAD)
def test_what_does_not_exist_is_found(text, finding):
    assert any(finding in f for f in words.check_text(text, KNOWN, OPTIONS, KEYS, ROOT, code=True))


@pytest.mark.parametrize("text", [g for g in GOOD if "says" not in g])
def test_what_exists_passes(text):
    assert list(words.check_text(text, KNOWN, OPTIONS, KEYS, ROOT, code=True)) == []


def test_odd_words_are_found():
    assert list(words.check_wording("it is built anew; whoever asks")) and not list(words.check_wording("recommended, tended"))


def test_what_exists_is_read_from_the_tables():
    known = words.verbs(ROOT)
    assert {"up", "image pull", "server status", "version"} <= set(known) and len(known) > 30
    assert {"-d", "--detach", "--timeout"} <= known["up"] and "--timeout" in known["restart"] and "--json" in known["image push"]
    assert {"env_file", "health", "stop_timeout", "container_port"} <= words.keys(ROOT)


def test_literals_are_joined_as_the_compiler_does():
    assert words.literals('f("a " // why\n  "b", "c\\n");\ng("d");') == [(1, "a b"), (2, "c\n"), (3, "d")]


def test_the_tree_names_only_what_exists():
    assert list(words.check_tree(ROOT)) == []
