package v1

import (
	"bytes"
	"cmp"
	_ "embed" // for the frame of the page
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/internal/api"
)

// docsFrame is the page of the description. It loads nothing from other hosts, because clusters may have no way out.
//
//go:embed docs.html
var docsFrame string

// docsPolicy forbids everything on the page but its own style.
const docsPolicy = "default-src 'none'; style-src 'unsafe-inline'"

var docsTemplate = template.Must(template.New("docs").Parse(docsFrame))

// docsOperation is one operation on the page.
type docsOperation struct {
	Method, Path string
	*huma.Operation
	Scopes  []string
	Request string
	Answers []docsAnswer
}

type docsAnswer struct {
	Status, Description, Schema string
}

// docsTag is a group of operations.
type docsTag struct {
	Name       string
	Operations []docsOperation
}

// addDocs serves the description for people. The page is made at the first request, when every API has been added.
func addDocs(s *api.Server) {
	page := sync.OnceValues(func() ([]byte, error) { return docsPage(s.Description()) })
	s.Mux().HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) {
		text, err := page()
		if err != nil {
			s.Log().Error("description of the API could not be made", "error", err)
			http.Error(w, "the description could not be made; the log says why", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", docsPolicy)
		_, _ = w.Write(text) // the client may have left
	})
	s.Mux().HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/docs", http.StatusFound) })
}

func docsPage(d *api.Description) ([]byte, error) {
	groups := map[string][]docsOperation{}
	for path, item := range d.Paths {
		for method, op := range map[string]*huma.Operation{
			http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodDelete: item.Delete,
		} {
			if op != nil {
				groups[op.Tags[0]] = append(groups[op.Tags[0]], docsOf(method, path, op))
			}
		}
	}
	var tags []docsTag
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		slices.SortFunc(groups[name], func(a, b docsOperation) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
		})
		tags = append(tags, docsTag{name, groups[name]})
	}
	schemas, err := docsSchemas(d)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	err = docsTemplate.Execute(&page, map[string]any{"Info": d.Info, "Tags": tags, "Schemas": schemas})
	if err != nil {
		return nil, fmt.Errorf("make the page of the API: %w", err)
	}
	return page.Bytes(), nil
}

func docsOf(method, path string, op *huma.Operation) docsOperation {
	shown := docsOperation{Method: method, Path: path, Operation: op}
	for _, each := range op.Security {
		shown.Scopes = append(shown.Scopes, each[api.TokenScheme]...)
	}
	if op.RequestBody != nil {
		shown.Request = schemaName(op.RequestBody.Content)
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		answer := op.Responses[status]
		shown.Answers = append(shown.Answers, docsAnswer{status, answer.Description, schemaName(answer.Content)})
	}
	return shown
}

// schemaName is the name of the schema of a body, empty where the schema has no name.
func schemaName(content map[string]*huma.MediaType) string {
	for _, media := range content {
		if media.Schema != nil && len(media.Schema.Ref) > len(schemaPrefix) {
			return media.Schema.Ref[len(schemaPrefix):]
		}
	}
	return ""
}

const schemaPrefix = "#/components/schemas/"

// docsSchemas returns the schemas as JSON, by name.
func docsSchemas(d *api.Description) (map[string]string, error) {
	shown := map[string]string{}
	for name, schema := range d.Components.Schemas.Map() {
		text, err := json.Marshal(schema)
		if err != nil {
			return nil, fmt.Errorf("encode schema %s: %w", name, err)
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, text, "", "  "); err != nil {
			return nil, fmt.Errorf("encode schema %s: %w", name, err)
		}
		shown[name] = indented.String()
	}
	return shown, nil
}
