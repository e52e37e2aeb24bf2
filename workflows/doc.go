// Package workflows tells the deterministic stories: ScanImage, one scan of one image; Image, an image while somebody
// refers to it; HubPool, the one workflow that decides which scan may use which hub; Inventory, the pods of one namespace and
// what is known of the images they run; Cluster, the namespaces of one cluster.
//
// contract.go holds every name, queue and id; policies.go every timeout and retry. A workflow gets nothing injected: what
// varies arrives in its input, and time, ids and logs come from the SDK. Its state is one struct, which is also the input
// of its next run. Every outgoing signal is awaited before a workflow ends, because the server drops a signal whose sender
// has closed. A workflow that has landed changes only behind workflow.GetVersion, or its recorded histories no longer replay.
//
// The package is no public API; use package starter from outside.
package workflows
