package compat

import (
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/internal/api"
)

// described is the description of one endpoint.
type described struct {
	id, method, path, summary, text string
	request                         reflect.Type
	answers                         map[int]reflect.Type
}

// describe adds the endpoints to the OpenAPI description, in the form of the last releases.
func describe(d *api.Description) {
	for _, each := range descriptions() {
		op := &huma.Operation{
			OperationID: "compat-" + each.id, Method: each.method, Path: each.path, Summary: each.summary, Description: each.text,
			Tags: []string{"Perceptor 0.x (2018)"}, Security: api.Security(nil),
		}
		if each.path == "/pod/{namespace}/{name}" {
			op.Parameters = []*huma.Param{
				{Name: "namespace", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}},
				{Name: "name", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}},
			}
		}
		d.Describe(op, each.request, each.answers)
	}
}

func descriptions() []described {
	plain := map[int]reflect.Type{http.StatusOK: nil, http.StatusBadRequest: nil, http.StatusUnauthorized: nil, http.StatusForbidden: nil, http.StatusServiceUnavailable: nil}
	batch := map[int]reflect.Type{http.StatusOK: nil, api.StatusPartial: reflect.TypeFor[batchAnswer](), http.StatusBadRequest: reflect.TypeFor[batchAnswer]()}
	return []described{
		{"pod", http.MethodPost, "/pod", "Add or replace a pod", "PUT does the same.", reflect.TypeFor[podBody](), plain},
		{
			"pod-gone", http.MethodDelete, "/pod", "Delete a pod",
			"The body is namespace/name, as plain text or as a JSON string. A name without a namespace deletes nothing: the next snapshot removes the pod.",
			reflect.TypeFor[string](), plain,
		},
		{"pod-gone-by-path", http.MethodDelete, "/pod/{namespace}/{name}", "Delete a pod", "", nil, plain},
		{
			"allpods", http.MethodPut, "/allpods", "Replace all pods of the cluster",
			"Pods that are not in the list are deleted. POST does the same. With 207 the answer names the wrong pods, and the others are stored.",
			reflect.TypeFor[struct{ Pods []podBody }](), batch,
		},
		{"image", http.MethodPost, "/image", "Add an image without a pod", "", reflect.TypeFor[imageBody](), plain},
		{
			"image-gone", http.MethodDelete, "/image", "Say that an image is gone",
			"Nothing is deleted, as in 2018. The answer is 200, so that no client sends it again.", reflect.TypeFor[string](), plain,
		},
		{
			"allimages", http.MethodPut, "/allimages", "Add images without a pod", "No image is removed. POST does the same.",
			reflect.TypeFor[struct{ Images []imageBody }](), batch,
		},
		{
			"scanresults", http.MethodGet, "/scanresults", "List all scanned pods and images", "A pod or an image without a verdict is not in the list.",
			nil,
			map[int]reflect.Type{http.StatusOK: reflect.TypeFor[scanResults]()},
		},
		{
			"model", http.MethodGet, "/model", "Dump everything known about the cluster", "For people and for tools that compare.",
			nil,
			map[int]reflect.Type{http.StatusOK: reflect.TypeFor[modelDump]()},
		},
		{
			"command", http.MethodPost, "/command", "Reset the circuit breakers", "The key must be there; its value does not matter.",
			reflect.TypeFor[struct{ ResetCircuitBreaker *bool }](), plain,
		},
		{
			"nextimage", http.MethodPost, "/nextimage", "Take an image for a scanner of others",
			"ImageSpec is null when there is no image now. An image that is handed out has a lease of its hub until the scanner reports, or is silent for too long.",
			nil,
			map[int]reflect.Type{
				http.StatusOK: reflect.TypeFor[nextImage[imageSpec]](), http.StatusBadRequest: nil, http.StatusUnauthorized: nil, http.StatusForbidden: nil,
				http.StatusServiceUnavailable: nil,
			},
		},
		{
			"finishedscan", http.MethodPost, "/finishedscan", "Report the end of a scan by a scanner of others",
			"Err is empty for a success. The hub is asked whatever the report says. 409 means that another scanner has the image.",
			reflect.TypeFor[finishedBody](), plain,
		},
		{
			"concurrentscanlimit", http.MethodPost, "/concurrentscanlimit", "Set the limit of the hub", "Only where there is exactly one hub.",
			reflect.TypeFor[struct{ Limit int }](), plain,
		},
	}
}
