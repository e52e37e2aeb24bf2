package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/perceptor/perceptor/cmd/internal/devdir"
	"github.com/perceptor/perceptor/cmd/internal/updates"
)

const longHelp = `perceptor-dev runs a Temporal server with its Web UI, the built-in hub, an image
registry with samples, Perceptor's workers and its REST API, all in this one process and on
this one machine. What it learns is kept in one directory, so that it goes on
where it stopped.

It is not made for production: nothing but the hub asks for credentials, and
everything listens on loopback only.`

const examples = `  # start, scan the samples, stay up; Ctrl-C ends it
  perceptor-dev

  # for a script: free ports, a directory of its own, ends when all is scanned
  perceptor-dev --data /tmp/dev --temporal 127.0.0.1:0 --ui 127.0.0.1:0 \
      --hub 127.0.0.1:0 --registry 127.0.0.1:0 --api 127.0.0.1:0 --until-scanned

  # what runs in a real cluster, which is only looked at
  perceptor-dev --no-samples --kubeconfig ~/.kube/config --context prod

  # only the servers: workers run elsewhere, against the printed addresses
  perceptor-dev --no-workers --no-samples`

// options are what the command line says.
type options struct {
	data                        string
	temporal, ui, hub, registry string
	api                         string
	noSamples, noWorkers        bool
	untilScanned                bool
	hubScanTime, hubAcceptDelay time.Duration
	registryRate                int64
	sampleBinaries              string
	temporalSettings            string
	// kubeconfig and context name a cluster to watch; cluster is what it is called here.
	kubeconfig, context, cluster string
	writeBack                    bool
	updates                      updates.Flags
}

func (o *options) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.data, "data", "", "directory that keeps everything (default: perceptor/dev in your cache directory)")
	flags.StringVar(&o.temporal, "temporal", "127.0.0.1:7233", "address of the Temporal server; port 0 means any free one, here and below")
	flags.StringVar(&o.ui, "ui", "127.0.0.1:8233", "address of Temporal's Web UI")
	flags.StringVar(&o.hub, "hub", "127.0.0.1:8443", "address of the built-in hub")
	flags.StringVar(&o.registry, "registry", "127.0.0.1:5005", "address of the image registry")
	flags.StringVar(&o.api, "api", "127.0.0.1:3001", "address of the REST API")
	flags.BoolVar(&o.noSamples, "no-samples", false, "make, push and scan no sample images")
	flags.BoolVar(&o.noWorkers, "no-workers", false, "run no workers, and so scan nothing here")
	flags.BoolVar(&o.untilScanned, "until-scanned", false, "end when every sample is scanned; exit code 0 means that all scans succeeded")
	flags.DurationVar(&o.hubScanTime, "hub-scan-time", 0, "how long the hub works at each scan at least")
	flags.DurationVar(&o.hubAcceptDelay, "hub-accept-delay", 0, "how long the hub takes to accept an upload at least")
	flags.Int64Var(&o.registryRate, "registry-rate", 0, "bytes per second that the registry sends at most, over all pulls together (0: no limit)")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "watch the Kubernetes cluster that this file names, too")
	flags.StringVar(&o.context, "context", "", "context in that file")
	flags.StringVar(&o.cluster, "cluster", "kubernetes", "what that cluster is called here")
	flags.BoolVar(&o.writeBack, "write-back", false, "write verdicts onto the pods of that cluster")
	o.updates.Register(flags)
	flags.StringVar(&o.temporalSettings, "temporal-settings", "", "YAML file of settings of the Temporal server, in its format for dynamic configuration")
	flags.StringVar(&o.sampleBinaries, "sample-binaries", "", "directory of the sample programs (default: samples beside this program)")
}

// complete fills in what has no fixed default and refuses what cannot work.
func (o *options) complete() error {
	switch {
	case o.untilScanned && (o.noSamples || o.noWorkers):
		return errors.New("--until-scanned waits for samples to be scanned, so it goes with neither --no-samples nor --no-workers")
	case o.kubeconfig != "" && o.noWorkers:
		return errors.New("--kubeconfig has the workers of this process watch the cluster, so it does not go with --no-workers; run perceptor perceiver kubernetes beside them")
	case o.kubeconfig == "" && (o.context != "" || o.writeBack):
		return errors.New("--context and --write-back are about the cluster that --kubeconfig names")
	case o.registryRate < 0:
		return fmt.Errorf("--registry-rate %d: give the bytes per second, or 0 for no limit", o.registryRate)
	case o.hubScanTime < 0:
		return fmt.Errorf("--hub-scan-time %s: give 0 or more", o.hubScanTime)
	case o.hubAcceptDelay < 0:
		return fmt.Errorf("--hub-accept-delay %s: give 0 or more", o.hubAcceptDelay)
	}
	if o.data == "" {
		var err error
		if o.data, err = devdir.Default(); err != nil {
			return fmt.Errorf("%w; name a directory with --data DIR", err)
		}
	}
	if o.sampleBinaries == "" {
		programs, err := ownDir()
		if err != nil {
			return err
		}
		o.sampleBinaries = filepath.Join(programs, "samples")
	}
	return nil
}

// ownDir is the directory of this program, where its siblings are.
func ownDir() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program's directory: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", fmt.Errorf("find this program's directory: %w", err)
	}
	return filepath.Dir(self), nil
}
