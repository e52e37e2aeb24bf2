// The API server of Kubernetes, as Kubernetes builds it, for the tests that want a real one. It is a module of its own, since nothing else
// here needs what it needs. Its staging modules are the published ones; Kubernetes' own go.mod has them in its tree.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register" // as the real program
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
