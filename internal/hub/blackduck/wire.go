package blackduck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"
)

// The media types of the resources, as the hub's own clients ask for them.
const (
	mediaJSON            = "application/json"
	mediaUser            = "application/vnd.blackducksoftware.user-4+json"
	mediaStatus          = "application/vnd.blackducksoftware.status-4+json"
	mediaScan            = "application/vnd.blackducksoftware.scan-4+json"
	mediaScanSummary     = "application/vnd.blackducksoftware.scan-6+json"
	mediaBillOfMaterials = "application/vnd.blackducksoftware.bill-of-materials-6+json"
	mediaNotification    = "application/vnd.blackducksoftware.notification-4+json"
	mediaReadiness       = "application/vnd.blackducksoftware.scan-readiness-1+json"
	mediaProject         = "application/vnd.blackducksoftware.project-detail-5+json"
)

// checked is a type of reply that knows which of its fields must be there.
type checked[T any] interface {
	*T
	check() error
}

// decodeReply is the content of a reply: JSON of the right type, with the fields that must be there.
func decodeReply[T any, P checked[T]](answer reply) (T, error) {
	var value T
	if err := notJSON(answer); err != nil {
		return value, err
	}
	return decode[T, P](answer.body)
}

// decode parses a body. A text that is no JSON is transient trouble, JSON of another shape is not: see the table.
func decode[T any, P checked[T]](body []byte) (T, error) {
	var value T
	if err := json.Unmarshal(body, &value); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			if syntax.Error() == endOfJSON {
				return value, trouble(symptomCutOff, err)
			}
			return value, trouble(symptomNotJSON, err)
		}
		return value, trouble(symptomShape, shapeOnly(err))
	}
	if err := P(&value).check(); err != nil {
		return value, trouble(symptomShape, err)
	}
	return value, nil
}

// endOfJSON is how encoding/json names a text that stops too soon; the offset alone does not tell it from a wrong end.
const endOfJSON = "unexpected end of JSON input"

// shapeOnly tells where the types differ without repeating the foreign value.
func shapeOnly(err error) error {
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("field %q: want %v, got %.20s", mismatch.Field, mismatch.Type.Kind(), mismatch.Value)
	}
	return err
}

// notJSON is the trouble of a success that is empty, a page for a browser, or of another type.
func notJSON(answer reply) error {
	if len(bytes.TrimSpace(answer.body)) == 0 {
		return trouble(symptomEmpty, nil)
	}
	if isHTML(answer) {
		return trouble(symptomHTML, nil)
	}
	if kind := mediaType(answer); kind != "" && kind != mediaJSON && !strings.HasSuffix(kind, "+json") {
		return trouble(symptomNotJSON, fmt.Errorf("its type is %.60q", kind))
	}
	return nil
}

// isHTML goes by the type and by the first character: proxies send pages under any type.
func isHTML(answer reply) bool {
	return mediaType(answer) == "text/html" || bytes.HasPrefix(bytes.TrimSpace(answer.body), []byte("<"))
}

// mediaType is the content type without its parameters; empty when there is none or it cannot be read.
func mediaType(answer reply) string {
	kind, _, err := mime.ParseMediaType(answer.header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// isLoginPage knows the marks of a login form and of a form that forwards to an identity provider.
func isLoginPage(body []byte) bool {
	text := bytes.ToLower(body)
	for _, mark := range []string{"j_spring_security_check", "samlrequest", "type=\"password\"", "type='password'"} {
		if bytes.Contains(text, []byte(mark)) {
			return true
		}
	}
	return false
}

// hubError is the form of the hub's errors; only what is used of it.
type hubError struct {
	Message string `json:"errorMessage"`
	Code    string `json:"errorCode"`
}

// errorMessage is the hub's explanation in an error's body; empty when there is none in the known shape.
func errorMessage(body []byte) string {
	var content hubError
	if json.Unmarshal(body, &content) != nil {
		return ""
	}
	return content.Message
}

// isHubError reports whether an error's body is in the hub's form.
func isHubError(body []byte) bool {
	var content hubError
	return json.Unmarshal(body, &content) == nil && (content.Message != "" || content.Code != "")
}

// instant is a time as hubs write it: ISO 8601 with or without milliseconds; absent, null and "" are the zero time.
type instant struct{ time.Time }

// hubOffset is the pattern of older hubs, whose offset has no colon or no minutes.
var instantForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999Z07"}

// UnmarshalJSON reads any of the forms.
func (i *instant) UnmarshalJSON(data []byte) error {
	var text *string
	if err := json.Unmarshal(data, &text); err != nil {
		return errors.New("a time is not text")
	}
	if text == nil || *text == "" {
		i.Time = time.Time{}
		return nil
	}
	for _, form := range instantForms {
		if at, err := time.Parse(form, *text); err == nil {
			i.Time = at.UTC()
			return nil
		}
	}
	return fmt.Errorf("%.40q is not a time", *text)
}

// instantLayout is how times go into a query.
const instantLayout = "2006-01-02T15:04:05.000Z"

// meta is the part every object carries.
type meta struct {
	Href  string `json:"href"`
	Links []struct {
		Rel  string `json:"rel"`
		Href string `json:"href"`
	} `json:"links"`
}

// link is the address of a relation; empty when the object does not have it.
func (m meta) link(rel string) string {
	for _, l := range m.Links {
		if l.Rel == rel {
			return l.Href
		}
	}
	return ""
}

// loginGrant is the answer to a login by token.
type loginGrant struct {
	BearerToken           string `json:"bearerToken"`
	ExpiresInMilliseconds int64  `json:"expiresInMilliseconds"`
}

func (g *loginGrant) check() error {
	if g.BearerToken == "" {
		return errors.New("no bearerToken")
	}
	return nil
}

// life is how long the login lasts; hubs that do not say get the usual time.
func (g *loginGrant) life() time.Duration {
	if g.ExpiresInMilliseconds <= 0 {
		return usualLife
	}
	return min(time.Duration(min(g.ExpiresInMilliseconds, int64(24*time.Hour/time.Millisecond)))*time.Millisecond, 24*time.Hour)
}

// serverIDLength bounds the ID of a server: a UUID has 36 characters.
const serverIDLength = 100

// hubVersion is the answer to current-version.
type hubVersion struct {
	Version string `json:"version"`
	// ServerID and DataSequence are what the built-in hub adds; Black Duck has neither.
	ServerID     string `json:"serverId"`
	DataSequence uint64 `json:"dataSequence"`
}

func (v *hubVersion) check() error {
	if v.Version == "" {
		return errors.New("no version")
	}
	if len(v.ServerID) > serverIDLength {
		return fmt.Errorf("a server ID of %d characters", len(v.ServerID))
	}
	return nil
}
