// Package starter is the only code that starts, signals, queries or updates a workflow from outside: the command line, the
// API, the steps that speak to Temporal and, through them, every perceiver go through it. It holds a Temporal client and
// nothing else; it decides nothing that a workflow could decide.
//
// It is also the SDK for perceivers, the programs that watch a platform. A perceiver
//
//   - reports what it sees by Report: changes as they come, gathered for half a second or 200 of them, and everything there is
//     at its start and now and then. Reports may be repeated, late and out of order: each has a version, an older one never
//     undoes a newer one, and a complete snapshot removes what it does not name;
//   - takes its epoch from Epoch when it begins, or begins to lead, and counts its reports from there. A snapshot's version must
//     not be older than that of a change that it does not show;
//   - reads the join by Join, what is known of images by Images and Image, and asks for a new scan by Rescan;
//   - may write verdicts back: it reports with WriteBack and serves workflows.PerceiverQueue of its cluster with
//     activities.PerceiverSteps, which read the newest verdicts of the pods they are given by Rows.
//
// A report that Report answered without an error is not lost.
package starter
