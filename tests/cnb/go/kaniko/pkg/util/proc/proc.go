package proc

const RuntimeNotFound = "not-found"

// GetContainerRuntime never finds one, which ends the extender before it changes anything.
func GetContainerRuntime(tgid, pid int) string { return RuntimeNotFound }
