"""Rules are told once, in docs/rules.md. `rules.py [ROOT]`: one line per finding; part of lint.py.

* An id that a comment cites is in docs/rules.md, and an id there is cited by a source.
* No comment and no page refers to a document that is not here: a section ("§ 7") is one of an RFC or a public specification,
  and there is no design paper.
"""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import names  # noqa: E402

RULES = "docs/rules.md"
ID = re.compile(r"\bR-[A-Z]+(?:-[A-Z]+)*\b")
DEFINED = re.compile(r"^\* \*\*(R-[A-Z-]+)\*\* ", re.M)
# A section of something, where the words before it name no public document.
SECTION = re.compile(r"(?P<of>[^.;\n]{0,40})§")
PUBLIC = re.compile(r"RFC|spec|POSIX|man ", re.I)
LOST = re.compile(r"\b(?:design|robustness|process-model)(?: document| paper)? §|\bthe seed's\b|\bdesign document\b", re.I)


def check_text(text):
    """Yields (line, message)."""
    for n, line in enumerate(text.splitlines(), 1):
        if m := LOST.search(line):
            yield n, f"\"{m.group()}\": there is no such document here; say the rule, or cite one of {RULES}"
        for m in SECTION.finditer(line):
            if not PUBLIC.search(m["of"]) and not LOST.search(line):
                yield n, "a section of what? Name the specification, or say the rule"


def check_ids(rules, cited):
    """`cited`: {id: the place that cites it first}"""
    defined = DEFINED.findall(rules)
    for name in sorted(set(n for n in defined if defined.count(n) > 1)):
        yield f"{RULES}:1: {name} is there twice"
    for name, place in sorted(cited.items()):
        if name not in defined:
            yield f"{place}: there is no rule {name} in {RULES}"
    for name in defined:
        if name not in cited:
            yield f"{RULES}:1: {name} is cited by no source"


def check_tree(root):
    cited = {}
    for top in ("src", "fuzz", "bench"):
        for folder, dirs, files in os.walk(os.path.join(root, top)):
            dirs.sort()
            for name in sorted(files):
                if not name.endswith((".cc", ".h", ".md")):
                    continue
                path = os.path.join(folder, name)
                place, text = os.path.relpath(path, root), names.read(path)
                for line, finding in check_text(text):
                    yield f"{place}:{line}: {finding}"
                for m in ID.finditer(text):
                    cited.setdefault(m.group(), f"{place}:{text.count(chr(10), 0, m.start()) + 1}")
    for page in names.pages(root):
        if page.startswith("docs/decisions/"):
            continue  # a decision tells of its time
        for line, finding in check_text(names.read(os.path.join(root, page))):
            yield f"{page}:{line}: {finding}"
    path = os.path.join(root, RULES)
    rules = names.read(path) if os.path.exists(path) else ""
    yield from check_ids(rules, cited)
    for page in names.pages(root):
        for name in sorted(set(ID.findall(names.read(os.path.join(root, page)))) - set(DEFINED.findall(rules))):
            yield f"{page}:1: there is no rule {name} in {RULES}"


if __name__ == "__main__":
    findings = list(check_tree(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")))
    print("\n".join(findings))
    sys.exit(1 if findings else 0)
