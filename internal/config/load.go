package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Load reads the file, when there is one, then the PERCEPTOR_* variables (PERCEPTOR_SCANNER_WORKSPACES sets workspaces below
// scanner), then the flags. Each takes precedence over the one before. Keys that no field has are an error.
func Load(file string, flags *pflag.FlagSet) (Config, error) {
	v := viper.NewWithOptions(viper.KeyDelimiter(delimiter))
	c := Default()
	if err := bind(v, flags); err != nil {
		return Config{}, err
	}
	if file != "" {
		v.SetConfigFile(file)
		v.SetConfigType("yaml")
		if err := v.ReadInConfig(); err != nil {
			return Config{}, fmt.Errorf("read configuration from %s: %w", file, err)
		}
	}
	err := v.Unmarshal(&c, func(d *mapstructure.DecoderConfig) {
		d.ErrorUnused = true
		d.DecodeHook = mapstructure.ComposeDecodeHookFunc(
			mapstructure.TextUnmarshallerHookFunc(), mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(","))
	})
	if err != nil {
		return Config{}, fmt.Errorf("read configuration from %s: %w", cmp.Or(file, "variables and flags"), err)
	}
	return c, c.Validate()
}

func bind(v *viper.Viper, flags *pflag.FlagSet) error {
	for _, each := range settings() {
		if err := v.BindEnv(each.key, each.variable()); err != nil {
			return fmt.Errorf("bind %s to its variable: %w", each.key, err)
		}
		if flags == nil || flags.Lookup(each.flag) == nil || !flags.Changed(each.flag) {
			continue
		}
		value := flags.Lookup(each.flag).Value
		if list, isList := value.(pflag.SliceValue); isList {
			v.Set(each.key, list.GetSlice())
			continue
		}
		v.Set(each.key, value.String())
	}
	return nil
}

// Validate reports all values that cannot work, in one error.
func (c Config) Validate() error {
	var wrong []error
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	seen := map[string]bool{}
	for i, h := range c.Hubs {
		if seen[h.Name] {
			complain("hubs: two have the name %q; every hub needs its own", h.Name)
		}
		seen[h.Name] = true
		wrong = append(wrong, h.validate(i)...)
	}
	if c.Scanner.Workspaces < 1 {
		complain("scanner: workspaces is %d; want at least 1", c.Scanner.Workspaces)
	}
	if c.Scanner.Domain == "" {
		complain("scanner: domain is empty; leave the key out for %q", "default")
	}
	if c.Perceiver.SnapshotInterval < 0 || c.Perceiver.Kubernetes.Rate < 0 {
		complain("perceiver: snapshot-interval and kubernetes rate must not be negative")
	}
	for _, each := range c.Scanner.Network.Allow {
		if _, err := netip.ParsePrefix(each); err != nil {
			complain("scanner: network: allow %.80q: want a network such as 10.20.0.0/16", each)
		}
	}
	wrong = append(wrong, c.Scanner.Client.validate()...)
	wrong = append(wrong, c.API.validate()...)
	wrong = append(wrong, c.Perceiver.Registry.validate()...)
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
		if len(each.Hosts) == 0 {
			complain("credentials[%d] %q: hosts is missing; list the registries that may get this login, because pods choose what their images are pulled with", i, each.Name)
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
		complain("limit is %d; want at least 1; a hub without scans has disabled: true", h.Limit)
	}
	if h.MaxLimit != 0 && h.MaxLimit < h.Limit {
		complain("max-limit is %d; want at least limit, which is %d, or 0 for ten times limit", h.MaxLimit, h.Limit)
	}
	if h.Rate < 0 || h.Settle < 0 {
		complain("rate and settle must not be negative")
	}
	if h.Refresh != 0 && h.Refresh < time.Second {
		complain("refresh is %s; want at least 1s, or 0 for every minute", h.Refresh)
	}
	if (h.TokenFile == "") == (h.PasswordFile == "") {
		complain("give either token-file, or username and password-file")
	}
	return wrong
}

func (s ScanClient) validate() []error {
	var wrong []error
	for _, placeholder := range []string{"{tar}", "{sbom}"} {
		if len(s.Template) > 0 && !strings.Contains(strings.Join(s.Template, " "), placeholder) {
			wrong = append(wrong, fmt.Errorf("scanner: client: template lacks %s", placeholder))
		}
	}
	d := s.DataAsOf
	dated := d.File != "" || len(d.Command) > 0 || d.Key != ""
	switch {
	case dated && len(s.Template) == 0:
		wrong = append(wrong, errors.New("scanner: client: data-as-of goes together with template"))
	case dated && (d.File == "") == (len(d.Command) == 0):
		wrong = append(wrong, errors.New("scanner: client: data-as-of: give either file or command"))
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

func (r WatchedRegistry) validate() []error {
	var wrong []error
	complain := func(text string) { wrong = append(wrong, errors.New("perceiver: registry: "+text)) }
	if (r.CertFile == "") != (r.KeyFile == "") {
		complain("cert-file and key-file go together")
	}
	if (r.Username == "") != (r.PasswordFile == "") {
		complain("username and password-file go together")
	}
	if r.WalkInterval < time.Second {
		complain(fmt.Sprintf("walk-interval is %s; want at least 1s", r.WalkInterval))
	}
	return wrong
}
