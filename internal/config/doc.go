// Package config reads the one YAML file, the PERCEPTOR_* environment and the flags into one struct and refuses what
// cannot work, all mistakes at once. The connection to Temporal is not in here: TEMPORAL_* and temporal.toml say it, as
// they do for the temporal command. Secrets are not in here either, only the files that hold them.
package config
