"""A drawing in a comment stays one. `drawings.py [ROOT]`: one line per finding; part of lint.py.

A drawing is what Markdown would call code: lines of a `//` comment that begin with four spaces or more, after a blank
comment line or at the comment's start. A formatter that wraps comments breaks the row that is too long and carries what is
left of it to a line of its own, with the row's indentation. So:

* no line of prose stands between or right below the rows: a blank comment line ends the drawing;
* no row is so full that the first word of the next one, at the same indentation, had no place in it, unless that is clearly a row
  too: it begins with a line or a corner, or shares a column with the row above. A row that continues below is indented deeper
  there, by 12 or more: within such a column words may run on.
"""
import os
import re
import sys

COLUMNS = 100
COMMENT = re.compile(r"^(\s*//[/!]?<?)( *)(.*?)\s*$")


def blocks(text):
    """Runs of comment lines that stand alone: [(number, slashes, indentation, text, whole line)]"""
    run = []
    for n, line in enumerate(text.splitlines(), 1):
        m = COMMENT.match(line)
        if m and (not run or m[1] == run[-1][1]):
            run.append((n, m[1], len(m[2]), m[3], line.rstrip()))
            continue
        if run:
            yield run
        run = [(n, m[1], len(m[2]), m[3], line.rstrip())] if m else []
    if run:
        yield run


def drawings(text):
    """(rows, the line of prose that is glued below them or None)"""
    for block in blocks(text):
        rows, fresh = [], 99  # the indentation up to which a row may begin here
        for entry in [*block, (0, "", 0, "", "")]:
            _, _, indent, words, _ = entry
            if words and indent >= 4 and (rows or indent <= fresh):
                rows.append(entry)
                continue
            if rows:
                yield rows, entry if words else None
            rows, fresh = [], 99 if not words else 8 if words.endswith(":") else 0


def columns(row):
    """Where a cell begins, after two spaces or more, or a line is drawn; counted within the row's words."""
    return {m.end() for m in re.finditer(r" {2,}(?=\S)", row[3])} | {m.start() for m in re.finditer(r"[|│]", row[3])}


def wrapped(above, row):
    """Whether `row` is what was left of `above`; both as (number, slashes, indentation, words, line)."""
    if not row[2] == above[2] <= 12 or len(above[4]) + 1 + len(row[3].split()[0]) <= COLUMNS:
        return False
    if above[3][-1] in ";,{" or row[3][-1] in ";,{" or "; " in above[3] and " // " in row[3]:
        return False  # an example in code
    return not (row[3][0] in "|`+│├└" or columns(above) & columns(row))


def check_text(text):
    """Yields (line, message)."""
    for rows, glued in drawings(text):
        if glued:
            yield glued[0], "a line of prose in a drawing: put a blank comment line between them, or indent it"
        for above, row in zip(rows, rows[1:]):
            if wrapped(above, row):
                yield row[0], "this row looks wrapped off the one above: shorten that, or continue it deeper, under its last column"



def check_tree(root):
    for top in ("src", "fuzz", "tests", "bench"):
        for folder, dirs, files in os.walk(os.path.join(root, top)):
            dirs.sort()
            for name in sorted(files):
                if name.endswith((".cc", ".h")):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as f:
                        text = f.read()
                    for line, message in check_text(text):
                        yield f"{os.path.relpath(path, root)}:{line}: {message}"


if __name__ == "__main__":
    findings = list(check_tree(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")))
    print("\n".join(findings))
    sys.exit(1 if findings else 0)
