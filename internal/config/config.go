package config

import (
	"fmt"
	"regexp"
	"time"

	"github.com/docker/go-units"
)

// Config is everything except the connection to Temporal.
//
// The comment of each field is its meaning in docs/configuration.md. The tag mapstructure is its key in the YAML file. The
// tag flag is the command-line flag that sets it; a field without that tag is set in the file alone.
type Config struct {
	// The vulnerability servers. At least one is needed by a worker that has the role `hub` or `scan`.
	Hubs []Hub `mapstructure:"hubs"`
	// The generation of the list of hubs. The list with the larger number replaces every other one, whichever process has it. Count it
	// up when you change `hubs` and several processes have files of their own.
	HubsGeneration int `mapstructure:"hubs-generation"`
	// The settings of a scanner host, for `perceptor worker` with the role `scan`.
	Scanner Scanner `mapstructure:"scanner"`
	// The settings of a perceiver, for `perceptor perceiver`.
	Perceiver Perceiver `mapstructure:"perceiver"`
	// The settings of the REST API, for `perceptor api`.
	API API `mapstructure:"api"`
	// Registries that need special settings. All other registries are called with TLS and the system's certificates.
	Registries []Registry `mapstructure:"registries"`
	// Logins that a pull may name.
	Credentials []Credential `mapstructure:"credentials"`
	// A docker configuration file for pulls that name no credential. Empty means Docker's own file.
	DockerConfig string `mapstructure:"docker-config" flag:"docker-config"`
	// The lowest level of log lines that are written: `debug`, `info`, `warn` or `error`.
	LogLevel string `mapstructure:"log-level" flag:"log-level"`
}

// Hub is one vulnerability server.
type Hub struct {
	// The hub's name in Perceptor, which is also part of its queue's name. Required: up to 63 lower-case letters, digits and dashes.
	Name string `mapstructure:"name"`
	// The hub's address. Required, and it must begin with `https://`.
	URL string `mapstructure:"url"`
	// The file with the API token. Give either this, or `username` and `password-file`.
	TokenFile string `mapstructure:"token-file"`
	// The user name of the login with a password.
	Username string `mapstructure:"username"`
	// The file with the password of that user.
	PasswordFile string `mapstructure:"password-file"`
	// The file with the certificates to trust, in PEM form. Empty means the system's certificates.
	CAFile string `mapstructure:"ca-file"`
	// Turns off the check of the hub's certificate. Use it only for tests.
	Insecure bool `mapstructure:"insecure"`
	// The form of Black Duck's API: `auto`, `current` or `old`. Empty means `auto`.
	Generation string `mapstructure:"generation"`
	// The largest number of Perceptor's scans on this hub at one time. Required: at least 1.
	Limit int `mapstructure:"limit"`
	// The largest number of steps per second that call this hub, over all workers. Each worker makes at most three times as many
	// requests per second. 0 means no bound. Uploads do not count here; `limit` bounds them.
	Rate float64 `mapstructure:"rate"`
	// The longest time between an accepted upload and the moment when the hub shows it. 0 is right for the built-in hub; use `60s` for
	// Black Duck.
	Settle time.Duration `mapstructure:"settle"`
	// The largest limit that `perceptor hub limit` and the API may set. 0 means ten times `limit`.
	MaxLimit int `mapstructure:"max-limit"`
	// Gives the hub no new scans.
	Disabled bool `mapstructure:"disabled"`
	// How often Perceptor asks the hub for changed verdicts. 0 means every minute; other values must be at least `1s`.
	Refresh time.Duration `mapstructure:"refresh"`
}

// Scanner is one scanner host.
type Scanner struct {
	// The group of scanners that this scanner belongs to. All scanners of a domain can reach the same registries.
	Domain string `mapstructure:"domain" flag:"domain"`
	// The directory for workspaces, layers and temporary files. Each process needs its own. Empty means a free one below the user's
	// cache directory.
	Directory string `mapstructure:"directory" flag:"directory"`
	// The number of workspaces: how many images this host may hold between the pull and the upload.
	Workspaces int `mapstructure:"workspaces" flag:"workspaces"`
	// The largest size of the cache of layers. The built-in scan client keeps inflated layers too, of at most the same size.
	CacheLimit Bytes `mapstructure:"cache-limit" flag:"cache-limit"`
	// The disk space that a pull must leave free.
	MinFree Bytes `mapstructure:"min-free" flag:"min-free"`
	// How long a worker that was asked to stop waits for the images in its workspaces.
	Drain time.Duration `mapstructure:"drain" flag:"drain"`
	// The networks that registries may be in.
	Network Network `mapstructure:"network"`
	// The Docker Engine of this host, such as `unix:///var/run/docker.sock`. Images that were built or loaded there, and that no registry
	// has, are taken from it. Empty means none.
	DockerHost string `mapstructure:"docker-host" flag:"docker-host"`
	// Lets this host read the pull secrets of pods. The cluster is the one in `perceiver.kubernetes`.
	PullSecrets bool `mapstructure:"pull-secrets" flag:"pull-secrets"`
	// The settings of the scan client.
	Client ScanClient `mapstructure:"client"`
}

// Network says which addresses registries may have besides public ones. It is checked after a name is resolved, for redirects and
// token servers, too. Link-local addresses and those of clouds' metadata services are never called.
type Network struct {
	// Allows registries on this machine (loopback).
	Loopback bool `mapstructure:"loopback" flag:"allow-loopback"`
	// Allows registries in private networks, such as `10.0.0.0/8` or a cluster's services. A host under `registries` with
	// `internal` needs no permission here.
	Private bool `mapstructure:"private" flag:"allow-private"`
	// Networks that are allowed besides, such as `10.20.0.0/16`.
	Allow []string `mapstructure:"allow" flag:"allow-network"`
}

// ScanClient is the program that produces the SBOM of an image and uploads it.
type ScanClient struct {
	// The path of the program. Empty means `perceptor-scan`: first beside this program, then on the PATH.
	Command string `mapstructure:"command" flag:"scan-client"`
	// A scanner of someone else, such as trivy or grype, that writes the document instead: the program and its arguments. `{tar}` stands
	// for the path of the image, `{sbom}` for the CycloneDX document to write, `{scratch}` for an empty directory. `command` uploads the
	// document.
	Template []string `mapstructure:"template"`
	// Where the date of that scanner's data stands. It is put into documents that lack it.
	DataAsOf DataAsOf `mapstructure:"data-as-of"`
	// The largest memory of one scan client with all its child processes (resident size).
	Memory Bytes `mapstructure:"memory" flag:"scan-memory"`
	// The largest disk space of one scan client, without its result.
	Scratch Bytes `mapstructure:"scratch" flag:"scan-scratch"`
	// The longest time for the SBOM of one image.
	SBOMTimeout time.Duration `mapstructure:"sbom-timeout" flag:"sbom-timeout"`
	// The longest time for one upload.
	UploadTimeout time.Duration `mapstructure:"upload-timeout" flag:"upload-timeout"`
}

// DataAsOf is where the date of a scanner's data stands: in a file, or in the output of a command. It is written as RFC 3339, such as
// 2026-11-27T06:00:00Z, or as a date alone. It is read before each scan, and without it the scan fails.
type DataAsOf struct {
	// The absolute path of the file.
	File string `mapstructure:"file"`
	// The program and its arguments, where there is no file.
	Command []string `mapstructure:"command"`
	// The key of the date, when the file or the output is JSON, with dots between nested keys. Empty means that it holds the date alone.
	Key string `mapstructure:"key"`
}

// API is the REST API.
type API struct {
	// The address to listen on.
	Address string `mapstructure:"address" flag:"address"`
	// The address for `/metrics` alone, such as `0.0.0.0:9090`. Empty means that `/metrics` is at `address`, without a token.
	MetricsAddress string `mapstructure:"metrics-address" flag:"metrics-address"`
	// The file with the access tokens. Required. `perceptor api --help` shows its form.
	TokenFile string `mapstructure:"token-file" flag:"token-file"`
	// The file with the TLS certificate, in PEM form. Without it the API speaks plain HTTP, and only on loopback.
	CertFile string `mapstructure:"cert-file" flag:"cert-file"`
	// The file with the certificate's key, in PEM form.
	KeyFile string `mapstructure:"key-file" flag:"key-file"`
	// Allows plain HTTP on addresses that are not loopback. Use it only behind a proxy that does TLS.
	PlainHTTP bool `mapstructure:"plain-http" flag:"plain-http"`
	// What a request without a token may do in the cluster `default`: `perceiver` or `reader`. Empty means that it is refused.
	Anonymous string `mapstructure:"anonymous" flag:"anonymous"`
	// The form in which the endpoints of 2018 answer: `current`, or `old` for the first releases of Perceptor 0.x.
	Generation string `mapstructure:"generation" flag:"generation"`
	// The platform of all pods and images that the endpoints of 2018 report, such as `linux/amd64`: their reports name none. Empty means
	// unknown, and then an image of several platforms is `UNKNOWN`. Set it only where all nodes have this platform.
	CompatPlatform string `mapstructure:"compat-platform" flag:"compat-platform"`
	// An address for the endpoints of 2018 alone, in plain HTTP and without tokens, such as `0.0.0.0:3001`. Empty means none. Use it only
	// inside a cluster, behind a NetworkPolicy: everyone who reaches it may report pods and read verdicts of `compat-cluster`.
	CompatAddress string `mapstructure:"compat-address" flag:"compat-address"`
	// The one cluster of that address. Required with it.
	CompatCluster string `mapstructure:"compat-cluster" flag:"compat-cluster"`
	// Lets scanners of 2018 use that address, too. They get the login of a hub with each image.
	CompatScanners bool `mapstructure:"compat-scanners" flag:"compat-scanners"`
	// The hubs that scanners of others may use, by name: their images are scanned for these hubs. Empty means that no scanners of others
	// take part. With `generation: current` each hub needs `username` and `password-file`, which the scanners get with an image. With
	// `generation: old` it is the one hub of the scanners.
	ScannerHubs []string `mapstructure:"scanner-hubs" flag:"scanner-hubs"`
	// The group of registries that scanners of others can reach.
	ScannerDomain string `mapstructure:"scanner-domain" flag:"scanner-domain"`
	// How long a scanner of others may have an image without a report, `10s` to `24h`. Then the hub is asked, and the image goes back.
	ScannerSilence time.Duration `mapstructure:"scanner-silence" flag:"scanner-silence"`
}

// Registry holds the special settings of one registry.
type Registry struct {
	// The registry's host as it stands in image references, such as `registry.example:5000`. Required.
	Host string `mapstructure:"host"`
	// Allows HTTP without TLS. Loopback hosts need no permission.
	PlainHTTP bool `mapstructure:"plain-http"`
	// The file with the certificates to trust, in PEM form. Empty means the system's certificates.
	CAFile string `mapstructure:"ca-file"`
	// Turns off the check of the registry's certificate. Use it only for tests.
	Insecure bool `mapstructure:"insecure"`
	// Allows this host to have a loopback or private address.
	Internal bool `mapstructure:"internal"`
	// Hosts that may get the login besides the registry: its token servers, such as `auth.example.com`. Hosts of the same registered
	// domain need no entry.
	Realms []string `mapstructure:"realms"`
}

// Credential is a login to registries, by name.
type Credential struct {
	// The name by which a pull asks for this credential. Required.
	Name string `mapstructure:"name"`
	// The user name. It goes together with `password-file`.
	Username string `mapstructure:"username"`
	// The file with the password. Give either this or `docker-config`.
	PasswordFile string `mapstructure:"password-file"`
	// A docker configuration file with the logins.
	DockerConfig string `mapstructure:"docker-config"`
	// The registries that may get this login, such as `registry.example:5000` or `*.example.com`. Required.
	Hosts []string `mapstructure:"hosts"`
	// Paths below these hosts, such as `team-a`. Each stands for everything below it. Empty means all.
	Repositories []string `mapstructure:"repositories"`
	// The clusters whose pods may name this login. Empty means all.
	Clusters []string `mapstructure:"clusters"`
	// The domains whose scanners have this login. Empty means all.
	Domains []string `mapstructure:"domains"`
}

// Perceiver watches one platform.
type Perceiver struct {
	// The name of the cluster in Perceptor.
	Cluster string `mapstructure:"cluster" flag:"cluster"`
	// The group of scanners that can reach the cluster's registries. Empty means `default`.
	Domain string `mapstructure:"domain" flag:"domain"`
	// How often the perceiver reports all pods again.
	SnapshotInterval time.Duration `mapstructure:"snapshot-interval" flag:"snapshot-interval"`
	// Writes nothing to the cluster: no labels, annotations or Events.
	ObserveOnly bool `mapstructure:"observe-only" flag:"observe-only"`
	// Patterns of images that are not reported. `*` stands for any characters, `?` for one character.
	IgnoredImages []string `mapstructure:"ignore-images" flag:"ignore-images"`
	// Keys of labels that are reported with each pod, such as `team`, so that lists can be filtered by them. At most 16.
	PodLabels []string `mapstructure:"pod-labels" flag:"pod-labels"`
	// The settings for Kubernetes.
	Kubernetes Kubernetes `mapstructure:"kubernetes"`
	// The settings for Docker.
	Docker Docker `mapstructure:"docker"`
	// The settings for a registry.
	Registry WatchedRegistry `mapstructure:"registry"`
}

// WatchedRegistry holds the settings for the registry whose tags a perceiver reports. Its certificates and plain HTTP are set under
// `registries`.
type WatchedRegistry struct {
	// The registry's host as it stands in image references, such as `registry.example:5000`. Required.
	Host string `mapstructure:"host" flag:"registry"`
	// The product that sends events: `distribution`, `harbor`, `quay` or `artifactory`.
	Kind string `mapstructure:"kind" flag:"kind"`
	// The address that takes the events, at the path `/webhook`, such as `0.0.0.0:8080`. Empty means that no events are taken: then tags
	// are found by the walk alone.
	Address string `mapstructure:"address" flag:"webhook-address"`
	// The file with the secret of the events. Several lines are several secrets. Required with an address.
	SecretFile string `mapstructure:"secret-file" flag:"webhook-secret-file"`
	// The file with the TLS certificate for the events, in PEM form. Without it the perceiver speaks plain HTTP, and only on loopback.
	CertFile string `mapstructure:"cert-file" flag:"webhook-cert-file"`
	// The file with the certificate's key, in PEM form.
	KeyFile string `mapstructure:"key-file" flag:"webhook-key-file"`
	// Allows plain HTTP on addresses that are not loopback. Use it only behind a proxy that does TLS.
	PlainHTTP bool `mapstructure:"plain-http" flag:"webhook-plain-http"`
	// The user name of the login for reading tags. It goes together with `password-file`.
	Username string `mapstructure:"username" flag:"registry-username"`
	// The file with the password or token of that user.
	PasswordFile string `mapstructure:"password-file" flag:"registry-password-file"`
	// The repositories to watch, such as `team/app`. Empty means all in the registry's catalogue. Required where the registry has no
	// catalogue, such as quay.io.
	Repositories []string `mapstructure:"repositories" flag:"repositories"`
	// How often the perceiver reads all tags, besides at its start.
	WalkInterval time.Duration `mapstructure:"walk-interval" flag:"walk-interval"`
	// The platform for which an image with several platforms is scanned.
	Platform string `mapstructure:"platform" flag:"platform"`
	// Writes verdicts to the registry: labels in Quay, properties in Artifactory.
	WriteBack bool `mapstructure:"write-back" flag:"write-back"`
	// The file with the token of the product's API that may write them.
	WriteTokenFile string `mapstructure:"write-token-file" flag:"write-token-file"`
	// The base of the product's API. Empty means `https://` and the registry's host, for Artifactory with the path `/artifactory`.
	APIURL string `mapstructure:"api-url" flag:"registry-api-url"`
	// The name of the credential with which scanners pull the images. Empty means none.
	Credential string `mapstructure:"credential" flag:"credential"`
}

// Docker holds the settings for one Docker Engine, or for the Swarm that it manages.
type Docker struct {
	// The address of the engine, such as `unix:///var/run/docker.sock` or `tcp://engine.example:2376`. Empty means `DOCKER_HOST`, then the
	// current context of the docker command. `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` hold for both.
	Host string `mapstructure:"host" flag:"docker-host"`
	// A context of the docker command, instead of an address.
	Context string `mapstructure:"context" flag:"docker-context"`
	// Patterns of the namespaces to watch: Compose projects and stacks. Empty means all.
	Namespaces []string `mapstructure:"namespaces" flag:"namespaces"`
	// Patterns of the namespaces to leave out.
	ExcludedNamespaces []string `mapstructure:"exclude-namespaces" flag:"exclude-namespaces"`
}

// Kubernetes holds the settings for one cluster of Kubernetes.
type Kubernetes struct {
	// The kubeconfig file. Empty means `KUBECONFIG`, then the usual file, then the service account of this pod.
	Kubeconfig string `mapstructure:"kubeconfig" flag:"kubeconfig"`
	// The context in that file. Empty means its current context.
	Context string `mapstructure:"context" flag:"context"`
	// The largest number of requests per second to the API server.
	Rate float64 `mapstructure:"rate" flag:"kubernetes-rate"`
	// Patterns of the namespaces to watch. Empty means all namespaces.
	Namespaces []string `mapstructure:"namespaces" flag:"namespaces"`
	// Patterns of the namespaces to leave out.
	ExcludedNamespaces []string `mapstructure:"exclude-namespaces" flag:"exclude-namespaces"`
	// A label selector for the namespaces to watch, such as `scan=yes,tier!=test`.
	NamespaceSelector string `mapstructure:"namespace-selector" flag:"namespace-selector"`
	// The keys of the labels and annotations on pods: `compat` for the keys of Perceptor 0.x (2018), `opssight` for those of OpsSight, or
	// `both`.
	Labels string `mapstructure:"labels" flag:"labels"`
	// The beginning of the `compat` keys, such as `perceptor.example/`.
	Prefix string `mapstructure:"prefix" flag:"prefix"`
	// Lets only one of several replicas work: the one that holds the Lease `perceptor-perceiver` in this pod's namespace.
	LeaderElect bool `mapstructure:"leader-elect" flag:"leader-elect"`
	// Reports the names of the pods' pull secrets, for scanners with `scanner.pull-secrets`.
	PullSecrets bool `mapstructure:"pull-secrets" flag:"pull-secrets"`
}

// Bytes is a size, written like "20GiB" or as a plain number.
type Bytes int64

// UnmarshalText reads a size in binary units.
func (b *Bytes) UnmarshalText(text []byte) error {
	n, err := units.RAMInBytes(string(text))
	if err != nil {
		return fmt.Errorf("size %q: want a number with a unit, such as 512MiB: %w", text, err)
	}
	*b = Bytes(n)
	return nil
}

// String writes a size as UnmarshalText reads it.
func (b Bytes) String() string { return units.BytesSize(float64(b)) }

// Default is the configuration without a file, variables and flags. The limits of the scan client suit images of a few GiB.
func Default() Config {
	return Config{
		LogLevel: "info",
		API:      API{Address: "127.0.0.1:3001", Generation: "current", ScannerDomain: "default", ScannerSilence: 30 * time.Minute},
		Scanner: Scanner{
			Domain: "default", Workspaces: 4, CacheLimit: 20 << 30, MinFree: 1 << 30, Drain: 30 * time.Minute,
			Client: ScanClient{Memory: 4 << 30, Scratch: 40 << 30, SBOMTimeout: time.Hour, UploadTimeout: 15 * time.Minute},
		},
		Perceiver: Perceiver{
			Cluster: "default", SnapshotInterval: 30 * time.Minute, IgnoredImages: []string{"pause", "*/pause", "*/mirrored-pause"},
			Kubernetes: Kubernetes{Rate: 50, Labels: "both"},
			Registry:   WatchedRegistry{WalkInterval: 15 * time.Minute, Platform: "linux/amd64"},
		},
	}
}

// nameForm keeps hubs' names fit for queues, labels and metrics.
var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
