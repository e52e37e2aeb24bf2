package api

import (
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/internal/api/access"
)

// introduction heads the OpenAPI description.
const introduction = "What the command perceptor does, for programs. Tokens have a scope (perceiver, reader, operator) and a cluster. " +
	"Errors are problem+json; bad input is 400 and says what is wrong. A page holds at most 1,000 items; next is the cursor of the page after it. " +
	"An answer with a 2xx status means that the change is stored."

// TokenScheme is the name of the bearer tokens in the description.
const TokenScheme = "token"

// ProblemType is the type of an answer that is application/problem+json.
var ProblemType = reflect.TypeFor[huma.ErrorModel]()

// Description is the OpenAPI description of every endpoint. Package v1 serves it.
type Description struct{ *huma.OpenAPI }

func newDescription(version string) *Description {
	d := &Description{huma.DefaultConfig("Perceptor", version).OpenAPI}
	d.Info.Description = introduction
	d.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		TokenScheme: {Type: "http", Scheme: "bearer", Description: "A token from the API's file of tokens."},
	}
	return d
}

// Describe adds an endpoint that the library does not serve. Its schemas come from the types that are really read and
// written. A nil type is plain text.
func (d *Description) Describe(op *huma.Operation, request reflect.Type, answers map[int]reflect.Type) {
	schemas := d.Components.Schemas
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
		case ProblemType:
			response.Content = map[string]*huma.MediaType{"application/problem+json": {Schema: schemas.Schema(answer, true, "problem")}}
		default:
			response.Content = map[string]*huma.MediaType{"application/json": {Schema: schemas.Schema(answer, true, op.OperationID+"-answer")}}
		}
		op.Responses[strconv.Itoa(status)] = response
	}
	d.AddOperation(op)
}

// Security describes that an endpoint needs a token of one of the scopes.
func Security(scopes []access.Scope) []map[string][]string {
	names := make([]string, len(scopes))
	for i, each := range scopes {
		names[i] = string(each)
	}
	return []map[string][]string{{TokenScheme: names}}
}
