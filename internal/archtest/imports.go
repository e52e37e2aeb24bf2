package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// anything in a row allows every package of ours.
const anything = "*"

// row says which packages of ours a package may import. It holds for the packages below it too, unless they have a
// row of their own; packages under one row may import each other. An import names a row. "folder/*" stands for every
// package below the folder.
type row struct {
	pkg     string
	imports []string
}

// table is who may import whom. Arrows point at the nouns: only workers and cmd know every package, workflows reach no
// edge, and the edges (registry, scan client, hubs) know neither each other nor the stories that use them.
var table = []row{
	// The nouns, which other modules use too.
	{"model", nil},
	{"deploy/image", nil}, // makes the image of the programs
	// Pure decisions.
	{"internal/backoff", nil},
	{"internal/record", []string{"model", "internal/backoff"}},
	{"internal/inventory", []string{"model", "internal/backoff"}},
	{"internal/lease", []string{"model", "internal/backoff"}},
	// The edges.
	{"internal/workspace", []string{"model"}},
	{"internal/netguard", nil},
	{"internal/diskcache", nil},
	{"internal/registry", []string{"model", "internal/backoff", "internal/diskcache", "internal/netguard"}},
	{"internal/scanclient", []string{"model", "internal/netguard"}},
	{"internal/hub/blackduck", []string{"model", "internal/backoff", "internal/netguard"}},
	{"internal/hub/builtin", []string{
		"model", "internal/hub/builtin/osv", "internal/hub/builtin/judge", "internal/hub/builtin/store", "internal/hub/builtin/jobs", "internal/hub/builtin/rest",
		"internal/hub/builtin/feed", "internal/hub/builtin/vex",
	}},
	{"internal/hub/builtin/vex", []string{"model", "internal/hub/builtin/judge"}},
	{"internal/hub/builtin/store", []string{"model", "internal/hub/builtin/judge", "internal/hub/builtin/osv", "internal/hub/builtin/vex"}},
	{"internal/hub/builtin/judge", []string{"model", "internal/hub/builtin/osv"}},
	{"internal/hub/builtin/jobs", []string{
		"model", "internal/hub/builtin/feed", "internal/hub/builtin/fetch", "internal/hub/builtin/store", "internal/hub/builtin/judge",
		"internal/hub/builtin/osv", "internal/hub/builtin/vex",
	}},
	{"internal/hub/builtin/rest", []string{
		"model", "internal/hub/builtin/feed", "internal/hub/builtin/jobs", "internal/hub/builtin/store", "internal/hub/builtin/judge",
		"internal/hub/builtin/osv", "internal/hub/builtin/vex",
	}},
	{"internal/hub/builtin/fault", []string{"internal/hub/builtin", "internal/hub/builtin/jobs", "internal/hub/builtin/rest"}},
	{"internal/hub/builtin/osv", []string{"model", "internal/hub/builtin/fetch"}},
	{"internal/hub/builtin/fetch", []string{"model"}},
	{"internal/hub/builtin/feed", []string{"model", "internal/backoff", "internal/hub/builtin/fetch", "internal/hub/builtin/osv"}},
	{"internal/perceiver", []string{"model", "internal/backoff"}},
	// The API of 2018 can be deleted alone: the API of today does not know it, nor does what both share.
	{"internal/api", []string{"model", "internal/reload"}},
	{"internal/api/v1", []string{"model", "internal/reload", "internal/api"}},
	{"internal/api/compat", []string{"model", "internal/reload", "internal/api"}},
	{"internal/api/server", []string{"model", "internal/reload", "internal/api", "internal/api/access", "internal/api/v1", "internal/api/compat"}},
	{"internal/config", nil},
	{"internal/reload", nil},
	// For tests alone.
	{"internal/kubetest", nil},
	{"internal/archtest", nil},
	{"internal/hostile", []string{"model", "activities", "workflows"}},
	{"internal/rig", []string{anything}},
	{"internal/unknowns", []string{"model"}},
	// The steps, the stories, and how to reach them.
	{"activities", []string{"model"}},
	{"workflows", []string{"model", "activities", "internal/backoff", "internal/record", "internal/inventory", "internal/lease"}},
	{"starter", []string{"model", "activities", "workflows", "internal/backoff"}},
	{"workers", []string{"model", "activities", "workflows", "starter", "internal/*"}},
	{"examples", []string{"starter", "workflows", "activities", "model"}},
	{"cmd", []string{anything}},
	{"test", []string{anything}},
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
		folder, whole := strings.CutSuffix(allowed, "/*")
		return allowed == anything || allowed == other.pkg || whole && within(imported, folder)
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
					wrong = append(wrong, fmt.Sprintf("%s: imports %s: a program is not imported", file.path, ours))
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
