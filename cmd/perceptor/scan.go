package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/cmd/internal/console"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// scanFlags are the flags of perceptor scan.
type scanFlags struct {
	output, failOn, platform, domain, credential, who string
	rescan, allowUnassessed, onlyFixed                bool
	timeout                                           time.Duration
}

func newScan(s *shared) *cobra.Command {
	var f scanFlags
	cmd := &cobra.Command{
		Use:   "scan IMAGE...",
		Short: "Scan images and wait for the results",
		Long: `Scan images and wait for the results.

An image that has a verdict is not scanned again, except with --rescan. You may interrupt the command: the scan goes on.

Exit status:
  0  every image was scanned and assessed, and no finding is as severe as --fail-on
  1  an image has a finding as severe as --fail-on, or worse
  2  an image could not be scanned, or could not be assessed as the policy demands, or the command failed

Exit status 2 never means that the image is clean. An image that could not be scanned gives 2 whatever the other images have.
Otherwise 1 goes before 2. With --allow-unassessed an image that was scanned but not assessed in full gives no 2.

A finding that a person accepted at the hub reaches no bar; the table says who did, why, and until when. A finding that no source
rated (unrated) reaches every bar when it has a fix. Without a fix it reaches only the bar "unrated", and it is shown as "needs
rating". With --only-fixed only findings with a fix count; the others are shown.

While a hub loads the vulnerability data that an image needs, the command waits up to --timeout before it gives 2.`,
		Example: `  perceptor scan localhost:5005/samples/vulnerable:1
  perceptor scan --fail-on high --only-fixed registry.example/team/app:1.2
  perceptor scan -o json --platform linux/arm64 registry.example/team/app@sha256:...`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withAudit(cmd, args, func(st *starter.Starter) error { return scan(cmd, st, f, args) })
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "table", "table or json")
	flags.StringVar(&f.failOn, "fail-on", "", "exit with 1 when a finding has this severity or a worse one: critical, high, medium, low or unrated (any finding)")
	flags.BoolVar(&f.onlyFixed, "only-fixed", false, "count only findings that have a fix for --fail-on; the others are shown")
	flags.StringVar(&f.platform, "platform", "", "platform to scan when the reference names several, such as linux/arm64 (default: the platform of the scanner)")
	flags.StringVar(&f.domain, "domain", workflows.DefaultDomain, "group of scanners (domain) that scans the images")
	flags.StringVar(&f.credential, "credential", "", "name of the credential to pull with; the scanners' configuration defines it")
	flags.StringVar(&f.who, "as", defaultWho(), "name of the user who asks; Perceptor keeps the image for this user for 30 days")
	flags.BoolVar(&f.allowUnassessed, "allow-unassessed", false, "do not exit with 2 because an image was not assessed as the policy demands")
	flags.DurationVar(&f.timeout, "timeout", 3*time.Minute, "how long to wait while a hub loads the vulnerability data that the image needs")
	flags.BoolVar(&f.rescan, "rescan", false, "scan again, also when there is a verdict")
	return cmd
}

func defaultWho() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "unknown"
}

func scan(cmd *cobra.Command, s *starter.Starter, f scanFlags, references []string) error {
	bar, err := parseSeverity(f.failOn)
	if err != nil {
		return err
	}
	if f.output != "table" && f.output != "json" {
		return fmt.Errorf("output %q: want table or json", f.output)
	}
	if f.onlyFixed && bar == "" {
		return errors.New("--only-fixed says which findings count for --fail-on: name a severity with --fail-on, such as high")
	}
	platform, err := model.ParsePlatform(f.platform)
	if err != nil {
		return err
	}
	show := console.NewDisplay(os.Stderr)
	results, err := console.Scan(cmd.Context(), s, starter.ScanRequest{
		References: references, Who: f.who, Domain: f.domain, Platform: platform, Credential: f.credential, Rescan: f.rescan,
	}, f.timeout, show)
	show.Close()
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if err := write(cmd, f.output, results); err != nil {
		return err
	}
	return outcome(results, console.Bar{Severity: bar, OnlyFixed: f.onlyFixed}, f.allowUnassessed)
}

func write(cmd *cobra.Command, output string, results []console.Result) error {
	if output == "json" {
		return console.WriteJSON(cmd.OutOrStdout(), results)
	}
	console.WriteSummary(cmd.OutOrStdout(), results)
	for _, r := range results {
		console.WriteFindings(cmd.OutOrStdout(), r)
	}
	return nil
}

// outcome decides the exit status. An image that could not be scanned weighs more than any finding, and a finding more than an
// image that was not assessed in full.
func outcome(results []console.Result, bar console.Bar, allowUnassessed bool) error {
	for _, r := range results {
		if !r.Scanned() {
			return fmt.Errorf("%s could not be scanned: %s", r.Reference, r.Error)
		}
	}
	if bar.Severity != "" {
		if slices.ContainsFunc(results, func(r console.Result) bool { return r.Reaches(bar) }) {
			return errFindings
		}
		for _, r := range results {
			if n := r.Unread(); n > 0 {
				return fmt.Errorf("%s has %d more findings than can be read, so it is not known whether one reaches the bar", r.Reference, n)
			}
		}
	}
	if allowUnassessed {
		return nil
	}
	for _, r := range results {
		if !r.Coverage.Satisfied {
			return fmt.Errorf("%s was not assessed as the policy demands: %s; --allow-unassessed accepts that", r.Reference, r.Coverage.Reason)
		}
	}
	return nil
}

func parseSeverity(s string) (model.Severity, error) {
	severity := model.Severity(strings.ToUpper(s))
	if s != "" && !slices.Contains(model.Severities, severity) {
		return "", fmt.Errorf("severity %q: want critical, high, medium, low or unrated", s)
	}
	return severity, nil
}
