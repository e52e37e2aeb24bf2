package builtin

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// call is one request on its way through an endpoint.
type call struct {
	*http.Request
	writer http.ResponseWriter
	// base is the hub's root as the caller wrote it; every link in an answer starts with it.
	base string
	// old is set when the hub speaks the old form of the API.
	old bool
}

func (c *call) header() http.Header { return c.writer.Header() }

// reply is what an endpoint answers: a body, or only a status and perhaps a location.
type reply struct {
	status   int
	location string
	body     any
}

// endpoint answers one kind of call.
type endpoint func(*call) (reply, error)

// restError is an answer that says what is wrong and what to do.
type restError struct {
	status  int
	code    string
	message string
	// retryAfter is the header of that name; empty for none.
	retryAfter string
}

func (e *restError) Error() string { return e.message }

func refuse(status int, code, format string, arguments ...any) error {
	return &restError{status: status, code: code, message: fmt.Sprintf(format, arguments...)}
}

func notFound(what, id string) error {
	return refuse(http.StatusNotFound, "not_found", "there is no %s %.80q", what, id)
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

// wrap turns an endpoint into a handler: login, media types, errors and counting are the same for all.
func (h *Hub) wrap(route route) http.Handler {
	class := classOf(route.pattern)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.requests.Add(1)
		h.traffic.note(class, h.options.Clock.Now())
		answered, err := h.faulted(w, r, class)
		if err != nil && class == classUpload {
			err = errors.Join(err, h.countRefused(err))
		}
		if answered && err == nil {
			return
		}
		answer, mediaType := reply{}, ""
		if err == nil {
			answer, mediaType, err = h.answer(w, r, route)
		}
		if err != nil {
			h.writeError(w, r, err)
			return
		}
		h.write(w, r, mediaType, answer)
	})
}

// answer serves a route in the generation of the API that the hub speaks now.
func (h *Hub) answer(w http.ResponseWriter, r *http.Request, route route) (answer reply, mediaType string, err error) {
	old := h.old()
	if old && route.since() {
		return reply{}, "", refuse(http.StatusNotFound, "not_found", "there is nothing at %.200q", r.URL.Path)
	}
	if old {
		route.media = ""
	}
	if mediaType, err = negotiate(r.Header.Get("Accept"), route.media); err != nil {
		return reply{}, "", err
	}
	if err := h.authorize(r, route.access); err != nil {
		return reply{}, "", err
	}
	answer, err = route.serve(&call{Request: r, writer: w, base: baseOf(r), old: old})
	return answer, mediaType, err
}

func baseOf(r *http.Request) string {
	if r.TLS == nil {
		return "http://" + r.Host
	}
	return "https://" + r.Host
}

func (h *Hub) write(w http.ResponseWriter, r *http.Request, mediaType string, answer reply) {
	if answer.location != "" {
		w.Header().Set("Location", baseOf(r)+answer.location)
	}
	w.Header().Set("Cache-Control", "no-store")
	if answer.body == nil {
		w.WriteHeader(answer.status)
		return
	}
	body, err := json.Marshal(answer.body)
	if err != nil {
		h.writeError(w, r, fmt.Errorf("encode answer: %w", err))
		return
	}
	w.Header().Set("Content-Type", mediaType+";charset=UTF-8")
	w.WriteHeader(answer.status)
	if _, err := w.Write(body); err != nil {
		h.log.Debug("answer not delivered", "path", r.URL.Path, "error", err)
	}
}

type errorBody struct {
	ErrorMessage string            `json:"errorMessage"`
	ErrorCode    string            `json:"errorCode"`
	Arguments    map[string]string `json:"arguments"`
	Errors       []errorBody       `json:"errors"`
}

// writeError answers in the hub's error form. What is not the caller's doing is logged and not shown.
func (h *Hub) writeError(w http.ResponseWriter, r *http.Request, err error) {
	var known *restError
	if errors.Is(err, errGone) {
		h.log.Info("upload ended early", "error", err)
		known = &restError{status: http.StatusBadRequest, code: "incomplete", message: "the upload ended early"}
	} else if !errors.As(err, &known) {
		h.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		known = &restError{status: http.StatusInternalServerError, code: "internal", message: "the hub could not answer; its log says why"}
	}
	body := errorBody{
		ErrorMessage: known.message, ErrorCode: "{perceptor.builtin." + known.code + "}",
		Arguments: map[string]string{}, Errors: []errorBody{},
	}
	raw, err := json.Marshal(body)
	if err != nil {
		h.log.Error("error not encoded", "error", err)
	}
	if known.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if known.retryAfter != "" {
		w.Header().Set("Retry-After", known.retryAfter)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(known.status)
	if _, err := w.Write(raw); err != nil {
		h.log.Debug("answer not delivered", "path", r.URL.Path, "error", err)
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

// pathOf takes the path out of a URL that names one of the hub's objects.
func pathOf(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return parsed.Path
}
