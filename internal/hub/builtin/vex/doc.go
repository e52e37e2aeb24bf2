// Package vex reads documents in which people say which vulnerabilities do not count: the simple YAML form, OpenVEX, and
// CycloneDX with an analysis of vulnerabilities (VEX). All three become exceptions of package judge.
//
// A document is refused as a whole when it is none of these, or when its shape is wrong. In a VEX document, a statement
// that cannot be understood is left out and named in Document.Ignored: it excepts nothing. A statement that names no
// product is one of these, since it would except a vulnerability everywhere.
//
// What the stances mean: not_affected and fixed except a finding; in CycloneDX also false_positive, resolved and
// resolved_with_pedigree. Affected and under_investigation (exploitable and in_triage) except nothing, and they end an older
// statement about the same product.
//
// A product is a package (by its package URL; without a version, every version) or an image (pkg:oci/... or
// pkg:docker/..., by digest or repository). A package within another package is not understood: what is in an image is a
// flat list here, so a statement about a library within one program would also hold for the same library elsewhere.
//
// The package is pure: bytes in, exceptions out. What it takes is bounded: see the constants.
package vex
