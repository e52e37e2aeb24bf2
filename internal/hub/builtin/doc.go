// Package builtin is a small real hub: it takes a CycloneDX document per scan, judges the components in it against
// vulnerability records and policy rules, and serves the verdicts over the part of the Black Duck REST API that
// Perceptor's driver uses. It lets the whole system run with no licence and no network.
//
// The hub is a house of rooms, and this package only puts them together (Open, Serve, Close):
//
//	store  the file and its transactions; knows the database only
//	osv    records as OSV publishes them: reading, version order, matching
//	judge  components, records and policy in, a verdict with its coverage out; pure
//	jobs   the work: scans, judging again, updates, clean-up
//	rest   the API, one file per resource
//	fault  a handler around the hub that makes it misbehave; only perceptor-dev and tests link it
//
// Rules that hold here:
//   - Everything the hub knows is in one bbolt file. A fact and its counters change in one transaction, so a killed hub
//     loses nothing it has answered for: an accepted scan goes on after a restart, and a load of vulnerability data that
//     did not finish leaves the old data in place.
//   - What the hub does not know it says. A component that was not assessed counts as UNKNOWN and never as OK; a project
//     version without a finished scan has the overall status UNKNOWN.
//   - Shapes, names and media types are those of the Black Duck REST API. What is ours is marked as an addition:
//     the upload's field codeLocationName and its header X-Perceptor-Attempt; fixedVersion, aliases and url in
//     vulnerabilityWithRemediation; assessed, notAssessedReason, notAssessedDetail and ownSoftware on components;
//     notAssessedCount, findingCount and coverage on risk-profile; overallStatusReason on policy-status; the resource
//     coverage of a version; the status UNKNOWN; the source OSV; the severity UNRATED; everything below /internal.
//   - A verdict says what it rests on (model.Coverage): components, assessed, why not, and the data with their age. Where that
//     does not satisfy the policy, and where the data have expired since, overallStatus is UNKNOWN. The API has no such word;
//     a client that does not know it takes it for neither of its own, so never for NOT_IN_VIOLATION.
//   - An update replaces the ecosystems that it carries, each whole, and leaves the others. Only <ecosystem>/all.zip and an
//     update with complete=true count as all there is of an ecosystem.
//   - GET /internal/stats answers what was counted (the type Stats): uploads, scans, the highest number in progress,
//     requests by class with their highest rates, refusals by reason. It is for checkers that must not trust a log.
//   - A vulnerability that no source rated has the severity UNRATED, for which the API has no word. A component with only
//     such vulnerabilities counts under the level UNRATED in the risk profile, so that UNKNOWN means "not assessed" alone.
//
// What may not go in: calling another hub, knowing images or registries, command-line handling.
package builtin
