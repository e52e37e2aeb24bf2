package scanclient

import (
	"fmt"
	"os"
)

// memoryTarget is the share of the memory limit that Go's garbage collector is asked to stay below, in percent. The
// rest is for what the collector does not govern: stacks, the program itself, files mapped into memory.
const memoryTarget = 80

// defaultPath is used where this process has no PATH of its own.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

// passed are the variables of this process that an upload needs to reach a hub: proxies and the system's certificates.
var passed = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
}

// environment is all that the client gets to see. Nothing else of this process's environment reaches it: credentials of
// registries and of Temporal stand there.
func (r *Runner) environment(t task, mark string) []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = defaultPath
	}
	env := []string{
		"PATH=" + path,
		"HOME=" + t.scratch,
		"TMPDIR=" + t.scratch,
		fmt.Sprintf("GOMEMLIMIT=%d", r.options.MemoryLimit/100*memoryTarget),
		markName + "=" + mark,
	}
	return append(env, t.env...)
}

// networkEnvironment is what an upload gets of this process's own environment.
func networkEnvironment() []string {
	var env []string
	for _, name := range passed {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
