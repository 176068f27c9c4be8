module locald.test/cnb/lifecycle-old

go 1.26

require github.com/buildpacks/lifecycle v0.17.7
