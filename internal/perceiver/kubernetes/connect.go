package kubernetes

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
)

// DefaultRate is how many requests per second are made to the API server at most, unless configured otherwise. Writing
// verdicts is most of them.
const DefaultRate = 50

// Connection says how to reach a cluster.
type Connection struct {
	// Kubeconfig is a file; empty means KUBECONFIG or the user's own file, and the pod's service account where there is none.
	Kubeconfig string
	// Context is one in the file; empty means the current one.
	Context string
	// Rate bounds the requests per second; 0 means DefaultRate.
	Rate float64
	// UserAgent is what the API server's log calls this program.
	UserAgent string
}

// Connect makes a client; nothing is asked of the cluster yet.
func Connect(c Connection) (Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: c.Context}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w; name a file with --kubeconfig, or run in a pod with a service account", err)
	}
	rate := c.Rate
	if rate <= 0 {
		rate = DefaultRate
	}
	config.QPS, config.Burst = float32(rate), max(1, int(2*rate))
	config.UserAgent = c.UserAgent
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	client, err := newClient(config, namespace)
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	return client, nil
}
