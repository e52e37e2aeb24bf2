package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// call is one request on its way through an endpoint.
type call struct {
	*http.Request
	writer http.ResponseWriter
	// base is the hub's root as the caller wrote it; every link in an answer starts with it.
	base string
	// largestPage bounds the limit of a list.
	largestPage int
}

func (c *call) header() http.Header { return c.writer.Header() }

// reply is what an endpoint answers: a body, or only a status and perhaps a location.
type reply struct {
	status   int
	location string
	body     any
	// rel names the location in a Link header, which today's clients read; empty for none.
	rel string
	// done says that the endpoint has written the answer itself.
	done bool
}

// endpoint answers one kind of call.
type endpoint func(*call) (reply, error)

// Error is an answer that says what is wrong and what to do.
type Error struct {
	// Status is that of HTTP; Code names the reason for programs.
	Status  int
	Code    string
	Message string
	// RetryAfter is the header of that name; empty for none.
	RetryAfter string
}

func (e *Error) Error() string { return e.Message }

func refuse(status int, code, format string, arguments ...any) error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, arguments...)}
}

// statusOf is what each kind of refusal is in HTTP.
var statusOf = map[jobs.Kind]int{
	jobs.Invalid: http.StatusBadRequest, jobs.Conflict: http.StatusConflict, jobs.Exists: http.StatusPreconditionFailed,
	jobs.Busy: http.StatusTooManyRequests, jobs.Stopping: http.StatusServiceUnavailable,
}

// answerTo is the answer to an error that is the caller's doing; nil for any other error.
func answerTo(err error) *Error {
	if known, is := errors.AsType[*Error](err); is {
		return known
	}
	if refusal, is := errors.AsType[*jobs.Refusal](err); is {
		return &Error{Status: statusOf[refusal.Kind], Code: refusal.Code, Message: refusal.Message, RetryAfter: refusal.RetryAfter}
	}
	if missing, is := errors.AsType[*store.NotFoundError](err); is {
		return &Error{Status: http.StatusNotFound, Code: "not_found", Message: missing.Error()}
	}
	return nil
}

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

type meta struct {
	Allow []string `json:"allow"`
	Href  string   `json:"href"`
	Links []link   `json:"links"`
}

// metaOf describes an object at a path; links are pairs of a relation and a path.
func (c *call) metaOf(path string, allow []string, relations ...string) meta {
	m := meta{Allow: allow, Href: c.base + path, Links: []link{}}
	for i := 0; i+1 < len(relations); i += 2 {
		m.Links = append(m.Links, link{Rel: relations[i], Href: c.base + relations[i+1]})
	}
	return m
}

var (
	allowGet  = []string{http.MethodGet}
	allowEdit = []string{http.MethodDelete, http.MethodGet, http.MethodPut}
	allowDrop = []string{http.MethodDelete, http.MethodGet}
)

func baseOf(r *http.Request) string {
	if r.TLS == nil {
		return "http://" + r.Host
	}
	return "https://" + r.Host
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, mediaType string, answer reply) {
	if answer.done {
		return
	}
	if answer.location != "" {
		w.Header().Set("Location", baseOf(r)+answer.location)
		if answer.rel != "" {
			w.Header().Set("Link", "<"+baseOf(r)+answer.location+`>; rel="`+answer.rel+`"`)
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	if answer.body == nil {
		w.WriteHeader(answer.status)
		return
	}
	body, err := json.Marshal(answer.body)
	if err != nil {
		s.writeError(w, r, fmt.Errorf("encode answer: %w", err))
		return
	}
	w.Header().Set("Content-Type", mediaType+";charset=UTF-8")
	w.WriteHeader(answer.status)
	if _, err := w.Write(body); err != nil {
		s.log.Debug("answer not delivered", "path", r.URL.Path, "error", err)
	}
}

type errorBody struct {
	ErrorMessage string            `json:"errorMessage"`
	ErrorCode    string            `json:"errorCode"`
	Arguments    map[string]string `json:"arguments"`
	Errors       []errorBody       `json:"errors"`
}

// writeError answers in the hub's error form. What is not the caller's doing is logged and not shown.
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	known := answerTo(err)
	if errors.Is(err, jobs.ErrGone) {
		s.log.Info("upload ended early", "error", err)
		known = &Error{Status: http.StatusBadRequest, Code: "incomplete", Message: "the upload ended early"}
	} else if known == nil {
		s.log.Error("request could not be answered", "method", r.Method, "path", r.URL.Path, "error", err)
		known = &Error{Status: http.StatusInternalServerError, Code: "internal", Message: "the hub could not answer; its log says why"}
	}
	body := errorBody{
		ErrorMessage: known.Message, ErrorCode: "{perceptor.builtin." + known.Code + "}",
		Arguments: map[string]string{}, Errors: []errorBody{},
	}
	raw, err := json.Marshal(body)
	if err != nil {
		s.log.Error("error not encoded", "error", err)
	}
	if known.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if known.RetryAfter != "" {
		w.Header().Set("Retry-After", known.RetryAfter)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(known.Status)
	if _, err := w.Write(raw); err != nil {
		s.log.Debug("answer not delivered", "path", r.URL.Path, "error", err)
	}
}

const vendorPrefix = "application/vnd.blackducksoftware."

// negotiate picks the answer's media type. A caller may ask for any number of the resource's own family and gets it
// named back; a type of another family is refused, as the hub this one speaks like refuses it.
func negotiate(accept, own string) (string, error) {
	if accept == "" || own == "" {
		return orJSON(own), nil
	}
	for part := range strings.SplitSeq(accept, ",") {
		mediaType, _, err := mime.ParseMediaType(part)
		switch {
		case err != nil:
		case mediaType == "*/*" || mediaType == "application/*":
			return orJSON(own), nil
		case mediaType == "application/json":
			return mediaType, nil
		case familyOf(mediaType) != "" && familyOf(mediaType) == familyOf(own):
			return mediaType, nil
		}
	}
	return "", refuse(http.StatusNotAcceptable, "not_acceptable", "this resource cannot be answered as %.120q: ask for %s or application/json", accept, orJSON(own))
}

func orJSON(own string) string {
	if own == "" {
		return "application/json"
	}
	return own
}

// familyOf is a vendor type without its number, such as "scan" of scan-4; empty for anything else.
func familyOf(mediaType string) string {
	name, vendor := strings.CutPrefix(mediaType, vendorPrefix)
	name, json := strings.CutSuffix(name, "+json")
	dash := strings.LastIndexByte(name, '-')
	if !vendor || !json || dash <= 0 || name[:dash] == "internal" {
		return ""
	}
	return name[:dash]
}

// maxBody bounds JSON bodies; the largest is a project with its version.
const maxBody = 1 << 20

// decode reads a JSON body.
func (c *call) decode(into any) error {
	mediaType, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" && familyOf(mediaType) == "" {
		return refuse(http.StatusUnsupportedMediaType, "media_type", "the body must be JSON: set Content-Type to application/json")
	}
	if err := json.NewDecoder(http.MaxBytesReader(c.writer, c.Body, maxBody)).Decode(into); err != nil {
		return refuse(http.StatusBadRequest, "body", "the body is not the JSON that was expected: %v", err)
	}
	return nil
}

// stampForm is how the hub writes times: UTC, three digits of milliseconds.
const stampForm = "2006-01-02T15:04:05.000Z"

// stamp is a time as the REST API writes it; the zero time is null.
type stamp time.Time

// UnmarshalJSON reads it.
func (s *stamp) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, (*time.Time)(s)) }

// MarshalJSON writes the hub's form.
func (s stamp) MarshalJSON() ([]byte, error) {
	if time.Time(s).IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(time.Time(s).UTC().Format(stampForm))
}

// parseStamp reads a time of a query: the hub's own form, RFC 3339 or a date alone.
func parseStamp(text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999Z0700", time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil && at.Year() >= 1970 {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is not a time: write it as %s", text, stampForm)
}
