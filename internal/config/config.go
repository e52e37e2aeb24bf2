package config

import (
	"fmt"
	"regexp"
	"time"

	"github.com/docker/go-units"
)

// Config is everything but the connection to Temporal.
type Config struct {
	// Hubs are the vulnerability servers.
	Hubs []Hub `mapstructure:"hubs"`
	// Scanner is this process's part as a scanner host.
	Scanner Scanner `mapstructure:"scanner"`
	// Perceiver is this process's part as a perceiver.
	Perceiver Perceiver `mapstructure:"perceiver"`
	// API is this process's part as the REST API.
	API API `mapstructure:"api"`
	// Registries hold what is particular to a registry; others are spoken to with TLS.
	Registries []Registry `mapstructure:"registries"`
	// Credentials are what pulls may name.
	Credentials []Credential `mapstructure:"credentials"`
	// DockerConfig is a docker config file for pulls that name no credential; empty means docker's own.
	DockerConfig string `mapstructure:"docker-config"`
	// LogLevel is debug, info, warn or error.
	LogLevel string `mapstructure:"log-level"`
}

// Hub is one vulnerability server.
type Hub struct {
	// Name is what the hub is called here; it is part of a queue's name.
	Name string `mapstructure:"name"`
	URL  string `mapstructure:"url"`
	// TokenFile holds an API token. Without it, Username and PasswordFile are the login.
	TokenFile    string `mapstructure:"token-file"`
	Username     string `mapstructure:"username"`
	PasswordFile string `mapstructure:"password-file"`
	// CAFile holds the PEM certificates to trust; empty means the system's.
	CAFile string `mapstructure:"ca-file"`
	// Insecure turns certificate verification off.
	Insecure bool `mapstructure:"insecure"`
	// Generation is auto, current or old: which of Black Duck's scan states are asked for.
	Generation string `mapstructure:"generation"`
	// Limit is the number of Perceptor's scans the hub may have at a time.
	Limit int `mapstructure:"limit"`
	// Rate bounds the steps per second that speak to this hub, over all workers; each makes at most three requests.
	// 0 means no bound. Uploads are bounded by Limit instead.
	Rate float64 `mapstructure:"rate"`
	// Settle is how long the hub may take to show an upload it has accepted.
	Settle time.Duration `mapstructure:"settle"`
	// Disabled keeps the hub from getting new scans.
	Disabled bool `mapstructure:"disabled"`
	// Refresh is how often the hub is asked what has changed; 0 means every minute.
	Refresh time.Duration `mapstructure:"refresh"`
}

// Scanner is one scanner host.
type Scanner struct {
	// Domain is the set of scanners this one belongs to: those that can reach the same registries.
	Domain string `mapstructure:"domain"`
	// Directory holds berths, layers and scratch space; one process each.
	Directory string `mapstructure:"directory"`
	// Berths is how many images may lie between pull and upload.
	Berths int `mapstructure:"berths"`
	// CacheLimit is how many bytes of layers are kept.
	CacheLimit Bytes `mapstructure:"cache-limit"`
	// MinFree is how much of the disk a pull leaves free.
	MinFree Bytes `mapstructure:"min-free"`
	// Drain is how long a stopping worker lets its berths finish.
	Drain time.Duration `mapstructure:"drain"`
	// PullSecrets lets this host read the pull secrets of pods from the cluster that the perceiver's settings name.
	PullSecrets bool `mapstructure:"pull-secrets"`
	// Client is the scan client.
	Client ScanClient `mapstructure:"client"`
}

// ScanClient is the program that lists what is in an image.
type ScanClient struct {
	// Command is its path; empty means perceptor-scan beside this program, then on the PATH.
	Command string `mapstructure:"command"`
	// Memory bounds its resident size, with all its children.
	Memory Bytes `mapstructure:"memory"`
	// Scratch bounds what it may write besides its result.
	Scratch Bytes `mapstructure:"scratch"`
	// ListTimeout and UploadTimeout bound its two jobs.
	ListTimeout   time.Duration `mapstructure:"list-timeout"`
	UploadTimeout time.Duration `mapstructure:"upload-timeout"`
}

// API is the REST API.
type API struct {
	// Address is where it listens.
	Address string `mapstructure:"address"`
	// TokenFile holds the tokens that open it.
	TokenFile string `mapstructure:"token-file"`
	// CertFile and KeyFile are the certificate it shows; without them it speaks plain HTTP, on loopback alone unless
	// PlainHTTP allows more.
	CertFile  string `mapstructure:"cert-file"`
	KeyFile   string `mapstructure:"key-file"`
	PlainHTTP bool   `mapstructure:"plain-http"`
	// Anonymous is the scope of requests without a token, for the cluster "default"; empty means that there are none.
	Anonymous string `mapstructure:"anonymous"`
	// Generation is current or old: the form in which the original's endpoints answer.
	Generation string `mapstructure:"generation"`
}

// Registry is what is particular to one registry.
type Registry struct {
	// Host is as in references, such as "registry.example:5000".
	Host string `mapstructure:"host"`
	// PlainHTTP allows HTTP without TLS; loopback hosts need no permission.
	PlainHTTP bool   `mapstructure:"plain-http"`
	CAFile    string `mapstructure:"ca-file"`
	Insecure  bool   `mapstructure:"insecure"`
}

// Credential is a login to registries, by name.
type Credential struct {
	Name string `mapstructure:"name"`
	// Username and PasswordFile, or a docker config file.
	Username     string `mapstructure:"username"`
	PasswordFile string `mapstructure:"password-file"`
	DockerConfig string `mapstructure:"docker-config"`
}

// Perceiver watches one platform.
type Perceiver struct {
	// Cluster is what the platform is called.
	Cluster string `mapstructure:"cluster"`
	// Domain is the set of scanners that reach the platform's registries.
	Domain string `mapstructure:"domain"`
	// SnapshotInterval is how often everything is reported again.
	SnapshotInterval time.Duration `mapstructure:"snapshot-interval"`
	// ObserveOnly writes nothing onto the platform.
	ObserveOnly bool `mapstructure:"observe-only"`
	// IgnoredImages are patterns of images to leave out.
	IgnoredImages []string `mapstructure:"ignore-images"`
	// Kubernetes is what is particular to that platform.
	Kubernetes Kubernetes `mapstructure:"kubernetes"`
}

// Kubernetes is what a perceiver needs to know of a cluster.
type Kubernetes struct {
	// Kubeconfig and Context name the cluster; both empty means the usual places, then the pod's service account.
	Kubeconfig string `mapstructure:"kubeconfig"`
	Context    string `mapstructure:"context"`
	// Rate bounds the requests per second to the API server.
	Rate float64 `mapstructure:"rate"`
	// Namespaces and ExcludedNamespaces are patterns, NamespaceSelector is a selector over labels of namespaces.
	Namespaces         []string `mapstructure:"namespaces"`
	ExcludedNamespaces []string `mapstructure:"exclude-namespaces"`
	NamespaceSelector  string   `mapstructure:"namespace-selector"`
	// Labels are the keys in which verdicts are written: original, opssight or both. Prefix begins the original's.
	Labels string `mapstructure:"labels"`
	Prefix string `mapstructure:"prefix"`
	// LeaderElect has one of several replicas work, the one that holds a Lease.
	LeaderElect bool `mapstructure:"leader-elect"`
	// PullSecrets has pods reported with the names of their pull secrets.
	PullSecrets bool `mapstructure:"pull-secrets"`
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

// Default is what holds where nothing else is said. The scan client's bounds suit images of a few GiB.
func Default() Config {
	return Config{
		LogLevel: "info",
		API:      API{Address: "127.0.0.1:3001", Generation: "current"},
		Scanner: Scanner{
			Domain: "default", Berths: 4, CacheLimit: 20 << 30, MinFree: 1 << 30, Drain: 30 * time.Minute,
			Client: ScanClient{Memory: 4 << 30, Scratch: 40 << 30, ListTimeout: time.Hour, UploadTimeout: 15 * time.Minute},
		},
		Perceiver: Perceiver{
			Cluster: "default", SnapshotInterval: 30 * time.Minute, IgnoredImages: []string{"pause", "*/pause", "*/mirrored-pause"},
			Kubernetes: Kubernetes{Rate: 50, Labels: "both"},
		},
	}
}

// nameForm keeps hubs' names fit for queues, labels and metrics.
var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
