// Package cluster is the workflow Cluster: the namespaces of one cluster and its last snapshot.
package cluster
