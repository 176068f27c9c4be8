#!/usr/bin/env python3
"""Layering and bans, as a test. `lint.py [ROOT]`: one line per finding, exit 1 if there is any.

The tables are the documentation: what a room may include, what nobody may write, and why. Run by ctest and by
scripts/test; takes well under a second.
"""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import drawings  # noqa: E402
import names  # noqa: E402
import rules  # noqa: E402
import width  # noqa: E402
import words  # noqa: E402

# room: (rooms or single headers it may include besides itself, the reason). docs/architecture.md has the same table in words.
LAYERS = {
    "base": (set(), "the bottom: only what would make sense in a program without containers"),
    "oci": ({"base"}, "images are bytes: tested without root, without processes, without a registry"),
    "net": ({"base"}, "where services are reached: sockets, ports, addresses; what needs a process stands in runtime"),
    "netd": ({"base", "net"}, "a program of its own beside the server, static and confined: a project's connections"),
    "runtime": ({"base", "oci", "net", "shim/protocol.h"}, "bundles become processes; knows the shim by its protocol alone, registries not at all"),
    "builder": ({"base", "oci", "net", "runtime"}, "what an image asks for becomes a bundle; knows no kind of source but images"),
    "cnb": ({"base", "oci", "runtime", "builder"}, "above builder, because the phases of a build are containers of images"),
    "project": ({"base", "net", "oci/ref/pull_policy.h", "oci/ref/reference.h", "builder/limits.h", "builder/capabilities.h", "builder/volume_text.h", "builder/mount_plan.h", "builder/user_lookup.h",
                 "builder/volumes.h", "builder/container_options.h", "cnb/app.h", "cnb/build/build_inputs.h", "cnb/source/path_filter.h"},
                "from a file's text to a checked configuration: no loop, no thread, no process; of builder and cnb only what judges a value"),
    "ipc": ({"base"}, "what server and CLI say to each other: neither side's types leak into it"),
    "server": ({"base", "oci", "net", "runtime", "builder", "cnb", "project", "ipc"}, "services over time; everything but the command line and the shim's inside"),
    "cli": ({"base", "ipc"}, "thin: starts in 2 ms, cannot disagree with the server about a file"),
    "shim": (set(), "one per service and static: only what SHIM_SAFE names"),
}

# The same for folders within a room, lowest first: folder: what else of its room it may include (besides what lies in the room itself).
FOLDERS = {
    "oci/ref": set(),
    "oci/spec": {"oci/ref"},
    "oci/archive": set(),
    "oci/store": {"oci/ref", "oci/spec", "oci/archive", "oci/transfer/image_origin.h"},
    "oci/layer": {"oci/ref", "oci/spec", "oci/archive", "oci/store"},
    "oci/registry": {"oci/ref", "oci/spec", "oci/archive"},
    "oci/transfer": {"oci/ref", "oci/spec", "oci/archive", "oci/store", "oci/layer", "oci/registry"},
    "cnb/inputs": set(),
    "cnb/source": set(),
    "cnb/lifecycle": {"cnb/inputs"},
    "cnb/store": set(),
    "cnb/buildpacks": {"cnb/inputs", "cnb/source", "cnb/lifecycle", "cnb/store", "cnb/build/housekeeping.h"},
    "cnb/export": {"cnb/inputs", "cnb/source", "cnb/lifecycle", "cnb/store", "cnb/build/housekeeping.h", "cnb/build/phase_runner.h"},
    "cnb/build": {"cnb/inputs", "cnb/source", "cnb/lifecycle", "cnb/store", "cnb/buildpacks", "cnb/export"},
    "project/keys": set(),
    "project/yaml": set(),
    "project/compose": {"project/yaml", "project/resolve"},
    "project/compose_front": {"project/compose"},
    "project/toml": {"project/keys"},
    "project/resolve": set(),
    "project/init": {"project/resolve"},
    "server/http": set(),
    "server/state": set(),
    "server/supervise": set(),
    "server/launch": {"server/supervise"},
    "server/networks": {"server/state"},
    "server/projects": {"server/http", "server/state", "server/supervise", "server/launch", "server/networks"},
    "server/builds": {"server/http", "server/projects"},
    "server/instances": {"server/http", "server/state", "server/launch", "server/networks", "server/projects", "server/supervise"},
    "server/api": {"server/http", "server/launch", "server/networks", "server/projects", "server/builds", "server/instances"},
}

# Headers of base that the shim may include: no iostreams, no allocation after clone, nothing that links a library.
SHIM_SAFE = {
    "base/log/attach_protocol.h",
    "base/error.h",
    "base/sys/file_id.h",
    "base/sys/fs_at.h",
    "base/log/log_format.h",
    "base/result.h",
    "base/sys/standard_fds.h",
    "base/strings.h",
    "base/sys/sys.h",
    "base/sys/unique_fd.h",
}

# Third-party headers stay inside .cc files, so that a room's contract costs its readers nothing.
THIRD_PARTY = ("CLI/", "archive", "boost/", "curl/", "fmt/", "gtest/", "gmock/", "isa-l", "igzip", "libisal", "openssl/", "toml++/",
               "toml.hpp", "yaml.h", "yaml-cpp/", "zstd", "zlib")

# pattern, where it is allowed (a prefix or a suffix of the path below src/), why it is banned elsewhere. Comments and strings are not looked at.
BANS = [
    (r"\bremove_all\s*\(", (), "follows a swapped symlink; use remove_tree() of base/sys/fs_at.h"),
    (r"(?<![\w.>])(?:std::|::)?(?:system|popen)\s*\(", (), "goes through a shell; use base/sys/spawn.h"),
    (r"(?<!\w)::(?:open|openat|creat)\s*\((?![^;]*O_CLOEXEC)", ("base/", "_test.cc"), "without O_CLOEXEC; use sys::openat(), which adds it"),
    (r"\bthrow\b", (), "errors are values here: return an Error (base/result.h)"),
    (r"\busing\s+namespace\s+(?!std::(?:string_view_literals|string_literals|chrono_literals|literals)\b)", ("main.cc",), "a header added later changes what a name means"),
    (r"\b(?:strcpy|strcat|sprintf|gets|tmpnam|mktemp)\s*\(", (), "no bound, or a race; use std::string, fmt, mkostemp"),
    (r"\bnet::(?:quick_listeners|listeners|free_port|check_port_free)\s*\(", ("net/", "netd/", "runtime/", "_test.cc"),
     "of the host's network alone; ask a net::Network"),
    (r"(?<![\w:.>])std::(?:cout|cerr)\b", ("_test.cc", "_bench.cc"), "iostreams cost start time; write through base/log.h or cli/print.h"),
]
# The same for one room: a write that goes past the place that notices its failure is an error thrown away.
ROOM_BANS = {
    "project": [(r"\b(?:EventLoop|JobPool|spawn)\b|\bstd::(?:thread|jthread|async|mutex)\b", ("_test.cc",),
                 "a file's text becomes a configuration without a loop, a thread or a process")],
    "cli": [(r"\b(?:write_all|printf|puts|fputs|fwrite|putchar)\s*\(|(?<!\w)::write\s*\(", ("cli/print.cc", "_test.cc"),
             "all output goes through cli/print.h, which says at the end what could not be written")],
}
# Of literals alone: pattern, where it is allowed, why not elsewhere.
LITERALS = [
    (r"127\.0\.0\.1", ("net/", "oci/registry/url.cc", "project/port_text.cc", "cli/print.cc", "cli/verb_ports.cc", "_test.cc"), "an address of a network: net::kLoopback, or ask a net::Network"),
]
# These two look into comments too.
WORDS = [
    (r"\b(?:TODO|FIXME|XXX)\b", "do it now or write it down as an issue; in the code it rots"),
]
MAX_LINES = 800  # the alarm; 400 is the aim

TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^()\s\\]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'', re.S)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)


def blank(text):
    """The code with comments and literals blanked, so that line numbers stay."""
    return TOKEN.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def may_include(room, target):
    allowed = LAYERS[room][0]
    if room == "shim":
        return target in SHIM_SAFE or target.startswith("shim/")
    return target in allowed or target.split("/")[0] in allowed | {room}


def may_include_within(path, target):
    """Within a room: `path` and `target` lie in folders of it, or in the room itself."""
    folder, other = os.path.dirname(path), os.path.dirname(target)
    allowed = FOLDERS.get(folder)
    return allowed is None or "/" not in other or other == folder or other in allowed or target in allowed


def check_file(path, text):
    """path: below src/. Yields (line, message)."""
    room = path.split("/")[0]
    header = path.endswith(".h")
    test = path.endswith(("_test.cc", "_fuzz.cc", "_bench.cc", "_testing.h", "_fixture.h")) or path.split("/")[-1].startswith("fake_")
    if room not in LAYERS:
        yield 1, f"'{room}' is not a room; the rooms are {', '.join(LAYERS)}"
        return
    for m in INCLUDE.finditer(text):
        kind, target, line = m.group(1), m.group(2), line_of(text, m.start())
        if kind == '"':
            first = target.split("/")[0]
            if first not in LAYERS:
                yield line, f'"{target}": include our headers from the root of src, "ROOM/name.h"'
            elif not may_include(room, target) and not test:
                yield line, f'{room} may not include "{target}": {LAYERS[room][1]}'
            elif first == room and not may_include_within(path, target) and not test:
                yield line, f'{os.path.dirname(path)} may not include "{target}": see FOLDERS'
            elif test and room == "base" and first != "base":
                yield line, f'{room} may not include "{target}", in tests neither: {LAYERS[room][1]}'
        elif target.startswith(THIRD_PARTY):
            if header and not test:
                yield line, f"<{target}> in a header: third-party includes stay inside .cc files"
            elif room == "shim" and not test:
                yield line, f"<{target}> in the shim, which is static and tiny: libc and SHIM_SAFE only"
    # What the shim may include must itself include nothing else.
    if path in SHIM_SAFE:
        for m in INCLUDE.finditer(text):
            if m.group(1) == '"' and m.group(2) not in SHIM_SAFE:
                yield line_of(text, m.start()), f'"{m.group(2)}" in {path}, which the shim includes: list it in SHIM_SAFE or do without'
    code = blank(text)
    for pattern, where, why in BANS + ROOM_BANS.get(room, []):
        if path.startswith(tuple(w for w in where if w.endswith("/")) or "\0") or path.endswith(tuple(w for w in where if not w.endswith("/")) or "\0"):
            continue
        for m in re.finditer(pattern, code):
            yield line_of(code, m.start()), f"`{m.group().strip()}`: {why}"
    for pattern, where, why in LITERALS:
        if path.startswith(where[0]) or path.endswith(where):
            continue
        for m in TOKEN.finditer(text):
            if not m.group().startswith(("//", "/*")) and re.search(pattern, m.group()):
                yield line_of(text, m.start()), f"{m.group()}: {why}"
    for pattern, why in WORDS:
        for m in re.finditer(pattern, text):
            yield line_of(text, m.start()), f"{m.group()}: {why}"
    if header and "#pragma once" not in text:
        yield 1, "no #pragma once"
    if (lines := text.count("\n")) > MAX_LINES:
        yield lines, f"{lines} lines (the alarm is {MAX_LINES}): which two ideas does it hold?"


def check_tree(root):
    src = os.path.join(root, "src")
    for folder, dirs, files in os.walk(src):
        dirs.sort()
        names = {n for n in files if n.endswith((".cc", ".h"))}
        lists = ""
        if "CMakeLists.txt" in files:
            with open(os.path.join(folder, "CMakeLists.txt"), encoding="utf-8") as f:
                lists = f.read()
        for name in sorted(names):
            full = os.path.join(folder, name)
            path = os.path.relpath(full, src)
            with open(full, encoding="utf-8") as f:
                text = f.read()
            for line, message in check_file(path, text):
                yield f"src/{path}:{line}: {message}"
            # A source that no list names compiles nowhere and is tested by nobody.
            if lists and name.endswith(".cc") and not re.search(rf"\b{re.escape(name)}\b", lists) and f"{name[:-3]}" not in lists.split():
                yield f"src/{path}:1: not listed in src/{os.path.relpath(folder, src)}/CMakeLists.txt"


def main(argv):
    root = argv[1] if len(argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    findings = [*check_tree(root), *names.check_tree(root), *words.check_tree(root), *rules.check_tree(root), *drawings.check_tree(root),
                *width.check_tree(root)]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
