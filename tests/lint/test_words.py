"""What looks for odd words must be able to fail, and its counts may only fall."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import words

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize("text", ["it is built anew", "whoever asks", "\"x\" is no tag", "what mends it", "a helper of ours", "be it a folder"])
def test_odd_words_are_found(text):
    assert list(words.check_wording(text))


@pytest.mark.parametrize("text", ["recommended, tended", "there is no tag", "it is no longer there", "is not a tag", "a limit of hours"])
def test_plain_words_pass(text):
    assert list(words.check_wording(text)) == []


def source(root, text):
    (root / "src" / "base").mkdir(parents=True, exist_ok=True)
    (root / "src" / "base" / "a.cc").write_text(text)
    (root / "tests" / "lint").mkdir(parents=True, exist_ok=True)


def test_a_count_may_only_fall(tmp_path, capsys):
    source(tmp_path, "// It is made\n// anew, and anew.\n")
    words.record(tmp_path)
    assert words.recorded(tmp_path)["anew"] == 2 and list(words.check_tree(tmp_path)) == []
    source(tmp_path, "// It is made anew, and\n// anew.\nint a;  // anew\n")
    assert any("\"anew\" stands 3 times in src, 2 are recorded" in f for f in words.check_tree(tmp_path))
    words.record(tmp_path)
    assert words.recorded(tmp_path)["anew"] == 2
    source(tmp_path, "// It is made anew.\n")
    assert list(words.check_tree(tmp_path)) == [] and "lower its number" in capsys.readouterr().err
    words.record(tmp_path)
    assert words.recorded(tmp_path)["anew"] == 1


def test_a_phrase_over_two_lines_counts_and_code_does_not(tmp_path):
    source(tmp_path, "/// What a lock\n/// of\n/// ours holds.\nint anew = 1;\n")
    assert words.count(tmp_path)["of ours"] == 1 and words.count(tmp_path)["anew"] == 0


def test_the_tree_is_clean():
    assert list(words.check_tree(ROOT)) == []
