package archtest

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
	"unicode"
)

// Histories is where the recorded histories are: a file ScanImage's history is scan_image.json or scan_image_WHAT.json.
const Histories = "workflows/testdata/replay"

// Registered gives the workflows registered with a worker by the files under workers, and what of these registrations
// cannot be read. It needs the plain form
// RegisterWorkflowWithOptions(story.Name, workflow.RegisterOptions{Name: workflows.TypeName}).
func Registered(t *Tree) (names, wrong []string) {
	for _, file := range t.code {
		if file.test || !within(file.path, "workers") {
			continue
		}
		ast.Inspect(file.syntax, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !strings.HasPrefix(method.Sel.Name, "RegisterWorkflow") {
				return true
			}
			name, ok := workflowName(call.Args)
			if !ok {
				wrong = append(wrong, fmt.Sprintf("%s: write the registration as RegisterWorkflowWithOptions(story.Name, workflow.RegisterOptions{Name: workflows.TypeName}), "+
					"so that its history can be looked for", t.fset.Position(call.Pos())))
				return true
			}
			names = append(names, name)
			return true
		})
	}
	slices.Sort(names)
	return slices.Compact(names), wrong
}

// workflowName is the type in the options of a registration, where that is one of the constants of package workflows.
func workflowName(arguments []ast.Expr) (string, bool) {
	if len(arguments) != 2 {
		return "", false
	}
	options, ok := arguments[1].(*ast.CompositeLit)
	if !ok {
		return "", false
	}
	for _, element := range options.Elts {
		field, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		key, isKey := field.Key.(*ast.Ident)
		value, isSelector := field.Value.(*ast.SelectorExpr)
		if !isKey || !isSelector || key.Name != "Name" {
			continue
		}
		from, isIdent := value.X.(*ast.Ident)
		name, isType := strings.CutPrefix(value.Sel.Name, "Type")
		return name, isIdent && isType && from.Name == "workflows"
	}
	return "", false
}

// CheckHistories wants a recorded history of every registered workflow, and of nothing else.
func CheckHistories(t *Tree) []string {
	names, wrong := Registered(t)
	if len(names) == 0 && t.has("workers") {
		wrong = append(wrong, "workers: no workflow is registered there")
	}
	recorded := map[string]bool{}
	for _, file := range t.files {
		if path.Dir(file) != Histories || path.Ext(file) != ".json" {
			continue
		}
		name, err := t.recordedWorkflow(file)
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("%s: %v", file, err))
		case !slices.Contains(names, name):
			wrong = append(wrong, fmt.Sprintf("%s: a history of %s, which is not registered in workers", file, name))
		case !belongs(path.Base(file), name):
			wrong = append(wrong, fmt.Sprintf("%s: a history of %s: name the file %s.json or %s_WHAT.json", file, name, snake(name), snake(name)))
		}
		recorded[name] = true
	}
	for _, name := range names {
		if !recorded[name] {
			wrong = append(wrong, fmt.Sprintf("%s/%s.json: no recorded history of %s, so nothing shows that running ones still replay", Histories, snake(name), name))
		}
	}
	return wrong
}

// recordedWorkflow is the workflow type that a history file says it is of, in its first event.
func (t *Tree) recordedWorkflow(file string) (string, error) {
	text, err := t.text(file)
	if err != nil {
		return "", err
	}
	var history struct {
		Events []struct {
			Started struct {
				Type struct {
					Name string `json:"name"`
				} `json:"workflowType"`
			} `json:"workflowExecutionStartedEventAttributes"`
		} `json:"events"`
	}
	if err := json.Unmarshal([]byte(text), &history); err != nil {
		return "", fmt.Errorf("not a history: %w", err)
	}
	if len(history.Events) == 0 || history.Events[0].Started.Type.Name == "" {
		return "", fmt.Errorf("not a history: its first event starts no workflow")
	}
	return history.Events[0].Started.Type.Name, nil
}

func belongs(file, workflow string) bool {
	stem := strings.TrimSuffix(file, ".json")
	return stem == snake(workflow) || strings.HasPrefix(stem, snake(workflow)+"_")
}

// snake turns ScanImage into scan_image, and GenerateSBOM into generate_sbom.
func snake(name string) string {
	var out strings.Builder
	letters := []rune(name)
	for i, letter := range letters {
		starts := i > 0 && unicode.IsUpper(letter)
		inside := starts && unicode.IsUpper(letters[i-1]) && (i+1 == len(letters) || !unicode.IsLower(letters[i+1]))
		if starts && !inside {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(letter))
	}
	return out.String()
}
