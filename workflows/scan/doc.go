// Package scan is the workflow ScanImage: one scan of one image, from the look-up at the hubs to the verdict.
//
// The scan goes from step to step. Each step is one method, which names the next step:
// look-up, pull, lease, upload, await, verdict, report. The rules:
//
//   - An image that a hub has scanned already is not uploaded to another hub.
//   - An upload needs a lease of the pool. The scan gives it back when the hub is done. A scan that ends early says that the hub
//     may not be done.
//   - After an upload of unknown outcome, the hub is asked before anything else is uploaded.
//   - When nothing refers to the image any longer, a scan that has no workspace yet stops. A later one finishes.
//   - The outcome is reported to the workflow Image in every case.
//
// The files: scan.go runs the steps. lookup.go has the look-up, host.go the steps on the scanner host, lease.go those from the
// lease to the verdict. signals.go is the talk with the pool. status.go answers queries.
package scan
