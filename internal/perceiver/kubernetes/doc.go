// Package kubernetes watches the pods of one Kubernetes cluster, reports what they run, and writes verdicts back onto them.
//
// The idea: caches of pods, nodes and namespaces are kept by client-go's informers, cut down to what matters. An event
// says only which pod may have changed; what is reported is read from the caches when the report is made, and compared
// with what was reported before. So nothing depends on the order of events, a relist is no storm, and a report that
// failed is made again from what holds then.
//
// Rules:
//   - It knows a Reporter of one method and the nouns of internal/image, nothing of who is behind them.
//   - It changes nothing in the cluster but labels and annotations of its own on pods, Events about pods, and the Lease
//     of its own election.
//   - Whose a key on a pod is, and what is sent, is decided in package ownership. Before each request it is checked that this
//     perceiver leads and that the row is fresh.
//   - What is not scanned is never written as clean.
//   - No secret is read here unless asked for by name, and none is reported: a pod's credential is a name.
//
// What may not go in: Temporal, the hub, what an image is judged by.
// Start reading at perceiver.go, then convert.go and reports.go; writing back begins in writer.go.
package kubernetes
