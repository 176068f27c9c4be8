"""How much a build may make: apps of many launch layers, and what a phase must not reach."""
HEALTH = 'health = { exec = ["test", "-e", "text"] }'


def layers(count, launch="true"):
    return f"""for i in $(seq {count}); do
  mkdir "$CNB_LAYERS_DIR/l$i"; printf '[types]\\nlaunch = {launch}\\n' >"$CNB_LAYERS_DIR/l$i.toml"; echo "of $i" >"$CNB_LAYERS_DIR/l$i/f"
done"""


def test_an_app_of_many_launch_layers(house):
    """As many as fit the page of a mount's options, which is all that Linux before 6.8 takes, and more; a container sees them all."""
    for count, long in ((200, "no"), (320, "yes")):
        app = house.app("many-layers", build=layers(count), toml=HEALTH)
        try:
            assert app.build()["built"]
            app("up", "--wait")
            assert app("exec", "web", "--", "sh", "-c", f"cat /layers/test_script/*/f | sort -u | wc -l; grep -q lowerdir+ /proc/mounts && echo yes || echo no").out.split() == [str(count), long]
        finally:
            app("down", check=False)


def test_more_launch_layers_than_the_kernel_mounts(house):
    """Said by the build, so that what runs goes on."""
    app = house.app("too-many", toml=HEALTH)
    try:
        app("up", "--wait")
        generations = app.generations()
        with app.goes_on():
            app.write({"build.sh": layers(510) + "\nexit 0\n"})
            words = ["the app has 51", " layers, its run image's among them: the kernel mounts at most 499 at once", "hint: let its buildpacks make fewer launch layers"]
            r = app.fails(*words)
            assert r.failure["phase"] == "commit"
            up = app("up", "-d", check=False)
            assert up.rc == 1 and all(word in up.err for word in words), up
            house.assert_whole(running=True)
            assert app.generations() == generations
    finally:
        house.stays = {}
        app("down", check=False)
    app.write({"build.sh": layers(510, "false") + "\n" + "exit 0\n"})
    assert app.build()["built"]
