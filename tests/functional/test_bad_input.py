"""Issue "bad input": each a clear error with the next step, nothing half-done left behind, other services unharmed."""
import json
import os
import shutil
import socket
import subprocess
import time

import images_by_hand as by_hand
import pytest
from support import PATH, Identity, alive, free_port


@pytest.fixture
def fake():
    r = by_hand.FakeRegistry()
    yield r
    r.close()


@pytest.fixture
def neighbour(project):
    """Another project's service, which must not notice anything."""
    p = project("[project]\nname = 'neighbour'\n[services.n]\ncommand = 'exec sleep 100000'\n", "neighbour")
    p("up", "-d")
    s = p.service("n")
    yield p
    now = p.service("n")
    assert (now["pid"], now["state"], now["restarts"]) == (s["pid"], "running", 0)


def store_is_clean(locald):
    """Nothing half-done: no download under way, no layer without its commit, every named blob whole."""
    data = locald.home / "data"
    ingest = data / "images/ingest"
    assert not ingest.exists() or not [f for f in os.listdir(ingest) if not f.endswith(".lock")], os.listdir(ingest)
    for f in (data / "images/blobs/sha256").glob("*") if (data / "images/blobs").exists() else ():
        assert by_hand.digest(f.read_bytes()) == "sha256:" + f.name


def fails(locald, image, *words, code=125):
    r = locald("container", "run", "--rm", image, "true", check=False)
    assert r.rc == code, r
    for w in words:
        assert w.lower() in r.err.lower(), f"'{w}' is not said\n{r!r}"
    store_is_clean(locald)
    return r


def test_two_services_on_one_port_start_nothing(project, neighbour):
    port = free_port()
    p = project(f"""
        [project]
        name = "ports"
        [services.a]
        command = "touch started-a; exec sleep 1000"
        port = {port}
        [services.b]
        command = "touch started-b; exec sleep 1000"
        port = {port}
        """)
    r = p("up", "-d", check=False)
    assert r.rc == 1 and f"port {port} is wanted by two services, a (line " in r.text, r
    assert not list(p.dir.glob("started-*"))


def test_a_port_in_use_names_who_holds_it(project, neighbour):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        p = project(f"[project]\nname = 'used'\n[services.a]\ncommand = 'exec sleep 1000'\nport = {port}\n[services.b]\ncommand = 'exec sleep 1000'\n")
        holder = p.locald.identity.root or not p.locald.identity.switch
        r = p("up", "-d", check=False)
        assert r.rc == 1 and str(port) in r.text, r
        if holder:  # another user's process is not ours to see
            assert str(os.getpid()) in r.text or "python" in r.text or "pytest" in r.text, r
        assert p.service("a")["pid"] is None


def test_a_registry_that_is_down(locald, neighbour):
    fails(locald, f"127.0.0.1:{free_port()}/library/redis:7", "127.0.0.1", "connect")


def test_an_unknown_tag_and_an_unknown_image(locald, registry, neighbour):
    fails(locald, f"{registry}/library/redis:no-such-tag", "no-such-tag", "not found")
    fails(locald, f"{registry}/library/no-such-image:1", "no-such-image")


def test_a_digest_that_is_not_there_and_one_that_is_no_digest(locald, registry):
    fails(locald, f"{registry}/library/redis@sha256:{'0' * 64}", "0000")
    fails(locald, f"{registry}/library/redis@sha256:../../etc/passwd", "not a digest: \"sha256:../../etc/passwd\"")


def test_a_layer_with_other_bytes_than_its_digest_says(locald, fake, neighbour):
    blobs, manifest = by_hand.image([by_hand.tar(by_hand.file("a", os.urandom(100000)))])
    fake.put(blobs, manifest)
    layer = json.loads(manifest)["layers"][0]
    bad = bytearray(blobs[layer["digest"]])
    bad[len(bad) // 2] ^= 1
    fake.answers[fake.blob(layer["digest"])] = bytes(bad)
    fails(locald, fake.ref, layer["digest"][7:19])
    fake.answers[fake.blob(layer["digest"])] = blobs[layer["digest"]]  # mended over there: now it goes
    locald("image", "pull", fake.ref)


def test_a_layer_whose_content_is_not_its_diff_id(locald, fake):
    blobs, manifest = by_hand.image([by_hand.tar(by_hand.file("a", b"x"))], diff_ids=["sha256:" + "1" * 64])
    fake.put(blobs, manifest)
    fails(locald, fake.ref, "1111")
    assert not [d for d in (locald.home / "data/layers").glob("1111*")]


def test_a_truncated_layer(locald, fake, neighbour):
    blobs, manifest = by_hand.image([by_hand.tar(by_hand.file("a", os.urandom(3000000)))])
    fake.put(blobs, manifest)
    layer = json.loads(manifest)["layers"][0]

    def cut(handler):
        data = blobs[layer["digest"]]
        handler.close_connection = True
        handler.reply(200, data[:len(data) // 2], length=len(data))
    fake.answers[fake.blob(layer["digest"])] = cut
    fails(locald, fake.ref, layer["digest"][7:19])
    # A blob that is complete by the manifest but a gzip cut short.
    packed = blobs[layer["digest"]][:-2000]
    m = json.loads(manifest)
    m["layers"][0].update(digest=by_hand.digest(packed), size=len(packed))
    manifest = json.dumps(m).encode()
    fake.put({by_hand.digest(packed): packed}, manifest)
    fails(locald, fake.ref)
    store_is_clean(locald)


def test_a_manifest_that_is_not_one(locald, fake):
    for body in (b"", b"{", b"[]", b'{"schemaVersion":2}', b"<html>gateway</html>", b'{"a":' * 100000,
                 json.dumps({"schemaVersion": 2, "layers": [], "manifests": [], "config": {}}).encode()):
        fake.put({}, body)
        fails(locald, fake.ref)
    assert locald("version").rc == 0 and alive(locald.server_pid())


def test_a_manifest_of_a_hundred_megabytes_is_cut_off(locald, fake):
    sent = []

    def huge(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", by_hand.MANIFEST)
        handler.end_headers()
        handler.close_connection = True
        try:
            for _ in range(100):
                handler.wfile.write(b" " * (1 << 20))
                sent.append(1)
        except OSError:
            pass
    fake.answers[f"/v2/{fake.name}/manifests/{fake.tag}"] = huge
    fails(locald, fake.ref)
    assert len(sent) < 20, f"{len(sent)} MiB were taken"


def test_an_image_of_another_architecture(locald, fake, scratch, neighbour):
    other = "s390x"
    blobs, manifest = by_hand.image([by_hand.tar(by_hand.file("a"))], arch=other)
    fake.put(blobs, manifest)
    fails(locald, fake.ref, other, by_hand.ARCH)
    # An index without our platform names those that it has.
    index = json.dumps({"schemaVersion": 2, "mediaType": by_hand.INDEX, "manifests": [
        {"mediaType": by_hand.MANIFEST, "digest": by_hand.digest(manifest), "size": len(manifest), "platform": {"architecture": other, "os": "linux"}}]}).encode()
    fake.put(blobs, index, by_hand.INDEX, tag="multi")
    fails(locald, f"{fake.address}/{fake.name}:multi", other, by_hand.ARCH)


def test_the_right_platform_is_taken_from_an_index(locald, fake):
    blobs, other = by_hand.image([by_hand.tar(by_hand.file("other"))], arch="s390x")
    ours_blobs, ours = by_hand.image([by_hand.tar(by_hand.file("ours"))])
    fake.put({**blobs, **ours_blobs}, other, tag="other")
    fake.put({}, ours, tag="ours")
    index = json.dumps({"schemaVersion": 2, "mediaType": by_hand.INDEX, "manifests": [
        {"mediaType": by_hand.MANIFEST, "digest": by_hand.digest(m), "size": len(m), "platform": {"architecture": a, "os": "linux"}} for m, a in ((other, "s390x"), (ours, by_hand.ARCH))]}).encode()
    fake.put({}, index, by_hand.INDEX)
    out = locald.home / "user/out"
    locald("image", "unpack", fake.ref, out)
    assert (out / "ours").exists()


def test_credentials_never_follow_a_redirect_or_a_foreign_realm(locald, fake):
    """The token stays with the registry that asked for it."""
    elsewhere = by_hand.FakeRegistry()
    try:
        blobs, manifest = by_hand.image([by_hand.tar(by_hand.file("a", b"content"))])
        fake.put(blobs, manifest)
        layer = json.loads(manifest)["layers"][0]["digest"]
        elsewhere.answers["/cdn/layer"] = blobs[layer]

        def guarded(answer):
            def handle(handler):
                if handler.headers.get("Authorization") != "Bearer secret-token":
                    return handler.reply(401, b"{}", "application/json", WWW_Authenticate=f'Bearer realm="http://{fake.address}/token",service="fake",scope="repository:{fake.name}:pull"')
                answer(handler)
            return handle
        fake.answers["/token"] = ("application/json", b'{"token":"secret-token"}')
        for path in [k for k in fake.answers if k.startswith("/v2/")]:
            kind, data = fake.answers[path] if isinstance(fake.answers[path], tuple) else ("application/octet-stream", fake.answers[path])
            fake.answers[path] = guarded(lambda h, kind=kind, data=data: h.reply(200, data, kind))
        fake.answers[fake.blob(layer)] = guarded(lambda h: h.reply(307, b"", Location=f"http://{elsewhere.address}/cdn/layer"))
        locald("image", "pull", fake.ref)
        assert any("Authorization" in h for _, _, h in fake.requests)
        assert elsewhere.requests and not any("Authorization" in h for _, _, h in elsewhere.requests), elsewhere.requests
    finally:
        elsewhere.close()


def test_a_misspelt_key(project, neighbour):
    p = project("""
        [project]
        name = "typo"

        [services.web]
        comand = "true"
        """)
    for verb in (["config", "check"], ["up", "-d"]):
        r = p(*verb, check=False)
        assert r.rc == 1 and "comand" in r.text and "command" in r.text.replace("comand", "") and "locald.toml:5" in r.text, r


@pytest.mark.parametrize("text, words", [
    ("[services.a]\ncommand = 3\n", ["command", ":4"]),
    ("[services.a]\ncommand = 'x'\nrestart = 'sometimes'\n", ["restart", ":5", "on-failure"]),
    ("[services.a]\ncommand = 'x'\ntype = 'docker'\n", ["type", ":5", "container"]),
    ("[services.a]\ncommand = 'x'\ndepends_on = ['b']\n", ["'b'", ":5"]),
    ("[services.a]\ncommand = 'x'\ndepends_on = ['b']\n[services.b]\ncommand = 'x'\ndepends_on = ['a']\n", ["cycle", "a", "b"]),
    ("[services.a]\ncommand = 'x'\nstop_timeout = '10 parsecs'\n", ["stop_timeout", ":5"]),
    ("[services.a]\ntype = 'container'\n", ["image"]),
    ("[services.a]\ncommand = 'x'\nenv = { A = '${NO_SUCH_VARIABLE:?give me one}' }\n", ["NO_SUCH_VARIABLE", "give me one"]),
    ("[services.a]\ncommand = 'x'\nenv = { A = '${services.zz.port}' }\n", ["zz"]),
    ("[services.a\n", [":3"]),
    ("[services.'A B']\ncommand = 'x'\n", ["A B"]),
])
def test_a_wrong_file_names_the_line_and_the_way_out(project, text, words):
    p = project("[project]\nname = 'wrong'\n" + text)
    r = p("up", "-d", check=False)
    assert r.rc == 1, r
    for w in words:
        assert w in r.text, f"'{w}' is not said\n{r!r}"


def test_no_locald_toml(locald):
    r = locald("up", "-d", check=False)
    assert r.rc == 1 and "locald.toml" in r.err


def path_without(home, *programs):
    """A PATH with everything but these."""
    folder = home / "user/bin"
    folder.mkdir()
    for d in reversed(PATH.split(":")):
        for f in os.listdir(d) if os.path.isdir(d) else ():
            if f not in programs:
                target = folder / f
                target.unlink(missing_ok=True)
                target.symlink_to(f"{d}/{f}")
    return str(folder)


def test_without_runc_host_services_go_and_containers_say_what_to_install(locald, project, busybox):
    path = path_without(locald.home, "runc")
    if os.environ.get("LOCALD_TEST_RUNC") or os.path.exists("/usr/libexec/locald/runc"):
        pytest.skip("needs a machine without the package locald-runc, and no LOCALD_TEST_RUNC")
    locald.env["PATH"] = path
    p = project("[project]\nname = 'norunc'\n[services.a]\ncommand = 'exec sleep 1000'\n")
    p("up", "-d")
    fails(locald, busybox, "runc", "install")
    assert p.service("a")["state"] == "running"
    r = locald("doctor", check=False)
    assert "runc" in r.text and "install" in r.text, r


def test_a_runtime_that_cannot_run(locald, busybox):
    fake = locald.home / "user/runc"
    fake.write_text("not a program\n")
    fake.chmod(0o755)
    (locald.home / "config.toml").write_text(f'runtime = "{fake}"\n')
    locald.identity.own(locald.home / "config.toml")
    fails(locald, busybox, "runc")


def degraded(locald, image, *words):
    """No full id map: either it runs as uid 0 alone and says why, or it refuses and says why."""
    r = locald("container", "run", "--rm", image, "id", "-u", check=False)
    assert r.rc in (0, 125), r
    if r.rc == 0:
        assert r.out == "0\n"
    for w in words:
        assert w in r.err, f"'{w}' is not said\n{r!r}"


def test_without_newuidmap(locald, busybox):
    if locald.identity.root:
        pytest.skip("root needs no newuidmap")
    if os.geteuid() != 0:
        pytest.skip("hiding /usr/bin/newuidmap needs a mount, that is root: the run as root does this case")
    locald.hidden = ["/usr/bin/newuidmap", "/usr/bin/newgidmap"]
    degraded(locald, busybox, "newuidmap", "uidmap")


def test_without_a_subordinate_range(make_locald, identity, busybox):
    if not identity.root:
        pytest.skip("making a user without subordinate ids needs root; the run as root does this case")
    from conftest import NOSUB, make_user
    make_user(NOSUB, subids=False)
    degraded(make_locald(who=Identity(NOSUB)), busybox, "usermod --add-subuids", "/etc/subuid")


def test_a_command_that_does_not_exist_or_cannot_be_executed(project, busybox, neighbour):
    p = project(f"""
        [project]
        name = "cmd"
        [services.gone]
        command = ["/no/such/program"]
        [services.denied]
        command = ["./data"]
        [services.box]
        type = "container"
        image = "{busybox}"
        command = ["no-such-program"]
        [services.boxdenied]
        type = "container"
        image = "{busybox}"
        command = ["/etc/passwd"]
        """, files={"data": "data\n"})
    r = p("up", "-d", check=False)
    assert r.rc == 1, r
    s = p.status()
    for name, code, word in (("gone", 127, "/no/such/program"), ("denied", 126, "data"), ("box", 127, "no-such-program"), ("boxdenied", 126, "/etc/passwd")):
        assert (s[name]["state"], s[name]["exit_code"]) in (("failed", code), ("exited", code)), s[name]
        assert word in s[name]["reason"], s[name]
        assert word in r.text


def test_a_bad_interpreter_in_a_container(locald, fake):
    blobs, manifest = by_hand.image([by_hand.tar(by_hand.file("script", b"#!/no/such/interpreter\n", 0o755), by_hand.file("elf", b"\x7fELFjunk" * 10, 0o755))])
    fake.put(blobs, manifest)
    locald("image", "pull", fake.ref)
    assert locald("container", "run", "--rm", fake.ref, "/script", check=False).rc == 127
    assert locald("container", "run", "--rm", fake.ref, "/elf", check=False).rc == 126


def test_a_full_disk(make_locald, identity, scratch, registry, busybox):
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root; the run as root does this case for both identities")
    home = scratch / f"small-{identity}"
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "small", home], check=True)
    try:
        locald = make_locald(home=home)
        neighbour = subprocess.Popen(["true"])
        r = locald("container", "run", "--rm", f"{registry}/library/python:3", "true", check=False)
        assert r.rc == 125 and "space" in r.err.lower() and str(home) in r.err, r
        store_is_clean(locald)
        layers = home / "data/layers"
        big = sum(f.stat().st_size for f in layers.rglob("*") if f.is_file() and not f.is_symlink()) if layers.exists() else 0
        assert big < 12 << 20, f"{big} bytes of a layer that was not finished are left"
        assert locald("container", "run", "--rm", busybox, "echo", "small fits").out == "small fits\n"
        neighbour.wait()
        locald("server", "stop", "--all")
        locald.assert_nothing_left(but_server=False)
    finally:
        for _ in range(50):
            if subprocess.run(["umount", home], stderr=subprocess.DEVNULL).returncode == 0:
                break
            time.sleep(0.1)
        else:
            subprocess.run(["umount", "--lazy", home])


def test_a_bind_source_that_is_missing_and_one_that_is_ours(project, busybox, locald):
    p = project(f"""
        [project]
        name = "bind"
        [services.a]
        type = "container"
        image = "{busybox}"
        command = ["true"]
        volumes = ["./missing:/m"]
        """)
    r = p("up", "-d", check=False)
    assert r.rc == 1 and "missing" in r.text and not (p.dir / "missing").exists(), r
    for source in (locald.home / "run", locald.home / "data"):
        r = locald("container", "run", "--rm", "-v", f"{source}:/m", busybox, "true", check=False)
        assert r.rc == 125 and str(source) in r.err, r


def test_a_layer_that_tries_to_escape(locald, fake, neighbour):
    """A1, A3, A5: nothing outside of the layer's root is touched; the victim beside it stays as it is."""
    victim = locald.home / "user/victim"
    victim.write_text("untouched")
    import tarfile
    link = dict(type=tarfile.SYMTYPE)
    attacks = {
        "dotdot": [by_hand.file("../../../../../../../../" + str(victim)[1:], b"hit")],
        "absolute symlink": [by_hand.file("d", linkname=str(victim.parent), **link), by_hand.file("d/victim", b"hit")],
        "relative symlink": [by_hand.file("d", linkname="../" * 12 + str(victim.parent)[1:], **link), by_hand.file("d/victim", b"hit")],
        "hard link": [by_hand.file("h", linkname=str(victim), type=tarfile.LNKTYPE), by_hand.file("h", b"hit")],
        "hard link dotdot": [by_hand.file("h", linkname="../" * 12 + str(victim)[1:], type=tarfile.LNKTYPE)],
        "root": [by_hand.file("/.", linkname=str(victim.parent), **link), by_hand.file("victim", b"hit")],
    }
    for name, entries in attacks.items():
        blobs, manifest = by_hand.image([by_hand.tar(*entries)])
        fake.put(blobs, manifest)
        out = locald.home / "user/out"
        locald("image", "unpack", fake.ref, out, check=False)
        assert victim.read_text() == "untouched" and victim.stat().st_nlink == 1, name
        shutil.rmtree(out, ignore_errors=True)


def test_garbage_on_the_servers_socket_harms_nobody(locald, neighbour):
    locald("server", "start")
    path = str(locald.home / "run/server.sock")
    for data in (b"", b"\0" * 100, b"GET / HTTP/1.1\r\n\r\n", b"POST /v1/status HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"POST /v1/up HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]", b"A" * 200000):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(2)
            s.connect(path)
            try:
                s.sendall(data)
                s.recv(1000)
            except OSError:
                pass
    assert locald("server", "status").rc == 0


def test_another_user_is_refused(locald, identity):
    """Root may open any socket file; the server looks at who it is."""
    if os.geteuid() != 0 or identity.root:
        pytest.skip("needs a second user: the run as root does this case for the unprivileged identity")
    locald("server", "start")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(str(locald.home / "run/server.sock"))
        try:  # hung up on before it has said a word, or after
            s.sendall(b"POST /v1/server/stop HTTP/1.1\r\nHost: l\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"all\": true}")
            reply = s.recv(4096)
        except OSError:
            reply = b""
    assert b" 200 " not in reply, reply
    assert alive(locald.server_pid())


def test_a_newer_state_file_is_refused_untouched_and_a_broken_one_set_aside(locald, project):
    p = project("[project]\nname = 'st'\n[services.a]\ncommand = 'exec sleep 1000'\n")
    p("up", "-d")
    p("down")
    locald("server", "stop")
    state = locald.home / "state/projects.json"
    good = state.read_text()
    state.write_text("{ broken")
    r = p("status", "--json", check=False)
    assert [f for f in os.listdir(state.parent) if f.startswith("projects.json") and f != "projects.json"] or "projects.json" in r.err, r
    locald("server", "stop", check=False)
    newer = json.dumps({**json.loads(good), "format": 999})
    state.write_text(newer)
    r = p("up", "-d", check=False)
    assert r.rc != 0 and "999" in r.text or "newer" in r.text, r
    assert state.read_text() == newer
    state.write_text(good)
