package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// ban keeps imports out of a part of the tree, tests aside.
type ban struct {
	imports []string // import paths; what lies below one is banned too
	in      []string // folders the ban holds in; empty means everywhere
	but     []string // folders it does not hold in
	tests   bool     // tests are bound too
	why     string
}

// heavy are the modules with dependencies by the hundred, which a program built from the root must not pay for.
var heavy = []string{
	"go.temporal.io/server", "github.com/temporalio/ui-server", "github.com/anchore/syft", "github.com/anchore/stereoscope", "k8s.io/kubernetes",
	"github.com/distribution/distribution",
}

const whyHeavy = "it is heavy and belongs to a module of its own under cmd"

var bans = []ban{
	{
		imports: []string{"go.temporal.io"},
		in:      []string{"internal", "model"},
		but:     []string{"internal/rig", "internal/hostile"},
		why:     "what lies under internal and model works without Temporal: the stories and their steps are in workflows and activities",
	},
	{
		imports: []string{"net/http", "os/exec", "os"},
		in:      []string{"workflows", "model", "internal/backoff", "internal/record", "internal/inventory", "internal/lease"},
		why:     "this code is replayed from a history, or used by code that is: it must do no input or output of its own",
	},
	{
		imports: []string{"go.uber.org/fx"},
		but:     []string{"workers", "cmd"},
		why:     "the wiring is done in workers and cmd alone, by constructors that every package can call",
	},
	{
		imports: heavy,
		but:     []string{"cmd/perceptor-dev", "cmd/perceptor-scan", "cmd/kube-apiserver-test", "cmd/registry-test"},
		tests:   true,
		why:     whyHeavy,
	},
}

func (b ban) holdsIn(file source) bool {
	under := func(folder string) bool { return within(file.path, folder) }
	return (b.tests || !file.test) && (len(b.in) == 0 || slices.ContainsFunc(b.in, under)) && !slices.ContainsFunc(b.but, under)
}

// CheckBans looks for direct imports that are banned where they stand, and for heavy modules in the root's go.mod.
func CheckBans(t *Tree) []string {
	var wrong []string
	for _, file := range t.code {
		for _, ban := range bans {
			for _, imported := range file.imports {
				if ban.holdsIn(file) && slices.ContainsFunc(ban.imports, func(banned string) bool { return within(imported, banned) }) {
					wrong = append(wrong, fmt.Sprintf("%s: imports %s: %s", file.path, imported, ban.why))
				}
			}
		}
	}
	module, err := t.text("go.mod")
	if err != nil {
		return append(wrong, err.Error())
	}
	for line := range strings.Lines(module) {
		required := strings.TrimPrefix(strings.TrimSpace(line), "require ")
		for _, module := range heavy {
			if strings.HasPrefix(required, module+" ") || strings.HasPrefix(required, module+"/v") {
				wrong = append(wrong, fmt.Sprintf("go.mod: requires %s: %s", module, whyHeavy))
			}
		}
	}
	return wrong
}
