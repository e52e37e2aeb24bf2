// Package judge says what is wrong in an image: components x records x policy x exceptions -> verdict with coverage. It is
// pure: no database, no network, no clock of its own.
//
// [Read] takes the components out of a CycloneDX document. [Assess] compares one component with the records that a
// [Records] finds, and is the part worth caching. [Judge] does so for all of them, applies the [Policy] and the
// [Exceptions], counts what could not be assessed, and decides the overall status:
//
//   - one violation that no exception accepts: IN_VIOLATION;
//   - else, where the coverage does not satisfy the policy: UNKNOWN, and Coverage.Reason says why;
//   - else, where a violation was accepted: IN_VIOLATION_OVERRIDDEN;
//   - else NOT_IN_VIOLATION.
//
// # What counts as assessed
//
// The data for the component's ecosystem and release are complete (or are a sample that names this very package), the
// version is readable, every record about the package was understood, the release still gets fixes in public, and, for
// packages of a distribution (deb, rpm, apk), the distribution itself built it. A component that is not assessed can still
// have findings: what is known counts, whatever else is not known.
//
// # Findings of other scanners
//
// A document with vulnerabilities is the word of another scanner. It vouches for the components of its document, as long as
// it is named and the age of its data is known. A finding that names no component of the document counts as a file that could
// not be read. Releases past their support stay so.
package judge
