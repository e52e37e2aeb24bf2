package api

import (
	"net/http"
	"slices"
)

// Routes is the router of a server. It remembers what was added to it, so that a test can compare the endpoints with the documented
// access.
type Routes struct {
	*http.ServeMux
	patterns []string
	methods  []string
}

// HandleFunc adds an endpoint by its pattern, "METHOD /path" or "/path".
func (r *Routes) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	r.patterns = append(r.patterns, pattern)
	r.ServeMux.HandleFunc(pattern, handler)
}

// Handle is HandleFunc for a handler.
func (r *Routes) Handle(pattern string, handler http.Handler) {
	r.HandleFunc(pattern, handler.ServeHTTP)
}

// Takes notes a method that the handler of a pattern without a method takes.
func (r *Routes) Takes(method, path string) { r.methods = append(r.methods, method+" "+path) }

// Patterns are all patterns that were added. For one without a method, the methods noted by Takes are there, too.
func (r *Routes) Patterns() []string {
	all := slices.Concat(r.patterns, r.methods)
	slices.Sort(all)
	return slices.Compact(all)
}
