"""A drawing that a formatter wrapped is found; the same drawing whole is not."""
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import drawings

ROOT = pathlib.Path(__file__).parents[2]

# Each as the formatter left it, and as it was drawn.
WRAPPED = {
    "a chain": ("""
/// The life of one instance, in one thread and one poll(2) loop:
///
///     starting --runs--> running --main process ends--> (rest of the tree ends) --> draining -->
///     done
///         |                 |                                  ^
""", """
/// The life of one instance, in one thread and one poll(2) loop:
///
///     starting --runs--> running --main process ends--> ending --nothing left--> draining --> done
///         |                 |                                  ^
"""),
    "a diagram": ("""
///              Start             DependenciesMet
///     stopped --------> waiting ----------------> preparing
///        |                  ^                            +-- TimerFired -- backoff <--------+
///        (policy says again) |                  +------- too often, or it never ran for a reason
///        |      Stop, in every state: where something runs
""", """
///              Start             DependenciesMet
///     stopped --------> waiting ----------------> preparing
///        |                  ^                            +-- TimerFired -- backoff <--------+
///        |                  |      (policy says again)                                      |
///        |      Stop, in every state: where something runs
"""),
    "a tree": ("""
/// The extracted layers on disk, each once, whatever images share it.
///
///     layers/<diffID hex>/diff/        the tree, overlay form; <diffID>.<chainID> where it depends
///     on its lower layers layers/<diffID hex>/layer.json   the commit record: written after one
///     syncfs of the tree, before the rename layers/l/<short>                 symlink to
""", """
/// The extracted layers on disk, each once, whatever images share it.
///
///     layers/<diffID hex>/diff/        the tree, overlay form; <diffID>.<chainID> where it depends
///                                      on its lower layers
///     layers/<diffID hex>/layer.json   the commit record: written after one syncfs of the tree, by
///     layers/l/<short>                 symlink to ../<hex>/diff
"""),
    "a sequence": ("""
///     server                     locald-shim (run)              the shim proper
///       |                            | joins namespaces, forks -----> |  setsid, subreaper; for a
///       container PID 1 of |
///       namespace of its own
""", """
///     server                     locald-shim (run)              the shim proper
///       |                            | joins namespaces, forks -----> |  setsid, subreaper; for a
///       |                            |                                |  container PID 1
"""),
    "prose in it": ("""
// Formats:
//
//     a  -> b
// and then the rest of it.
""", """
// Formats:
//
//     a  -> b
//
// and then the rest of it.
"""),
}
NOT_A_DRAWING = [
    "/// @return Errc::corrupt when the layer's diffID is not `layer.diff_id`; errors of the function\n///         apply_layer_overlay(). On error nothing is left.\n",
    "/// Prose of a full line that goes on to the very end of what one line of code may take, which is 100\n/// columns-and-not-one-more.\n",
    "///     auto job = TRY(start(a_first_argument, a_second_argument, a_third_argument_that_is_long));\n///     job_with_a_long_name_here.cancel();\n",
]
# The commit that broke each, and where. A checkout without history skips.
BROKEN_IN = "d5bbc2c"
BROKEN = ("server/service_state.h", "shim/session.h", "shim/protocol.h", "oci/layer_store.h", "server/health.h", "server/project.h",
          "server/interpolation.h")


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapped_drawing_is_found_and_a_whole_one_is_not(name):
    broken, whole = WRAPPED[name]
    assert list(drawings.check_text(broken))
    assert list(drawings.check_text(whole)) == []


@pytest.mark.parametrize("text", NOT_A_DRAWING)
def test_prose_and_examples_are_not_drawings(text):
    assert list(drawings.check_text(text)) == []


@pytest.mark.parametrize("path", BROKEN)
def test_what_was_broken_is_found_in_history(path):
    old = subprocess.run(["git", "-C", ROOT, "show", f"{BROKEN_IN}:src/{path}"], capture_output=True, text=True)
    if old.returncode != 0:
        pytest.skip("no history here")
    assert list(drawings.check_text(old.stdout))


def test_the_tree_is_clean():
    assert list(drawings.check_tree(ROOT)) == []
