// The registry of the distribution project, as that project builds it, for the tests that want a real one. It is a module of its own,
// since nothing else here needs what it needs. Of its storage it has only directories.
package main

import (
	"fmt"
	"os"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the storage of the tests
)

func main() {
	if err := registry.RootCmd.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
