// The helper of the buildpack beside it: the launcher runs it, under the name "info", before each process.
package main

import (
	"fmt"
	"os"

	"github.com/buildpacks/libcnb"
)

type info struct{}

func (info) Execute() (map[string]string, error) {
	return map[string]string{"INFO_BY": fmt.Sprintf("exec.d as %d:%d", os.Getuid(), os.Getgid())}, nil
}

func main() {
	libcnb.RunExecD(map[string]libcnb.ExecD{"info": info{}})
}
