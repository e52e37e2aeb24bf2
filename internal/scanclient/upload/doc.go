// Package upload sends an SBOM to a hub that speaks Black Duck's REST API.
//
// It logs in with a token or a password, then posts the SBOM as one part of a multipart form, as a stream. What
// matters most is what it says when that goes wrong: whether the hub surely has nothing of the scan, or whether no one
// knows. Only a hub that surely refused may be passed over for another one. The answer is "unknown" from the moment a
// connection for the upload stands until a clear refusal was read.
//
// What goes in: the login and the one upload call. What may not: reading SBOMs, waiting for scans.
package upload
