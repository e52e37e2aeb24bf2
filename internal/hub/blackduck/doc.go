// Package blackduck speaks the REST API of the Black Duck hub, and of the built-in hub, which serves the same API.
//
// The idea: one Client per configured hub turns the hub's objects (code locations, scan summaries, project versions,
// notifications) into the nouns of internal/image, and every way a call can go wrong into one *Error with a class.
//
// Rules:
//   - Only REST: nothing here knows a workflow, a database or the inside of any hub.
//   - A method makes at most three calls of the API besides a login, so that a rate set for methods bounds the calls.
//     Longer lists take more, each page being one call; the one other exception stands at judgeBom.
//   - What fails how, and whether waiting helps, is decided in table.go and nowhere else.
//   - Credentials go to the configured host over TLS and to no other. A link that names another host is read as a path
//     on the configured one, because a hub behind a proxy writes its own name into its links.
//   - Secrets are read from their files at each login and are in no error, log or URL.
//   - A reply is bounded in size and checked for its shape before use; unknown fields are passed over.
//
// Two generations are spoken. "Old" (4.x, to 2019) logs in with a password, keeps the session in a cookie and tells a
// scan's state by the status of its scan summary, which includes the bill of materials. "Current" (2020 and later) can
// log in with a token, tells the scan's state by its latest scan summary, and the bill of materials' by bom-status.
//
// What may not go in: retries over time (the caller's), uploads (the scan client's), anything of another hub.
// Start reading at scans.go, then table.go.
package blackduck
