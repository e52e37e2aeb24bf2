// Package config reads one YAML file, the PERCEPTOR_* variables and the flags into one struct. It refuses values that cannot
// work and reports all mistakes at once. docs/configuration.md is generated from it.
//
// The connection to Temporal is not in here: TEMPORAL_* variables and temporal.toml set it, as for the temporal command.
// Secrets are not in here either, only the names of the files that hold them.
package config
