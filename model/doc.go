// Package model holds the nouns of Perceptor that every package, and every other module, shares: pods and their containers,
// images and their names, scans, verdicts, findings and failures.
//
// An image is one platform manifest. Its name is the digest of that manifest; repositories and tags are only names of it. A
// hub is a server that judges images: its answer is a Verdict, which carries counts and links. What is known of an image from
// all hubs together is a Summary. The join puts pods and summaries together: a PodVerdict for each pod.
//
// "Not scanned", "the scan failed", "scanned, but not everything could be assessed" and "scanned, clean" are four different
// answers. Look at Status, Failure, NotAssessed and OverallStatus, in this order.
//
// The package does no input or output, and knows neither Temporal nor any hub. It holds types that cross a package border,
// their validation and their ordering, and nothing that opens a file, a socket or a workflow.
package model
