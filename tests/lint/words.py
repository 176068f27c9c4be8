"""Words that few use today, and turns that cost a reader a second pass: none is said to people, and in comments they get fewer.

`words.py [ROOT]`: one line per finding; part of lint.py. HACKING.md ("How we write") has the rule in words. What still stands
in comments is counted in words.txt beside this file. A count may only fall: more is a finding, fewer a note to write the new
number down, which `words.py --record` does.
"""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import names  # noqa: E402

COUNTS = "tests/lint/words.txt"
NOT_THINGS = r"(?:longer|room|more|use|limit|such|need|place|way)\b"
# name in words.txt: what it looks like.
RATCHET = {
    "anew": r"\banew\b",
    "meanwhile": r"\bmeanwhile\b",
    "whoever": r"\bwhoever\b",
    "be it": r"\bbe it\b",
    "mend": r"\bmend(?:s|ed|ing)?\b",
    "of ours": r"\bof ours\b",
    "of locald's": r"(?<!one )\bof locald's\b",
    "is no": rf"(?<!there )\b(?:is|are) no (?!{NOT_THINGS})",
    "goes on": r"\b(?:go|goes|going|went) on\b(?! to\b)",
    "what is there": r"\bwhat is there\b",
    "under way": r"\bunder ?way\b",
    "comes to": r"\b(?:come|comes|came) to (?!an? end|nothing|light)",
    "who (a clause begins)": r"(?:^|[.;:] )who (?!\w+ (?:are|is)\b)",
}
PATTERNS = {name: re.compile(pattern, re.I | re.M) for name, pattern in RATCHET.items()}
# These are not said to people at all: not in a message, a hint, a help text or a page.
ODD = re.compile(r"\b(anew|meanwhile|whoever|mend(?:s|ed|ing)?|of ours|be it)\b", re.I)
IS_NO = re.compile(rf"(?<!there )\b((?:is|are) no (?!{NOT_THINGS})\w+)", re.I)


def check_wording(text):
    for word in IS_NO.findall(text):
        yield f"\"{word}\" is said to people: write \"invalid …: …\" or \"is not a …\""
    for word in ODD.findall(text):
        yield f"\"{word}\" is said to people: use a plain word of today"


def sources(root):
    for folder, dirs, files in os.walk(os.path.join(root, "src")):
        dirs.sort()
        for name in sorted(files):
            if name.endswith((".cc", ".h")):
                yield os.path.relpath(os.path.join(folder, name), root)


def prose(comment):
    """A comment as running text: a phrase may be broken between two lines."""
    return re.sub(r"\s*\n\s*//[/!]?<?\s*", " ", re.sub(r"^//[/!]?<?\s*", "", comment))


def comment_runs(text):
    """The comments of a source; lines that follow each other are one."""
    return (prose(m.group().strip()) for m in re.finditer(r"(?:^[ \t]*//[^\n]*\n?)+|(?<=\S)[ \t]*//[^\n]*", text, re.M))


def count(root):
    """How often each word of RATCHET stands in the comments of src and in what is said to people there."""
    found = dict.fromkeys(RATCHET, 0)
    for path in sources(root):
        text = names.read(os.path.join(root, path))
        for part in [*comment_runs(text), *(value for _, value in names.literals(text))]:
            for name, pattern in PATTERNS.items():
                found[name] += len(pattern.findall(part))
    return found


def recorded(root):
    path = os.path.join(root, COUNTS)
    lines = names.read(path).splitlines() if os.path.exists(path) else []
    return {name.strip(): int(number) for number, name in (line.split(" ", 1) for line in lines if line and not line.startswith("#"))}


def compare(found, allowed):
    """(findings, notes)"""
    findings = [f"{COUNTS}:1: \"{name}\" stands {found[name]} times in src, {allowed.get(name, 0)} are recorded: say it plainly (HACKING.md)"
                for name in found if found[name] > allowed.get(name, 0)]
    notes = [f"{COUNTS}: \"{name}\" stands only {found[name]} times now: lower its number (tests/lint/words.py --record)"
             for name in found if found[name] < allowed.get(name, 0)]
    return findings, notes


def check_tree(root):
    findings, notes = compare(count(root), recorded(root))
    for note in notes:
        print(note, file=sys.stderr)
    yield from findings
    for path in sources(root):
        if path.endswith(("_test.cc", "_fixture.h")) or os.path.basename(path).startswith(("fake_", "test_")):
            continue
        for line, text in names.literals(names.read(os.path.join(root, path))):
            for finding in check_wording(text):
                yield f"{path}:{line}: {finding}"
    for page in names.pages(root):
        for n, line in enumerate(names.read(os.path.join(root, page)).splitlines(), 1):
            for finding in check_wording(re.sub(r"`[^`]*`|\"[^\"]*\"", "", line)):
                yield f"{page}:{n}: {finding}"


def record(root):
    """Writes the counts down, none higher than it was."""
    found, allowed = count(root), recorded(root)
    with open(os.path.join(root, COUNTS), "w", encoding="utf-8") as f:
        f.write("# How often these still stand in src (tests/lint/words.py). A number only falls.\n")
        for name in RATCHET:
            f.write(f"{min(found[name], allowed.get(name, found[name]))} {name}\n")


if __name__ == "__main__":
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    if "--record" in sys.argv:
        record(top)
        sys.exit(0)
    found_now = list(check_tree(sys.argv[1] if len(sys.argv) > 1 else top))
    print("\n".join(found_now))
    sys.exit(1 if found_now else 0)
