package v1

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
)

// router is the library's view of a server, while endpoints are added to it.
type router struct {
	huma.API
	server *api.Server
}

// API adds the endpoints to a server, and the description of every endpoint of the server.
func API(s *api.Server) {
	config := huma.DefaultConfig("", "")
	config.OpenAPI = s.Description().OpenAPI
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "/openapi", "", ""
	config.CreateHooks = nil // no "$schema" in answers
	config.AllowAdditionalPropertiesByDefault = true
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{shortenProblem}
	r := &router{API: humago.New(s.Mux(), config), server: s}
	r.UseMiddleware(asBadRequest)
	addPods(r)
	addReports(r)
	addImages(r)
	addClusters(r)
	addHubs(r)
	removeUnprocessable(s.Description())
	addDocs(s)
}

// removeUnprocessable removes the status 422 from the description, because asBadRequest sends 400 instead.
func removeUnprocessable(d *api.Description) {
	for _, item := range d.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
			if op != nil {
				delete(op.Responses, strconv.Itoa(http.StatusUnprocessableEntity))
			}
		}
	}
}

// grantKey is where the context of a request holds the grant.
type grantKey struct{}

func grantOf(ctx context.Context) access.Grant {
	grant, _ := ctx.Value(grantKey{}).(access.Grant)
	return grant
}

// register adds an endpoint for holders of one of the scopes.
func register[In, Out any](r *router, op huma.Operation, scopes []access.Scope, do func(context.Context, *In) (*Out, error)) {
	op.Security = api.Security(scopes)
	op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable)
	op.MaxBodyBytes, op.BodyReadTimeout = api.SmallBody, api.BodyTime
	op.Middlewares = huma.Middlewares{r.admit(scopes)}
	huma.Register(r.API, op, func(ctx context.Context, in *In) (*Out, error) {
		ctx, cancel := context.WithTimeout(ctx, api.RequestTime)
		defer cancel()
		out, err := do(ctx, in)
		if err != nil {
			return nil, r.problem(op, err)
		}
		return out, nil
	})
}

// admit refuses requests without a token of one of the scopes.
func (r *router) admit(scopes []access.Scope) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		grant, refused := r.server.Admit(ctx.Context(), ctx.Header("Authorization"), scopes)
		if refused != nil {
			if refused.Status == http.StatusUnauthorized {
				ctx.SetHeader("WWW-Authenticate", api.Challenge)
			}
			_ = huma.WriteErr(r.API, ctx, refused.Status, refused.Text) // the client may have left
			return
		}
		next(huma.WithValue(ctx, grantKey{}, grant))
	}
}

// problem turns an error into application/problem+json.
func (r *router) problem(op huma.Operation, err error) error {
	if refused := api.AsRefusal(err); refused != nil {
		return huma.NewError(refused.Status, refused.Text)
	}
	status, text := api.Explain(err)
	r.server.LogFailure(op.Method, op.Path, status, err)
	answer := huma.NewError(status, text)
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		return huma.ErrorWithHeaders(answer, http.Header{"Retry-After": {api.RetryAfter}})
	}
	return answer
}

// library is the library's context under a name that does not hide its method Context.
type library = huma.Context

// badRequestContext answers 400 where the library means 422. Both say that the request is wrong.
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

// valueShown is how many bytes of a wrong value a problem repeats.
const valueShown = 100

// shortenProblem changes a problem before it is sent: 422 becomes 400, and long values from the request are cut.
func shortenProblem(_ huma.Context, _ string, value any) (any, error) {
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

// limitOf is the one cluster that the sender is limited to, empty for none.
func limitOf(ctx context.Context) string {
	if grant := grantOf(ctx); grant.Cluster != access.EveryCluster {
		return grant.Cluster
	}
	return ""
}

// requireAll refuses a sender that is limited to one cluster, for what all clusters share.
func requireAll(ctx context.Context) error {
	if refused := api.RequireAll(grantOf(ctx)); refused != nil {
		return refused
	}
	return nil
}

// clusterFor is the cluster that a request means: the one it names, if the sender may see it; otherwise the cluster of the
// token, or all clusters (empty) for a token without a restriction.
func clusterFor(ctx context.Context, named string) (string, error) {
	grant := grantOf(ctx)
	switch {
	case named == "" && grant.Cluster == access.EveryCluster:
		return "", nil
	case named == "":
		return grant.Cluster, nil
	case !grant.Sees(named):
		return "", api.Refuse(http.StatusForbidden, "the token is for cluster %s only", grant.Cluster)
	}
	return named, nil
}
