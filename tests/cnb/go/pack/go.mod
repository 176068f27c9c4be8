module locald.test/cnb/pack

go 1.26

require github.com/buildpacks/pack v0.40.0
