"""`container run` and container services on a small image: what Docker's users expect."""
import os
import signal

from support import wait_until


def run(locald, image, *args, options=("--rm",), **more):
    return locald("container", "run", *options, image, *args, **more)


def test_output_exit_codes_and_nothing_left(locald, busybox):
    r = run(locald, busybox, "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (r.rc, r.out, r.err.strip().splitlines()[-1]) == (7, "out\n", "err"), r
    assert run(locald, busybox, "true").rc == 0
    r = run(locald, busybox, "no-such-command", check=False)
    assert r.rc == 127 and r.err == "error: no-such-command: command not found in PATH\n", r
    r = run(locald, busybox, "/etc/passwd", check=False)
    assert r.rc == 126 and "/etc/passwd" in r.err, r
    locald.assert_nothing_left()


def test_a_signal_from_outside_is_128_and_its_number(locald, busybox):
    f = locald.popen("container", "run", "--rm", busybox, "sleep", "98765")
    pid = wait_until(lambda: next((p for p, c in locald.processes().items() if c == "sleep 98765"), None), "it runs")
    os.kill(pid, signal.SIGKILL)
    f.communicate(timeout=20)
    assert f.returncode == 137
    locald.assert_nothing_left()


def test_options_end_at_the_image(locald, busybox):
    assert run(locald, busybox, "echo", "--rm", "-e", "A=b").out == "--rm -e A=b\n"


def test_env_workdir_user_entrypoint(locald, busybox):
    r = run(locald, busybox, "sh", "-c", "echo $A $HOME $PATH; pwd; id -u; id -g", options=("--rm", "-e", "A=b c", "-w", "/tmp", "-u", "daemon"))
    lines = r.out.splitlines()
    assert lines[0].startswith("b c ") and "/usr/local/sbin:" in lines[0]
    assert lines[1:] == ["/tmp", "1", "1"], r
    assert run(locald, busybox, "-c", "echo hi", options=("--rm", "--entrypoint", "sh")).out == "hi\n"


def test_stdin_reaches_the_process_and_ends(locald, busybox):
    text = "".join(f"line {i}\n" for i in range(20000))
    assert run(locald, busybox, "cat", options=("--rm", "-i"), input=text).out == text
    assert run(locald, busybox, "cat").out == ""  # without -i there is none


def test_binary_output_of_some_megabytes_is_whole(locald, busybox):
    r = run(locald, busybox, "sh", "-c", "dd if=/dev/zero bs=1024 count=8192 2>/dev/null | tr '\\0' x | md5sum; dd if=/dev/zero bs=1024 count=8192 2>/dev/null | tr '\\0' x")
    assert len(r.out.split("\n", 1)[1]) == 8 << 20, len(r.out)


def test_the_world_inside(locald, busybox):
    r = run(locald, busybox, "sh", "-c", """
        hostname; cat /etc/hosts; cat /etc/resolv.conf | wc -c; ps -o pid | head -3 | tail -1
        touch /tmp/x /dev/shm/x && echo tmp ok
        (echo 1 > /proc/sys/kernel/hostname) 2>/dev/null && echo BAD sysctl
        cat /proc/kcore >/dev/null 2>&1 && echo BAD kcore; ls /proc/acpi | grep . && echo BAD acpi; ls /sys/firmware | grep . && echo BAD firmware
        grep -E 'NoNewPrivs|Seccomp:|CapBnd' /proc/self/status; mount | grep ' / '
        mount -t tmpfs x /mnt 2>/dev/null && echo BAD mount; echo $$
        """)
    assert "BAD" not in r.out, r.out
    assert "tmp ok" in r.out and "127.0.0.1" in r.out
    assert "NoNewPrivs:\t1" in r.out and "Seccomp:\t2" in r.out
    assert "00000000a80425fb" in r.out, "Docker's capabilities: " + r.out
    assert "overlay" in r.out
    assert r.out.splitlines()[-1] == "1"


def test_the_image_is_not_changed_by_a_container(locald, busybox):
    run(locald, busybox, "sh", "-c", "rm -r /etc/passwd /home; echo x > /new; echo y >> /etc/group")
    assert run(locald, busybox, "sh", "-c", "ls /new 2>/dev/null; test -d /home && grep -c root /etc/passwd /etc/group").out == "/etc/passwd:1\n/etc/group:1\n"


def test_bind_volumes_ro_and_rw(locald, busybox):
    folder = locald.home / "user/bind"
    folder.mkdir()
    (folder / "in").write_text("from the host\n")
    folder.chmod(0o777)
    locald.identity.own(folder)
    r = run(locald, busybox, "sh", "-c", "cat /b/in; echo back > /b/out; echo no > /r/out2 2>/dev/null || echo read-only", options=("--rm", "-v", f"{folder}:/b", "-v", f"{folder}:/r:ro"))
    assert r.out == "from the host\nread-only\n"
    assert (folder / "out").read_text() == "back\n" and (folder / "out").stat().st_uid == locald.identity.uid
    assert not (folder / "out2").exists()
    r = run(locald, busybox, "true", options=("--rm", "-v", f"{folder}/missing:/b"), check=False)
    assert r.rc == 125 and "missing" in r.err and not (folder / "missing").exists(), r


def test_a_named_volume_starts_with_the_images_content_and_survives_down(project, busybox):
    p = project(f"""
        [project]
        name = "vol"
        [services.c]
        type = "container"
        image = "{busybox}"
        command = ["sh", "-c", "ls /etc; echo run >> /etc/runs; cat /etc/runs | wc -l; exec sleep 1000"]
        volumes = ["etc:/etc", {{ tmpfs = "/scratch" }}]
        stop_timeout = "1s"
        """.replace(', { tmpfs = "/scratch" }', ""))
    for n in (1, 2):
        p("up", "-d")
        wait_until(lambda: str(n) in p.logs("--tail", "1", "c"), "the container has printed")
        assert "passwd" in p.logs("c")
        p("down")
    p.locald.assert_nothing_left()
    p("down", "--volumes")
    p("up", "-d")
    wait_until(lambda: p.logs("--tail", "1", "c").strip().endswith("1"), "after down --volumes it starts anew")


def test_detached_container_ls_and_rm(locald, busybox):
    name = run(locald, busybox, "sleep", "1000", options=("-d",)).out.strip()
    listed = locald("container", "ls").out
    assert name[:8] in listed, listed
    locald("container", "rm", "--force", name)
    locald.assert_nothing_left()


def test_image_verbs(locald, registry, images):
    ref = f"{registry}/library/busybox:1"
    locald("image", "pull", ref)
    assert "busybox" in locald("image", "ls").out
    assert run(locald, ref, "echo", "hi").out == "hi\n"
    out = locald.home / "user/tree"
    locald("image", "unpack", ref, out)
    assert (out / "bin/busybox").exists() and os.readlink(out / "bin/sh") == "busybox"
    locald("image", "rm", ref)
    assert "busybox" not in locald("image", "ls").out


def test_detached_tells_when_it_cannot_run(locald, busybox):
    r = run(locald, busybox, "no-such-command", options=("-d",), check=False)
    assert r.rc == 127 and "no-such-command" in r.err and r.out == "", r
    assert "no-such" not in locald("container", "ls").out
    locald.assert_nothing_left()


def test_an_image_that_a_container_stands_on_stays(locald, registry):
    ref = f"{registry}/library/busybox:1"
    name = run(locald, ref, "sh", "-c", "echo up; exec sleep 1000", options=("-d",)).out.strip()
    r = locald("image", "rm", ref, check=False)
    assert r.rc == 1 and "1 container" in r.err and "locald container rm" in r.err, r
    assert "busybox" in locald("image", "ls").out
    locald("container", "rm", "--force", name)
    locald("image", "rm", ref)
    assert "busybox" not in locald("image", "ls").out


def test_the_store_is_an_oci_layout_that_skopeo_reads(locald, registry):
    import json
    ref = f"{registry}/library/redis:7"
    locald("image", "pull", ref)
    index = json.loads((locald.home / "data/images/index.json").read_text())
    names = [m.get("annotations", {}).get("org.opencontainers.image.ref.name") for m in index["manifests"]]
    assert len(names) == 1, names
    p = locald.as_user("skopeo", "inspect", f"oci:{locald.home}/data/images:{names[0]}")
    assert p.returncode == 0 and json.loads(p.stdout)["Env"], p.stdout


def test_oci_archive_and_docker_name(locald, images, scratch):
    import subprocess
    archive = scratch / "busybox.tar"
    if not archive.exists():
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", f"oci:{images}/busybox:1", f"oci-archive:{archive}:1"], check=True)
        archive.chmod(0o644)
    assert run(locald, f"oci-archive:{archive}", "echo", "hi").out == "hi\n"


def test_layers_are_shared_between_images(locald, registry):
    for name in ("redis:7", "nginx:1"):
        locald("image", "pull", f"{registry}/library/{name}")
    layers = [d for d in os.listdir(locald.home / "data/layers") if d != "l" and not d.startswith(".")]
    assert len([d for d in layers if (locald.home / "data/layers" / d).is_dir()]) == 3, layers


def test_zstd_layers(locald, registry, images):
    import subprocess
    ref = f"{registry}/library/busybox:zstd"
    p = subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", "--dest-compress-format", "zstd", "--dest-compress", f"oci:{images}/busybox:1", f"docker://{ref}"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert p.returncode == 0, p.stdout
    assert run(locald, ref, "echo", "hi").out == "hi\n"


def test_nothing_is_contacted_when_the_image_is_there(locald, scratch, images):
    """The registry goes away; what was pulled runs on."""
    import subprocess
    from support import free_port, port_open
    port = free_port()
    folder = scratch / f"registry-{port}"
    folder.mkdir()
    (folder / "config.yml").write_text(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n")
    server = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: port_open(port), "docker-registry listens")
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", f"oci:{images}/busybox:1", f"docker://127.0.0.1:{port}/b:1"], check=True)
        assert run(locald, f"127.0.0.1:{port}/b:1", "echo", "one").out == "one\n"
    finally:
        server.terminate()
        server.wait()
    assert run(locald, f"127.0.0.1:{port}/b:1", "echo", "two").out == "two\n"
