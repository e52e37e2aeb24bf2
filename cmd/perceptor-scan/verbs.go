package main

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/catalog"
	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/internal/scanclient/upload"
	"github.com/perceptor/perceptor/model"
)

func newRoot(out *protocol.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "perceptor-scan",
		Short: "Lists what is in an image, and uploads the list to a hub",
		Long: "perceptor-scan is the scan client of Perceptor. It writes JSON lines to its standard output: progress, then a result or an error.\n" +
			"Exit codes follow sysexits.h: 0 done, 64 usage, 65 bad image or SBOM, 66 no such file, 69 unavailable, 70 parent gone,\n" +
			"73 no space, 75 busy, 77 no permission.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(listVerb(out), uploadVerb(out), versionVerb())
	return root
}

func listVerb(out *protocol.Writer) *cobra.Command {
	req := catalog.Request{Tool: version()}
	verb := &cobra.Command{
		Use:     protocol.VerbSBOM,
		Short:   "Write what is in an image tar as CycloneDX 1.6",
		Example: "  perceptor-scan list --tar image.tar --sbom image.cdx.json --scratch /var/tmp/scan --scratch-quota 21474836480",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.Quota < 0 {
				return usage("--scratch-quota is below zero")
			}
			result, err := catalog.Run(cmd.Context(), req, out)
			if err != nil {
				return err
			}
			return out.Result(result)
		},
	}
	flags := verb.Flags()
	text(flags, &req.Tar, protocol.FlagTar, "image `FILE` in the form of \"docker save\"")
	text(flags, &req.SBOM, protocol.FlagSBOM, "`FILE` to write the SBOM to")
	text(flags, &req.Scratch, protocol.FlagScratch, "`DIR` to unpack in; its contents are not removed")
	flags.Int64Var(&req.Quota, bare(protocol.FlagScratchQuota), 0, "`BYTES` that may be unpacked, 0 for no limit")
	text(flags, &req.Name, protocol.FlagName, "`NAME` of the image in the SBOM")
	text(flags, &req.Version, protocol.FlagVersion, "`VERSION` of the image in the SBOM")
	needs(verb, protocol.FlagTar, protocol.FlagSBOM, protocol.FlagScratch)
	return verb
}

func uploadVerb(out *protocol.Writer) *cobra.Command {
	var req upload.Request
	verb := &cobra.Command{
		Use:   protocol.VerbUpload,
		Short: "Send a CycloneDX SBOM to a hub",
		Long: "Sends an SBOM to a hub that speaks Black Duck's REST API. The login comes from the environment:\n" +
			protocol.EnvToken + ", or " + protocol.EnvUsername + " and " + protocol.EnvPassword + ".",
		Example: "  PERCEPTOR_HUB_TOKEN=... perceptor-scan upload --sbom image.cdx.json --url https://hub.example:8443 \\\n" +
			"    --project registry.example/app --version 1.0 --scan-name app-1.0 --attempt 1700000000000-1",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkAttempt(req.Attempt); err != nil {
				return err
			}
			if err := upload.TakeEnvironment(&req); err != nil {
				return err
			}
			result, err := upload.Run(cmd.Context(), req, out)
			if err != nil {
				return err
			}
			return out.Result(result)
		},
	}
	flags := verb.Flags()
	text(flags, &req.SBOM, protocol.FlagSBOM, "`FILE` to send")
	text(flags, &req.URL, protocol.FlagURL, "`URL` of the hub's root")
	text(flags, &req.CAFile, protocol.FlagCAFile, "`FILE` of PEM certificates to trust instead of the system's")
	flags.BoolVar(&req.Insecure, bare(protocol.FlagInsecure), false, "do not verify the hub's certificate")
	text(flags, &req.Project, protocol.FlagProject, "`NAME` of the project on the hub")
	text(flags, &req.Version, protocol.FlagVersion, "`NAME` of the project's version on the hub")
	text(flags, &req.ScanName, protocol.FlagScanName, "`NAME` of the scan on the hub")
	text(flags, &req.Attempt, protocol.FlagAttempt, "`MILLIS-COUNTER` that orders the uploads of one image")
	needs(verb, protocol.FlagSBOM, protocol.FlagURL, protocol.FlagProject, protocol.FlagVersion, protocol.FlagScanName)
	return verb
}

func versionVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program and of Syft in it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "perceptor-scan %s\nsyft %s\n", version(), dependency("github.com/anchore/syft"))
			return err
		},
	}
}

func checkAttempt(attempt string) error {
	if attempt == "" {
		return nil
	}
	if _, err := model.ParseAttemptID(attempt); err != nil {
		return usage(err.Error())
	}
	return nil
}

func usage(message string) error {
	return protocol.Failure{Class: model.Unsupported, Message: message, Refused: true}
}

func text(flags *pflag.FlagSet, into *string, flag, help string) {
	flags.StringVar(into, bare(flag), "", help)
}

// bare is a flag's name without its dashes.
func bare(flag string) string { return strings.TrimLeft(flag, "-") }

func needs(verb *cobra.Command, flags ...string) {
	for _, flag := range flags {
		if err := verb.MarkFlagRequired(bare(flag)); err != nil {
			panic(errors.Join(errors.New("a required flag is not defined"), err))
		}
	}
}

// version is the module's own, "(devel)" outside a release.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func dependency(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, each := range info.Deps {
		if each.Path == module {
			return each.Version
		}
	}
	return "unknown"
}
