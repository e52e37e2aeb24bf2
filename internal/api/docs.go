package api

import (
	"bytes"
	"cmp"
	_ "embed" // the page's frame
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// docsFrame is the page of the description. It loads nothing from anywhere: clusters have no way out.
//
//go:embed docs.html
var docsFrame string

// docsPolicy keeps the page to its own style.
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

// addDocs serves the description for people, made once, when everything is registered.
func (v *v1) addDocs() {
	page, err := v.docsPage()
	if err != nil {
		// The page is made of this program's own parts alone, so that a test finds this.
		panic(err)
	}
	v.mux.HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", docsPolicy)
		_, _ = w.Write(page) // the client may have gone
	})
	v.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/docs", http.StatusFound) })
}

func (v *v1) docsPage() ([]byte, error) {
	groups := map[string][]docsOperation{}
	for path, item := range v.OpenAPI().Paths {
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
	schemas, err := v.docsSchemas()
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	err = docsTemplate.Execute(&page, map[string]any{"Info": v.OpenAPI().Info, "Tags": tags, "Schemas": schemas})
	if err != nil {
		return nil, fmt.Errorf("make the page of the API: %w", err)
	}
	return page.Bytes(), nil
}

func docsOf(method, path string, op *huma.Operation) docsOperation {
	shown := docsOperation{Method: method, Path: path, Operation: op}
	for _, each := range op.Security {
		shown.Scopes = append(shown.Scopes, each[tokenScheme]...)
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

// schemaName is the name of the schema of a body, empty where it has none of its own.
func schemaName(content map[string]*huma.MediaType) string {
	for _, media := range content {
		if media.Schema != nil && len(media.Schema.Ref) > len(schemaPrefix) {
			return media.Schema.Ref[len(schemaPrefix):]
		}
	}
	return ""
}

const schemaPrefix = "#/components/schemas/"

// docsSchemas are the schemas as JSON, by name.
func (v *v1) docsSchemas() (map[string]string, error) {
	shown := map[string]string{}
	for name, schema := range v.OpenAPI().Components.Schemas.Map() {
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
