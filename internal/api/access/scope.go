package access

import "fmt"

// Scope is what a token is for.
type Scope string

// The scopes. An operator is also a reader. A perceiver reads only about its own cluster.
const (
	// Perceiver reports pods and images of one cluster and reads their verdicts.
	Perceiver Scope = "perceiver"
	// Reader reads everything and changes nothing.
	Reader Scope = "reader"
	// Operator also asks for scans, controls the hubs, and forgets clusters.
	Operator Scope = "operator"
	// Scanner takes images to scan, with the login of their hub, and reports on them.
	Scanner Scope = "scanner"
)

// Scopes lists every scope.
var Scopes = []Scope{Perceiver, Reader, Operator, Scanner}

// ParseScope reads a scope's name.
func ParseScope(s string) (Scope, error) {
	for _, each := range Scopes {
		if s == string(each) {
			return each, nil
		}
	}
	return "", fmt.Errorf("scope %.40q: want perceiver, reader, operator or scanner", s)
}

// The clusters of grants that name none, or all.
const (
	// DefaultCluster is the cluster of a token that names none.
	DefaultCluster = "default"
	// EveryCluster is for readers and operators of all clusters.
	EveryCluster = "*"
)

// Grant is what the holder of a token may do.
type Grant struct {
	// Name is the name of the holder in logs.
	Name  string
	Scope Scope
	// Scans adds the rights of a scanner: for the listener of 2018, whose clients have no tokens.
	Scans bool
	// Cluster is the only cluster that the holder reports for or sees; EveryCluster means no restriction.
	Cluster string
}

// May reports whether one of the scopes is granted.
func (g Grant) May(scopes ...Scope) bool {
	for _, wanted := range scopes {
		if g.Scope == wanted || wanted == Reader && g.Scope == Operator || wanted == Scanner && g.Scans {
			return true
		}
	}
	return false
}

// Sees reports whether the holder may see a cluster.
func (g Grant) Sees(cluster string) bool { return g.Cluster == EveryCluster || g.Cluster == cluster }

// Home is the cluster of a request that names none.
func (g Grant) Home() string {
	if g.Cluster == EveryCluster {
		return DefaultCluster
	}
	return g.Cluster
}

// Anonymous is what requests without a token may do when a scope is configured for them, nil when no scope is. The scope
// may not be operator: an operator has a name.
func Anonymous(scope string) (*Grant, error) {
	if scope == "" {
		return nil, nil
	}
	parsed, err := ParseScope(scope)
	if err != nil || parsed != Perceiver && parsed != Reader {
		return nil, fmt.Errorf("scope %.40q: want perceiver or reader", scope)
	}
	return &Grant{Name: "anonymous", Scope: parsed, Cluster: DefaultCluster}, nil
}
