"""project.toml in builds by the real lifecycle: what is sent, variables, the order, and buildpacks that come from everywhere."""
import contextlib
import gzip
import http.server
import io
import json
import os
import shutil
import tarfile
import threading
import time

import oci_image
import pytest
from cnb_support import app_of
from images_by_hand import file, image, tar, write_layout

# Says what a build sees, in lines "seen NAME: …".
LOOK = r"""
cd /workspace
echo "seen files: $(find . -type f | LC_ALL=C sort | sed 's,^./,,' | tr '\n' ' ')"
echo "seen buildpacks: $(cd /cnb/buildpacks && ls -d */* | LC_ALL=C sort | tr '\n' ' ')"
for name in $(ls /platform/env); do echo "seen variable $name: $(cat /platform/env/$name)"; done
"""


def text(value):
    return json.dumps(value)  # of what is used here a JSON string is a TOML string


def script(id, body="", where="io.buildpacks.group", more=""):
    return f'[[{where}]]\nid = "{id}"\n{more}\n[{where}.script]\napi = "0.10"\ninline = {text(body or LOOK)}\n'


HEAD = '[_]\nschema-version = "0.2"\n'


def buildpack(folder, id, version="1.0.0", build="", api="0.10", order=None, detect="exit 0"):
    """A buildpack's folder; `build` is what it does."""
    lines = [f"api = {text(api)}", "[buildpack]", f"id = {text(id)}", f"version = {text(version)}"]
    if order is None:
        (folder / "bin").mkdir(parents=True)
        for name, body in (("detect", detect), ("build", build)):
            (folder / "bin" / name).write_text(f"#!/bin/bash\n{body}\n")
            (folder / "bin" / name).chmod(0o755)
    else:
        folder.mkdir(parents=True)
        for group in order:
            lines += ["[[order]]"] + [f"[[order.group]]\nid = {text(i)}\nversion = {text(v)}" for i, v in group]
    (folder / "buildpack.toml").write_text("\n".join(lines) + "\n")
    return folder


def pack_tar(folder, mode="w", top="", extra=()):
    """The folder as a tar, below `top`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as t:
        t.add(folder, arcname=top or ".")
        for info, data in extra:
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Project:
    """An app with a project.toml, in the home of one locald."""

    def __init__(self, locald, cnb):
        self.locald, self.cnb = locald, cnb
        self.top = locald.home / "user"
        self.app = self.top / "app"
        self.app.mkdir()

    def write(self, name, content, mode=0o644):
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    def toml(self, content):
        self.write("app/project.toml", content)

    def run(self, *args, builder=True, check=True):
        self.locald.identity.own(self.top)
        named = ["-B", builder if isinstance(builder, str) else self.cnb.builder] if builder else []
        return self.locald("build", *args, *named, "--run-image", self.cnb.run, str(self.app), check=check)

    def build(self, *args, **more):
        """What the build says of itself."""
        said = self.run("--json", *args, **more).json()
        return said["apps"][0] if "apps" in said else said

    def refused(self, *args, **more):
        r = self.run(*args, check=False, **more)
        assert r.rc != 0, r
        return r.err

    def log(self):
        return self.locald("logs", "--build", str(self.app)).out

    def seen(self):
        """{NAME: text} of LOOK's lines in the last build."""
        lines = (line.partition("seen ")[2] for line in self.log().splitlines() if "seen " in line)
        return {name: rest.strip() for name, _, rest in (line.partition(":") for line in lines)}

    def generation(self, built):
        return json.loads((self.locald.home / "data/cnb" / built["app"] / "g" / str(built["generation"]) / "generation.json").read_text())

    def strict_image(self, built):
        store = self.locald.home / "data/images"
        return oci_image.Image(store, f"locald.local/{built['app']}:latest")

    def added(self):
        """The added buildpacks that are there: {id@version: folder}; what only hides others is ""."""
        found = {}
        for record in (self.locald.home / "data/cnb/.buildpacks").glob("*/record.json"):
            names = [f"{m['id']}@{m['version']}" for m in json.loads(record.read_text())["modules"]]
            found[names[0] if names else ""] = record.parent
        return found


@pytest.fixture
def project(make_locald, cnb):
    return Project(make_locald(), cnb)


def ids(built):
    return [b["id"] for b in built["buildpacks"]]


# ---- schemas, variables, what is sent

@pytest.mark.parametrize("schema", [None, "0.1", "0.2", "0.3"])
def test_every_schema_says_what_is_built_with(project, schema):
    old = schema in (None, "0.1")
    group, env = ("build.buildpacks", "build.env") if old else ("io.buildpacks.group", "io.buildpacks.build.env")
    project.toml((f'[_]\nschema-version = "{schema}"\n' if schema else "") + script("me/look", where=group) +
                 f'[[{env}]]\nname = "FROM_FILE"\nvalue = "the file\'s"\n')
    built = project.build()
    assert built["buildpacks"] == [{"id": "me/look", "version": "0.0.0"}] and built["notices"] == []
    assert project.seen()["variable FROM_FILE"] == "the file's"


def test_nothing_of_a_project_toml_is_needed(project):
    app_of(project.app / "x")  # no folder that has the mark
    project.write("app/.test-printenv", "")
    project.toml('[other.tool]\nkeep = true\n')
    assert ids(project.build()) == ["test/printenv"]


def test_what_is_excluded_is_not_there_in_the_build(project):
    for name in ("a.txt", "b.log", "keep.log", "node_modules/x/y", "src/z", "src/.git/config", ".git/HEAD", "locald.toml"):
        project.write("app/" + name, "" if name == "locald.toml" else name)
    (project.app / "locald.toml").unlink()
    project.toml(HEAD + '[io.buildpacks]\nexclude = ["*.log", "!keep.log", "node_modules/"]\n' + script("me/look"))
    project.build()
    assert project.seen()["files"].split() == ["a.txt", "keep.log", "project.toml", "src/z"]
    project.toml(HEAD + '[io.buildpacks]\ninclude = ["src/", "*.log"]\n' + script("me/look"))
    assert project.build()["built"]
    assert project.seen()["files"].split() == ["b.log", "keep.log", "src/z"]


def test_variables_of_the_file_yield_to_the_command_line(project):
    project.toml(HEAD + script("me/look") + '[[io.buildpacks.build.env]]\nname = "A"\nvalue = "file"\n[[io.buildpacks.build.env]]\nname = "B"\nvalue = "1"\n'
                 '[[io.buildpacks.build.env]]\nname = "B"\nvalue = "2"\n')
    project.build("-e", "A=line")
    assert {k: v for k, v in project.seen().items() if k.startswith("variable")} == {"variable A": "line", "variable B": "2"}
    assert not project.build("-e", "A=line")["built"]
    again = project.build("-e", "A=other")
    assert again["built"] and again["reason"] == "the variables for buildpacks changed"


def test_entries_are_for_the_execution_environments_that_they_name(project):
    project.toml('[_]\nschema-version = "0.3"\n' + script("me/look", more='exec-env = ["test", "production"]') + script("me/testing", "echo testing", more='exec-env = ["test"]')
                 + script("me/all", "echo all", more='exec-env = ["*"]') +
                 "".join(f'[[io.buildpacks.build.env]]\nname = "{n}"\nvalue = "x"\nexec-env = ["{e}"]\n' for n, e in (("PROD", "production"), ("TEST", "test"), ("STAR", "*"))))
    assert ids(project.build()) == ["me/look", "me/all"]
    assert sorted(k for k in project.seen() if k.startswith("variable")) == ["variable PROD", "variable STAR"]

    home = project.top
    project.write("locald.toml", f"""
[services.api]
type = "cnb"
path = "app"
builder = {text(project.cnb.builder)}
run_image = {text(project.cnb.run)}
build = {{ exec_env = "test" }}
""")
    project.locald.identity.own(home)
    built = project.locald("build", "--json", "api", cwd=home).json()["apps"][0]
    assert ids(built) == ["me/look", "me/testing", "me/all"]
    log = project.locald("logs", "--build", "api", cwd=home).out
    assert built["notices"] == [] and "seen variable TEST" in log and "seen variable STAR" in log and "seen variable PROD" not in log


def test_groups_for_other_environments_leave_the_builders_order(project):
    project.write("app/.test-printenv", "")
    project.toml('[_]\nschema-version = "0.3"\n' + script("me/testing", "echo testing", more='exec-env = ["test"]'))
    built = project.build()
    assert ids(built) == ["test/printenv"] and "is for the execution environment production, so the builder's order stands" in built["notices"][0]


def test_the_builder_of_the_file_counts_where_none_is_asked_for(project):
    layout = project.top / "layouts/builder"
    shutil.copytree(project.cnb.out / "builder", layout)
    project.toml(HEAD + '[io.buildpacks]\nbuilder = "oci:../layouts/builder:1"\n' + script("me/look"))
    built = project.build(builder=False)
    assert built["builder"] == f"oci:{project.app}/../layouts/builder:1" and built["lifecycle"] == "0.21.17"
    assert project.build(builder=project.cnb.builder_old)["lifecycle"] == "0.17.7"


@pytest.mark.parametrize("strict", [False, True])
def test_version_and_address_of_the_project_become_a_label(project, cnb, strict):
    project.toml('[project]\nversion = "1.2.3"\nsource-url = "https://example.com/x"\n' + script("me/look", where="build.buildpacks"))
    built = project.build(*["--strict"] * strict)
    source = {"type": "project", "version": {"declared": "1.2.3"}, "metadata": {"url": "https://example.com/x"}}
    assert project.generation(built)["project"] == source
    if strict:
        assert project.strict_image(built).labels["io.buildpacks.project.metadata"] == {"source": source}
    project.toml('[project]\nversion = "1.2.4"\n' + script("me/look", where="build.buildpacks"))
    built = project.build(*["--strict"] * strict)
    assert project.generation(built)["project"] == {"type": "project", "version": {"declared": "1.2.4"}, "metadata": {"url": ""}}


# ---- the order

def test_groups_are_the_order(project):
    for mark in ("printenv", "env", "labels"):
        project.write(f"app/.test-{mark}", "k v" if mark == "labels" else "")
    project.toml(HEAD + '[[io.buildpacks.group]]\nid = "test/labels"\n[[io.buildpacks.group]]\nuri = "urn:cnb:builder:test/printenv@1.0.0"\n'
                 '[[io.buildpacks.group]]\nuri = "test/env"\n' + script("me/last", "true"))
    assert ids(project.build()) == ["test/labels", "test/printenv", "test/env", "me/last"]
    # All of them have to pass: none is optional.
    (project.app / ".test-labels").unlink()
    assert "test/labels" in project.refused() and "exit code 20" not in project.refused()


def test_pre_and_post_stand_around_each_group_of_the_builder(project):
    around = (script("me/first", "echo f", "io.buildpacks.pre.group") + script("me/second", "echo s", "io.buildpacks.pre.group") +
              script("me/last", "echo l", "io.buildpacks.post.group"))
    project.toml(HEAD + around)
    project.write("app/Procfile", "web: true\n")
    assert ids(project.build()) == ["me/first", "me/second", "test/procfile", "me/last"]
    (project.app / "Procfile").unlink()
    project.write("app/.test-printenv", "")
    assert ids(project.build()) == ["me/first", "me/second", "test/printenv", "me/last"]
    # With a group they count no more.
    project.toml(HEAD + around + script("me/alone", "true"))
    assert ids(project.build()) == ["me/alone"]


def test_the_builders_whole_order_can_stand_in_a_group(project):
    project.write("app/Procfile", "web: true\n")
    project.toml(HEAD + script("me/first", "true") + '[[io.buildpacks.group]]\nuri = "from=builder"\n' + script("me/last", "true"))
    assert ids(project.build()) == ["me/first", "test/procfile", "me/last"]


# ---- where buildpacks come from

@pytest.mark.single_id
def test_a_script_is_a_buildpack(project):
    body = 'set -u\necho "seen shell: $0 $BASH_VERSION"\necho "seen user: $(id -u):$(id -g)"\necho "seen owner: $(stat -c %u:%g:%a "$CNB_BUILDPACK_DIR/bin/build")"\n' \
           'printf \'[[processes]]\\ntype = "web"\\ncommand = ["true"]\\n\' > "$CNB_LAYERS_DIR/launch.toml"'
    project.toml(HEAD + f'[[io.buildpacks.group]]\nid = "me/web"\n[io.buildpacks.group.script]\napi = "0.11"\nshell = "/bin/bash -e"\ninline = """\n{body.replace(chr(92), chr(92) * 2)}\n"""\n')
    built = project.build()
    assert built["buildpacks"] == [{"id": "me/web", "version": "0.0.0"}] and [p["type"] for p in built["processes"]] == ["web"]
    seen = project.seen()
    assert seen["shell"].startswith("/cnb/buildpacks/me_web/0.0.0/bin/build 5.") and seen["user"] == "1001:1000"
    assert seen["owner"] == ("1001:1000:755" if project.locald.identity.single else "0:0:755")  # with one id everybody is everybody


@pytest.mark.single_id
@pytest.mark.parametrize("strict", [False, True])
def test_a_folder_is_taken_before_anything_is_excluded(project, strict):
    folder = buildpack(project.app / "tools/bp", "me/tool", "2.0.0", 'echo "seen tool: $(bash "$CNB_BUILDPACK_DIR/lib/data.sh") $(ls -l "$CNB_BUILDPACK_DIR/lib/data.sh" | cut -c1-10)"\n' + LOOK)
    project.write("app/tools/bp/lib/real.sh", "echo hello\n", 0o644)
    (folder / "lib/data.sh").symlink_to("real.sh")
    (folder / "bin/build").chmod(0o664)  # as some archives leave it: pack mends that too
    project.toml(HEAD + '[io.buildpacks]\nexclude = ["tools"]\n[[io.buildpacks.group]]\nuri = "./tools/bp"\n')
    built = project.build(*["--strict"] * strict)
    assert built["buildpacks"] == [{"id": "me/tool", "version": "2.0.0"}]
    assert project.seen()["tool"] == "hello lrwxrwxrwx" and project.seen()["files"] == "project.toml"
    assert not project.build(*["--strict"] * strict)["built"]


def test_what_is_as_it_was_is_not_copied_again_and_what_changed_is_the_reason(project):
    buildpack(project.top / "bp", "me/tool", build="echo seen tool: one")
    project.toml(HEAD + '[[io.buildpacks.group]]\nuri = "../bp"\n')
    assert project.build()["reason"] == "first build"
    os.utime(project.top / "bp/bin/build")
    assert not project.build()["built"]
    project.write("bp/bin/build", "#!/bin/bash\necho seen tool: two\n", 0o755)
    built = project.build()
    assert built["built"] and built["reason"] == "the buildpack ../bp changed" and project.seen()["tool"] == "two"
    project.write("bp/bin/build", "#!/bin/bash\necho seen tool: one\n", 0o755)
    assert project.build()["reason"] == "the buildpack ../bp changed" and project.seen()["tool"] == "one"
    project.write("app/project.toml", (project.app / "project.toml").read_text() + "# words\n")
    assert project.build()["reason"] == "project.toml changed"
    project.locald("build", str(project.app), "-B", project.cnb.builder, "--run-image", project.cnb.run)
    times = [project.locald("build", str(project.app), "-B", project.cnb.builder, "--run-image", project.cnb.run).seconds for _ in range(5)]
    assert sorted(times)[2] < 0.15, times


def test_a_composite_folder_brings_its_parts_along(project):
    buildpack(project.app / "bps/meta", "me/meta", order=[[("me/absent", "9.9.9")], [("me/two", "1.0.0"), ("test/printenv", "1.0.0")]])
    project.write("app/bps/meta/package.toml", '[buildpack]\nuri = "."\n[[dependencies]]\nuri = "../two"\n[[dependencies]]\nuri = "../absent"\n')
    buildpack(project.app / "bps/two", "me/two", build="echo two")
    buildpack(project.app / "bps/absent", "me/absent", "9.9.9", detect="exit 100")
    project.write("app/.test-printenv", "")
    project.toml(HEAD + '[[io.buildpacks.group]]\nuri = "bps/meta"\n')
    assert ids(project.build()) == ["me/two", "test/printenv"]
    (project.app / "bps/meta/package.toml").unlink()
    shutil.rmtree(project.app / "bps/two")
    err = project.refused()
    assert "me/meta@1.0.0 is made of others, and me/absent@9.9.9 of these is not there" in err


@pytest.mark.parametrize("how", ["tgz", "tar", "below a folder", "gzip package", "package", "package from a path"])
def test_archives_are_unpacked(project, how):
    folder = buildpack(project.top / "work/bp", "test/extra", build=LOOK)
    name = "bp.tgz" if how in ("tgz", "below a folder") else "bp.tar" if how == "tar" else "bp.cnb"
    data = {"tgz": lambda: pack_tar(folder, "w:gz"), "tar": lambda: pack_tar(folder), "below a folder": lambda: pack_tar(folder, "w:gz", "extra-1.0"),
            "package": lambda: project.cnb.buildpackage_file.read_bytes(), "gzip package": lambda: gzip.compress(project.cnb.buildpackage_file.read_bytes(), 1),
            "package from a path": lambda: project.cnb.buildpackage_file.read_bytes()}[how]()
    path = project.write("app/" + name, data)
    project.toml(HEAD + f'[io.buildpacks]\nexclude = ["{name}"]\n[[io.buildpacks.group]]\nuri = "{f"file://{path}" if how == "package from a path" else name}"\n')
    built = project.build()
    assert built["buildpacks"] == [{"id": "test/extra", "version": "1.0.0"}]
    assert "package" in how or "test_extra/1.0.0" in project.seen()["buildpacks"]
    assert not project.build()["built"]
    os.utime(path)
    assert not project.build()["built"], "other times, the same content"


@pytest.mark.parametrize("how", ["layout", "archive", "registry"])
def test_packages_are_images(project, how, request):
    if how == "registry":
        registry = request.getfixturevalue("cnb_registry")
    uri = {"layout": lambda: project.cnb.buildpackage, "archive": lambda: f"oci-archive:{project.cnb.buildpackage_file}",
           "registry": lambda: f"docker://{registry}/cnb/buildpackage:1"}[how]()
    project.toml(HEAD + f'[[io.buildpacks.group]]\nuri = "{uri}"\n')
    built = project.build()
    assert built["buildpacks"] == [{"id": "test/extra", "version": "1.0.0"}] and [p["type"] for p in built["processes"]] == ["extra"]
    assert not project.build()["built"] and project.added() == {}


def test_a_package_whose_buildpacks_the_builder_has_adds_nothing(project, cnb):
    project.write("app/.test-meta", "one two")
    project.toml(HEAD + f'[[io.buildpacks.group]]\nuri = "oci:{cnb.out}/buildpackage:meta"\n')
    built = project.build()
    assert ids(built) == ["test/meta-two", "test/meta-one"]
    assert project.added() == {}


@contextlib.contextmanager
def web_server(answers):
    """URL, [(path, If-None-Match)]: serves {path: bytes or (status, headers)}, with ETags."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("If-None-Match")))
            answer = answers.get(self.path.split("?")[0], (404, {}))
            if isinstance(answer, tuple):
                self.send_response(answer[0])
                for k, v in answer[1].items():
                    self.send_header(k, v)
                self.end_headers()
                return
            tag = f'"{len(answer)}-{hash(answer)}"'
            self.send_response(304 if self.headers.get("If-None-Match") == tag else 200)
            self.send_header("ETag", tag)
            if self.headers.get("If-None-Match") != tag:
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            else:
                self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def test_archives_come_from_a_web_server(project):
    def made(word):
        shutil.rmtree(project.top / "work", ignore_errors=True)
        return pack_tar(buildpack(project.top / "work/bp", "me/web", build=f"echo seen word: {word}"), "w:gz")
    answers = {"/bp.tgz": made("one"), "/moved.tgz": (302, {"Location": "/bp.tgz"}), "/loop": (302, {"Location": "/loop"}), "/busy": (503, {}),
               "/away.tgz": (302, {"Location": "http://example.com/bp.tgz"})}
    with web_server(answers) as (url, asked):
        project.toml(HEAD + f'[[io.buildpacks.group]]\nuri = "{url}/moved.tgz?key=secret"\n')
        assert ids(project.build()) == ["me/web"] and project.seen()["word"] == "one"
        assert [path for path, _ in asked] == ["/moved.tgz?key=secret", "/bp.tgz"]
        answers["/bp.tgz"] = made("two")
        assert not project.build()["built"] and len(asked) == 2, "nobody is asked for what is there"
        built = project.build("--pull")
        assert built["reason"] == f"the buildpack {url}/moved.tgz changed" and project.seen()["word"] == "two"
        asked.clear()
        assert not project.build("--pull")["built"] and asked[-1][1] is not None, "asked with the ETag: 304"

        for path, words in (("/absent.tgz", "404"), ("/loop", "redirects more than"), ("/busy", "503"), ("/away.tgz", "refused")):
            project.toml(HEAD + f'[[io.buildpacks.group]]\nuri = "{url}{path}"\n')
            err = project.refused()
            assert words in err and f"project.toml:4:7: the buildpack {url}{path}" in err, err
    project.toml(HEAD + f'[[io.buildpacks.group]]\nuri = "{url}/bp.tgz"\n')
    assert "nobody answers" in project.refused()
    project.toml(HEAD + '[[io.buildpacks.group]]\nuri = "http://example.com/bp.tgz"\n')
    assert "is not https" in project.refused()


# ---- two of one name

@pytest.mark.single_id
def test_what_is_added_stands_in_place_of_the_builders(project):
    """Of the same id and version: nothing of the builder's shines through, whatever it came as."""
    project.write("app/.test-printenv", "")
    look = 'echo "seen own: $(cd "$CNB_BUILDPACK_DIR" && find . -type f | LC_ALL=C sort | tr "\\n" " ")"'
    buildpack(project.top / "bp", "test/printenv", build=look)
    project.toml(HEAD + '[[io.buildpacks.group]]\nuri = "../bp"\n')
    assert ids(project.build()) == ["test/printenv"]
    assert project.seen()["own"] == "./bin/build ./bin/detect ./buildpack.toml"

    package(project.top / "package", buildpack(project.top / "bp2", "test/printenv", build=look + "; echo seen package: yes"), "test/printenv")
    project.toml(HEAD + '[[io.buildpacks.group]]\nuri = "oci:../package:1"\n')
    project.build()
    assert project.seen()["own"] == "./bin/build ./bin/detect ./buildpack.toml" and project.seen()["package"] == "yes"
    # The later one counts.
    both = '[[io.buildpacks.group]]\nuri = "{}"\n'
    project.toml(HEAD + both.format("oci:../package:1") + both.format("../bp"))
    project.build()
    assert "package" not in project.seen()
    project.toml(HEAD + both.format("../bp") + both.format("oci:../package:1"))
    assert project.build()["built"] and project.seen()["package"] == "yes"


def package(layout, folder, id, version="1.0.0", labels=None, arch=""):
    """A buildpackage of one buildpack, by hand."""
    top = f"/cnb/buildpacks/{id.replace('/', '_')}/{version}"
    entries = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        entries.append(file(f"{top}/{path.relative_to(folder)}", path.read_bytes(), 0o755 if os.access(path, os.X_OK) else 0o644))
    layer = tar(*entries)
    blobs, manifest = image([layer], arch=arch, config={"Labels": {}})
    diff = json.loads(blobs[json.loads(manifest)["config"]["digest"]])["rootfs"]["diff_ids"][0]
    given = {"io.buildpacks.buildpackage.metadata": json.dumps({"id": id, "version": version}),
             "io.buildpacks.buildpack.layers": json.dumps({id: {version: {"api": "0.10", "layerDiffID": diff}}})} if labels is None else labels
    write_layout(layout, "1", *image([layer], arch=arch, config={"Labels": given}))
    return layout


# ---- what is wrong

BAD = {
    "several problems": (HEAD + '[io.buildpacks]\ninclude = ["a"]\nexclude = ["b"]\n[[io.buildpacks.group]]\nid = "a/../b"\nversion = "1"\n',
                         ["2 problems in project.toml", "project.toml:5:11: `include` and `exclude` are both there", "project.toml:7:6: `id`:"]),
    "not TOML": ("[io", ["project.toml:1:4: not TOML"]),
    "no such folder": (HEAD + '[[io.buildpacks.group]]\nuri = "./none"\n', ["project.toml:4:7: the buildpack ./none: there is no /"]),
    "an id that nobody has": (HEAD + '[[io.buildpacks.group]]\nid = "test/printenw"\n', ["project.toml:3:1: the builder oci:", "there is no buildpack test/printenw", "did you mean test/printenv?"]),
    "a version that nobody has": (HEAD + '[[io.buildpacks.group]]\nid = "test/printenv"\nversion = "7"\n', ["there is no buildpack test/printenv of version 7, but of 1.0.0"]),
    "the registry": (HEAD + '[[io.buildpacks.group]]\nuri = "urn:cnb:registry:heroku/nodejs@1.0"\n',
                     ["project.toml:4:7: urn:cnb:registry:heroku/nodejs@1.0: the buildpack registry is not supported", "docker://"]),
    "the registry, bare": (HEAD + '[[io.buildpacks.group]]\nuri = "heroku/nodejs"\n', ["the buildpack registry is not supported"]),
    "an API to come": (HEAD + '[[io.buildpacks.group]]\nid = "me/new"\n[io.buildpacks.group.script]\napi = "0.99"\ninline = "true"\n',
                       ["the script me/new is for Buildpack API 0.99; the lifecycle 0.21.17 of the builder", "0.12"]),
    "an image that is none": (HEAD + '[[io.buildpacks.group]]\nuri = "RUN"\n', ["the buildpack oci:", "it is not a package of buildpacks: it has no label io.buildpacks.buildpackage.metadata"]),
    "an image that is not there": (HEAD + '[[io.buildpacks.group]]\nuri = "oci:/nowhere:1"\n', ["project.toml:4:7: the buildpack oci:/nowhere:1"]),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_in_the_file_is_said_with_its_place(project, case):
    content, words = BAD[case]
    project.toml(content.replace("RUN", project.cnb.run))
    err = project.refused()
    assert all(w in err for w in words), err
    # What was built before still is.
    project.toml(HEAD + script("me/look"))
    assert project.build()["built"]
    project.toml(content.replace("RUN", project.cnb.run))
    assert "error" in project.refused()


def special(kind, name):
    info = tarfile.TarInfo(name)
    info.type = kind
    return (info, b"")


BAD_FOLDERS = {
    "no buildpack.toml": (lambda f: (f / "buildpack.toml").unlink(), "there is no buildpack.toml in it"),
    "not TOML": (lambda f: (f / "buildpack.toml").write_text('api = "0.10"\n[buildpack\n'), "buildpack.toml:2:11: not TOML"),
    "no api": (lambda f: (f / "buildpack.toml").write_text('[buildpack]\nid = "a/b"\nversion = "1"\n'), "there is no `api`"),
    "an id that leads out": (lambda f: (f / "buildpack.toml").write_text('api = "0.10"\n[buildpack]\nid = "a/../../b"\nversion = "1"\n'), "invalid buildpack id"),
    "a version that leads out": (lambda f: (f / "buildpack.toml").write_text('api = "0.10"\n[buildpack]\nid = "a/b"\nversion = ".."\n'), 'invalid version ".."'),
    "an old API": (lambda f: (f / "buildpack.toml").write_text('api = "0.2"\n[buildpack]\nid = "a/b"\nversion = "1"\n'), "a/b@1 is for Buildpack API 0.2"),
    "an extension": (lambda f: (f / "buildpack.toml").write_text('api = "0.10"\n[extension]\nid = "a/b"\nversion = "1"\n'), "is an image extension"),
    "no bin/build": (lambda f: (f / "bin/build").unlink(), "there is no bin/build in it"),
    "no bin/detect": (lambda f: (f / "bin/detect").unlink(), "there is no bin/detect in it"),
    "a link out": (lambda f: (f / "bin/out").symlink_to("../../x"), "the symlink bin/out leads out of the buildpack, to ../../x"),
    "an absolute link": (lambda f: (f / "etc").symlink_to("/etc"), "the symlink etc leads out of the buildpack, to /etc"),
    "a FIFO": (lambda f: os.mkfifo(f / "pipe"), "pipe is a socket, a FIFO or a device"),
    "a file nobody may read": (lambda f: (f / "secret").touch(0o000), "the file secret is not readable for its owner"),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_a_folder_that_is_no_buildpack_is_refused(project, case):
    change, words = BAD_FOLDERS[case]
    change(buildpack(project.top / "bp", "me/tool"))
    project.toml(HEAD + '[[io.buildpacks.group]]\nuri = "../bp"\n')
    err = project.refused()
    assert words in err and "project.toml:4:7: the buildpack ../bp: " in err, err
    left = [p.name for p in (project.locald.home / "data/cnb/.buildpacks").iterdir() if p.name != "sources"]
    assert left == [] or case == "an old API", left


BAD_ARCHIVES = {
    "nothing of a buildpack": (lambda f: tar(file("readme", b"x")), "there is no buildpack.toml in it"),
    "two folders": (lambda f: pack_tar(f, top="a", extra=[file("b/x", b"x")]), "there is no buildpack.toml in it"),
    "a name that leads out": (lambda f: pack_tar(f, extra=[file("../evil", b"x")]), "leaves the root"),
    "a device": (lambda f: pack_tar(f, extra=[special(tarfile.CHRTYPE, "lib/null")]), "lib/null is a device"),
    "a FIFO": (lambda f: pack_tar(f, extra=[special(tarfile.FIFOTYPE, "lib/pipe")]), "lib/pipe is a FIFO"),
    "cut": (lambda f: pack_tar(f, extra=[file("big", os.urandom(200_000))])[:-100_000], "Truncated"),
    "cut gzip": (lambda f: pack_tar(f, "w:gz", extra=[file("big", os.urandom(200_000))])[:-100_000], "ends"),
    "no archive": (lambda f: b"just text\n" * 100, "archive"),
    "empty": (lambda f: b"", "there is no buildpack.toml in it"),
    "a zip": (lambda f: b"PK\x03\x04" + bytes(2000), "archive"),
    "a package of nothing": (lambda f: tar(file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')), "index.json"),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_an_archive_that_is_no_buildpack_is_refused(project, case):
    make, words = BAD_ARCHIVES[case]
    project.write("app/bp.tgz", make(buildpack(project.top / "bp", "me/tool")))
    project.toml(HEAD + '[[io.buildpacks.group]]\nuri = "bp.tgz"\n')
    err = project.refused()
    assert words in err and "project.toml:4:7: the buildpack bp.tgz: " in err, err
    assert not (project.top / "evil").exists()
    assert [p.name for p in (project.locald.home / "data/cnb/.buildpacks").iterdir() if p.name != "sources"] == []


def test_a_package_is_what_its_labels_say_or_refused(project):
    folder = buildpack(project.top / "bp", "me/tool")
    for name, labels, words in (("other", {"io.buildpacks.buildpackage.metadata": '{"id":"a/b","version":"1"}', "io.buildpacks.buildpack.layers": "{}"}, 'names "a/b@1", which is not in'),
                                ("damaged", {"io.buildpacks.buildpackage.metadata": "{", "io.buildpacks.buildpack.layers": "{}"}, "io.buildpacks.buildpackage.metadata"),
                                ("layer", {"io.buildpacks.buildpackage.metadata": '{"id":"a/b","version":"1"}',
                                           "io.buildpacks.buildpack.layers": json.dumps({"a/b": {"1": {"api": "0.10", "layerDiffID": "sha256:" + "0" * 64}}})}, "is not one of its layers"),
                                ("evil", {"io.buildpacks.buildpackage.metadata": '{"id":"a/b","version":".."}',
                                          "io.buildpacks.buildpack.layers": json.dumps({"a/b": {"..": {"api": "0.10", "layerDiffID": "sha256:" + "0" * 64}}})}, 'invalid version ".."')):
        package(project.top / name, folder, "me/tool", labels=labels)
        project.toml(HEAD + f'[[io.buildpacks.group]]\nuri = "oci:../{name}:1"\n')
        err = project.refused()
        assert words in err and f"project.toml:4:7: the buildpack oci:{project.app}/../{name}:1: " in err, err


def test_keys_that_nobody_reads_are_said_and_do_no_harm(project):
    project.toml(HEAD + '[io.buildpacks]\nexcludes = ["x"]\n' + script("me/look"))
    notices = project.build()["notices"]
    assert len(notices) == 1 and "project.toml:4:12: the key `excludes` in [io.buildpacks] is unknown" in notices[0] and "did you mean `exclude`?" in notices[0]


def test_a_name_that_the_buildpack_does_not_have_is_said(project):
    buildpack(project.top / "bp", "me/tool")
    project.toml(HEAD + '[[io.buildpacks.group]]\nid = "my/tool"\nuri = "../bp"\n')
    built = project.build()
    assert ids(built) == ["me/tool"] and ["calls itself me/tool, not my/tool" in n for n in built["notices"]] == [True]


def test_a_project_toml_that_is_no_file_is_refused(project):
    (project.app / "project.toml").mkdir()
    assert "project.toml is not a regular file" in project.refused()
    (project.app / "project.toml").rmdir()
    (project.app / "project.toml").symlink_to("/etc/hostname")
    assert "is a symlink to nothing in the app's folder" in project.refused()


# ---- housekeeping

def test_what_no_build_asks_for_any_more_goes(project):
    old, young = buildpack(project.top / "old", "me/old"), buildpack(project.top / "young", "me/young")
    project.write("old.tgz", pack_tar(buildpack(project.top / "archive", "me/archive"), "w:gz"))
    project.toml(HEAD + "".join(f'[[io.buildpacks.group]]\nuri = "../{n}"\n' for n in ("old", "young", "old.tgz")))
    project.build()
    project.locald.at_rest()
    assert set(project.added()) == {"me/old@1.0.0", "me/young@1.0.0", "me/archive@1.0.0"}
    days = {"me/old@1.0.0": 2, "me/archive@1.0.0": 2}
    for name, folder in project.added().items():
        when = time.time() - 86400 * days.get(name, 0)
        os.utime(folder / "used", (when, when))
    (project.locald.home / "data/cnb/.buildpacks/.new-crashed").mkdir()
    project.locald.identity.own(project.locald.home / "data/cnb/.buildpacks/.new-crashed")
    project.toml(HEAD + '[[io.buildpacks.group]]\nuri = "../young"\n')
    project.build()
    project.locald.at_rest()
    assert set(project.added()) == {"me/young@1.0.0", "me/archive@1.0.0"}, "folders are cheap to copy again; archives stay a month"
    when = time.time() - 86400 * 31
    os.utime(project.added()["me/archive@1.0.0"] / "used", (when, when))
    project.build("--again")
    project.locald.at_rest()
    assert set(project.added()) == {"me/young@1.0.0"}
    assert not (project.locald.home / "data/cnb/.buildpacks/.new-crashed").exists()
    assert "me/" not in project.locald("cache", "ls").out
    assert old.exists() and young.exists()


# ---- the same as the real phases without locald

def test_builds_are_those_of_the_real_phases(project, oracle, identity):
    if not identity.root:
        pytest.skip("the oracle belongs to root")
    extra = project.cnb.buildpack_folder
    for name, content in (("a.txt", "a"), (".test-printenv", ""), (".test-labels", "one 1"), ("left/out", "x")):
        project.write("app/" + name, content)
    cases = {
        "groups": (HEAD + f'[io.buildpacks]\nexclude = ["left"]\n[[io.buildpacks.group]]\nid = "test/labels"\nversion = "1.0.0"\n[[io.buildpacks.group]]\nuri = "{extra}"\n',
                   [[("test/labels", False), ("test/extra", False)]]),
        "pre": (HEAD + f'[io.buildpacks]\nexclude = ["left"]\n[[io.buildpacks.pre.group]]\nuri = "{extra}"\n[[io.buildpacks.build.env]]\nname = "BP_X"\nvalue = "y"\n', None),
        "metadata": ('[project]\nversion = "1"\nsource-url = "https://example.com"\n[build]\nexclude = ["left"]\n' + f'[[build.buildpacks]]\nuri = "{project.cnb.buildpackage_file}"\n',
                     [[("test/extra", False)]])}
    builders = oci_image.Image.of(project.cnb.builder).labels["io.buildpacks.buildpack.order"]
    for name, (content, order) in cases.items():
        project.toml(content)
        order = order or [[("test/extra", False)] + [(e["id"], e.get("optional", False)) for e in g["group"]] for g in builders]
        order_toml = "".join("[[order]]\n" + "".join(f'[[order.group]]\nid = "{i}"\nversion = "1.0.0"\noptional = {str(o).lower()}\n' for i, o in g) for g in order)
        kept = oracle.folder / f"project-{name}"
        shutil.copytree(project.app, kept, ignore=lambda *_: ["left"])
        real = oracle.build(kept, name=f"project-{name}", order=order_toml, buildpacks=[extra], env={"BP_X": "y"} if name == "pre" else {},
                            project_metadata='[source]\ntype = "project"\n[source.version]\ndeclared = "1"\n[source.metadata]\nurl = "https://example.com"\n' if name == "metadata" else None)
        assert real.rc == 0, real
        built = project.build("--strict")
        assert [b["id"] for b in built["buildpacks"]] == real.group
        ours = project.strict_image(built)
        found = [d for d in oci_image.differences(ours, real.image) if not d.startswith("label io.buildpacks.lifecycle.metadata")]
        assert found == [], found
        hybrid = project.build("--again")
        assert hybrid["buildpacks"] == built["buildpacks"] and hybrid["processes"] == built["processes"]
        shutil.rmtree(kept)
