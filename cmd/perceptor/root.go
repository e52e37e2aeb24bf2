package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/cmd/internal/devdir"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/internal/reload"
	"github.com/perceptor/perceptor/starter"
)

// shared holds the flags that every verb has.
type shared struct {
	configFile string
	dev        string
}

func newRoot() *cobra.Command {
	var s shared
	root := &cobra.Command{
		Use:   "perceptor",
		Short: "Find out which of your running container images are vulnerable or violate policy",
		Long: `Perceptor scans each running container image once. A hub (the vulnerability server) gives the verdict.

The connection to Temporal comes from TEMPORAL_* variables or temporal.toml, as for the temporal command. Without them it
is localhost:7233, where perceptor-dev listens. All other settings come from --config, PERCEPTOR_* variables and flags;
docs/configuration.md lists them.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&s.configFile, "config", os.Getenv("PERCEPTOR_CONFIG"), "configuration file in YAML (also PERCEPTOR_CONFIG)")
	flags.StringVar(&s.dev, "dev", os.Getenv("PERCEPTOR_DEV"), "data directory of a running perceptor-dev: use its Temporal server and its hub (also PERCEPTOR_DEV)")
	flags.String("log-level", "", "lowest level of log lines: debug, info, warn or error (default info)")
	root.AddCommand(
		newWorker(&s), newAPI(&s), newSetup(&s), newScan(&s), newImages(&s), newPods(&s), newCluster(&s), newExplain(&s), newRescan(&s), newPrioritize(&s), newHub(&s),
		newPerceiver(&s), newDoctor(&s), newVersion(),
	)
	return root
}

// connected is the configuration and the connection to Temporal, for verbs that need both.
type connected struct {
	config.Config
	log     *slog.Logger
	client  client.Client
	options client.Options
}

// open reads the configuration and connects to Temporal. The caller closes the client.
func (s *shared) open(flags *pflag.FlagSet) (connected, error) {
	p := connected{}
	var err error
	if p.Config, err = s.load(flags); err != nil {
		return p, err
	}
	if p.log, err = logger(p.LogLevel); err != nil {
		return p, err
	}
	p.client, p.options, err = s.dial(p.log)
	return p, err
}

// source names the configuration: the path of its file, or the directory of a perceptor-dev.
func (s *shared) source() string {
	switch {
	case s.configFile != "":
		if path, err := filepath.Abs(s.configFile); err == nil {
			return path
		}
		return s.configFile
	case s.dev != "":
		return "--dev " + s.dev
	default:
		return ""
	}
}

// load reads the configuration. When it names no hub, the hub of a running perceptor-dev is added.
func (s *shared) load(flags *pflag.FlagSet) (config.Config, error) {
	c, err := config.Load(s.configFile, flags)
	if err != nil {
		return c, err
	}
	if s.dev != "" {
		c.Scanner.Network.Loopback = true // the registry of perceptor-dev is on this machine
	}
	if len(c.Hubs) > 0 {
		return c, nil
	}
	directory, addresses, err := s.running()
	if err != nil {
		return c, err
	}
	if addresses.Hub != "" {
		c.Hubs = []config.Hub{devdir.Hub(directory, addresses.Hub)}
		c.Scanner.Network.Loopback = true
	}
	return c, nil
}

// reloads gives a function that returns the present configuration, from file and flags. It gives nil where there is no file.
func (s *shared) reloads(flags *pflag.FlagSet, l *slog.Logger) (func() config.Config, error) {
	if s.configFile == "" {
		return nil, nil
	}
	files, err := reload.Watch([]string{s.configFile}, func() (config.Config, error) { return s.load(flags) }, l)
	return files.Get, err
}

// running finds a perceptor-dev: the one of --dev, or one that runs with the default directory.
func (s *shared) running() (string, devdir.Addresses, error) {
	directory := s.dev
	if directory == "" {
		var err error
		if directory, err = devdir.Default(); err != nil {
			return "", devdir.Addresses{}, err
		}
	}
	addresses, err := devdir.Read(directory)
	if s.dev == "" && errors.Is(err, devdir.ErrNotRunning) {
		return directory, devdir.Addresses{}, nil
	}
	return directory, addresses, err
}

// logger writes to standard error, because standard output holds the answers.
func logger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})), nil
}

// dialTemporal is a variable, so that tests of the commands can answer in the place of Temporal.
var dialTemporal = client.Dial

// dial connects to Temporal with the settings of the temporal command, or to the server of the perceptor-dev of --dev.
func (s *shared) dial(l *slog.Logger) (client.Client, client.Options, error) {
	options, err := s.connection(l)
	if err != nil {
		return nil, options, err
	}
	c, err := dialTemporal(options)
	if err != nil {
		return nil, options, fmt.Errorf("connect to Temporal at %s: %w; is it running? \"make run\" starts one, and TEMPORAL_ADDRESS names another", options.HostPort, err)
	}
	return c, options, nil
}

// connection gives the options of the connection to Temporal.
func (s *shared) connection(l *slog.Logger) (client.Options, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return options, fmt.Errorf("connection to Temporal: %w", err)
	}
	if s.dev != "" {
		_, addresses, err := s.running()
		if err != nil {
			return options, err
		}
		options.HostPort = addresses.Temporal
	}
	options.Logger = log.NewStructuredLogger(l)
	if options.Identity == "" {
		options.Identity = identity()
	}
	if options.HostPort == "" {
		options.HostPort = client.DefaultHostPort
	}
	if options.Namespace == "" {
		options.Namespace = client.DefaultNamespace
	}
	return options, nil
}

// identity is who the histories of workflows name as the sender of signals and updates: the user, the host and the process.
func identity() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return fmt.Sprintf("perceptor %s@%s %d", name, host, os.Getpid())
}

// withStarter runs a verb that only asks or signals workflows.
func (s *shared) withStarter(do func(*starter.Starter) error) error {
	c, _, err := s.dial(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return err
	}
	defer c.Close()
	return do(starter.New(c))
}

// auditTime bounds the storing of a change for the audit log.
const auditTime = 5 * time.Second

// withAudit is withStarter for a verb that changes something: who, what, when and the outcome go to the audit log of the workers.
func (s *shared) withAudit(cmd *cobra.Command, args []string, do func(*starter.Starter) error) error {
	return s.withStarter(func(st *starter.Starter) error {
		err := do(st)
		audit(cmd, args, st, err)
		return err
	})
}

// audit stores a change and its outcome for the audit log. Findings of a scan are no failure of it.
func audit(cmd *cobra.Command, args []string, st *starter.Starter, err error) {
	change := activities.WriteAuditInput{Who: identity(), What: strings.Join(append([]string{cmd.CommandPath()}, args...), " "), At: time.Now(), Outcome: "done"}
	if err != nil && !errors.Is(err, errFindings) {
		change.Outcome, change.Error = "failed", err.Error()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), auditTime)
	defer cancel()
	if err := st.Watch.Audit(ctx, change); err != nil {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "perceptor: this change is not in the audit log:", err)
	}
}
