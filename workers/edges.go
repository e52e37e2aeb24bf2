package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"go.uber.org/fx"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/internal/netguard"
	"github.com/perceptor/perceptor/internal/perceiver/docker"
	"github.com/perceptor/perceptor/internal/perceiver/kubernetes"
	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/internal/scanclient"
	"github.com/perceptor/perceptor/model"
)

// newRegistry makes the client of all registries.
func newRegistry(c config.Config, logger *slog.Logger) (*registry.Client, error) {
	reach, err := reachOf(c.Scanner.Network)
	if err != nil {
		return nil, err
	}
	options := registry.Options{
		CacheDir:     filepath.Join(c.Scanner.Directory, "layers"),
		CacheLimit:   int64(c.Scanner.CacheLimit),
		Beside:       inflatedIn(c),
		MinFree:      int64(c.Scanner.MinFree),
		Hosts:        map[string]registry.Host{},
		Credentials:  map[string]registry.Credential{},
		DockerConfig: c.DockerConfig,
		Reach:        reach,
		Log:          logger,
	}
	for _, r := range c.Registries {
		options.Hosts[r.Host] = registry.Host{PlainHTTP: r.PlainHTTP, CAFile: r.CAFile, Insecure: r.Insecure, Internal: r.Internal, Realms: r.Realms}
	}
	for _, each := range c.Credentials {
		if len(each.Domains) > 0 && !slices.Contains(each.Domains, c.Scanner.Domain) {
			continue
		}
		options.Credentials[each.Name] = registry.Credential{
			Username: each.Username, PasswordFile: each.PasswordFile, DockerConfig: each.DockerConfig,
			Binding: registry.Binding{Hosts: each.Hosts, Repositories: each.Repositories, Clusters: each.Clusters},
		}
	}
	if c.Scanner.PullSecrets {
		cluster, err := connectCluster(c.Perceiver.Kubernetes, "perceptor")
		if err != nil {
			return nil, fmt.Errorf("pull secrets: %w", err)
		}
		options.PullSecrets = kubernetes.NewSecrets(cluster).DockerConfigs
		options.MayName = func(credential, from string) error { return kubernetes.MayName(c.Perceiver.Cluster, credential, from) }
	}
	return registry.New(options)
}

// reachOf are the addresses that registries may have.
func reachOf(n config.Network) (netguard.Rules, error) {
	rules := netguard.Rules{Loopback: n.Loopback, Private: n.Private}
	for _, text := range n.Allow {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return rules, fmt.Errorf("scanner: network: allow: %w", err)
		}
		rules.Networks = append(rules.Networks, network)
	}
	return rules, nil
}

// puller is the registry client as PullImage and ResolveImages see it, and beside it the Docker Engine of this host, if there is one.
type puller struct {
	*registry.Client
	engine *docker.Exporter
}

// errNoEngine is an image of a Docker Engine on a host that was given none.
var errNoEngine = errors.New("the image is in the storage of a Docker Engine, and this scanner has none: start one there with --docker-host")

func (p puller) Pull(ctx context.Context, names []model.Name, d model.Digest, tar string, progress func(done, total int64)) (activities.PulledImage, error) {
	inRegistry := slices.DeleteFunc(slices.Clone(names), func(n model.Name) bool { return n.Engine != "" })
	if local := len(inRegistry) < len(names); local && p.engine != nil {
		exported, err := p.export(ctx, names, d, tar, progress)
		if err == nil || len(inRegistry) == 0 || ctx.Err() != nil {
			return exported, err
		}
	} else if local && len(inRegistry) == 0 {
		return activities.PulledImage{}, errNoEngine
	}
	pulled, err := p.Client.Pull(ctx, registry.PullRequest{Digest: d, Names: inRegistry, Tar: tar},
		func(at registry.Progress) { progress(at.Done, at.Total) })
	return activities.PulledImage{Name: pulled.Name, Bytes: pulled.Bytes, Size: pulled.Size}, err
}

// export takes the image out of this host's Docker Engine. Room is made and promised as for a pull.
func (p puller) export(ctx context.Context, names []model.Name, d model.Digest, tar string, progress func(done, total int64)) (activities.PulledImage, error) {
	size, err := p.engine.Size(ctx, d)
	if err != nil {
		return activities.PulledImage{}, err
	}
	release, err := p.Claim(ctx, tar, size)
	if err != nil {
		return activities.PulledImage{}, err
	}
	defer release()
	written, err := p.engine.Export(ctx, d, tar, func(done int64) { progress(done, max(done, size)) })
	name := names[slices.IndexFunc(names, func(n model.Name) bool { return n.Engine != "" })]
	return activities.PulledImage{Name: name, Bytes: written, Size: written}, err
}

func (p puller) Resolve(ctx context.Context, r activities.ResolveRequest) (activities.ResolvedImage, error) {
	found, err := p.Client.Resolve(ctx, registry.Question{
		Reference: r.Reference, Reported: r.Reported, Repository: r.Repository, Platform: r.Platform, ScannerPlatform: r.ScannerPlatform, Credential: r.Credential,
		PlatformProblem: r.PlatformProblem,
	})
	return activities.ResolvedImage{Digest: found.Digest, Name: found.Name, Platform: found.Platform, Size: found.Size}, err
}

// scanLog is how much of a scan client's log is kept for an error's sake.
const scanLog = 64 << 10

// inflatedIn is where the built-in scan client keeps layers. They give way where a pull needs room.
func inflatedIn(c config.Config) string { return filepath.Join(c.Scanner.Directory, "inflated") }

func newScanClient(life fx.Lifecycle, c config.Config) (*scanclient.Runner, error) {
	s := c.Scanner.Client
	command, err := scanCommand(s.Command)
	if err != nil {
		return nil, err
	}
	// Only the built-in client serves, and keeps layers.
	builtin, layers := len(s.Template) == 0 && (s.Command == "" || filepath.Base(s.Command) == builtinClient), ""
	if builtin {
		layers = inflatedIn(c)
	}
	runner, err := scanclient.New(scanclient.Options{
		Command: command,
		Template: scanclient.Template{
			Command: s.Template, AsOf: scanclient.DataDate{File: s.DataAsOf.File, Command: s.DataAsOf.Command, Key: s.DataAsOf.Key},
		},
		UploadHere: s.Command == "", SBOMTimeout: s.SBOMTimeout, UploadTimeout: s.UploadTimeout,
		MemoryLimit: int64(s.Memory), ScratchQuota: int64(s.Scratch), LogLimit: scanLog,
		Keep: builtin, Layers: layers, LayersLimit: int64(c.Scanner.CacheLimit),
	})
	if err != nil {
		return nil, err
	}
	life.Append(fx.StopHook(runner.Close))
	return runner, nil
}

// builtinClient is the scan client that comes with Perceptor.
const builtinClient = "perceptor-scan"

// scanCommand finds the scan client: where the configuration says, beside this program, or on the PATH.
func scanCommand(configured string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), builtinClient)
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	found, err := exec.LookPath(builtinClient)
	if err != nil {
		return "", fmt.Errorf("scan client: %s is neither beside this program nor on the PATH; build it with make build or name it with --scan-client: %w", builtinClient, err)
	}
	return found, nil
}

// sbomClient is the scan client's runner as the steps see it.
type sbomClient struct{ *scanclient.Runner }

func (c sbomClient) GenerateSBOM(ctx context.Context, tar, sbom, scratch string, names model.HubNames, progress func(phase string, done, total int64)) (int, error) {
	result, err := c.Runner.GenerateSBOM(ctx, scanclient.SBOMRequest{
		Tar: tar, SBOM: sbom, Scratch: scratch, Name: names.Project, Version: names.Version,
	}, func(p scanclient.Progress) { progress(p.Phase, p.Done, p.Total) })
	return result.Components, err
}

func (c sbomClient) Upload(ctx context.Context, sbom string, target model.UploadTarget, names model.HubNames, attempt model.AttemptID,
	progress func(phase string, done, total int64),
) (string, error) {
	uploaded, err := c.Runner.Upload(ctx, scanclient.UploadRequest{SBOM: sbom, Target: target, Names: names, Attempt: attempt},
		func(p scanclient.Progress) { progress(p.Phase, p.Done, p.Total) })
	return uploaded.ScanID, err
}
