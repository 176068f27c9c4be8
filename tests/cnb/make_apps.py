"""Apps for builds: those of apps/, ones that are only a mark for a buildpack of the tests, a big one."""
import os
import pathlib
import random
import shutil

APPS = pathlib.Path(__file__).resolve().parent / "apps"


def copy_app(name, target, files=None):
    """One of tests/cnb/apps, with other files beside or instead of its own: {path: text or bytes, None to remove}. None: the folder as it is."""
    if name:
        shutil.copytree(APPS / name, target, symlinks=True)
    for path, text in (files or {}).items():
        path = target / path
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return target


def app_of(target, *marks, **contents):
    """An app that some of the tests' buildpacks pass for, by their names; contents: what the file of one says."""
    target.mkdir(parents=True)
    for mark in marks:
        (target / f".test-{mark}").touch()
    for mark, text in contents.items():
        (target / f".test-{mark.replace('_', '-')}").write_text(text)
    return target


def big_node_app(target, files=13000, megabytes=190):
    """A Node app with that many files of that size together in vendor/, the same bytes each time; they compress as program text does."""
    copy_app("node", target)
    chance = random.Random(7)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz_", k=chance.randint(2, 11))) for _ in range(4000)]
    text = b""
    while len(text) < 4_000_000:  # a program says the same things again and again
        lines = ["".join(chance.choice(words) + chance.choice([" = ", "(", ", ", "."]) for _ in range(chance.randint(2, 7))) + ");\n" for _ in range(120)]
        text += "".join(chance.choice(lines) for _ in range(900)).encode()
    size = megabytes * 1_000_000 // files
    for i in range(files):
        if i % 100 == 0:
            module = target / f"vendor/module-{i // 100:03}"
            (module / "lib").mkdir(parents=True)
        start = chance.randrange(len(text) - 2 * size)
        name = module / ("index.js" if i % 100 == 0 else f"lib/part-{i % 100:02}.js")
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        head = f"module.exports = {i};\n/*\n".encode()
        os.writev(fd, [head, memoryview(text)[start:start + size - len(head) - 4], b"\n*/\n"])
        os.close(fd)
    return target
