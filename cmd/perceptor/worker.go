package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/cmd/internal/devdir"
	"github.com/perceptor/perceptor/internal/workspace"
	"github.com/perceptor/perceptor/workers"
)

func newWorker(s *shared) *cobra.Command {
	var roles string
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run workflows, talk to the hubs, pull and scan: all of it or some of it",
		Long: `Run a worker until SIGTERM or SIGINT.

On the first signal a scanner takes no more images and lets those it has finish for --drain; what is still in a berth
then is found again at the next start with the same directory. A second signal ends it at once.

The list of hubs in --config is taken again within seconds of a change: hubs may be added, changed and removed while scans
run. A hub that is removed gets no new scans; those it has are finished.`,
		Example: `  # everything, against a perceptor-dev started with --no-workers
  perceptor worker --dev /tmp/dev

  # one scanner host of a domain
  perceptor worker --config /etc/perceptor.yaml --roles scan --domain eu-west --directory /var/lib/perceptor`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&roles, "roles", "workflows,hub,scan", "the parts to play")
	flags.String("domain", "", "the set of scanners this one belongs to")
	flags.String("directory", "", "where berths and layers are kept, one for each process (default: a free one below the cache directory)")
	flags.Int("berths", 0, "how many images may lie between pull and upload")
	flags.String("cache-limit", "", "size of the layers kept, such as 20GiB")
	flags.String("min-free", "", "how much of the disk a pull leaves free")
	flags.Duration("drain", 0, "how long a stopping scanner lets its images finish (default 30m)")
	flags.Bool("pull-secrets", false, "pull with the pull secrets of pods, read from the cluster by name")
	flags.String("scan-client", "", "path of the scan client (default: perceptor-scan beside this program)")
	flags.String("scan-memory", "", "memory of one scan client with its children")
	flags.String("scan-scratch", "", "disk space of one scan client")
	flags.Duration("list-timeout", 0, "how long listing one image may take")
	flags.Duration("upload-timeout", 0, "how long one upload may take")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return runWorker(cmd, s, roles)
	}
	return cmd
}

func runWorker(cmd *cobra.Command, s *shared, roles string) error {
	parts, err := workers.ParseRoles(roles)
	if err != nil {
		return err
	}
	p, err := s.open(cmd.Flags())
	if err != nil {
		return err
	}
	defer p.client.Close()
	if p.Scanner.Directory == "" && slices.Contains(parts, workers.RoleScan) {
		if p.Scanner.Directory, err = s.freeDirectory(); err != nil {
			return err
		}
	}
	reloaded, err := s.reloads(cmd.Flags(), p.log)
	if err != nil {
		return err
	}
	return workers.Run(cmd.Context(), workers.Settings{
		Config: p.Config, Logger: p.log, Roles: parts, Client: p.client, Namespace: p.options.Namespace, Reload: reloaded,
	})
}

// scannersAtMost bounds the search for a directory no other scanner on this machine uses.
const scannersAtMost = 64

// freeDirectory picks a scanner directory that no process uses, so that several workers can be started alike.
func (s *shared) freeDirectory() (string, error) {
	base := s.dev
	if base == "" {
		var err error
		if base, err = devdir.Default(); err != nil {
			return "", err
		}
		base = filepath.Dir(base)
	}
	for i := range scannersAtMost {
		directory := filepath.Join(base, "scanners", strconv.Itoa(i+1))
		free, err := workspace.Unused(directory)
		if err != nil {
			return "", err
		}
		if free {
			return directory, nil
		}
	}
	return "", fmt.Errorf("all %d scanner directories below %s are in use; name one with --directory", scannersAtMost, base)
}
