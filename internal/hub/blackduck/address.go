package blackduck

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// origin is the configured root of the hub: the one place requests go to.
type origin struct {
	host string
	// prefix is the path in front of "/api", for a hub behind a proxy; without a trailing slash.
	prefix string
}

const secureScheme = "https"

// parseOrigin accepts an https URL without credentials, query or fragment.
func parseOrigin(text string) (origin, error) {
	if text == "" {
		return origin{}, errors.New("it is empty: want something like https://hub.example:8443")
	}
	u, err := url.Parse(text)
	if err != nil {
		return origin{}, errors.New("it is not a URL: want something like https://hub.example:8443")
	}
	switch {
	case u.User != nil:
		return origin{}, errors.New("it holds credentials: put them into files")
	case u.Scheme != secureScheme:
		return origin{}, fmt.Errorf("scheme %.20q: credentials go over https only", u.Scheme)
	case u.Hostname() == "":
		return origin{}, errors.New("it names no host")
	case u.RawQuery != "" || u.Fragment != "":
		return origin{}, errors.New("it has a query or a fragment: want only the root")
	}
	return origin{host: canonicalHost(u), prefix: strings.TrimRight(u.EscapedPath(), "/")}, nil
}

// canonicalHost is host and port in one spelling, so that two names of one place compare equal.
func canonicalHost(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if u.Scheme == secureScheme {
		host = strings.TrimSuffix(host, ":443")
	}
	return host
}

// root is the hub's URL as a scan client wants it.
func (o origin) root() string { return secureScheme + "://" + o.host + o.prefix }

// join is a URL of the hub from a path such as "/api/codelocations".
func (o origin) join(path string) *url.URL {
	u, err := url.Parse(o.root() + path)
	if err != nil { // only a path made of foreign text can do this, and those go through resolve
		return &url.URL{Scheme: secureScheme, Host: o.host, Path: o.prefix + path}
	}
	return u
}

// apiPath is the part every object of the hub lives under.
const apiPath = "/api/"

// resolve turns a link written by the hub into a URL on the configured host. Host, query and fragment of the link are
// dropped: a hub behind a proxy writes another host than the one it is reached by, and no link may lead credentials away.
func (o origin) resolve(link string) (*url.URL, error) {
	u, err := url.Parse(link)
	if err != nil || u.Opaque != "" {
		return nil, fmt.Errorf("link %.120q is not a URL", link)
	}
	if u.User != nil {
		return nil, errors.New("a link holds credentials")
	}
	escaped := u.EscapedPath()
	if o.prefix != "" {
		escaped = strings.TrimPrefix(escaped, o.prefix)
	}
	escaped = strings.TrimRight(escaped, "/")
	if !strings.HasPrefix(escaped, apiPath) || path.Clean(u.Path) != strings.TrimRight(u.Path, "/") {
		return nil, fmt.Errorf("link %.120q: want an address under %s", link, apiPath)
	}
	return o.join(escaped), nil
}

// canonical is resolve as text: the form in which addresses leave this package, so that they can be compared.
func (o origin) canonical(link string) (string, error) {
	u, err := o.resolve(link)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// owns reports whether u is on the configured host over TLS.
func (o origin) owns(u *url.URL) bool { return u.Scheme == secureScheme && canonicalHost(u) == o.host }

// The forms of addresses that may be deleted or have parts. A wrong URL must never reach a larger object.
var (
	versionPath      = regexp.MustCompile(`/api/projects/[^/]+/versions/[^/]+$`)
	codeLocationPath = regexp.MustCompile(`/api/codelocations/[^/]+$`)
)

// object resolves a link that must have the given form.
func (o origin) object(link string, form *regexp.Regexp, noun string) (*url.URL, error) {
	u, err := o.resolve(link)
	if err != nil {
		return nil, err
	}
	if !form.MatchString(u.EscapedPath()) {
		return nil, fmt.Errorf("%.120q is not the address of a %s", link, noun)
	}
	return u, nil
}

// below is u with more path.
func below(u *url.URL, suffix string) *url.URL { return u.JoinPath(suffix) }

// lastPart is the last element of a link's path: the hub's id of the object, empty when there is none.
func lastPart(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Path == "" {
		return ""
	}
	last := path.Base(u.Path)
	if last == "/" || last == "." {
		return ""
	}
	return last
}
