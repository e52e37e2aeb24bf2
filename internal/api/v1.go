package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/perceptor/perceptor/internal/api/access"
)

// description heads the OpenAPI document.
const description = "What the command perceptor does, for programs. Tokens have a scope (perceiver, reader, operator) and a cluster. " +
	"Errors are problem+json; bad input is 400 and says what is wrong. A page holds at most 1,000 items; next is the cursor of the page after it. " +
	"What is answered with 2xx is durable."

// tokenScheme is what the description calls the bearer tokens.
const tokenScheme = "token"

// v1 is the API under /api/v1 while it is put together.
type v1 struct {
	*Server
	huma.API
	mux *http.ServeMux
}

// addV1 adds /api/v1 and its description.
func (s *Server) addV1(mux *http.ServeMux) {
	config := huma.DefaultConfig("Perceptor", s.options.Version)
	config.Info.Description = description
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "/openapi", "", ""
	config.CreateHooks = nil // no "$schema" in answers
	config.AllowAdditionalPropertiesByDefault = true
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{mildProblem}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		tokenScheme: {Type: "http", Scheme: "bearer", Description: "A token from the API's file of tokens."},
	}
	v := &v1{Server: s, API: humago.New(mux, config), mux: mux}
	v.UseMiddleware(asBadRequest)
	v.addPods()
	v.addImages()
	v.addClusters()
	v.addHubs()
	v.addReports()
	v.describeOriginal()
	v.forgetUnprocessable()
	v.addDocs()
}

// forgetUnprocessable takes the status out of the description that asBadRequest keeps from being sent.
func (v *v1) forgetUnprocessable() {
	for _, item := range v.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
			if op != nil {
				delete(op.Responses, strconv.Itoa(http.StatusUnprocessableEntity))
			}
		}
	}
}

// grantKey is where a request's context holds the grant.
type grantKey struct{}

func grantOf(ctx context.Context) access.Grant {
	grant, _ := ctx.Value(grantKey{}).(access.Grant)
	return grant
}

// register adds an operation for holders of one of the scopes.
func register[In, Out any](v *v1, op huma.Operation, scopes []access.Scope, do func(context.Context, *In) (*Out, error)) {
	op.Security = secure(scopes)
	op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable)
	op.MaxBodyBytes, op.BodyReadTimeout = smallBody, bodyTime
	op.Middlewares = huma.Middlewares{v.guard(scopes)}
	huma.Register(v.API, op, func(ctx context.Context, in *In) (*Out, error) {
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		out, err := do(ctx, in)
		if err != nil {
			return nil, v.problem(op, err)
		}
		return out, nil
	})
}

func secure(scopes []access.Scope) []map[string][]string {
	names := make([]string, len(scopes))
	for i, each := range scopes {
		names[i] = string(each)
	}
	return []map[string][]string{{tokenScheme: names}}
}

// guard lets nobody in without a token of one of the scopes.
func (v *v1) guard(scopes []access.Scope) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		grant, refused := v.admit(ctx.Header("Authorization"), scopes)
		if refused != nil {
			if refused.status == http.StatusUnauthorized {
				ctx.SetHeader("WWW-Authenticate", challenge)
			}
			_ = huma.WriteErr(v.API, ctx, refused.status, refused.text) // the client may have gone
			return
		}
		next(huma.WithValue(ctx, grantKey{}, grant))
	}
}

// problem turns an error into problem+json.
func (v *v1) problem(op huma.Operation, err error) error {
	if refused := asRefusal(err); refused != nil {
		return huma.NewError(refused.status, refused.text)
	}
	status, text := answerTo(err)
	v.options.Log.Warn("request failed", "method", op.Method, "pattern", op.Path, "status", status, "error", err)
	answer := huma.NewError(status, text)
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		return huma.ErrorWithHeaders(answer, http.Header{"Retry-After": {retryAfter}})
	}
	return answer
}

// library is its context under a name that does not hide its method Context.
type library = huma.Context

// badRequestContext answers 400 where the library means 422: both say that the request is wrong.
type badRequestContext struct{ library }

// SetStatus sets the status of the answer.
func (c badRequestContext) SetStatus(status int) {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	c.library.SetStatus(status)
}

// Unwrap is for the library.
func (c badRequestContext) Unwrap() huma.Context { return c.library }

func asBadRequest(ctx huma.Context, next func(huma.Context)) { next(badRequestContext{ctx}) }

// valueShown is how much of a wrong value a problem repeats.
const valueShown = 100

// mildProblem says 400 where the library says 422, and repeats no more than a little of what was sent.
func mildProblem(_ huma.Context, _ string, value any) (any, error) {
	problem, is := value.(*huma.ErrorModel)
	if !is {
		return value, nil
	}
	if problem.Status == http.StatusUnprocessableEntity {
		problem.Status, problem.Title = http.StatusBadRequest, http.StatusText(http.StatusBadRequest)
	}
	problem.Errors = slices.DeleteFunc(problem.Errors, func(e *huma.ErrorDetail) bool { return e == nil })
	for _, each := range problem.Errors {
		switch text, is := each.Value.(string); {
		case !is:
			each.Value = nil
		case len(text) > valueShown:
			each.Value = text[:valueShown] + "..."
		}
	}
	return value, nil
}

// clusterFor is the cluster a request means: the one it names if the caller may see it; all for those who see all.
func clusterFor(ctx context.Context, named string) (string, error) {
	grant := grantOf(ctx)
	switch {
	case named == "" && grant.Cluster == access.EveryCluster:
		return "", nil
	case named == "":
		return grant.Cluster, nil
	case !grant.Sees(named):
		return "", refuse(http.StatusForbidden, "the token is for cluster %s alone", grant.Cluster)
	}
	return named, nil
}
