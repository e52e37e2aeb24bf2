package registry

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Binding says for which images a credential may be used. It must name a host: pods choose both the image and the credential, so
// a free credential could be sent to any host.
type Binding struct {
	// Hosts are registries as they stand in references, such as registry.example:5000. "*.example.com" stands for every host
	// with one more label.
	Hosts []string
	// Repositories are paths below the host, such as team-a or team-a/app; each stands for everything below it, too. None
	// means all.
	Repositories []string
	// Clusters are those whose pods may name the credential; none means all. Requests of operators need no cluster.
	Clusters []string
}

// parsed checks a binding and writes its hosts as canonicalHost does.
func (b Binding) parsed() (Binding, error) {
	if len(b.Hosts) == 0 {
		return b, errors.New("it is bound to no host; list the registries that may get it under hosts")
	}
	hosts := make([]string, len(b.Hosts))
	for i, text := range b.Hosts {
		host, err := parseBoundHost(text)
		if err != nil {
			return b, err
		}
		hosts[i] = host
	}
	for _, text := range b.Repositories {
		if text == "" || strings.ContainsAny(text, "*?:@ ") || strings.HasPrefix(text, "/") || strings.HasSuffix(text, "/") || slices.Contains(strings.Split(text, "/"), "") {
			return b, fmt.Errorf("repositories: %.100q: want a path below the host, such as team-a or team-a/app", text)
		}
	}
	b.Hosts = hosts
	return b, nil
}

// parseBoundHost reads a host of a binding. A wildcard needs a domain that belongs to one owner behind it.
func parseBoundHost(text string) (string, error) {
	wrong := fmt.Errorf("hosts: %.100q: want a host as in references, such as registry.example:5000, or *.DOMAIN with a domain of your own", text)
	domain, wild := strings.CutPrefix(text, "*.")
	if strings.ContainsAny(domain, "*?[/@") && !strings.HasPrefix(domain, "[") {
		return "", wrong
	}
	registry, err := name.NewRegistry(domain, name.StrictValidation)
	if err != nil {
		return "", wrong
	}
	host := canonicalHost(registry.RegistryStr())
	if host == "" {
		return "", wrong
	}
	if !wild {
		return host, nil
	}
	if owner(hostnameOf(host)) == "" {
		return "", wrong
	}
	return "*." + host, nil
}

// opens reports whether the credential may be sent to the repository's registry for this repository.
func (b Binding) opens(repo name.Repository) bool {
	host := canonicalHost(repo.RegistryStr())
	if host == "" {
		return false
	}
	if !slices.ContainsFunc(b.Hosts, func(bound string) bool { return hostMatches(bound, host) }) {
		return false
	}
	path := repo.RepositoryStr()
	return len(b.Repositories) == 0 || slices.ContainsFunc(b.Repositories, func(bound string) bool {
		return path == bound || strings.HasPrefix(path, bound+"/")
	})
}

// serves reports whether the pods of a cluster may name the credential. The empty cluster is an operator of all clusters.
func (b Binding) serves(cluster string) bool {
	return cluster == "" || len(b.Clusters) == 0 || slices.Contains(b.Clusters, cluster)
}

// hostMatches compares canonical hosts; a bound one may begin with "*.".
func hostMatches(bound, host string) bool {
	domain, wild := strings.CutPrefix(bound, "*.")
	if !wild {
		return bound == host
	}
	_, rest, found := strings.Cut(host, ".")
	return found && rest == domain
}

// canonicalHost writes a host with or without a port as requests reach it: in lower case and ASCII, without the dot at the end and
// without the port of HTTPS. It is empty for what is no host.
func canonicalHost(text string) string {
	hostname, port := text, ""
	if h, p, err := net.SplitHostPort(text); err == nil {
		hostname, port = h, p
	} else if strings.HasSuffix(text, ":") {
		return ""
	}
	hostname = strings.Trim(hostname, "[]")
	if addr, err := netip.ParseAddr(hostname); err == nil {
		hostname = addr.Unmap().String()
	} else {
		ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(hostname, "."))
		if err != nil || ascii == "" {
			return ""
		}
		hostname = strings.ToLower(ascii)
	}
	if port == "" || port == "443" {
		if strings.Contains(hostname, ":") {
			return "[" + hostname + "]"
		}
		return hostname
	}
	return net.JoinHostPort(hostname, port)
}

// hostnameOf is a canonical host without its port.
func hostnameOf(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return strings.Trim(host, "[]")
}

// owner is the part of a name that one owner has registered, such as example.co.uk. It is empty for addresses, for names of
// one label, and for names below a domain that the list of public suffixes does not know, such as cluster.local.
func owner(hostname string) string {
	if _, err := netip.ParseAddr(hostname); err == nil {
		return ""
	}
	suffix, icann := publicsuffix.PublicSuffix(hostname)
	if !icann && !strings.Contains(suffix, ".") {
		return ""
	}
	registered, err := publicsuffix.EffectiveTLDPlusOne(hostname)
	if err != nil {
		return ""
	}
	return registered
}

// login is for whom requests are made: carried in their contexts, so that the wire can see where a login may go.
type login struct {
	// access is the repository and the credential.
	access string
	// registry is the registry's canonical host.
	registry string
	// realms are further hosts that may get the login: the registry's token servers.
	realms []string
}

// mayReceive reports whether an address may get the login: the registry itself, a host of the same owner with TLS, or a token
// server that the configuration names.
func (l login) mayReceive(address *url.URL) bool {
	host := canonicalHost(address.Host)
	switch {
	case host == "" || l.registry == "":
		return false
	case host == l.registry, slices.Contains(l.realms, host):
		return true
	}
	ours := owner(hostnameOf(l.registry))
	return ours != "" && address.Scheme == "https" && owner(hostnameOf(host)) == ours
}
