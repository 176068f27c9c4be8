module locald.test/cnb/lifecycle

go 1.26.6

require github.com/buildpacks/lifecycle v0.21.17

// Not to be had from every module proxy, and used by image extensions alone: see ../kaniko.
replace github.com/osscontainertools/kaniko => ../kaniko
