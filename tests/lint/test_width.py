"""The width of help texts and pages: what is too wide is found, tables and code are not."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import width

ROOT = pathlib.Path(__file__).parents[2]
VERB = """const Option kWait{0, "wait", nullptr, "%s"};
const Verb kUp{
    .name = "up",
    .usage = "[-d]",
    .summary = "bring it up",
    .details =
        "%s\\n"  // joined
        "and more\\n",
    .options = {{'d', "detach", "N", "return " "at once"}, kWait},
};
"""


def help_of(option, details):
    return dict(width.help_texts(VERB % (option, details)))["up"].split("\n")


def test_a_help_text_is_put_together_as_it_is_printed():
    assert help_of("wait for it", "first") == [
        "usage: locald up [-d]", "", "bring it up", "", "first", "and more", "", "", "options:",
        "  -d, --detach N  return at once", "      --wait      wait for it", "  -h, --help      show this text"]
    assert max(map(len, help_of("w" * 82, "first"))) == 100 and max(map(len, help_of("w" * 83, "first"))) == 101


def test_a_wide_help_text_is_found(tmp_path):
    (tmp_path / "src" / "cli").mkdir(parents=True)
    (tmp_path / "src" / "cli" / "verb_up.cc").write_text(VERB % ("wait", "d" * 101))
    assert [f for f in width.check_tree(tmp_path) if "`locald up --help` has 101 columns" in f]
    (tmp_path / "src" / "cli" / "verb_up.cc").write_text(VERB % ("wait", "d" * 100))
    assert list(width.check_tree(tmp_path)) == []


def test_a_page_is_as_wide_as_its_prose():
    wide = "word " * 21
    assert [n for n, _ in width.wide_lines("short\n" + wide + "\n")] == [2]
    assert list(width.wide_lines(f"| {wide} |\n    {wide}\n```\n{wide}\n```\nhttps://{'x' * 120}\n")) == []


def test_a_page_can_be_wrapped():
    page = f"# {'head ' * 30}\n\n{'word ' * 30}`a b`\n\n* {'item ' * 30}\n  more\n* two\n\n    {'code ' * 30}\n| {'cell ' * 30} |\n"
    once = width.wrapped(page)
    assert list(width.wide_lines(once.split("\n", 2)[2])) == [] and width.wrapped(once) == once
    assert once.split() == page.split() and "`a b`" in once and "\n  item" in once and "\n* two\n" in once


def test_the_tree_is_clean():
    assert list(width.check_tree(ROOT)) == []
