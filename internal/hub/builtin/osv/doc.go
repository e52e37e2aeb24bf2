// Package osv knows published vulnerabilities in OSV's format and says which of them touch an installed package.
//
// A [Record] is one OSV record reduced to what judging needs. [KeysOf] says under which packages to file it. [Locate] says
// where to look for an installed package, and [Package.Match] compares it with the records found there. [OwnBuild] and
// [Supported] say whether the records of a distribution cover the package at all. [Open] reads OSV's archives record by
// record, and [Sample] is a small set of true records for demonstrations.
//
// # What can be looked up
//
// Packages of every ecosystem that osv-scalibr can order ([Ecosystems]), named by package URL. [Locate] answers a reason for
// everything else, and never "nothing found": no data exist for its kind, or its version is missing or no version at all (a
// Go main module built from a working copy says "(devel)").
//
//   - The packages of a distribution belong to one release. It is the qualifier "distro", or else what os-release says where
//     that names the same distribution. Each ecosystem has one form of it: "Debian:12" for bookworm and 12.11,
//     "Ubuntu:22.04" for "22.04:LTS" and "Pro:22.04:LTS", "Alpine:v3.18" for 3.18.4, "Red Hat:9" for each repository and each
//     kind of support of version 9, "SUSE:15.5" for each module of 15 SP5. Wolfi, Chainguard and MinimOS have none.
//   - Records of Debian, Ubuntu and Alpine name source packages: the qualifier "upstream", with the source's own version
//     where it differs from the binary's. Records of AlmaLinux name binary packages. Those of the other RPM distributions
//     and of Wolfi name one or the other, so that both are looked up.
//   - RPM epochs are a part of the version. Where a database leaves them out (openEuler, SUSE, Mageia), both sides are
//     compared without. Records about an RPM module concern only packages of that module and stream.
//   - Go modules are compared without regard to case, since package URLs lower it. The standard library is the module
//     "stdlib", the go command "toolchain"; both take versions as the go command prints them, such as go1.22rc1.
//   - Programs that are recognized without a package manager (pkg:generic/node) are looked up in Bitnami's records.
//
// # When a version is affected
//
// By the algorithm of the OSV schema: the events of a range, in the order of the versions of its ecosystem, switch
// "affected" on (introduced) and off (fixed from that version on, last_affected after it); a range with limits reaches only
// below one of them; "introduced 0" is before every version. One range that says affected is enough, and so is the version
// standing in the list of versions. The order of versions comes from osv-scalibr, and is the ecosystem's own. Ranges of Git
// commits are dropped: an image says nothing about commits. Withdrawn records are kept, so that they replace what they were,
// and never match. Advisories about corrected errors (ALBA-, RHBA-) that name no vulnerability never match either.
//
// # Records with odd parts
//
// An event that cannot be understood is left out, together with the stretch of versions that it begins or ends. Everything
// else in the record holds. The package gets Affected.Unclear, and [Package.Match] says so: the package then counts as not
// assessed, whether the rest of the record touches it or not. Only text that is no JSON object, or has no id, is refused.
//
// # How bad it is
//
// The base score of a CVSS vector. Where a record carries several, 3.1 is taken first, then 4.0, 3.0 and 2.0: nearly every
// rated record has 3.1, so that vulnerabilities are compared on one scale. Version 2 has no words of its own; it is read as
// NVD reads it (low under 4, medium under 7, high from 7). A score of 0 counts as LOW. Without a readable vector the word
// of the database counts (database_specific.severity, Debian's urgency, Ubuntu's priority), with score 0; then the word
// that titles of AlmaLinux, Rocky Linux and Red Hat begin with; without that it is UNRATED, until another record of the same
// vulnerability lends its severity ([RatingOf]). Known malicious packages (MAL-) are CRITICAL.
//
// # One vulnerability, one finding
//
// Databases publish one vulnerability under several ids. Records that name each other as aliases become one finding, with
// the CVE's id if there is one, else the id of the ecosystem's own database; the highest severity any of them knows; and
// the lowest version that none of them calls affected. An advisory about several vulnerabilities (a DSA with its upstream
// CVEs) is no alias of all of them: it adds its id to the finding of each.
//
// # What may not go in
//
// No database and no policy: the hub files records, and package judge judges findings. No network but in reading an archive
// from a URL.
package osv
