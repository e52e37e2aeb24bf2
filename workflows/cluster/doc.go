// Package cluster is the workflow Cluster: the namespaces of one cluster and its last snapshot.
//
// The rules:
//
//   - An inventory reports the counts of its namespace; older reports change nothing.
//   - At the end of a snapshot, the namespaces that it did not name are emptied.
//   - A namespace is deleted from the cluster when its inventory has ended.
//   - The workflow lives until an operator forgets the cluster. Then all namespaces are emptied first.
//   - A perceiver registers before it reports. One of another cluster under the same name is refused, until an operator adopts it.
//
// The files: cluster.go is the loop and the emptying. signals.go receives signals. status.go answers queries. identity.go registers
// perceivers.
package cluster
