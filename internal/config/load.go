package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// delimiter parts the levels of a key. Not a dot, because hosts of registries have dots in them.
const delimiter = "::"

// Load reads the file, when there is one, then PERCEPTOR_* variables (PERCEPTOR_SCANNER_BERTHS for scanner, berths),
// then the flags named like a path of keys ("scanner.berths" is the flag "scanner-berths"), each over the one before.
func Load(file string, flags *pflag.FlagSet) (Config, error) {
	v := viper.NewWithOptions(viper.KeyDelimiter(delimiter))
	v.SetEnvPrefix("PERCEPTOR")
	v.SetEnvKeyReplacer(strings.NewReplacer(delimiter, "_", "-", "_"))
	c := Default()
	if err := bind(v, flags); err != nil {
		return Config{}, err
	}
	if file != "" {
		v.SetConfigFile(file)
		v.SetConfigType("yaml")
		if err := v.ReadInConfig(); err != nil {
			return Config{}, fmt.Errorf("read configuration %s: %w", file, err)
		}
	}
	err := v.Unmarshal(&c, func(d *mapstructure.DecoderConfig) {
		d.ErrorUnused = true
		d.DecodeHook = mapstructure.ComposeDecodeHookFunc(
			mapstructure.TextUnmarshallerHookFunc(), mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(","))
	})
	if err != nil {
		return Config{}, fmt.Errorf("read configuration %s: %w", file, err)
	}
	return c, c.Validate()
}

// keys are the single values that the environment and flags may set, with the flag of each.
var keys = map[string]string{
	"log-level":                       "log-level",
	"docker-config":                   "docker-config",
	"api::address":                    "address",
	"api::token-file":                 "token-file",
	"api::cert-file":                  "cert-file",
	"api::key-file":                   "key-file",
	"api::plain-http":                 "plain-http",
	"api::anonymous":                  "anonymous",
	"api::generation":                 "generation",
	"scanner::domain":                 "domain",
	"scanner::directory":              "directory",
	"scanner::berths":                 "berths",
	"scanner::cache-limit":            "cache-limit",
	"scanner::min-free":               "min-free",
	"scanner::drain":                  "drain",
	"scanner::pull-secrets":           "pull-secrets",
	"scanner::client::command":        "scan-client",
	"scanner::client::memory":         "scan-memory",
	"scanner::client::scratch":        "scan-scratch",
	"scanner::client::list-timeout":   "list-timeout",
	"scanner::client::upload-timeout": "upload-timeout",

	"perceiver::cluster":                        "cluster",
	"perceiver::domain":                         "domain",
	"perceiver::snapshot-interval":              "snapshot-interval",
	"perceiver::observe-only":                   "observe-only",
	"perceiver::ignore-images":                  "ignore-images",
	"perceiver::kubernetes::kubeconfig":         "kubeconfig",
	"perceiver::kubernetes::context":            "context",
	"perceiver::kubernetes::rate":               "kubernetes-rate",
	"perceiver::kubernetes::namespaces":         "namespaces",
	"perceiver::kubernetes::exclude-namespaces": "exclude-namespaces",
	"perceiver::kubernetes::namespace-selector": "namespace-selector",
	"perceiver::kubernetes::labels":             "labels",
	"perceiver::kubernetes::prefix":             "prefix",
	"perceiver::kubernetes::leader-elect":       "leader-elect",
	"perceiver::kubernetes::pull-secrets":       "pull-secrets",
}

func bind(v *viper.Viper, flags *pflag.FlagSet) error {
	for key, flag := range keys {
		if err := v.BindEnv(key); err != nil {
			return fmt.Errorf("bind %s: %w", key, err)
		}
		if flags == nil || flags.Lookup(flag) == nil || !flags.Changed(flag) {
			continue
		}
		value := flags.Lookup(flag).Value
		if list, isList := value.(pflag.SliceValue); isList {
			v.Set(key, list.GetSlice())
			continue
		}
		v.Set(key, value.String())
	}
	return nil
}

// Validate reports everything that cannot work, at once.
func (c Config) Validate() error {
	var wrong []error
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	seen := map[string]bool{}
	for i, h := range c.Hubs {
		if seen[h.Name] {
			complain("hubs: two are called %q; each needs a name of its own", h.Name)
		}
		seen[h.Name] = true
		wrong = append(wrong, h.validate(i)...)
	}
	if c.Scanner.Berths < 1 {
		complain("scanner: berths is %d; want at least 1", c.Scanner.Berths)
	}
	if c.Scanner.Domain == "" {
		complain("scanner: domain is empty; leave it out for %q", "default")
	}
	if c.Perceiver.SnapshotInterval < 0 || c.Perceiver.Kubernetes.Rate < 0 {
		complain("perceiver: snapshot-interval and kubernetes rate must not be negative")
	}
	wrong = append(wrong, c.API.validate()...)
	for i, r := range c.Registries {
		if r.Host == "" {
			complain("registries[%d]: host is missing", i)
		}
	}
	for i, each := range c.Credentials {
		if each.Name == "" {
			complain("credentials[%d]: name is missing", i)
		}
		if (each.DockerConfig == "") == (each.PasswordFile == "") {
			complain("credentials[%d] %q: give either docker-config, or username and password-file", i, each.Name)
		}
	}
	return errors.Join(wrong...)
}

func (h Hub) validate(i int) []error {
	var wrong []error
	complain := func(format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("hubs[%d] %q: %w", i, h.Name, fmt.Errorf(format, args...)))
	}
	if !nameForm.MatchString(h.Name) {
		complain("a name has up to 63 lower-case letters, digits and dashes")
	}
	if !strings.HasPrefix(h.URL, "https://") {
		complain("url %q: want https://HOST[:PORT]", h.URL)
	}
	if h.Limit < 1 {
		complain("limit is %d; want at least 1 scan at a time, or disabled: true", h.Limit)
	}
	if h.Rate < 0 || h.Settle < 0 {
		complain("rate and settle must not be negative")
	}
	if h.Refresh != 0 && h.Refresh < time.Second {
		complain("refresh is %s; want at least a second, or 0 for every minute", h.Refresh)
	}
	if (h.TokenFile == "") == (h.PasswordFile == "") {
		complain("give either token-file, or username and password-file")
	}
	return wrong
}

func (a API) validate() []error {
	var wrong []error
	if (a.CertFile == "") != (a.KeyFile == "") {
		wrong = append(wrong, errors.New("api: cert-file and key-file go together"))
	}
	if a.Generation != "current" && a.Generation != "old" {
		wrong = append(wrong, fmt.Errorf("api: generation %q: want current or old", a.Generation))
	}
	return wrong
}
