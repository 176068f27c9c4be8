"""The lint must be able to fail: each rule is shown a file that breaks it, and one beside it that does not."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lint

BAD = [
    ("oci/a.cc", '#include "runtime/runc.h"\n', "oci may not include"),
    ("runtime/a.cc", '#include "shim/main.h"\n', "runtime may not include"),
    ("cli/a.cc", '#include "oci/ref/digest.h"\n', "cli may not include"),
    ("builder/a.cc", '#include "cnb/app.h"\n', "builder may not include"),
    ("project/resolve/a.cc", '#include "cnb/store/app_store.h"\n', "project may not include"),
    ("net/a.cc", '#include "runtime/processes.h"\n', "net may not include"),
    ("oci/ref/a.cc", '#include "oci/registry/http.h"\n', "oci/ref may not include"),
    ("server/projects/a.cc", '#include "server/instances/sessions.h"\n', "server/projects may not include"),
    ("server/projects/a.cc", '#include "server/builds/builds.h"\n', "server/projects may not include"),
    ("shim/a.cc", '#include "base/json/json.h"\n', "shim may not include"),
    ("shim/a.cc", "#include <fmt/format.h>\n", "static and tiny"),
    ("base/a_test.cc", '#include "oci/ref/digest.h"\n', "in tests neither"),
    ("base/sys/sys.h", '#pragma once\n#include "base/json/json.h"\n', "which the shim includes"),
    ("server/a.cc", '#include "json.h"\n', "from the root of src"),
    ("daemon/a.cc", "\n", "not a room"),
    ("oci/a.h", "#pragma once\n#include <curl/curl.h>\n", "stay inside .cc"),
    ("oci/a.h", "int a;\n", "#pragma once"),
    ("oci/a.cc", "void f() { std::filesystem::remove_all(p); }\n", "remove_tree"),
    ("oci/a.cc", 'void f() { system("ls"); }\n', "shell"),
    ("oci/a.cc", 'void f() { ::open("x", 0); }\n', "O_CLOEXEC"),
    ("oci/a.cc", "void f() { throw 1; }\n", "errors are values"),
    ("cli/a.cc", "void f() { std::printf(text); }\n", "cli/print.h"),
    ("project/a.cc", "void f(EventLoop& loop);\n", "without a loop"),
    ("project/a.cc", "std::mutex lock;\n", "without a loop"),
    ("cli/a.cc", "void f() { (void)::write(1, t, n); }\n", "cli/print.h"),
    ("server/a.cc", "auto port = net::free_port();\n", "ask a net::Network"),
    ("server/a.cc", "auto all = net::listeners(0);\n", "ask a net::Network"),
    ("oci/a.cc", "// TODO: later\n", "TODO"),
    ("oci/a.cc", "\n" * 801, "801 lines"),
    ("server/a.cc", 'auto host = "127.0.0.1";\n', "net::kLoopback"),
]
GOOD = [
    ("runtime/a.cc", '#include "shim/protocol.h"\n#include "oci/ref/digest.h"\n'),
    ("project/resolve/a.cc", '#include "cnb/app.h"\n#include "project/units.h"\n'),
    ("net/a.cc", 'auto host = "127.0.0.1";  // and so on\n'),
    ("server/a.cc", "// at 127.0.0.1\n"),
    ("server/a.cc", "auto port = network.free_port();\n"),
    ("runtime/a.cc", "auto all = net::listeners(0);\n"),
    ("oci/layer/a.cc", '#include "oci/archive/tar_reader.h"\n'),
    ("server/instances/a.cc", '#include "server/projects/projects.h"\n#include "server/admission.h"\n'),
    ("shim/a.cc", '#include "base/sys/unique_fd.h"\n#include "shim/protocol.h"\n'),
    ("base/sys/sys.cc", 'void f() { ::open("x", 0); }\n'),
    ("oci/a.cc", 'void f() { ::openat(d, "x", O_PATH |\n O_CLOEXEC); }\n'),
    ("oci/a.cc", 'void f() { sys::open("x", 0); asio::post(x); }\n'),
    ("cli/a.cc", "void f() { out(text); std::snprintf(t, n, text); }\n"),
    ("oci/a.cc", "void f() { std::printf(text); }\n"),
    ("oci/a.cc", "// we never throw or popen(\nconst char* s = \"throw system(\";\n#include <curl/curl.h>\n"),
    ("oci/a.cc", 'auto s = R"(throw popen( " )";\n'),
    ("oci/a.cc", "long x = 1'000'000; void f() { g('\"'); }\nauto y = std::error_code(1, std::system_category());\n"),
]


@pytest.mark.parametrize("path, text, message", BAD)
def test_each_rule_finds_its_breach(path, text, message):
    found = [m for _, m in lint.check_file(path, text)]
    assert any(message in m for m in found), found


@pytest.mark.parametrize("path, text", GOOD)
def test_what_is_allowed_passes(path, text):
    assert list(lint.check_file(path, text)) == []


def test_a_source_that_no_list_names_is_found(tmp_path):
    room = tmp_path / "src" / "base"
    room.mkdir(parents=True)
    (room / "CMakeLists.txt").write_text("locald_library(NAME base SOURCES a.cc)\n")
    (room / "a.cc").write_text("\n")
    (room / "b.cc").write_text("\n")
    assert [f for f in lint.check_tree(tmp_path)] == ["src/base/b.cc:1: not listed in src/base/CMakeLists.txt"]


def test_the_tree_is_clean():
    root = pathlib.Path(__file__).parents[2]
    assert list(lint.check_tree(root)) == []
