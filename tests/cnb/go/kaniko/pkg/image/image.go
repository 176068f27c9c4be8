package image

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/osscontainertools/kaniko/pkg/config"
)

// RetrieveRemoteImage is replaced by the extender before it builds.
var RetrieveRemoteImage func(image string, opts config.RegistryOptions, platform string) (v1.Image, error)
