package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/perceptor/perceptor/internal/api/access"
)

// Challenge is the WWW-Authenticate header that HTTP demands with 401.
const Challenge = `Bearer realm="perceptor"`

// Admit returns what the sender of an Authorization header may do, or the refusal when none of the scopes is granted.
// The context is that of the request.
func (s *Server) Admit(ctx context.Context, header string, scopes []access.Scope) (access.Grant, *Refusal) {
	var grant access.Grant
	switch token := access.FromHeader(header); {
	case header == "" && s.options.Anonymous != nil:
		grant = *s.options.Anonymous
	case s.options.Tokens == nil:
		return grant, Refuse(http.StatusUnauthorized, "this address takes no token, because it has no TLS; send none, and change the token that you have sent")
	case token == "":
		return grant, Refuse(http.StatusUnauthorized, "no token: send the header Authorization: Bearer TOKEN, or write http://any:TOKEN@HOST as the address")
	default:
		var known bool
		if grant, known = s.options.Tokens.Find(token); !known {
			return grant, Refuse(http.StatusUnauthorized, "the token is not known here")
		}
	}
	noteSender(ctx, grant)
	if !grant.May(scopes...) {
		return grant, Refuse(http.StatusForbidden, "a %s may not do this; it needs a token with the scope %s", grant.Scope, oneOf(scopes))
	}
	return grant, nil
}

// RequireAll refuses a token of one cluster for what all clusters share, such as hubs.
func RequireAll(g access.Grant) *Refusal {
	if g.Cluster == access.EveryCluster {
		return nil
	}
	return Refuse(http.StatusForbidden, "hubs serve all clusters, and the token is for cluster %s only; it needs a token with cluster: \"*\"", g.Cluster)
}

func oneOf(scopes []access.Scope) string {
	names := make([]string, len(scopes))
	for i, each := range scopes {
		names[i] = string(each)
	}
	return strings.Join(names, " or ")
}
