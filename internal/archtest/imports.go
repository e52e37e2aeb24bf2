package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// anything in a row allows every package of ours.
const anything = "*"

// row says which packages of ours a package may import. It holds for the packages below it too, unless they have a
// longer row of their own; packages under one row may import each other.
type row struct {
	pkg     string
	imports []string
}

// table is who may import whom. Arrows point at the nouns: only workers and cmd know everybody, workflows reach no edge,
// and the edges (registry, scan client, hubs) know neither each other nor the stories that use them.
var table = []row{
	{"model", nil},
	{"internal/inventory", []string{"model"}},
	{"internal/lease", []string{"model"}},
	{"internal/workspace", []string{"model"}},
	{"internal/registry", []string{"model"}},
	{"internal/scanclient", []string{"model"}},
	{"internal/hub/blackduck", []string{"model"}},
	{"internal/hub/builtin", []string{
		"model", "internal/hub/builtin/osv", "internal/hub/builtin/judge", "internal/hub/builtin/store", "internal/hub/builtin/jobs", "internal/hub/builtin/rest",
	}},
	{"internal/hub/builtin/store", []string{"model", "internal/hub/builtin/judge", "internal/hub/builtin/osv"}},
	{"internal/hub/builtin/judge", []string{"model", "internal/hub/builtin/osv"}},
	{"internal/hub/builtin/jobs", []string{"model", "internal/hub/builtin/store", "internal/hub/builtin/judge", "internal/hub/builtin/osv"}},
	{"internal/hub/builtin/rest", []string{"model", "internal/hub/builtin/jobs", "internal/hub/builtin/store", "internal/hub/builtin/judge", "internal/hub/builtin/osv"}},
	{"internal/hub/builtin/fault", []string{"internal/hub/builtin"}},
	{"internal/hub/builtin/osv", []string{"model"}},
	{"internal/api", []string{"model", "internal/reload"}},
	{"internal/perceiver", []string{"model"}},
	{"internal/kubetest", nil},
	{"internal/config", nil},
	{"internal/reload", nil},
	{"internal/telemetry", nil},
	{"internal/archtest", nil},
	{"activities", []string{"model"}},
	{"workflows", []string{"activities", "model", "internal/inventory", "internal/lease"}},
	{"starter", []string{"workflows", "activities", "model"}},
	{"workers", []string{"workflows", "activities", "starter", "internal"}},
	{"cmd", []string{anything}},
}

// rowOf is the longest row that holds for a package.
func rowOf(pkg string) (row, bool) {
	var found row
	for _, each := range table {
		if within(pkg, each.pkg) && len(each.pkg) > len(found.pkg) {
			found = each
		}
	}
	return found, found.pkg != ""
}

// allows reports whether the row permits the import of a package of ours.
func (r row) allows(imported string) bool {
	other, _ := rowOf(imported)
	return other.pkg == r.pkg || slices.ContainsFunc(r.imports, func(allowed string) bool {
		return allowed == anything || within(imported, allowed)
	})
}

// CheckImports holds every file against the table. Tests may import what they like, except programs.
func CheckImports(t *Tree) []string {
	var wrong []string
	for _, file := range t.code {
		row, listed := rowOf(file.dir())
		if !listed {
			wrong = append(wrong, fmt.Sprintf("%s: package %s has no row in the import table: add one to table in internal/archtest/imports.go", file.path, file.dir()))
			continue
		}
		for _, imported := range file.imports {
			ours, isOurs := strings.CutPrefix(imported, Module+"/")
			switch {
			case !isOurs:
			case within(ours, "cmd"):
				if to, from := program(ours), program(file.dir()); to != from && (to != "internal" || from == "") {
					wrong = append(wrong, fmt.Sprintf("%s: imports %s: nobody imports a program", file.path, ours))
				}
			case !file.test && !row.allows(ours):
				wrong = append(wrong, fmt.Sprintf("%s: imports %s, which the row of %s in internal/archtest/imports.go does not allow", file.path, ours, row.pkg))
			}
		}
	}
	return wrong
}

// program is the folder under cmd a package belongs to, empty for a package elsewhere. "internal" is no program, but
// what programs share.
func program(pkg string) string {
	parts := strings.SplitN(pkg, "/", 3)
	if parts[0] != "cmd" || len(parts) < 2 {
		return ""
	}
	return parts[1]
}
