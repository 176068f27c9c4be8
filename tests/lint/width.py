"""Help texts and pages end at column 100. `width.py [ROOT]`: one line per finding; part of lint.py.

`width.py --wrap PAGE…` wraps the prose of pages in place. Tables, code and links of a page may be longer, and so may the decisions, which are pages of their own kind.
"""
import os
import re
import sys
import textwrap

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import names  # noqa: E402

COLUMNS = 100
STRING = r'"(?:\\.|[^"\\\n])*"'
OPTION = re.compile(rf"\{{\s*('.'|0),\s*({STRING}),\s*(nullptr|{STRING}),\s*((?:{STRING}\s*)+)\}}")
SHARED = re.compile(rf"const Option (k\w+)\{{\s*('.'|0),\s*({STRING}),\s*(nullptr|{STRING}),\s*((?:{STRING}\s*)+)\}}")


def said(literals):
    return "".join(value for _, value in names.literals(literals))


def option(letter, name, value, text):
    left = f"-{letter[1]}, " if letter != "0" else "    "
    return f"{left}--{said(name)}" + (f" {said(value)}" if value != "nullptr" else ""), said(text)


def help_texts(text):
    """(verb, its help as `locald VERB --help` prints it) of each verb in a source of src/cli."""
    shared = {m[1]: option(*m.groups()[1:]) for m in SHARED.finditer(text)}
    for m in names.VERB.finditer(text):
        block = m[1]
        field = {f[1]: said(f[2]) for f in re.finditer(rf"\.(name|usage|summary|details)\s*=\s*((?:{STRING}\s*(?://[^\n]*\n\s*)?)+)", block)}
        rows = [option(*o.groups()) for o in OPTION.finditer(block)]
        at = block.find(".options")
        rows += [shared[k] for k in re.findall(r"\bk\w+", block[at:] if at >= 0 else "") if k in shared]
        rows.append(("-h, --help", "show this text"))
        width = max(len(left) for left, _ in rows)
        lines = [f"usage: locald {field['name']} {field.get('usage', '')}", "", field["summary"], "", *field.get("details", "").split("\n"), "", "options:"]
        yield field["name"], "\n".join(lines + [f"  {left:<{width}}  {right}" for left, right in rows])


def wide_lines(page):
    """(line number, its length) of what a page says in prose."""
    fenced = False
    for n, line in enumerate(page.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith(("|", "    ")) and len(line) > COLUMNS and " " in line[:COLUMNS].strip():
            yield n, len(line)


def wrapped(page):
    """`page` with its prose and lists wrapped; headings, tables and code stay. Code and links are not broken."""
    out, paragraph, first, rest, fenced = [], [], "", "", False

    def flush():
        if paragraph:
            whole = re.sub(r"`[^`]*`|\[[^\]]*\]\([^)]*\)", lambda m: m[0].replace(" ", "\0"), " ".join(paragraph))
            lines = textwrap.wrap(whole, COLUMNS, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)
            out.extend(line.replace("\0", " ") for line in lines)
            paragraph.clear()

    for line in page.split("\n"):
        item = re.match(r"(\s{0,3})([-*]|\d+\.) (.*)$", line)
        fence = line.startswith("```")
        if fenced or fence or not line or line.startswith(("|", "#")) or (line.startswith("    ") and not paragraph):
            flush()
            fenced ^= fence
            out.append(line)
        elif item:
            flush()
            first, rest = f"{item[1]}{item[2]} ", " " * (len(item[1]) + len(item[2]) + 1)
            paragraph.append(item[3])
        else:
            if not paragraph:
                first = rest = ""
            paragraph.append(line.strip())
    flush()
    return "\n".join(out)


def check_tree(root):
    folder = os.path.join(root, "src/cli")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name.endswith(".cc"):
            for verb, text in help_texts(names.read(os.path.join(folder, name))):
                for line in text.split("\n"):
                    if len(line) > COLUMNS:
                        yield f"src/cli/{name}:1: `locald {verb} --help` has {len(line)} columns (the most is {COLUMNS}): {line.strip()}"
    overview = os.path.join(folder, "main.cc")
    for n, text in names.literals(names.read(overview)) if os.path.exists(overview) else []:
        for line in text.split("\n"):
            if len(line) > COLUMNS and "\n" in text:
                yield f"src/cli/main.cc:{n}: `locald --help` has {len(line)} columns (the most is {COLUMNS}): {line.strip()}"
    for page in names.pages(root):
        if page.startswith("docs/decisions/"):
            continue
        for n, length in wide_lines(names.read(os.path.join(root, page))):
            yield f"{page}:{n}: {length} columns: wrap it at {COLUMNS}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--wrap"]:
        for page_to_wrap in sys.argv[2:]:
            with open(page_to_wrap, "r+", encoding="utf-8") as file:
                result = wrapped(file.read())
                file.seek(0)
                file.truncate()
                file.write(result)
        sys.exit(0)
    findings = list(check_tree(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")))
    print("\n".join(findings))
    sys.exit(1 if findings else 0)
