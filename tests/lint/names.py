"""Every verb, option, key and file that a message, a hint, a help text, a comment or a page names exists.

`names.py [ROOT]`: one line per finding; part of lint.py. What exists is read from where it is defined: verbs and options from
the tables in src/cli/verb_*.cc, keys from the readers of locald.toml, config.toml, project.toml and buildpack.toml, files from
the tree.
"""
import os
import re
import sys

try:
    import tomllib
except ImportError:  # before Python 3.11
    tomllib = None

COMMENT_OR_LITERAL = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^()\s\\]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'', re.S)
VERB = re.compile(r"const Verb k\w+\{(.*?)\n\};", re.S)
OPTION = re.compile(r"\{(?:'(.)'|0),\s*\"([a-z-]+)\"")
SHARED_OPTION = re.compile(r"const(?:expr)? Option (k\w+)\{\s*(?:'(.)'|0),\s*\"([a-z-]+)\"")

SCRIPT = re.compile(r"(?<![\w/.])(scripts/[a-z-]+)((?: --?[a-z][a-z-]*)+)")

GLOBAL = {"--help", "--version", "-h", "-C", "-f", "-p"}
ALIASES = {"ps", "help"}
# What follows the word locald in a sentence, so that it is no verb.
PROSE = {"and", "as", "cannot", "does", "failed", "is", "keeps", "knows", "may", "needs", "of", "reads", "runs", "shows", "source", "speaks", "supports"}
# Options of other programs (apt-get, usermod, sysctl, locald-server, storm.py).
FOREIGN = {"--reinstall", "--add-subuids", "--add-subgids", "--system", "--job-fd", "--show"}
# Where the command lines of other programs are what is written, and files of people's projects that we know.
FOREIGN_COMMANDS = "src/project/init/"
FOREIGN_FILES = {"manage.py", "celery.py", "app/main.py"}
# Programs, and words of other files, in backticks.
OTHER = {"dmesg", "pack", "runc", "true", "default", "crash-loop", "shell", "log", "build", "id", "types", "group"}
FILE_ENDS = {"toml", "json", "md", "h", "cc", "py", "sock", "idx", "log", "key", "size"}
# Settings of the kernel.
SYSCTL = ("fs.", "kernel.", "net.", "user.", "vm.")
# Headers of the system, and sources of other projects.
SYSTEM = ("linux/", "sys/", "runc/", "lifecycle/", "pack/")
# Tables whose keys are names that people choose.
NAMES_BELOW = {"services", "env", "depends_on", "bindings", "processes", "networks", "ulimits"}
# The sources that read our files, wherever they are.
READERS = {"shape.cc", "shape_build.cc", "shape_deploy.cc", "shape_service.cc", "service_reader.cc", "service_keys.cc", "build_reader.cc", "value_readers.cc",
           "network_reader.cc", "watch_reader.cc", "toml_front.cc", "user_config.cc", "project_descriptor.cc",
           "buildpack_toml.cc", "order.cc"}


def literals(text):
    """(line, text) of each string literal; neighbours that the compiler joins are one."""
    out, end = [], None
    for m in COMMENT_OR_LITERAL.finditer(text):
        token = m.group()
        if not token.startswith('"'):
            end = end if token.startswith("/") else None
            continue
        try:
            value = token[1:-1].encode().decode("unicode_escape").encode("latin-1").decode()
        except UnicodeError:
            value = token[1:-1]
        between = re.sub(r"//[^\n]*|/\*.*?\*/|\s", "", text[end:m.start()], flags=re.S) if end is not None else "x"
        if between == "":
            out[-1] = (out[-1][0], out[-1][1] + value)
        else:
            out.append((text.count("\n", 0, m.start()) + 1, value))
        end = m.end()
    return out


def comments(text):
    """(line, words) of each comment."""
    for m in COMMENT_OR_LITERAL.finditer(text):
        if m.group().startswith("/"):
            yield text.count("\n", 0, m.start()) + 1, m.group()


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def verbs(root):
    """{verb: its options, as they are typed}"""
    found, common = {}, {}
    folder = os.path.join(root, "src/cli")
    for name in sorted(os.listdir(folder)):  # what several verbs share stands in headers
        if name.endswith(".h"):
            common |= {m[1]: [m[2] and "-" + m[2], "--" + m[3]] for m in SHARED_OPTION.finditer(read(os.path.join(folder, name)))}
    for name in sorted(os.listdir(folder)):
        if not name.startswith("verb") or not name.endswith(".cc"):
            continue
        text = read(os.path.join(folder, name))
        shared = common | {m[1]: [m[2] and "-" + m[2], "--" + m[3]] for m in SHARED_OPTION.finditer(text)}
        for m in VERB.finditer(text):
            block = m.group(1)
            named = re.search(r'\.name\s*=\s*"([^"]+)"', block)
            options = set()
            at = block.find(".options")
            for o in OPTION.finditer(block[at:]):
                options |= {"--" + o[2]} | ({"-" + o[1]} if o[1] else set())
            for word in re.findall(r"\bk\w+", block[at:]):
                options |= set(filter(None, shared.get(word, [])))
            found[named[1]] = options
    return found


def keys(root):
    """Every word that a reader of one of our files knows."""
    found = set()
    for folder, _, files in os.walk(os.path.join(root, "src")):
        for name in READERS & set(files):
            found |= {value for _, value in literals(read(os.path.join(folder, name))) if re.fullmatch(r"[a-z][a-z0-9_.-]*", value)}
    return found


def check_commands(text, known):
    """The commands that `text` tells people to type."""
    groups = {v.split()[0] for v in known if " " in v}
    for m in re.finditer(r"(?<![\w/.-])locald((?: -[CfpV] \S+)*) ([a-z][a-z-]*)((?: [^`\n;]*)?)", text):
        first, rest = m.group(2), m.group(3)
        second = (re.match(r" ([a-z]+)", rest) or [None, ""])[1]
        if first in PROSE or first in ALIASES:
            continue
        verb = f"{first} {second}" if f"{first} {second}" in known else first
        if verb not in known:
            if not (first in groups and not second):
                yield f"there is no verb `locald {first}{' ' + second if first in groups else ''}`"
            continue
        words = re.split(r" -- |[:;,)&|](?: |$)|\. | locald ", rest)[0]
        for option in re.findall(r"(?<=\s)(--[a-z][a-z-]+)", words):
            if option not in known[verb] | GLOBAL and option not in FOREIGN:
                yield f"`locald {verb}` has no option {option}"


def check_scripts(text, root):
    """The options of our scripts that `text` names, as in `scripts/test unit -k shop`."""
    for m in SCRIPT.finditer(text):
        path = os.path.join(root, m[1])
        for option in re.findall(r"--[a-z][a-z-]*", m[2]):
            if os.path.isfile(path) and option not in re.findall(r"--[a-z][a-z-]*", read(path)):
                yield f"`{m[1]}` has no option {option}"


def check_text(text, known, all_options, known_keys, root, code):
    yield from check_scripts(text, root)
    text = SCRIPT.sub(r"\1", text)
    yield from check_commands(text, known)
    if code and " " in text and all_options is not None:
        for option in sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", re.sub(r" -- [^\n]*", "", text)))):  # what follows -- is another's
            if option not in all_options and option not in FOREIGN:
                yield f"no verb has an option {option}"
    if code:
        for word in re.findall(r"`([a-z][a-z_-]*)`", text):
            if word not in known_keys | OTHER and word not in known and word not in {v.split()[0] for v in known}:
                yield f"no file of ours has a key `{word}`"
        # A key with its table, as in "set image.max_ratio", in backticks or not.
        for word in re.findall(r"`([a-z][a-z_-]*(?:\.[a-z][a-z_-]*)+)`|(?<= )((?:[a-z]+\.)+[a-z]+(?:_[a-z]+)+)(?![\w(./])", text):
            word = word[0] or word[1]
            if word.rsplit(".", 1)[1] not in FILE_ENDS and not word.startswith(SYSCTL) and not set(word.split(".")) <= known_keys | words_of(known_keys):
                yield f"no file of ours has a key `{word}`"
    for path in re.findall(r"(?<![\w/.])((?:docs|scripts|examples|tests)/[\w/.-]*\w)", text):
        if "*" not in path and not any(os.path.exists(os.path.join(root, path + end)) for end in ("", ".md", ".cc", ".py")):
            yield f"there is no {path}"


def code_of_page(text):
    """What a page shows as code: in backticks, fenced, or indented."""
    lines, fenced = [], False
    for n, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            lines.append((n, line))
        else:
            lines += [(n, part) for part in re.findall(r"`([^`]+)`", line)]
    return lines


def tree_files(root):
    """Every file of the tree, by its path and all its shorter names: "src/base/sys.h", "base/sys.h", "sys.h"."""
    found = set()
    for folder, dirs, names in os.walk(root):
        dirs[:] = sorted(d for d in dirs if d != ".git" and (folder != str(root) or not d.startswith("build")))
        for name in names:
            parts = os.path.relpath(os.path.join(folder, name), root).split(os.sep)
            found |= {"/".join(parts[n:]) for n in range(len(parts))}
    return found


def check_files(text, known_files):
    """Sources that a comment or a page names: with a folder or by name alone."""
    for path in re.findall(r"(?<![\w/.<*{}:-])((?:[\w.-]+/)*\w+\.(?:h|cc|py))(?![\w*])", text):
        if not path.startswith(SYSTEM) and path not in known_files | FOREIGN_FILES:
            yield f"there is no {path}"


def check_comment(text, known, known_files):
    for command in re.findall(r"`(locald [^`]+)`", text):
        yield from check_commands(command, known)
    yield from check_files(text, known_files)
    for path in re.findall(r"(?<![\w/.])((?:docs|scripts)/[\w/.-]*\w)", text):
        if "*" not in path and path not in known_files and not any(f.startswith(path + "/") for f in known_files):
            yield f"there is no {path}"


def check_toml(table, known_keys, path=(), chosen=False):
    """The keys of an example; `chosen`: they are names that people choose."""
    for key, value in table.items():
        if not chosen and key not in known_keys | words_of(known_keys):
            yield f"no file of ours has a key `{'.'.join((*path, key))}`"
        if isinstance(value, dict):
            yield from check_toml(value, known_keys, (*path, key), not chosen and key in NAMES_BELOW)


def words_of(known_keys):
    return {part for key in known_keys for part in key.split(".")}


def check_page(path, text, known, all_options, known_keys, known_files, root):
    """What is in a page besides its commands. Yields (line, finding)."""
    for m in re.finditer(r"^```toml\n(.*?)^```", text, re.S | re.M):
        if tomllib is not None:
            try:
                for finding in check_toml(tomllib.loads(m[1]), known_keys):
                    yield text.count("\n", 0, m.start()) + 1, finding
            except tomllib.TOMLDecodeError as error:
                yield text.count("\n", 0, m.start()) + 1, f"an example is not TOML: {error}"
    # A page that people follow writes files of its own: `web.py`: and a fenced block.
    known_files = known_files | set(re.findall(r"^`([\w./-]+)`:$", text, re.M))
    table = ""
    for n, line in enumerate(text.splitlines(), 1):
        table = (table or line) if line.startswith("|") else ""
        for finding in check_files(line, known_files):
            yield n, finding
        if table.startswith("| key"):
            for key in re.findall(r"`([a-z][\w.-]*)`", line.split("|")[1]):
                if not set(key.split(".")) <= known_keys | words_of(known_keys):
                    yield n, f"no file of ours has a key `{key}`"
        for option in re.findall(r"`(--[a-z][a-z-]+)", line):
            if option not in all_options | FOREIGN:
                yield n, f"no verb has an option {option}"
        for link in re.findall(r"\]\(([^)#: ]+)\)", line):
            if not os.path.exists(os.path.join(root, os.path.dirname(path), link)):
                yield n, f"there is no {link}"


def check_elsewhere(root, known):
    """Words of other tools in cli/main.cc, and the verbs that they are told are ours."""
    text = read(os.path.join(root, "src/cli/main.cc"))
    table = re.search(r"kElsewhere\[\] = \{(.*?)\};", text, re.S)
    for theirs, ours in re.findall(r'\{"([a-z]+)",\s*"([^"]+)"\}', table[1] if table else ""):
        if theirs in known:
            yield f"src/cli/main.cc:1: `{theirs}` is a verb of ours"
        for finding in check_commands("locald " + ours, known):
            yield f"src/cli/main.cc:1: {finding}"


def pages(root):
    """The pages at the top and all of docs/, by their paths below `root`."""
    found = [n for n in ("README.md", "HACKING.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md") if os.path.exists(os.path.join(root, n))]
    for folder, dirs, files in os.walk(os.path.join(root, "docs")):
        dirs.sort()
        found += [os.path.relpath(os.path.join(folder, n), root) for n in sorted(files) if n.endswith(".md")]
    return found


def check_tree(root):
    known = verbs(root)
    yield from check_elsewhere(root, known)
    options = set().union(GLOBAL, *known.values())
    known_keys, known_files = keys(root), tree_files(root)
    for folder, dirs, files in os.walk(os.path.join(root, "src")):
        dirs.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            if not name.endswith((".cc", ".h")) or name.endswith(("_test.cc", "_fixture.h")) or name.startswith(("fake_", "test_")):
                continue
            for line, text in comments(read(path)):
                for finding in check_comment(text, known, known_files):
                    yield f"{os.path.relpath(path, root)}:{line}: {finding}"
            for line, text in literals(read(path)):
                options_here = None if os.path.relpath(path, root).startswith(FOREIGN_COMMANDS) else options
                for finding in check_text(text, known, options_here, known_keys, root, code=True):
                    yield f"{os.path.relpath(path, root)}:{line}: {finding}"
    for page in pages(root):
        path = os.path.join(root, page)
        for n, finding in check_page(page, read(path), known, options, known_keys, known_files, root):
            yield f"{page}:{n}: {finding}"
        for line, text in code_of_page(read(path)):
            for finding in check_text(text, known, options, known_keys, root, code=False):
                yield f"{os.path.relpath(path, root)}:{line}: {finding}"


if __name__ == "__main__":
    findings = list(check_tree(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")))
    print("\n".join(findings))
    sys.exit(1 if findings else 0)
