// Package starter is the SDK of Perceptor: the only code that starts, signals, queries or updates a workflow from outside.
// The command line, the REST API, the workers and every perceiver use it. It holds a Temporal client and nothing else, and
// it decides nothing that a workflow could decide.
//
// New gives a Starter with one small client for each noun:
//
//	s := starter.New(temporalClient)
//	s.Pods.Report(ctx, report)          // what runs in a cluster
//	s.Pods.Join(ctx, filter)            // pods, their images, and what the hubs say of them
//	s.Images.View(ctx, digest)          // everything known about one image
//	s.Images.Rescan(ctx, digest, r)     // scan it again
//	s.Scans.Request(ctx, request)       // scan images by name, for a person
//	s.Pool.Status(ctx)                  // the hubs, their limits and leases
//	s.Clusters.List(ctx)                // the clusters that are watched
//
// Inventories, Refreshes, Queues and Setup are for the workers and for perceptor setup; a perceiver does not need them.
//
// # Perceivers
//
// A perceiver is a program that watches a platform. It
//
//   - registers by Clusters.Begin when it starts, or when it becomes the leader, with what tells its cluster from others. It gets an
//     epoch and counts its reports from there;
//   - reports what it sees by Pods.Report: a complete snapshot at its start and now and then, and changes as they come,
//     gathered for half a second or 200 of them;
//   - reads the results by Pods.Join and Images.View, and asks for a new scan by Images.Rescan;
//   - may write verdicts back onto its pods: it reports with WriteBack, and serves workflows.PerceiverQueue of its cluster
//     with activities.PerceiverSteps, which read the newest verdicts of their pods by Pods.Rows.
//
// Reports may be repeated, late and out of order. Each has a version; an older one never undoes a newer one. A complete
// snapshot removes the pods that it does not name. Its version must not be older than that of a change that it does not show.
// A report that Pods.Report answered without an error is not lost.
//
// The module under examples/ holds a complete small perceiver.
//
// # Errors
//
// ErrUnknownImage, ErrUnknownCluster, ErrNoPool, ErrBadCursor, RefusedError, OtherClusterError, RejectedError, ResolveError and ScanFailedError
// are answers; use errors.Is and errors.As. Every other error says that Temporal or a worker could not be reached in time: try again.
package starter
