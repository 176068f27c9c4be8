"""What a registry may do to us: redirects, tokens, being busy, breaking off, lying."""
import json
import os
import signal
import ssl
import subprocess
import threading
import time

import images_by_hand as by_hand
import pytest
from support import wait_until


@pytest.fixture
def fake():
    r = by_hand.FakeRegistry()
    yield r
    r.close()


@pytest.fixture
def other():
    r = by_hand.FakeRegistry()
    yield r
    r.close()


def one_layer(fake, size=200_000):
    """An image of one layer in the registry: its blob's digest and bytes."""
    blobs, manifest = by_hand.image([by_hand.tar(by_hand.file("a", os.urandom(size)))])
    fake.put(blobs, manifest)
    layer = json.loads(manifest)["layers"][0]["digest"]
    return layer, blobs[layer]


def manifest_path(fake):
    return f"/v2/{fake.name}/manifests/{fake.tag}"


def ingest(locald):
    folder = locald.home / "data/images/ingest"
    return os.listdir(folder) if folder.exists() else []


def asked(fake, path):
    return [h for _, p, h in fake.requests if p == path]


def refused(locald, image, *words):
    r = locald("image", "pull", image, check=False)
    assert r.rc == 1, r
    for w in words:
        assert w.lower() in r.err.lower(), f"'{w}' is not said\n{r!r}"
    assert "hint" not in words or "hint:" in r.err
    assert not ingest(locald)
    assert image not in locald("image", "ls").out
    return r


def test_what_is_there_is_not_asked_for_again(locald, fake):
    one_layer(fake)
    locald("image", "pull", fake.ref)
    before = len(fake.requests)
    locald("container", "run", "--rm", fake.ref, "/nothing", check=False)
    assert len(fake.requests) == before
    locald("image", "pull", fake.ref)  # a spoken pull asks what the tag means today, and fetches nothing
    assert len(fake.requests) > before and not [p for _, p, _ in fake.requests[before:] if "/blobs/" in p]


def test_the_store_is_a_layout_that_skopeo_reads(locald, fake):
    layer, _ = one_layer(fake)
    locald("image", "pull", fake.ref)
    p = subprocess.run(["skopeo", "inspect", f"oci:{locald.home}/data/images:{fake.ref}"], check=True, capture_output=True, text=True)
    assert json.loads(p.stdout)["Layers"] == [layer]


def test_a_busy_registry_is_asked_again_and_the_user_told(locald, fake):
    one_layer(fake)
    good = fake.answers[manifest_path(fake)]
    answers = [lambda h: h.reply(503, b"", "text/plain"), lambda h: h.reply(429, b"", "text/plain", Retry_After="1")]
    fake.answers[manifest_path(fake)] = lambda h: answers.pop(0)(h) if answers else h.reply(200, good[1], good[0])
    began = time.monotonic()
    locald("image", "pull", fake.ref)
    assert time.monotonic() - began >= 1


def test_a_registry_in_trouble_is_given_up_after_five_tries(locald, fake):
    one_layer(fake)
    fake.answers[manifest_path(fake)] = lambda h: h.reply(500, b"<html>" + b"x" * (8 << 20), "text/html")
    r = refused(locald, fake.ref, "500")
    assert len(asked(fake, manifest_path(fake))) == 5
    assert len(r.err) < 5000


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no-ranges"])
def test_a_download_that_breaks_goes_on(locald, fake, ranges):
    layer, data = one_layer(fake, 3_000_000)
    half = len(data) // 2

    def broken(handler):
        wanted = handler.headers.get("Range")
        if wanted is None and len(asked(fake, fake.blob(layer))) == 1:
            handler.close_connection = True
            return handler.reply(200, data[:half], length=len(data))
        if wanted is None or not ranges:
            return handler.reply(200, data)
        first = int(wanted.removeprefix("bytes=").removesuffix("-"))
        handler.reply(206, data[first:], Content_Range=f"bytes {first}-{len(data) - 1}/{len(data)}")
    fake.answers[fake.blob(layer)] = broken
    locald("image", "pull", fake.ref)
    wanted = [h.get("Range") for h in asked(fake, fake.blob(layer))]
    assert wanted[0] is None and wanted[-1] == f"bytes={half}-", wanted
    assert not ingest(locald)


def test_more_bytes_than_promised_are_not_taken(locald, fake):
    layer, data = one_layer(fake)
    fake.answers[fake.blob(layer)] = data + b"more"
    refused(locald, fake.ref, layer[7:19])

    def endless(handler):  # no length at all, and no end
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        try:
            for _ in range(200):
                handler.wfile.write(data)
        except OSError:
            pass
    fake.answers[fake.blob(layer)] = endless
    refused(locald, fake.ref, layer[7:19], "more than the promised")


def test_a_manifest_that_is_not_what_its_header_says(locald, fake):
    one_layer(fake)
    kind, data = fake.answers[manifest_path(fake)]
    fake.answers[manifest_path(fake)] = lambda h: h.reply(200, data, "application/json", Docker_Content_Digest="sha256:" + "0" * 64)
    refused(locald, fake.ref, "promised", "0000")
    fake.answers[manifest_path(fake)] = lambda h: h.reply(200, data, by_hand.INDEX)
    refused(locald, fake.ref, "announced")


@pytest.mark.parametrize("to", ["file:///etc/passwd", "http://169.254.169.254/latest/meta-data", "http://example.com/x", "//user:password@127.0.0.1/", "/again"])
def test_redirects_that_are_not_followed(locald, fake, to):
    layer, _ = one_layer(fake)
    fake.answers[fake.blob(layer)] = lambda h: h.reply(307, b"", Location=to)
    fake.answers["/again"] = lambda h: h.reply(307, b"", Location="/again")
    refused(locald, fake.ref, layer[7:19])
    assert len(asked(fake, "/again")) <= 10


def test_a_token_service_elsewhere_is_not_asked(locald, fake, other):
    one_layer(fake)
    other.answers["/token"] = ("application/json", b'{"token":"x"}')
    for realm in (f"http://{other.address}/token", "http://169.254.169.254/", "http://auth.example.com/"):
        fake.answers[manifest_path(fake)] = lambda h, realm=realm: h.reply(401, b"{}", "application/json", WWW_Authenticate=f'Bearer realm="{realm}"')
        refused(locald, fake.ref, "token service", "refused")
    assert not other.requests


def test_a_registry_that_wants_a_login_says_so(locald, fake):
    one_layer(fake)
    fake.answers[manifest_path(fake)] = lambda h: h.reply(401, b"{}", "application/json", WWW_Authenticate='Basic realm="x"')
    refused(locald, fake.ref, "login", fake.address)


def certificate(folder, name, expired=False):
    """A self-signed certificate for `name`: (certificate, key)."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert, "-subj", "/CN=test",
                    "-days", "2", "-addext", f"subjectAltName={name}"], check=True, capture_output=True)
    if expired:  # signed again, to end the day before it begins
        subprocess.run(["openssl", "x509", "-in", cert, "-signkey", key, "-days", "-1", "-out", cert], check=True, capture_output=True)
    cert.chmod(0o644)
    return cert, key


@pytest.mark.parametrize("case", ["good", "unknown", "other-name", "expired"])
def test_tls_is_checked_on_loopback_too(make_locald, fake, tmp_path, case):
    name = "DNS:other.example" if case == "other-name" else "IP:127.0.0.1"
    cert, key = certificate(tmp_path, name, expired=case == "expired")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    fake.server.socket = context.wrap_socket(fake.server.socket, server_side=True, do_handshake_on_connect=False)
    one_layer(fake)
    locald = make_locald()
    trusted = locald.home / "user/ca.pem"
    trusted.write_bytes(cert.read_bytes())
    locald.env["SSL_CERT_FILE"] = None if case == "unknown" else str(trusted)
    if case == "good":
        locald("image", "pull", fake.ref)
    else:
        refused(locald, fake.ref, "certificate verification failed", "hint:")
        assert not asked(fake, manifest_path(fake))


def test_endless_headers_are_cut_off(locald, fake):
    one_layer(fake)

    def headers(handler):
        handler.send_response(200)
        handler.close_connection = True
        try:
            for i in range(100_000):
                handler.send_header(f"X-{i}", "a" * 100)
                handler.flush_headers()
        except OSError:
            pass
    fake.answers[manifest_path(fake)] = headers
    refused(locald, fake.ref, "headers")


def test_an_index_of_indexes_ends(locald, fake):
    # Each index holds the next; the fifth is not opened any more.
    _, manifest = by_hand.image([by_hand.tar(by_hand.file("a"))])
    kind = by_hand.MANIFEST
    for _ in range(8):
        manifest = json.dumps({"schemaVersion": 2, "mediaType": by_hand.INDEX, "manifests": [
            {"mediaType": kind, "digest": by_hand.digest(manifest), "size": len(manifest), "platform": {"architecture": by_hand.ARCH, "os": "linux"}}]}).encode()
        kind = by_hand.INDEX
        fake.put({}, manifest, kind)
    refused(locald, fake.ref, "deep")


def test_two_pulls_at_once_share_the_download(locald, fake):
    layer, data = one_layer(fake, 2_000_000)

    def slow(handler):
        time.sleep(0.5)
        handler.reply(200, data)
    fake.answers[fake.blob(layer)] = slow
    results = []
    threads = [threading.Thread(target=lambda: results.append(locald("image", "pull", fake.ref, check=False))) for _ in range(3)]
    locald("version")
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [r.rc for r in results] == [0, 0, 0], results
    assert len(asked(fake, fake.blob(layer))) == 1


def test_a_pull_that_was_killed_is_taken_up_by_the_next(locald, fake):
    layer, data = one_layer(fake, 40_000_000)
    gate = threading.Event()

    def halting(handler):
        wanted = handler.headers.get("Range")
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        status, more = (206, {"Content_Range": f"bytes {first}-{len(data) - 1}/{len(data)}"}) if wanted else (200, {})
        handler.close_connection = not wanted
        handler.reply(status, data[first:] if wanted else data[:30_000_000], length=len(data) - first, **more)
        if not wanted:
            gate.wait(30)
    fake.answers[fake.blob(layer)] = halting
    puller = threading.Thread(target=lambda: locald("image", "pull", fake.ref, check=False))
    puller.start()
    part = locald.home / "data/images/ingest" / layer[7:]
    wait_until(lambda: part.exists() and part.stat().st_size >= 30_000_000, "the first 30 MB are there")
    for pid in workers_of(locald):
        os.kill(pid, signal.SIGKILL)
    puller.join()
    gate.set()
    locald("image", "pull", fake.ref)
    assert [h.get("Range") for h in asked(fake, fake.blob(layer))] == [None, "bytes=30000000-"]
    assert not ingest(locald)


def workers_of(locald):
    """The server's workers: children of it that run the same program."""
    server = locald.server_pid()
    children = []
    for task in os.listdir(f"/proc/{server}/task"):  # a job's thread has started it
        with open(f"/proc/{server}/task/{task}/children") as f:
            children += [int(pid) for pid in f.read().split()]
    found = [pid for pid in children if b"worker" in open(f"/proc/{pid}/cmdline", "rb").read()]
    assert found, children
    return found


def test_a_damaged_blob_or_a_lost_layer_is_mended(locald, fake):
    layer, data = one_layer(fake)
    locald("image", "pull", fake.ref)
    blob = locald.home / "data/images/blobs/sha256" / layer[7:]
    bad = bytearray(data)
    bad[len(bad) // 2] ^= 1
    blob.write_bytes(bad)
    layers = locald.home / "data/layers"
    for record in layers.glob("*/layer.json"):
        record.unlink()  # without its record a layer counts as absent
    locald("image", "pull", fake.ref)
    assert blob.read_bytes() == data
    assert list(layers.glob("*/layer.json"))
