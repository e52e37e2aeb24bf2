// Package osv knows published vulnerabilities in OSV's format and says which of them touch an installed package.
//
// A [Record] is one OSV record reduced to what judging needs. [KeysOf] says under which packages to file it, [KeyOf] under
// which package to look for an installed one, and [Match] compares the two. [Open] reads OSV's archives record by record,
// and [Sample] is a small set of true records for demonstrations.
//
// # What is judged
//
// Packages of Debian, Go, npm and PyPI, named by package URL. Everything else is not assessed: [KeyOf] answers known=false
// and [Match] an error of class unsupported, never an empty list, because "nobody looked" must not read as "clean". The
// same holds for a package whose version is missing or no version at all (a Go main module built from a working copy says
// "(devel)"), and for a Debian package whose release is not named.
//
//   - Debian records are about source packages of one release. The source is the qualifier "upstream", with the
//     source's own version where it differs from the binary's; the release is the qualifier "distro", as number or code
//     name: bookworm, debian-12 and debian-12.11 all mean "Debian:12".
//   - Go modules are compared without regard to case, since package URLs lower it. The standard library is the module
//     "stdlib", the go command "toolchain"; both take versions as the go command prints them, such as go1.22rc1.
//   - npm scopes are part of the name. PyPI names are folded as PEP 503 says.
//
// # When a version is affected
//
// By the algorithm of the OSV schema: the events of a range, in the order of the versions of its ecosystem, switch
// "affected" on (introduced) and off (fixed from that version on, last_affected after it); a range with limits reaches only
// below one of them; "introduced 0" is before every version. One range that says affected is enough, and so is the version
// standing in the list of versions. The order of versions comes from osv-scalibr, and is the ecosystem's own: Debian
// epochs and tildes, semantic versions with pre-releases, PEP 440. Ranges of Git commits are checked and then dropped: an
// image tells no commits. Withdrawn records are kept, so that they replace what they were, and never match.
//
// # How bad it is
//
// The base score of a CVSS vector. Where a record carries several, 3.1 is taken first, then 4.0, 3.0 and 2.0: nearly every
// rated record has 3.1, so that vulnerabilities are compared on one scale. Version 2 has no words of its own; it is read as
// NVD reads it (low under 4, medium under 7, high from 7). A score of 0 counts as LOW. Without a readable vector the word
// of the database counts (database_specific.severity, Debian's urgency), with score 0; without that it is UNRATED.
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
// No database and no policy: the hub files records and judges findings. No network but in reading an archive from a URL.
package osv
