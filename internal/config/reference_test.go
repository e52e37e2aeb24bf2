package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// referenceFile is generated from config.go by this test. referenceCommand writes it again.
const (
	referenceFile    = "../../docs/configuration.md"
	referenceCommand = "go test ./internal/config -run TestReference -update"
)

var update = flag.Bool("update", false, "write "+referenceFile+" again")

func TestReferenceIsTheOneOfTheCode(t *testing.T) {
	want := reference(t)
	if *update {
		require.NoError(t, os.WriteFile(referenceFile, []byte(want), 0o644))
		return
	}
	got, err := os.ReadFile(referenceFile)
	require.NoError(t, err, "write the file with: %s", referenceCommand)
	require.Equal(t, want, string(got), "docs/configuration.md is out of date; write it again with: %s", referenceCommand)
}

func TestEverySettingIsInTheReference(t *testing.T) {
	text := reference(t)
	require.NotEmpty(t, settings())
	for _, each := range settings() {
		require.Contains(t, text, "`"+each.variable()+"`")
		require.Contains(t, text, "`--"+each.flag+"`")
	}
}

// sections are the parts of the reference, in the order of the page.
var sections = []struct {
	heading, text string
	of            any
	path          string
}{
	{"Top level", "Every command reads these.", Default(), ""},
	{"hubs", "A list: one entry for each vulnerability server. A running worker reads the list again within seconds of a change.", Hub{}, "hubs[]."},
	{"scanner", "For `perceptor worker` with the role `scan`.", Default().Scanner, "scanner."},
	{
		"scanner.network", "The networks that registries may be in. Link-local addresses and those of metadata services are never called.", Default().Scanner.Network,
		"scanner.network.",
	},
	{"scanner.client", "The scan client is the program that produces the SBOM of an image and uploads it.", Default().Scanner.Client, "scanner.client."},
	{
		"scanner.client.data-as-of", "The date of the data of the scanner in `scanner.client.template`. The file or the output of the command holds it as RFC 3339 " +
			"writes it, such as `2026-11-27T06:00:00Z`, or as a date alone. It is read before each scan. A scan without it fails.",
		Default().Scanner.Client.DataAsOf, "scanner.client.data-as-of.",
	},
	{"perceiver", "For `perceptor perceiver`.", Default().Perceiver, "perceiver."},
	{"perceiver.docker", "For `perceptor perceiver docker`.", Default().Perceiver.Docker, "perceiver.docker."},
	{"perceiver.kubernetes", "For `perceptor perceiver kubernetes`.", Default().Perceiver.Kubernetes, "perceiver.kubernetes."},
	{
		"perceiver.registry", "For `perceptor perceiver registry`. An entry under `registries` with the same host sets certificates and plain HTTP.",
		Default().Perceiver.Registry, "perceiver.registry.",
	},
	{"api", "For `perceptor api`.", Default().API, "api."},
	{"registries", "A list: one entry for each registry that needs special settings.", Registry{}, "registries[]."},
	{"credentials", "A list: one entry for each login to registries. Histories and logs hold only the names.", Credential{}, "credentials[]."},
}

// referenceHead is what stands above the tables.
const referenceHead = `# Configuration reference

<!-- Generated from internal/config/config.go. Do not edit. Write it again with: ` + referenceCommand + ` -->

Perceptor reads its settings from three places. A later place takes precedence over an earlier one:

1. one YAML file, named by ` + "`--config FILE`" + ` or by the variable ` + "`PERCEPTOR_CONFIG`" + `
2. variables of the environment, ` + "`PERCEPTOR_...`" + `
3. flags of the command

An unknown key in the file is an error. Values are checked at the start, and all mistakes are reported together.
A setting without a flag and a variable is set in the file only. Lists in a variable are separated by commas.

Secrets are never in the file. The settings name the files that hold them.

` + "`--dev DIR`" + ` (` + "`PERCEPTOR_DEV`" + `) names the data directory of a running ` + "`perceptor-dev`" + `. It takes that program's Temporal
server and its hub.

The connection to Temporal is not part of this file. It is set as for the ` + "`temporal`" + ` command, by ` + "`TEMPORAL_ADDRESS`" + `,
` + "`TEMPORAL_NAMESPACE`" + `, ` + "`TEMPORAL_API_KEY`" + `, the ` + "`TEMPORAL_TLS_...`" + ` variables, or a profile in ` + "`temporal.toml`" + `.

Durations are written like ` + "`90s`" + `, ` + "`30m`" + ` or ` + "`1h`" + `. Sizes are written like ` + "`512MiB`" + ` or ` + "`20GiB`" + `.

## Example

` + "```yaml" + `
hubs:
- name: main
  url: https://hub.example:8443
  token-file: /etc/perceptor-hub/token
  limit: 3
scanner:
  workspaces: 2
  client: {memory: 2GiB, scratch: 20GiB}
` + "```" + `
`

// reference is the page as the code has it.
func reference(t *testing.T) string {
	t.Helper()
	meanings, shown := meaningsOf(t, "config.go"), map[string]bool{}
	var page strings.Builder
	page.WriteString(referenceHead)
	for _, section := range sections {
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n", section.heading, section.text)
		page.WriteString("| key | type | default | flag and variable | meaning |\n|---|---|---|---|---|\n")
		value := reflect.ValueOf(section.of)
		for field, current := range value.Fields() {
			name := value.Type().Name() + "." + field.Name
			require.NotEmpty(t, meanings[name], "%s has no comment that says its meaning", name)
			shown[name] = true
			fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s |\n", section.path+field.Tag.Get("mapstructure"), typeName(t, field.Type),
				defaultOf(current), setBy(section.path, field), meanings[name])
		}
	}
	for name := range meanings {
		require.True(t, shown[name], "%s is in no section; add its struct to sections", name)
	}
	return page.String()
}

// meaningsOf reads the comments of all fields of all structs, as "Type.Field".
func meaningsOf(t *testing.T, file string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	require.NoError(t, err)
	meanings := map[string]string{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		declared, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if fields, ok := declared.Type.(*ast.StructType); ok {
			for _, field := range fields.Fields.List {
				for _, name := range field.Names {
					meanings[declared.Name.Name+"."+name.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
				}
			}
		}
		return false
	})
	return meanings
}

func typeName(t *testing.T, of reflect.Type) string {
	t.Helper()
	switch of {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[Bytes]():
		return "size"
	}
	switch of.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.Struct:
		return "section"
	case reflect.Slice:
		if of.Elem().Kind() == reflect.String {
			return "list of texts"
		}
		return "list of sections"
	}
	require.Fail(t, "a type without a name", "%s: give it one in typeName", of)
	return ""
}

// defaultOf is a value as the file would have it; empty where nothing is the default.
func defaultOf(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Struct || v.IsZero() && v.Kind() == reflect.String:
		return ""
	case v.Kind() == reflect.Slice && v.Len() == 0:
		return ""
	case v.Kind() == reflect.Slice:
		return "`" + strings.Join(v.Interface().([]string), "`, `") + "`"
	case v.Type() == reflect.TypeFor[time.Duration]() && !v.IsZero():
		return "`" + shortDuration(v.Interface().(time.Duration)) + "`"
	}
	return fmt.Sprintf("`%v`", v.Interface())
}

// shortDuration leaves out the units that are zero: 30m, not 30m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func setBy(path string, field reflect.StructField) string {
	flag, ok := field.Tag.Lookup("flag")
	if !ok {
		return ""
	}
	each := setting{key: strings.ReplaceAll(path, ".", delimiter) + field.Tag.Get("mapstructure"), flag: flag}
	return fmt.Sprintf("`--%s`, `%s`", each.flag, each.variable())
}
