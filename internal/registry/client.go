package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/perceptor/perceptor/internal/diskcache"
	"github.com/perceptor/perceptor/internal/netguard"
)

// Options say where layers are kept and how registries are spoken to.
type Options struct {
	// CacheDir is where layers are kept. Several processes of one host may share it; it must not be on a network file system.
	CacheDir string
	// CacheLimit is how many bytes of layers are kept, least recently used go first; 0 means no limit.
	// Layers in use are never removed, so a pull larger than the limit exceeds it until it is done.
	CacheLimit int64
	// Beside is a directory of what others keep on the same disk and can make again. It gives way first, where a pull needs room;
	// empty for none.
	Beside string
	// MinFree is how many bytes a pull must leave free on the disks of the cache and of the tar.
	MinFree int64
	// Hosts holds what is particular to a registry, by its host as in references ("registry.example:5000").
	Hosts map[string]Host
	// Reach says which addresses registries may have besides public ones. A host with the rule Internal may be anywhere.
	Reach netguard.Rules
	// Credentials are the credentials that pulls may name. Each is bound to hosts.
	Credentials map[string]Credential
	// PullSecrets finds the docker configurations behind a credential that Credentials does not have, such as one that names
	// secrets of a cluster. Their logins are tried in the order of a kubelet. An error with a FailureClass says by it whether
	// asking again can help. Nil: there are no others.
	PullSecrets func(ctx context.Context, credential string) ([][]byte, error)
	// MayName says why the pods of a namespace, "cluster/namespace", may not name a credential that Credentials does not have.
	// It is asked before PullSecrets, and needed with it.
	MayName func(credential, from string) error
	// DockerConfig is a docker config file for pulls that name no credential. Empty means the file docker itself
	// would use: DOCKER_CONFIG or the home directory, then podman's.
	DockerConfig string
	// Log gets what registries say when they refuse. Nil means no log.
	Log *slog.Logger
}

// Host is what is particular to one registry.
type Host struct {
	// PlainHTTP allows HTTP without TLS. Loopback hosts need no permission.
	PlainHTTP bool
	// CAFile holds PEM certificates to trust besides the system's.
	CAFile string
	// Insecure turns certificate verification off.
	Insecure bool
	// Internal allows loopback and private addresses for the host.
	Internal bool
	// Realms are hosts that may get the login besides the registry: its token servers. A host of the same registered domain
	// needs no entry.
	Realms []string
}

// pace is how patient a client is.
type pace struct {
	// tries bounds how often one request, or one layer that makes no headway, is tried.
	tries int
	// first and longest bound the delay before a try: first doubles with each, up to longest.
	first, longest time.Duration
	// patience is the longest a pull waits for a registry that asks to be left alone; beyond, it fails as throttled.
	patience time.Duration
	// stall is how long a registry may send nothing before its answer counts as broken.
	stall time.Duration
	// tick is how often progress is reported.
	tick time.Duration
	// question is the longest that one registry is waited for when an image is resolved. It covers a slow answer to a login,
	// an index, a manifest and a configuration. A registry that never answers holds up its own question for this long alone.
	question time.Duration
}

// defaultPace sums up to about ten seconds of delays before a pull gives up and leaves it to the caller.
var defaultPace = pace{
	tries: 5, first: 500 * time.Millisecond, longest: 8 * time.Second,
	patience: time.Minute, stall: time.Minute, tick: 250 * time.Millisecond,
	question: 20 * time.Second,
}

// Client resolves and pulls. It is safe for concurrent use.
type Client struct {
	options Options
	log     *slog.Logger
	pace    pace
	wire    *wire
	cache   *cache
	// beside is nil where nothing gives way.
	beside  *diskcache.Dir
	flights flights
	room    *room
}

// New makes a client and removes what killed processes left half done in the cache directory.
func New(options Options) (*Client, error) {
	return newClient(options, defaultPace)
}

func newClient(options Options, p pace) (*Client, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.CacheDir == "" {
		return nil, errors.New("registry client: no cache directory given")
	}
	if options.CacheLimit < 0 || options.MinFree < 0 {
		return nil, fmt.Errorf("registry client: cache limit %d and free space %d must not be negative", options.CacheLimit, options.MinFree)
	}
	hosts, err := canonical(options.Hosts)
	if err != nil {
		return nil, err
	}
	options.Hosts = hosts
	if options.Credentials, err = bound(options.Credentials); err != nil {
		return nil, err
	}
	w, err := newWire(hosts, options.Reach, p)
	if err != nil {
		return nil, err
	}
	store, err := openCache(options.CacheDir)
	if err != nil {
		return nil, err
	}
	var beside *diskcache.Dir
	if options.Beside != "" {
		if beside, err = diskcache.OpenIn(options.Beside); err != nil {
			return nil, fmt.Errorf("registry client: %w", err)
		}
	}
	return &Client{
		options: options, log: options.Log, pace: p, wire: w, cache: store, beside: beside,
		flights: flights{byDigest: map[string]*flight{}},
		room:    &room{minFree: options.MinFree, promised: map[uint64]int64{}},
	}, nil
}

// canonical writes hosts the way requests do: "docker.io" is a registry's name, but no host of it.
func canonical(hosts map[string]Host) (map[string]Host, error) {
	written := map[string]Host{}
	for host, rule := range hosts {
		registry, err := name.NewRegistry(host, name.StrictValidation)
		if err != nil {
			return nil, fmt.Errorf("registry client: %q is not a host; write it as in references, such as registry.example:5000", host)
		}
		realms := make([]string, len(rule.Realms))
		for i, realm := range rule.Realms {
			if realms[i], err = parseBoundHost(realm); err != nil || strings.HasPrefix(realm, "*") {
				return nil, fmt.Errorf("registry client: realm %q of %s is not a host; write it such as auth.example or auth.example:8443", realm, host)
			}
		}
		rule.Realms = realms
		written[registry.RegistryStr()] = rule
	}
	return written, nil
}

// bound checks the bindings of credentials.
func bound(credentials map[string]Credential) (map[string]Credential, error) {
	checked := map[string]Credential{}
	for _, name := range slices.Sorted(maps.Keys(credentials)) {
		credential := credentials[name]
		binding, err := credential.Binding.parsed()
		if err != nil {
			return nil, fmt.Errorf("registry client: credential %q: %w", name, err)
		}
		credential.Binding = binding
		checked[name] = credential
	}
	return checked, nil
}
