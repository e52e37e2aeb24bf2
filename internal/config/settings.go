package config

import (
	"reflect"
	"strings"
)

// delimiter separates the levels of a key. It is not a dot, because hosts of registries have dots in them.
const delimiter = "::"

// setting is one single value of Config that a variable and a flag can set.
type setting struct {
	// key is the path of YAML keys, with the delimiter between them, such as "scanner::client::memory".
	key string
	// flag is the command-line flag, without its dashes.
	flag string
}

// Flags lists the flags that set values of one section of the configuration, without their dashes. The section is a path of keys, such
// as "perceiver", "docker".
func Flags(section ...string) []string {
	var names []string
	for _, each := range settings() {
		if strings.HasPrefix(each.key, strings.Join(section, delimiter)+delimiter) {
			names = append(names, each.flag)
		}
	}
	return names
}

// settings lists every field of Config that has the tag flag.
func settings() []setting { return settingsOf(reflect.TypeFor[Config](), "") }

func settingsOf(t reflect.Type, path string) []setting {
	var all []setting
	for field := range t.Fields() {
		key := path + field.Tag.Get("mapstructure")
		if flag, ok := field.Tag.Lookup("flag"); ok {
			all = append(all, setting{key: key, flag: flag})
		}
		if field.Type.Kind() == reflect.Struct {
			all = append(all, settingsOf(field.Type, key+delimiter)...)
		}
	}
	return all
}

// variablePrefix begins the name of every variable of the environment that sets a value.
const variablePrefix = "PERCEPTOR"

// variableNames turns a key into the rest of its variable's name.
var variableNames = strings.NewReplacer(delimiter, "_", "-", "_")

// variable is the variable of the environment that sets the value.
func (s setting) variable() string {
	return variablePrefix + "_" + strings.ToUpper(variableNames.Replace(s.key))
}
