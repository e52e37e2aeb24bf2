// Package e2e tests the built programs from outside. Its tests have the build tag e2e and are of three kinds:
//
//   - most take seconds to a few minutes and belong to `make test`;
//   - the long suites, TestHubsInAStorm, TestKubernetesEndToEnd and TestRollingRestart, run with E2E_LONG=1, as in
//     `make e2e-hub`, `make e2e-kubernetes`, `make e2e-docker`, `make e2e-registry` and
//     `make e2e-rolling`;
//   - the recorders, TestRecord..., write the histories that the replay tests read. They run with E2E_RECORD=1, as in `make record`.
//
// A test that needs a program of the operating system begins with rig.Needs. CI fails when a test was skipped.
package e2e
