// Package workflows holds what all workflows of Perceptor share: the contract between them, the policies of their steps, and the
// helpers for signals, alarms and search attributes. Each workflow has a package of its own below this one:
//
//   - scan: ScanImage, one scan of one image.
//   - image: Image, one image from its first reference until a day after its last.
//   - pool: HubPool, which decides which scan may use which hub.
//   - inventory: Inventory, the pods of one namespace and what is known of the images they run.
//   - cluster: Cluster, the namespaces of one cluster.
//   - refresh: RefreshHub, one pass over the verdicts that changed at one hub.
//
// The rules for all of them:
//
//   - A workflow is deterministic. Time, ids and logs come from the SDK. What varies arrives in its input or from a step.
//   - Its state is one struct, which is also the input of its next run.
//   - It waits for every signal that it sends before it ends, because the server drops a signal whose sender has closed.
//   - Its decisions are those of a pure package where there is one: record, lease, inventory.
//   - A released workflow changes its events only behind workflow.GetVersion. TestRecordedHistoriesReplay checks that.
//
// The files: contract.go has every name, queue and id, and the signals. The files *_contract.go have the inputs, states and
// answers of one workflow each. policies.go has every timeout and retry. signal.go, alarm.go and attributes.go are the helpers.
//
// The package is no public API; use package starter from outside.
package workflows
