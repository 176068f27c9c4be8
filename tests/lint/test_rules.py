"""What looks after the rules must be able to fail."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import rules

ROOT = pathlib.Path(__file__).parents[2]
PAGE = "# Rules\n\n* **R-A** One.\n* **R-B-C** Two.\n"


def test_a_rule_that_is_not_there_and_one_that_nobody_cites_are_found():
    assert list(rules.check_ids(PAGE, {"R-A": "a.h:1", "R-B-C": "a.h:2"})) == []
    assert list(rules.check_ids(PAGE, {"R-A": "a.h:1", "R-B-C": "a.h:2", "R-NOPE": "b.h:7"})) == ["b.h:7: there is no rule R-NOPE in docs/rules.md"]
    assert list(rules.check_ids(PAGE, {"R-A": "a.h:1"})) == ["docs/rules.md:1: R-B-C is cited by no source"]
    assert list(rules.check_ids(PAGE + "* **R-A** Again.\n", {"R-A": "a.h:1", "R-B-C": "a.h:2"})) == ["docs/rules.md:1: R-A is there twice"]


S = "\N{SECTION SIGN}"


@pytest.mark.parametrize("text", [f"/// Design {S}9.8: the owner alone", f"// the target's ({S}1.4), and", "/// (the seed's Bundle)", f"// robustness {S}2.3 rule 8"])
def test_a_document_that_is_not_here_is_found(text):
    assert list(rules.check_text(text))


@pytest.mark.parametrize("text", ["/// (RFC 9110 §11.6.1)", "// image-spec §3", "// rounds of one seed", "// R-A: by design"])
def test_public_ones_pass(text):
    assert list(rules.check_text(text)) == []


def test_the_tree_is_clean():
    assert list(rules.check_tree(ROOT)) == []
