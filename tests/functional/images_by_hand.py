"""OCI layouts written by hand, and a registry that misbehaves on request."""
import gzip
import hashlib
import http.server
import io
import json
import os
import platform
import tarfile
import threading

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(*entries):
    """entries: TarInfo or (TarInfo, bytes)"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for e in entries:
            info, data = e if isinstance(e, tuple) else (e, b"")
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def file(name, data=b"", mode=0o644, **more):
    info = tarfile.TarInfo(name)
    info.mode = mode
    for k, v in more.items():
        setattr(info, k, v)
    return (info, data)


def image(layers, config=None, arch=ARCH, compress=True, diff_ids=None):
    """(blobs {digest: bytes}, manifest bytes)"""
    blobs, described = {}, []
    for layer in layers:
        packed = gzip.compress(layer, 1, mtime=0) if compress else layer
        blobs[digest(packed)] = packed
        described.append({"mediaType": "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if compress else ""), "digest": digest(packed), "size": len(packed)})
    c = json.dumps({"architecture": arch, "os": "linux", "config": config or {"Cmd": ["/bin/sh"]},
                    "rootfs": {"type": "layers", "diff_ids": diff_ids or [digest(x) for x in layers]}}).encode()
    blobs[digest(c)] = c
    m = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(c), "size": len(c)},
                    "layers": described}).encode()
    blobs[digest(m)] = m
    return blobs, m


def write_layout(folder, tag, blobs, manifest):
    os.makedirs(f"{folder}/blobs/sha256", exist_ok=True)
    for d, data in blobs.items():
        with open(f"{folder}/blobs/sha256/{d[7:]}", "wb") as f:
            f.write(data)
    with open(f"{folder}/oci-layout", "w") as f:
        f.write('{"imageLayoutVersion":"1.0.0"}')
    with open(f"{folder}/index.json", "w") as f:
        json.dump({"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": digest(manifest), "size": len(manifest), "annotations": {"org.opencontainers.image.ref.name": tag}}]}, f)


class FakeRegistry:
    """Serves what is in `answers`: path -> bytes, or a function of the handler that answers by itself. Remembers requests."""

    def __init__(self, name="test/image", tag="1", port=0):
        self.answers, self.requests, self.name, self.tag = {}, [], name, tag
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests.append((self.command, self.path, dict(self.headers)))
                answer = outer.answers.get(self.path.split("?")[0])
                if callable(answer):
                    return answer(self)
                if answer is None:
                    return self.reply(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}', "application/json")
                kind = answer[0] if isinstance(answer, tuple) else "application/octet-stream"
                self.reply(200, answer[1] if isinstance(answer, tuple) else answer, kind)

            do_HEAD = do_GET

            def reply(self, status, data, kind="application/octet-stream", length=None, **headers):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data) if length is None else length))
                if kind in (MANIFEST, INDEX):
                    self.send_header("Docker-Content-Digest", digest(data))
                for k, v in headers.items():
                    self.send_header(k.replace("_", "-"), v)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def log_message(self, *a):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.ref = f"{self.address}/{name}:{tag}"
        self.answers["/v2/"] = ("application/json", b"{}")
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def put(self, blobs, manifest, kind=MANIFEST, tag=None):
        for d, data in blobs.items():
            self.answers[f"/v2/{self.name}/blobs/{d}"] = data
        for ref in (tag or self.tag, digest(manifest)):
            self.answers[f"/v2/{self.name}/manifests/{ref}"] = (kind, manifest)

    def blob(self, d):
        return f"/v2/{self.name}/blobs/{d}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
