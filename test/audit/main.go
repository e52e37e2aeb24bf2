// Command audit reads what built programs are made of: the modules that Go has noted in them. It compares them with OSV's records of Go,
// by the matcher of the built-in hub, and lists their licences. It ends with exit code 1 when a module has a vulnerability with a fix, or
// a licence that is not known, and when nothing could be compared.
//
//	audit -osv DIRECTORY -licences FILE bin/perceptor bin/perceptor-scan bin/perceptor-dev
//
// The directory is in the layout of OSV's bucket: Go/all.zip. Without it no vulnerability is looked for, and the audit fails.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	records := flag.String("osv", os.Getenv("OSV_DIR"), "folder with OSV's records, as Go/all.zip")
	licences := flag.String("licences", "", "file for the list of modules and their licences")
	flag.Parse()
	if err := audit(*records, *licences, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "audit:", err)
		os.Exit(1)
	}
}

func audit(directory, licenceFile string, programs []string) error {
	modules, err := modulesOf(programs)
	if err != nil {
		return err
	}
	fmt.Printf("%d modules in %d programs\n", len(modules), len(programs))
	wrong := writeLicences(modules, licenceFile)
	known, err := readRecords(directory)
	if err != nil {
		return errors.Join(wrong, err)
	}
	found, err := vulnerabilities(modules, known)
	if err != nil {
		return errors.Join(wrong, err)
	}
	fixable := 0
	for _, f := range found {
		fmt.Println(f)
		if f.Fixed != "" {
			fixable++
		}
	}
	fmt.Printf("%d vulnerabilities, %d of them with a fix\n", len(found), fixable)
	if fixable > 0 {
		return errors.Join(wrong, fmt.Errorf("%d vulnerabilities have a fix: update the modules", fixable))
	}
	return wrong
}
