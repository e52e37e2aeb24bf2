// Package builtin is a small real hub: it takes a CycloneDX document per scan, judges the components in it against
// vulnerability records and policy rules, and serves the verdicts over the part of the Black Duck REST API that
// Perceptor's driver uses. It lets the whole system run with no licence and no network.
//
// Rules that hold here:
//   - Everything the hub knows is in one bbolt file. A fact and its counters change in one transaction, so a killed hub
//     loses nothing it has answered for: an accepted scan goes on after a restart, and a load of vulnerability data that
//     did not finish leaves the old data in place.
//   - What the hub does not know it says. A component without a package URL, or of an ecosystem without data, counts as
//     UNKNOWN and never as OK; a project version without a finished scan has the overall status UNKNOWN.
//   - Shapes, names and media types are those of the Black Duck REST API. What is ours is marked as an addition:
//     the upload's field codeLocationName and its header X-Perceptor-Attempt; fixedVersion, aliases and url in
//     vulnerabilityWithRemediation; assessed on components; notAssessedCount and findingCount on risk-profile; the
//     status UNKNOWN; the source OSV; the severity UNRATED; everything below /internal.
//   - GET and PUT /internal/faults, with the API token, read and set the fault switches (the type Faults): latency, 429 and
//     5xx with or without Retry-After, HTML and empty answers, no answer at all, uploads accepted without an answer or lost,
//     slow and stuck scans, a capacity, the old generation of the API. PUT replaces: a switch it leaves out is off
//     afterwards, and times, counts and draws begin anew; what makes no sense is answered 400 and changes nothing. Every
//     switch may end by itself ("for"). Nothing below /internal is ever disturbed, and the switches do not outlive the process.
//   - GET /internal/stats tells what was counted (the type Stats): uploads, scans, the highest number in progress, requests
//     by class with their highest rates, refusals by reason. It is for checkers that must not trust anybody's log.
//   - A vulnerability that no source rated has the severity UNRATED, for which the API has no word. A component with only
//     such vulnerabilities counts under the level UNRATED in the risk profile, so that UNKNOWN means "not assessed" alone.
//
// What may not go in: calling another hub, knowing images or registries, command-line handling. How records are read
// and matched is the business of the package osv below this one.
package builtin
