"""What locald says of a service, a container or an image when somebody looks closely: stats, inspect."""
import json

from support import free_port, wait_until

PROJECT = """
    [project]
    name = "look"
    [services.busy]
    command = "while :; do :; done"
    [services.idle]
    command = "dd if=/dev/zero of=big bs=1M count=4 2>/dev/null; sync big; exec sleep 100000"
    env = {{ PASSWORD = "hunter2" }}
    [services.box]
    type = "container"
    image = "{busybox}"
    command = ["sh", "-c", "while :; do :; done & exec sleep 100000"]
    env = {{ PASSWORD = "hunter2" }}
    container_port = 80
    port = {port}
    volumes = ["data:/data", "./bound:/bound:ro"]
    tmpfs = "/scratch"
    user = "0"
    init = true
    depends_on = {{ busy = "started" }}
    health = {{ exec = ["true"], interval = "1m" }}
    restart = {{ policy = "on-failure", max = 5, window = "1m" }}
    """


def look(project, busybox):
    p = project(PROJECT.format(busybox=busybox, port=free_port()), "look", {"bound/x": ""})
    p("up", "-d")
    return p


def test_stats_of_processes_and_containers(project, busybox):
    p = look(project, busybox)
    def services():
        return {s["name"]: s for s in p("stats", "--json").json()["services"]}
    first = services()
    assert set(first) == {"busy", "idle", "box"}
    for s in first.values():
        assert s["memory"] > 50_000 and s["tasks"] >= 1 and s["source"] in ("cgroup", "processes"), s
    wait_until(lambda: services()["busy"]["cpu_ns"] > first["busy"]["cpu_ns"], "it works")
    later = services()
    assert later["busy"]["cpu_percent"] > 0 and later["box"]["cpu_percent"] > 0 and later["box"]["cpu_ns"] > first["box"]["cpu_ns"]
    assert later["box"]["tasks"] >= 3, "its init, the shell's loop and sleep"
    assert later["idle"]["cpu_percent"] < later["busy"]["cpu_percent"]
    assert later["busy"]["source"] == "processes", "a host process has no cgroup of its own"
    out = p("stats", "idle").out
    assert out.splitlines()[0].split() == ["SERVICE", "CPU", "MEMORY", "TASKS", "READ", "WRITTEN"] and len(out.splitlines()) == 2, out
    p("stop", "idle")
    assert set(services()) == {"busy", "box"}
    r = p("stats", "bsuy", check=False)
    assert r.rc == 1 and "busy" in r.err, r
    p("down")
    assert p("stats", check=False).rc == 1


def test_stats_follow_until_they_are_stopped(project, busybox):
    p = look(project, busybox)
    follow = p.popen("stats", "-f", "--json")
    lines = [json.loads(follow.stdout.readline()) for _ in range(2)]
    assert all({s["name"] for s in line["services"]} == {"busy", "idle", "box"} for line in lines)
    follow.terminate()
    follow.communicate(timeout=10)
    t = p.pty("stats", "-f", rows=20, columns=60)
    t.expect(r"SERVICE.*CPU", deadline=20)
    t.expect(r"box .*%", deadline=20)
    t.send("\x03")
    assert t.wait() in (130, -2)
    t.close()


def test_inspect_a_service(project, busybox):
    p = look(project, busybox)
    seen = p("inspect", "box").json()
    config, status = seen["config"], seen["service"]
    assert seen["type"] == "service" and seen["project"] == "look" and status["state"] == "running" and status["networks"][0]["name"] == "default"
    assert config["env"] == {"PASSWORD": "…"} and "hunter2" not in p("inspect", "box").out
    assert p("inspect", "--env", "box").json()["config"]["env"] == {"PASSWORD": "hunter2"}
    assert config["mounts"] == [{"type": "volume", "source": "data", "target": "/data"},
                                {"type": "bind", "source": f"{p.dir}/bound", "target": "/bound", "read_only": True},
                                {"type": "tmpfs", "target": "/scratch"}]
    assert config["type"] == "container" and config["command"][0] == "sh" and config["init"] is True and config["user"] == "0"
    assert config["depends_on"] == {"busy": "started"} and config["restart"] == {"policy": "on-failure", "max": 5, "window_ms": 60000}
    assert config["health"] == {"exec": ["/bin/sh", "-c", "true"], "interval_ms": 60000, "timeout_ms": 1000, "start_period_ms": 30000, "retries": 3} or config["health"]["exec"] == ["true"]
    [image] = [i for i in p("image", "ls", "--json").json()["images"] if i["name"] == config["image"] or i["digest"] == seen["image_digest"]]
    assert image["digest"] == seen["image_digest"]
    host = p("inspect", "idle").json()
    assert host["config"]["workdir"] == str(p.dir) and host["image_digest"] is None and "mounts" not in host["config"]


def test_inspect_a_container_and_an_image(locald, busybox):
    container = locald("container", "run", "-d", "--name", "one", busybox, "sleep", "1000").out.strip()
    for name in ("one", container, container[:6]):
        seen = locald("inspect", name).json()
        assert seen["type"] == "container" and seen["id"] == container and seen["state"] == "running", seen
    locald("container", "rm", "-f", "one")
    [name] = [i["name"] for i in locald("image", "ls", "--json").json()["images"]]
    seen = locald("inspect", name).json()
    assert seen["type"] == "image" and seen["image"]["name"] == name and seen["os"] == "linux" and seen["diff_ids"], seen
    assert set(seen["env"].values()) <= {"…"}
    assert locald("inspect", seen["image"]["id"]).json()["image"] == seen["image"]
    r = locald("inspect", "nothing-of-that-name", check=False)
    assert r.rc == 1 and "locald status" in r.err, r
