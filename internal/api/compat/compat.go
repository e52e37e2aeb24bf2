package compat

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/model"
)

// endpoints are the endpoints of the API.
type endpoints struct {
	server *api.Server
	// firstReleases answers in the form of v0.0.14 instead of v2.2.4.
	firstReleases bool
	// platform is that of everything that is reported here.
	platform model.Platform
	// kept counts deletes of images, which delete nothing.
	kept prometheus.Counter
	// ignored counts deletes that name no namespace.
	ignored prometheus.Counter
}

// API adds the endpoints to a server. They answer in the form of the first releases (v0.0.14), or of the last ones (v2.2.4). The
// platform is that of all pods and images that are reported: the reports of 2018 name none, and without one an image of several
// platforms has no verdict. The zero value means unknown.
func API(firstReleases bool, platform model.Platform) api.API {
	return func(s *api.Server) {
		e := &endpoints{server: s, firstReleases: firstReleases, platform: platform, ignored: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: api.MetricsNamespace, Subsystem: api.MetricsSubsystem, Name: "pod_deletes_without_namespace_total",
			Help: "Requests DELETE /pod that named a pod without its namespace. They delete nothing; the next snapshot removes the pod.",
		})}
		e.kept = prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: api.MetricsNamespace, Subsystem: api.MetricsSubsystem, Name: "image_deletes_total",
			Help: "Requests DELETE /image. They delete nothing: an image without a pod stays, as in 2018.",
		})
		s.AddMetric(e.ignored)
		s.AddMetric(e.kept)
		for path, methods := range e.paths() {
			for method := range methods {
				s.Mux().Takes(method, path)
			}
			s.Mux().HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
				endpoint, known := methods[r.Method]
				if !known {
					// 404 and not 405, as in 2018.
					api.Refuse(http.StatusNotFound, "404 page not found: %s does not take %.20s", path, r.Method).WritePlain(w)
					return
				}
				s.Answer(w, r, endpoint)
			})
		}
		describe(s.Description())
	}
}

// paths are the endpoints by exact path and method.
func (e *endpoints) paths() map[string]map[string]api.Endpoint {
	perceiver, reader, operator := []access.Scope{access.Perceiver}, []access.Scope{access.Reader}, []access.Scope{access.Operator}
	scanner, external := []access.Scope{access.Scanner}, newScanners(e)
	putPod := api.Endpoint{Scopes: perceiver, Do: e.putPod}
	putAllPods := api.Endpoint{Scopes: perceiver, Do: e.putAllPods, Batch: true}
	putAllImages := api.Endpoint{Scopes: perceiver, Do: e.putAllImages, Batch: true}
	return map[string]map[string]api.Endpoint{
		"/pod": {
			http.MethodPost: putPod, http.MethodPut: putPod,
			http.MethodDelete: {Scopes: perceiver, Do: e.deletePod},
		},
		"/pod/{namespace}/{name}": {http.MethodDelete: {Scopes: perceiver, Do: e.deletePodByPath}},
		"/allpods":                {http.MethodPut: putAllPods, http.MethodPost: putAllPods},
		"/image":                  {http.MethodPost: {Scopes: perceiver, Do: e.postImage}, http.MethodDelete: {Scopes: perceiver, Do: e.deleteImage}},
		"/allimages":              {http.MethodPut: putAllImages, http.MethodPost: putAllImages},
		"/scanresults":            {http.MethodGet: {Scopes: []access.Scope{access.Perceiver, access.Reader}, Do: e.getScanResults, Batch: true}},
		"/model":                  {http.MethodGet: {Scopes: reader, Do: e.getModel, Batch: true}},
		"/command":                {http.MethodPost: {Scopes: operator, Do: e.postCommand}},
		"/nextimage":              {http.MethodPost: {Scopes: scanner, Do: external.postNextImage}},
		"/finishedscan":           {http.MethodPost: {Scopes: scanner, Do: external.postFinishedScan}},
		"/concurrentscanlimit":    {http.MethodPost: {Scopes: operator, Do: e.postConcurrentScanLimit}},
	}
}

// writeJSON answers as the releases did: the first ones compact and as plain text, the last ones indented and as JSON.
func (e *endpoints) writeJSON(r *api.Request, status int, value any) error {
	contentType, text, err := "text/plain; charset=utf-8", []byte(nil), error(nil)
	if e.firstReleases {
		text, err = json.Marshal(value)
	} else {
		contentType = "application/json"
		text, err = json.MarshalIndent(value, "", "  ")
	}
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	r.Writer.Header().Set("Content-Type", contentType)
	r.Writer.WriteHeader(status)
	_, _ = r.Writer.Write(text) // the client may have left
	return nil
}
