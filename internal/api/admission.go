package api

import (
	"net/http"
	"strings"

	"github.com/perceptor/perceptor/internal/api/access"
)

// Challenge is the WWW-Authenticate header that HTTP demands with 401.
const Challenge = `Bearer realm="perceptor"`

// Admit returns what the sender of an Authorization header may do, or the refusal when none of the scopes is granted.
func (s *Server) Admit(header string, scopes []access.Scope) (access.Grant, *Refusal) {
	var grant access.Grant
	switch token := access.FromHeader(header); {
	case header == "" && s.options.Anonymous != nil:
		grant = *s.options.Anonymous
	case token == "":
		return grant, Refuse(http.StatusUnauthorized, "no token: send the header Authorization: Bearer TOKEN, or write http://any:TOKEN@HOST as the address")
	default:
		var known bool
		if grant, known = s.options.Tokens.Find(token); !known {
			return grant, Refuse(http.StatusUnauthorized, "the token is not known here")
		}
	}
	if !grant.May(scopes...) {
		return grant, Refuse(http.StatusForbidden, "a %s may not do this; it needs a token with the scope %s", grant.Scope, oneOf(scopes))
	}
	return grant, nil
}

func oneOf(scopes []access.Scope) string {
	names := make([]string, len(scopes))
	for i, each := range scopes {
		names[i] = string(each)
	}
	return strings.Join(names, " or ")
}
