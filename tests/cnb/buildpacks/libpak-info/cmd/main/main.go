// A buildpack on the library that Paketo's are made with: it passes for an app that has info.txt, keeps what the file says
// in a launch and cache layer of its own, and adds a helper that the launcher runs before each process.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/buildpacks/libcnb"
	"github.com/paketo-buildpacks/libpak"
	"github.com/paketo-buildpacks/libpak/bard"
	"github.com/paketo-buildpacks/libpak/sbom"
)

const marker = "info.txt"

type detector struct{}

func (detector) Detect(context libcnb.DetectContext) (libcnb.DetectResult, error) {
	_, err := os.Stat(filepath.Join(context.Application.Path, marker))
	if errors.Is(err, fs.ErrNotExist) {
		return libcnb.DetectResult{}, nil
	}
	plan := libcnb.BuildPlan{
		Provides: []libcnb.BuildPlanProvide{{Name: "info"}},
		Requires: []libcnb.BuildPlanRequire{{Name: "info", Metadata: map[string]interface{}{"launch": true}}},
	}
	return libcnb.DetectResult{Pass: err == nil, Plans: []libcnb.BuildPlan{plan}}, err
}

type builder struct{}

func (builder) Build(context libcnb.BuildContext) (libcnb.BuildResult, error) {
	logger := bard.NewLogger(os.Stdout)
	logger.Title(context.Buildpack)
	text, err := os.ReadFile(filepath.Join(context.Application.Path, marker))
	if err != nil {
		return libcnb.BuildResult{}, err
	}
	helper := libpak.NewHelperLayerContributor(context.Buildpack, "info")
	helper.Logger = logger

	result := libcnb.NewBuildResult()
	result.Layers = append(result.Layers, newInfo(text, logger), helper)
	result.Labels = append(result.Labels, libcnb.Label{Key: "test.libpak-info", Value: fmt.Sprint(len(text))})
	result.Processes = append(result.Processes, libcnb.Process{
		Type: "show", Command: "sh", Arguments: []string{"-c", `echo "$INFO_FILE: $(cat "$INFO_FILE") ($INFO_BY)"`}, Direct: true, Default: true,
	})
	return result, nil
}

// info is the layer that holds what the file says.
type info struct {
	text   []byte
	logger bard.Logger
	libpak.LayerContributor
}

func newInfo(text []byte, logger bard.Logger) info {
	sum := sha256.Sum256(text)
	c := libpak.NewLayerContributor("Info", map[string]interface{}{"sha256": hex.EncodeToString(sum[:])}, libcnb.LayerTypes{Launch: true, Cache: true})
	c.Logger = logger
	return info{text, logger, c}
}

func (info) Name() string { return "info" }

func (i info) Contribute(layer libcnb.Layer) (libcnb.Layer, error) {
	return i.LayerContributor.Contribute(layer, func() (libcnb.Layer, error) {
		file := filepath.Join(layer.Path, "copy.txt")
		if err := os.WriteFile(file, i.text, 0o644); err != nil {
			return libcnb.Layer{}, err
		}
		layer.LaunchEnvironment.Default("INFO_FILE", file)
		bill := sbom.NewSyftDependency(layer.Path, []sbom.SyftArtifact{{ID: "info", Name: "info", Version: "1", Type: "file", FoundBy: "test/libpak-info"}})
		return layer, bill.WriteTo(layer.SBOMPath(libcnb.SyftJSON))
	})
}

func main() {
	libpak.Main(detector{}, builder{})
}
