// Package server puts the REST APIs of Perceptor together to one server.
package server

import (
	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/internal/api/compat"
	"github.com/perceptor/perceptor/internal/api/v1"
	"github.com/perceptor/perceptor/model"
)

// Options are what a server is made of.
type Options struct {
	api.Options
	// FirstReleases lets the API of Perceptor 0.x (2018) answer in the form of its first releases (v0.0.14) instead of its
	// last ones.
	FirstReleases bool
	// CompatPlatform is the platform of everything that is reported to that API; the zero value means unknown.
	CompatPlatform model.Platform
}

// New makes a server of every API.
func New(o Options) *api.Server { return api.New(o.Options, APIs(o)...) }

// Compat makes a server of the API of Perceptor 0.x (2018) alone, for its perceivers of one cluster, which send no token. With scans
// it is for its scanners, too.
func Compat(o Options, cluster string, scans bool) *api.Server {
	o.Tokens, o.Anonymous = nil, &access.Grant{Name: "listener-2018", Scope: access.Perceiver, Scans: scans, Cluster: cluster}
	return api.New(o.Options, APIs(o)[1])
}

// APIs are the APIs of the server: first that of today.
func APIs(o Options) []api.API {
	return []api.API{
		v1.API,
		// The one use of this package: without this line, Perceptor 0.x (2018) is not served.
		compat.API(o.FirstReleases, o.CompatPlatform),
	}
}
