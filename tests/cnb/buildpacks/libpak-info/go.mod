module locald.test/cnb/libpak-info

go 1.26

require (
	github.com/buildpacks/libcnb v1.30.4
	github.com/paketo-buildpacks/libpak v1.73.0
)

require (
	github.com/BurntSushi/toml v1.4.0 // indirect
	github.com/Masterminds/semver/v3 v3.3.1 // indirect
	github.com/creack/pty v1.1.24 // indirect
	github.com/heroku/color v0.0.6 // indirect
	github.com/imdario/mergo v0.3.16 // indirect
	github.com/mattn/go-colorable v0.1.14 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	github.com/mitchellh/hashstructure/v2 v2.0.2 // indirect
	github.com/onsi/gomega v1.36.2 // indirect
	golang.org/x/sys v0.30.0 // indirect
)
