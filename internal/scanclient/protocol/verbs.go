package protocol

// The verbs and flags every scan client understands, except for serving and the flags of layers: those are the built-in
// client's alone.
const (
	VerbSBOM   = "sbom"
	VerbUpload = "upload"
	VerbServe  = "serve"

	FlagLayers      = "--layers"
	FlagLayersLimit = "--layers-limit"

	FlagTar          = "--tar"
	FlagSBOM         = "--sbom"
	FlagScratch      = "--scratch"
	FlagScratchQuota = "--scratch-quota"
	FlagName         = "--name"
	FlagVersion      = "--version"
	FlagURL          = "--url"
	FlagCAFile       = "--ca-file"
	FlagInsecure     = "--insecure"
	FlagProject      = "--project"
	FlagScanName     = "--scan-name"
	FlagAttempt      = "--attempt"
)

// The environment variables an upload logs in with. They are set for uploads alone, and a client removes them from its
// own environment as soon as it has read them.
const (
	EnvToken    = "PERCEPTOR_HUB_TOKEN"
	EnvUsername = "PERCEPTOR_HUB_USERNAME"
	EnvPassword = "PERCEPTOR_HUB_PASSWORD"
)

// partialSuffix marks an SBOM that is not complete.
const partialSuffix = ".partial"

// PartialSBOM is where a client writes an SBOM before it renames it to its name: beside it, so that the rename
// stays on one file system and the runner knows what to remove.
func PartialSBOM(sbom string) string { return sbom + partialSuffix }
