#!/usr/bin/env python3
"""Records what git ignores: cases.json, which cnb/source/path_filter_test.cc holds PathFilter::exclude against.

Run with git 2.39: record.py [SEED COUNT] > cases.json. It makes a repository with the tree below, writes each list of patterns as its .gitignore and asks
`git check-ignore --no-index --stdin -z` about every path. Folders end in a slash in the output. SEED and COUNT add lists made up at random.

Left out: patterns with a path, no special character and then two stars, such as "a/b**/c". There git 2.39 lets the stars match slashes, against its
documentation (it cuts the plain part off first and then takes the stars for the beginning of a name).
"""
import json
import os
import random
import re
import subprocess
import sys
import tempfile

FILES = """
a b ab abc aab abb a.c b.c a.o .hidden foo foo.c foobar barfoo f00 debug.log debug0.log debugA.log Debug.log -x x-y *star q?m
d/a d/b d/a.c d/e/a d/e/f/a d/e/f/b.c d/foo/bar d/foo/a.c d/debug.log
foo.d/foo foo.d/bar/foo foo.d/foox/y bar/foo/a bar/foo/b/c build/out/a.o build/keep src/build/x src/main.c src/sub/build/y src/sub/main.c
doc/frotz doc/a.txt x/doc/frotz x/doc/a.txt x/y/z/doc/frotz logs/debug.log logs/mon/debug.log logs/mon/foo.bar logs/keep.log
node_modules/m/index.js app/node_modules/m/index.js .git-like/x vendor/a/b/c vendor/a/x vendor/x keep/this/one keep/that/one cmd/server/main.go cmd/main.go
go.mod pkg/go.mod [a]/x [a] é/ü é.txt deep/1/2/3/4/5/6 deep/1/2/x deep/x 1/2 0 A/B/C Abc
""".split()
FILES = [f for f in FILES if f != "[a]"] + ["#c", "!n", "with space", "tail ", "d/with space/x", "back\\slash", "tab\tx", "bracket]", "dash-", "br[ack"]
LINKS = {"link": "d", "d/link": "e"}

LISTS = [
    # names, paths, folders
    ["a"], ["foo"], ["foo/"], ["/foo"], ["/foo/"], ["/a"], ["d/a"], ["/d/a"], ["e/a"], ["d/"], ["d"], ["doc/frotz"], ["/doc/frotz"], ["doc/frotz/"], ["frotz"], ["doc/"], ["link/"], ["link"], ["d/link/"],
    ["node_modules"], ["node_modules/"], ["/node_modules/"], ["build/"], ["/build"], ["src/build"], [".git-like"], ["/d/foo"], ["/foo.d/foo"], ["d/foo/"],
    # star and question mark
    ["*"], ["*/"], ["/*"], ["*.c"], ["/*.c"], ["d/*.c"], ["*/*.c"], ["d/*"], ["d/*/"], ["*/a"], ["?"], ["??"], ["a?"], ["?.c"], ["d/?"], ["*o*"], ["f*r"], ["*a*b*"], ["a*b"], ["*.log"], ["debug?.log"],
    ["f*/"], ["foo*"], ["foo.*"], ["*/*"], ["*/*/*"], ["/*/foo"], ["d/*/a"], ["\\*star"], ["*star"], ["q\\?m"], ["q?m"],
    # sets
    ["[ab]"], ["[a-b]"], ["[!a]"], ["[^a]"], ["[!a]*"], ["debug[0-9].log"], ["debug[!01].log"], ["debug[a-z].log"], ["debug[A-Z].log"], ["[[:digit:]]"], ["[[:upper:]]*"], ["f[[:digit:]][[:digit:]]"], ["[[:alpha:]][[:punct:]]c"],
    ["[[:nonsense:]]"], ["[a"], ["[]"], ["[]a]"], ["[]]"], ["bracket[]]"], ["dash[-]"], ["dash[a-]"], ["[-a]x"], ["[-x]x"], ["[a-]"], ["[b-a]"], ["a[.]c"], ["[\\]]"], ["bracket[\\]]"], ["[[]a]"], ["\\[a]"], ["\\[a\\]"], ["[[]a[]]"], ["br[[]ack"],
    ["d[/]a"], ["d[!x]a"], ["d[/e]a"], ["a[/b]"], ["d?a"], ["d*a"], ["[[:alpha:]"], ["[[:alpha:"], ["[a-c-e]*"], ["[[:alpha:]-z]"], ["[![:alpha:]]*"], ["[a-"], ["[!"], ["[^]"], ["[!]a]*"], ["back[\\\\]slash"], ["[a\\"],
    # two stars
    ["**"], ["**/"], ["/**"], ["**/foo"], ["**/foo/"], ["**/a"], ["**/doc/frotz"], ["**/foo/bar"], ["d/**"], ["/d/**"], ["d/**/"], ["d/**/a"], ["d/**/f/**"], ["d/**/*.c"], ["**/*.c"], ["**/logs"], ["logs/**/debug.log"], ["x/**/frotz"], ["x/**/doc/"],
    ["**/build/"], ["**/**/a"], ["d/**/**/a"], ["d/***/a"], ["***/a"], ["d/***"], ["deep/**/x"], ["deep/*/*/x"], ["deep/**/3/**"], ["a**"], ["a**b"], ["**a"], ["d/a**"], ["d/**a"], ["d/**c"], ["logs/**debug.log"], ["**d/a"], ["d/e*/**/a"],
    ["vendor/**"], ["vendor/*"], ["vendor/**/x"], ["/**/x"], ["**/e/**/a"], ["*/**"], ["**/*"], ["**/*/"], ["*/**/a"], ["d/**/e/**/b.c"],
    # negation
    ["*", "!*.c"], ["*", "!*/", "!*.c"], ["*.log", "!debug.log"], ["!debug.log", "*.log"], ["logs/", "!logs/keep.log"], ["logs/*", "!logs/keep.log"], ["logs/**", "!logs/keep.log"], ["/*", "!/foo", "/foo/*"], ["/*", "!/foo.d", "/foo.d/*", "!/foo.d/bar"],
    ["keep/*", "!keep/this"], ["keep/**", "!keep/this/"], ["keep", "!keep/this/one"], ["build/", "!src/build/"], ["*", "!src", "!src/**"], ["a", "!a", "a"], ["!a"], ["!"], ["!!n"], ["\\!n"], ["!\\!n"], ["*", "!a/"], ["d/**", "!d/**/", "!d/**/a"], ["vendor/*/", "!vendor/a/"],
    # comments, blanks, escapes, slashes
    ["# a", "b"], ["\\#c"], ["#c"], ["a "], ["a  "], [" a"], ["tail\\ "], ["tail "], ["with space"], ["with\\ space"], ["with space/"], ["a\t"], ["tab\tx"], ["", "a"], ["   ", "a"], ["\\a"], ["\\ab"], ["a\\"], ["\\"], ["\\\\"], ["back\\\\slash"], ["back\\slash"],
    ["back*slash"], ["/"], ["//"], ["//a"], ["a//"], ["d//a"], ["d/./a"], ["./a"], ["../a"], ["d/e/../a"], ["!/"], ["d\\/a"], ["d/\\a"], ["doc\\/"], ["\\/a"], ["é"], ["é/"], ["é/*"], ["?.txt"], ["??.txt"], ["*.txt"], ["é.tx?"], ["[é].txt"], ["-x"], ["-*"], ["x-y"], ["a\r"], [" "],
    # what people write
    ["node_modules/", "*.log", "!keep.log", "/build/", ".hidden"], ["**/node_modules", "vendor/", "*.o"], ["/*", "!/cmd/", "!/go.mod", "!*.c"], ["*.[oa]", "*~", ".*", "!.hidden"],
]


def random_list(rnd):
    parts = ["a", "b", "d", "e", "f", "foo", "bar", "doc", "x", "*", "*", "?", "**", "**", "*.c", "a*", "*o", "f?o", "[a-f]", "[!a]", "***", "src", "build", "1", "2", "vendor", "keep", "logs"]
    out = []
    for _ in range(rnd.choice([1, 1, 2, 3, 4])):
        text = "/".join(rnd.choice(parts) for _ in range(rnd.choice([1, 1, 2, 2, 3, 4])))
        if rnd.random() < 0.2:
            at = rnd.randrange(len(text) + 1)
            text = text[:at] + rnd.choice(["*", "?", "**", "[", "]", "\\", "!", "-", "/", "[a-z]", "[^b]", "a", "."]) + text[at:]
        out.append(("!" if out and rnd.random() < 0.35 else "") + rnd.choice(["", "", "", "/"]) + text + rnd.choice(["", "", "/"]))
    return out


def main(argv):
    rnd = random.Random(int(argv[1]) if len(argv) > 1 else 0)
    made_up = [random_list(rnd) for _ in range(int(argv[2]) if len(argv) > 2 else 0)]
    lists = LISTS + [m for m in made_up if not any("/" in p.lstrip("!/").rstrip("/") and re.match(r"!?/?[^*?\[\\]*[^*?\[\\/]\*\*", p) for p in m)]
    with tempfile.TemporaryDirectory() as root:
        env = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null", LC_ALL="C.UTF-8")
        subprocess.run(["git", "init", "-q", root], check=True, env=env)
        for name in FILES:
            os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
            open(os.path.join(root, name), "w").close()
        for name, target in LINKS.items():
            os.symlink(target, os.path.join(root, name))
        paths = []
        for folder, dirs, files in os.walk(root):
            if ".git" in dirs and folder == root:
                dirs.remove(".git")
            base = os.path.relpath(folder, root)
            for name in dirs + files:
                path = os.path.normpath(os.path.join(base, name))
                full = os.path.join(root, path)
                paths.append(path + "/" if os.path.isdir(full) and not os.path.islink(full) else path)
        paths.sort()
        cases = []
        for patterns in lists:
            with open(os.path.join(root, ".git/info/exclude"), "w", newline="") as f:
                f.write("".join(p + "\n" for p in patterns))
            asked = "".join(p.rstrip("/") + "\0" for p in paths)
            got = subprocess.run(["git", "-C", root, "check-ignore", "--no-index", "--stdin", "-z"], input=asked.encode(), capture_output=True, env=env)
            assert got.returncode in (0, 1), got.stderr
            # A symlink in the middle is never asked about, so a name stands for one path.
            ignored = set(got.stdout.decode().split("\0"))
            cases.append({"patterns": patterns, "ignored": [i for i, p in enumerate(paths) if p.rstrip("/") in ignored]})
    print(json.dumps({"paths": paths}, ensure_ascii=False)[:-1] + ', "cases": [')
    print(",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in cases))
    print("]}")


if __name__ == "__main__":
    main(sys.argv)
