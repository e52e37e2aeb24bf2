package api

import (
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

var problemType = reflect.TypeFor[huma.ErrorModel]()

// describe adds an operation to the description that is served beside the library; its schemas come from the types that
// are really read and written. A nil type is plain text.
func (v *v1) describe(op *huma.Operation, request reflect.Type, answers map[int]reflect.Type) {
	schemas := v.OpenAPI().Components.Schemas
	if request != nil {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": {Schema: schemas.Schema(request, true, op.OperationID+"-request")},
		}}
	}
	op.Responses = map[string]*huma.Response{}
	for status, answer := range answers {
		response := &huma.Response{Description: http.StatusText(status)}
		switch answer {
		case nil:
			response.Content = map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}}
		case problemType:
			response.Content = map[string]*huma.MediaType{"application/problem+json": {Schema: schemas.Schema(answer, true, "problem")}}
		default:
			response.Content = map[string]*huma.MediaType{"application/json": {Schema: schemas.Schema(answer, true, op.OperationID+"-answer")}}
		}
		op.Responses[strconv.Itoa(status)] = response
	}
	v.OpenAPI().AddOperation(op)
}

// describeOriginal describes the endpoints of the original, as its last releases had them.
func (v *v1) describeOriginal() {
	plain := map[int]reflect.Type{http.StatusOK: nil, http.StatusBadRequest: nil, http.StatusUnauthorized: nil, http.StatusForbidden: nil, http.StatusServiceUnavailable: nil}
	batched := map[int]reflect.Type{http.StatusOK: nil, partial: reflect.TypeFor[batchAnswer](), http.StatusBadRequest: reflect.TypeFor[batchAnswer]()}
	for _, each := range []struct {
		id, method, path, summary, text string
		request                         reflect.Type
		answers                         map[int]reflect.Type
	}{
		{"pod", http.MethodPost, "/pod", "A pod that is new or changed", "PUT does the same.", reflect.TypeFor[originalPod](), plain},
		{"pod-gone", http.MethodDelete, "/pod", "A pod that is gone", "The body is namespace/name, as plain text or as a JSON string.", reflect.TypeFor[string](), plain},
		{"pod-gone-by-path", http.MethodDelete, "/pod/{namespace}/{name}", "A pod that is gone", "", nil, plain},
		{
			"allpods", http.MethodPut, "/allpods", "All pods of the cluster", "What is not named is gone. POST does the same. Wrong pods are named in the answer, and the others kept: 207.",
			reflect.TypeFor[struct{ Pods []originalPod }](), batched,
		},
		{"image", http.MethodPost, "/image", "An image without a pod", "", reflect.TypeFor[originalImage](), plain},
		{
			"allimages", http.MethodPut, "/allimages", "Images without a pod", "They are added; none is removed. POST does the same.",
			reflect.TypeFor[struct{ Images []originalImage }](), batched,
		},
		{
			"scanresults", http.MethodGet, "/scanresults", "Everything that is scanned", "Pods and images with a verdict; what is not scanned is not in it.",
			nil,
			map[int]reflect.Type{http.StatusOK: reflect.TypeFor[scanResults]()},
		},
		{"model", http.MethodGet, "/model", "Everything that is known", "For people and for tools that compare.", nil, map[int]reflect.Type{http.StatusOK: reflect.TypeFor[modelDump]()}},
		{
			"command", http.MethodPost, "/command", "Reset the circuit breakers", "The key's presence counts, not its value.",
			reflect.TypeFor[struct{ ResetCircuitBreaker *bool }](), plain,
		},
		{
			"concurrentscanlimit", http.MethodPost, "/concurrentscanlimit", "Set the limit of the hub", "Where there is one hub.",
			reflect.TypeFor[struct{ Limit int }](), plain,
		},
	} {
		op := &huma.Operation{
			OperationID: "original-" + each.id, Method: each.method, Path: each.path, Summary: each.summary, Description: each.text,
			Tags: []string{"the original's"}, Security: []map[string][]string{{tokenScheme: {}}},
		}
		if each.path == "/pod/{namespace}/{name}" {
			op.Parameters = []*huma.Param{
				{Name: "namespace", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}},
				{Name: "name", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}},
			}
		}
		v.describe(op, each.request, each.answers)
	}
}
