package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/perceptor/perceptor/cmd/internal/console"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/internal/hub/builtin"
)

const exceptionsHelp = `Say which findings do not count, and why.

An exception takes a finding out of every rule. The finding stays visible with its reason, author and end. An image whose
violations are all excepted has the status IN_VIOLATION_OVERRIDDEN, until an exception ends. The hub judges all images again
after each change, and at each end, without a new scan.

Three forms are read:

  - YAML: a list under "exceptions". Each names an id (of the vulnerability, or an alias), a purl, and a reason. It may name
    a repository, an author and an expiry. purl and repository are patterns with * and ?; a purl without a version means
    every version.

      exceptions:
        - id: CVE-2021-23337
          purl: pkg:npm/lodash
          repository: registry.example/shop/*
          reason: templates are never compiled from input
          author: olga
          expiry: 2027-01-01

  - OpenVEX in JSON. not_affected and fixed except a finding; affected and under_investigation do not, and end an older
    statement.
  - CycloneDX VEX in JSON. not_affected, false_positive, resolved and resolved_with_pedigree except a finding.

In a VEX document, a product is a package URL (without a version it means every version) or an image: pkg:oci/NAME@DIGEST,
or pkg:oci/NAME?repository_url=REPOSITORY. A statement that names no product, or one that cannot be compared, is left out and
shown. A document that is wrong as a whole changes nothing.`

// exceptionFlags are the flags of perceptor hub exceptions.
type exceptionFlags struct{ hub, output, name, author, until, repository string }

func newHubExceptions(s *shared) *cobra.Command {
	cmd := &cobra.Command{Use: "exceptions", Short: "Load, list and remove exceptions: findings that do not count, with the reason", Long: exceptionsHelp}
	cmd.AddCommand(newExceptionsLoad(s), newExceptionsList(s), newExceptionsRemove(s))
	return cmd
}

// onHub runs a part of the command on the hub that the flags name.
func (f *exceptionFlags) onHub(s *shared, flags *pflag.FlagSet, do func(config.Hub) error) error {
	c, err := s.load(flags)
	if err != nil {
		return err
	}
	h, err := pickHub(c, f.hub)
	if err != nil {
		return err
	}
	return do(h)
}

func (f *exceptionFlags) addHub(flags *pflag.FlagSet) {
	flags.StringVar(&f.hub, "hub", "", "name of the hub (default: the only configured hub)")
}

func newExceptionsLoad(s *shared) *cobra.Command {
	var f exceptionFlags
	cmd := &cobra.Command{
		Use:   "load FILE",
		Short: "Load a document of exceptions; - reads it from standard input",
		Long: exceptionsHelp + `

A document is known by its name. Loading another one under the name replaces it.`,
		Example: `  perceptor hub exceptions load exceptions.yaml
  perceptor hub exceptions load --repository 'registry.example/shop/*' --until 2027-01-01 vendor.openvex.json
  curl https://vendor.example/vex.json | perceptor hub exceptions load --name vendor -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.onHub(s, cmd.Flags(), func(h config.Hub) error { return f.load(cmd, h, args[0]) })
		},
	}
	flags := cmd.Flags()
	f.addHub(flags)
	flags.StringVar(&f.name, "name", "", "name of the document at the hub (default: the name of the file)")
	flags.StringVar(&f.author, "author", defaultWho(), "author of what names none")
	flags.StringVar(&f.until, "until", "", "end of every exception that does not end earlier, RFC 3339 or a date")
	flags.StringVar(&f.repository, "repository", "", "limit every exception to images of these repositories, a pattern with * and ?")
	return cmd
}

// readExceptions reads a file, or standard input for "-".
func readExceptions(cmd *cobra.Command, file string) ([]byte, error) {
	in := cmd.InOrStdin()
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("exceptions: %w", err)
		}
		defer opened.Close() //nolint:errcheck // only read
		in = opened
	}
	raw, err := io.ReadAll(io.LimitReader(in, builtin.MaxExceptionDocument+1))
	if err != nil {
		return nil, fmt.Errorf("read exceptions from %s: %w", file, err)
	}
	if len(raw) > builtin.MaxExceptionDocument {
		return nil, fmt.Errorf("%s is larger than %d bytes, which is the most", file, builtin.MaxExceptionDocument)
	}
	return raw, nil
}

func (f *exceptionFlags) load(cmd *cobra.Command, h config.Hub, file string) error {
	name := f.name
	if name == "" {
		if file == "-" {
			return errors.New("name the document with --name: standard input has no name")
		}
		name = filepath.Base(file)
	}
	raw, err := readExceptions(cmd, file)
	if err != nil {
		return err
	}
	query := url.Values{"author": {f.author}, "repository": {f.repository}, "until": {f.until}}
	put := hubRequest{
		method: http.MethodPut, path: "exceptions/" + url.PathEscape(name) + "?" + query.Encode(), what: "exceptions",
		contentType: "application/octet-stream", body: bytes.NewReader(raw),
	}
	var loaded builtin.ExceptionDocument
	if err := put.ask(cmd.Context(), h, &loaded); err != nil {
		return err
	}
	p := &printer{out: cmd.OutOrStdout()}
	p.line("%s: %d exceptions loaded (%s), %d statements were not understood and except nothing", name, len(loaded.Exceptions), loaded.Format, loaded.Ignored)
	for _, reason := range loaded.Reasons {
		p.line("  not understood: %s", reason)
	}
	return errors.Join(p.err, awaitJudged(cmd, h))
}

func newExceptionsList(s *shared) *cobra.Command {
	var f exceptionFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List the exceptions of the hub", Example: "  perceptor hub exceptions list -o json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.onHub(s, cmd.Flags(), func(h config.Hub) error { return f.list(cmd, h) })
		},
	}
	f.addHub(cmd.Flags())
	cmd.Flags().StringVarP(&f.output, "output", "o", "table", "table or json")
	return cmd
}

func (f *exceptionFlags) list(cmd *cobra.Command, h config.Hub) error {
	var answer struct {
		Documents []builtin.ExceptionDocument `json:"documents"`
	}
	if err := (hubRequest{method: http.MethodGet, path: "exceptions", what: "exceptions"}).ask(cmd.Context(), h, &answer); err != nil {
		return err
	}
	if f.output == "json" {
		return console.WriteJSON(cmd.OutOrStdout(), answer.Documents)
	}
	t := console.NewTable(cmd.OutOrStdout(), "document", "vulnerability", "of", "repository", "says", "author", "until", "reason")
	p := &printer{out: cmd.OutOrStdout()}
	for _, d := range answer.Documents {
		for _, e := range d.Exceptions {
			until := "no end"
			switch {
			case e.Until.IsZero():
			case time.Now().Before(e.Until):
				until = e.Until.Local().Format(time.DateTime)
			default:
				until = "ended " + e.Until.Local().Format(time.DateTime)
			}
			t.AppendRow([]any{d.Name, e.Vulnerability, productText(e), e.Repository, e.Stance, e.Author, until, strings.Join(strings.Fields(e.Reason), " ")})
		}
	}
	t.Render()
	for _, d := range answer.Documents {
		if d.Ignored > 0 {
			p.line("%s: %d statements were not understood and except nothing; the first: %s", d.Name, d.Ignored, d.Reasons[0])
		}
	}
	return p.err
}

// productText is what an exception is about, in a few words.
func productText(e builtin.Exception) string {
	var parts []string
	for _, each := range []struct{ what, value string }{
		{"", e.Component},
		{"", e.Package},
		{"in image ", string(e.Image.Digest)},
		{"in repository ", e.Image.Repository},
		{"in image named ", e.Image.Name},
		{"in the document ", e.Image.Serial},
	} {
		if each.value != "" {
			parts = append(parts, each.what+each.value)
		}
	}
	return strings.Join(parts, " ")
}

func newExceptionsRemove(s *shared) *cobra.Command {
	var f exceptionFlags
	cmd := &cobra.Command{
		Use: "remove NAME", Short: "Remove a document of exceptions: what it excepted counts again",
		Example: "  perceptor hub exceptions remove exceptions.yaml", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.onHub(s, cmd.Flags(), func(h config.Hub) error {
				remove := hubRequest{method: http.MethodDelete, path: "exceptions/" + url.PathEscape(args[0]), what: "removal"}
				if err := remove.ask(cmd.Context(), h, nil); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is removed\n", args[0])
				return errors.Join(err, awaitJudged(cmd, h))
			})
		},
	}
	f.addHub(cmd.Flags())
	return cmd
}

const (
	// judgedWithin is how long a command waits for the hub to judge all images again. 10,000 images take about that long.
	judgedWithin = time.Minute
	// judgedPoll is the pause between two questions.
	judgedPoll = 200 * time.Millisecond
)

// awaitJudged waits until the hub has judged all images by the exceptions that hold now, and says whether it has.
func awaitJudged(cmd *cobra.Command, h config.Hub) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), judgedWithin)
	defer cancel()
	for {
		var answer struct {
			Rejudging bool `json:"rejudging"`
		}
		err := hubRequest{method: http.MethodGet, path: "vulnerability-data", what: "progress"}.ask(ctx, h, &answer)
		if err == nil && !answer.Rejudging {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "The hub has judged all images again.")
			return err
		}
		if ctx.Err() == nil && err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "The hub is still judging images again.")
			return errors.Join(err, cmd.Context().Err())
		case <-time.After(judgedPoll):
		}
	}
}
