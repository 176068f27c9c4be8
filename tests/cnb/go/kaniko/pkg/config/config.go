// Package config, and its neighbours here, stand in for the module of this name when the lifecycle is built for tests:
// the few names that the lifecycle's extender mentions, and nothing behind them. Not every module proxy serves the real
// one, and only image extensions, which locald refuses, would run it.
package config

import "time"

// KanikoDir is set by the extender and read by nobody.
var KanikoDir string

type RegistryOptions struct{}

type CacheOptions struct {
	CacheTTL time.Duration
}

type KanikoOptions struct {
	CacheOptions

	BuildArgs      []string
	IgnorePaths    []string
	CacheRepo      string
	CustomPlatform string
	DockerfilePath string
	SnapshotMode   string
	SrcContext     string

	Cache             bool
	CacheCopyLayers   bool
	CacheRunLayers    bool
	Cleanup           bool
	IgnoreVarRun      bool
	InitialFSUnpacked bool
	NoPush            bool
	Reproducible      bool
}
