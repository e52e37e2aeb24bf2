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
		Short: "Run a worker: workflows, calls to hubs, pulls and scans",
		Long: `Run a worker until SIGTERM or SIGINT. --roles chooses its parts:

  workflows  run the workflows
  hub        call the hubs
  scan       pull images, produce SBOMs and upload them

After the first signal, a scanner takes no new images and waits up to --drain for the images it has. An image that is still in
a workspace then is found at the next start with the same directory. A second signal ends the process at once.

The worker reads the list of hubs in --config again within seconds of a change. You can add, change and remove hubs while
scans run. A removed hub gets no new scans; its running scans finish.`,
		Example: `  # everything, against a perceptor-dev started with --no-workers
  perceptor worker --dev /tmp/dev

  # one scanner host of a domain
  perceptor worker --config /etc/perceptor.yaml --roles scan --domain eu-west --directory /var/lib/perceptor`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&roles, "roles", "workflows,hub,scan", "parts of this worker: workflows, hub, scan")
	flags.String("domain", "", "group of scanners (domain) of this one (default \"default\")")
	flags.String("directory", "", "directory for workspaces and layers, one for each process (default: a free one below the cache directory)")
	flags.Int("workspaces", 0, "number of images that this host may hold between pull and upload (default 4)")
	flags.String("cache-limit", "", "largest size of the cache of layers (default 20GiB)")
	flags.String("min-free", "", "disk space that a pull must leave free (default 1GiB)")
	flags.Duration("drain", 0, "how long a stopping scanner waits for its images (default 30m)")
	flags.String("docker-host", "", "Docker Engine of this host, from which images are taken that no registry has (default: none)")
	flags.Bool("pull-secrets", false, "pull with the pull secrets of the pods, read from the cluster by name")
	flags.Bool("allow-loopback", false, "allow registries on this machine")
	flags.Bool("allow-private", false, "allow registries in private networks, such as 10.0.0.0/8 (default: only hosts with internal: true under registries)")
	flags.StringSlice("allow-network", nil, "network that registries may be in, such as 10.20.0.0/16; may be repeated")
	flags.String("docker-config", "", "docker configuration file for pulls that name no credential (default: Docker's own)")
	flags.String("scan-client", "", "path of the scan client (default: perceptor-scan beside this program)")
	flags.String("scan-memory", "", "largest memory of one scan client with its child processes (default 4GiB)")
	flags.String("scan-scratch", "", "largest disk space of one scan client (default 40GiB)")
	flags.Duration("sbom-timeout", 0, "longest time for the SBOM of one image (default 1h)")
	flags.Duration("upload-timeout", 0, "longest time for one upload (default 15m)")
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
		Config: p.Config, Logger: p.log, Roles: parts, Client: p.client, Namespace: p.options.Namespace, Reload: reloaded, Source: s.source(),
	})
}

// scannersAtMost bounds the search for a free scanner directory.
const scannersAtMost = 64

// freeDirectory picks a scanner directory that no process uses, so that several workers can start with the same flags.
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
	return "", fmt.Errorf("all %d scanner directories below %s are in use; choose another directory with --directory", scannersAtMost, base)
}
