package main

import (
	"cmp"
	"debug/buildinfo"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// mod is one module in a program, at the version that was built in. The standard library is a module too.
type mod struct {
	path, version string
	programs      []string
}

// standard is how OSV names Go's standard library.
const standard = "stdlib"

// purl is the module's package URL.
func (m mod) purl() string { return "pkg:golang/" + m.path + "@" + m.version }

// modulesOf reads the modules of programs, each once. The programs' own modules have no version and are left out.
func modulesOf(programs []string) ([]mod, error) {
	if len(programs) == 0 {
		return nil, errors.New("name at least one program")
	}
	by := map[string]*mod{}
	add := func(path, version, program string) {
		key := path + "@" + version
		if by[key] == nil {
			by[key] = &mod{path: path, version: version}
		}
		by[key].programs = append(by[key].programs, program)
	}
	for _, program := range programs {
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			return nil, fmt.Errorf("read what %s is made of: %w", program, err)
		}
		version, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ")
		add(standard, version, program)
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			if m.Version != "" && m.Version != "(devel)" {
				add(m.Path, m.Version, program)
			}
		}
	}
	modules := make([]mod, 0, len(by))
	for _, m := range by {
		modules = append(modules, *m)
	}
	slices.SortFunc(modules, func(a, b mod) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.version, b.version)) })
	return modules, nil
}
