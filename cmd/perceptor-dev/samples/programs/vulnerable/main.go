// Command vulnerable is a sample to be scanned: a small, honest program that
// was built with a library version of which vulnerabilities are published. It
// says which languages a browser asked for. Its twin "patched" differs in
// nothing but the library's version.
package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/text/language"
)

func main() {
	header := "de-CH, de;q=0.9, en;q=0.5"
	if len(os.Args) > 1 {
		header = strings.Join(os.Args[1:], " ")
	}
	tags, weights, err := language.ParseAcceptLanguage(header)
	if err != nil {
		fmt.Fprintln(os.Stderr, "read Accept-Language:", err)
		os.Exit(1)
	}
	for i, tag := range tags {
		fmt.Printf("%s %.1f\n", tag, weights[i])
	}
}
