package starter

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/activities"
)

const ours = "github.com/perceptor/perceptor/"

// surface walks through everything that exported methods and fields lead to.
type surface struct {
	seen     map[reflect.Type]bool
	internal []string
}

func (s *surface) walk(t reflect.Type, via string) {
	if t == nil || s.seen[t] {
		return
	}
	s.seen[t] = true
	if strings.HasPrefix(t.PkgPath(), ours+"internal/") {
		s.internal = append(s.internal, via+" leads to "+t.String())
		return
	}
	if t.PkgPath() != "" && !strings.HasPrefix(t.PkgPath(), ours) {
		return
	}
	for method := range t.Methods() {
		s.walk(method.Type, t.String()+"."+method.Name)
	}
	switch t.Kind() {
	case reflect.Struct:
		for f := range t.Fields() {
			if f.IsExported() {
				s.walk(f.Type, t.String()+"."+f.Name)
			}
		}
	case reflect.Func:
		for in := range t.Ins() {
			s.walk(in, via)
		}
		for out := range t.Outs() {
			s.walk(out, via)
		}
	case reflect.Map:
		s.walk(t.Key(), via)
		s.walk(t.Elem(), via)
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan:
		s.walk(t.Elem(), via)
	}
}

// TestOtherModulesNeedNoInternalPackage: nothing that the SDK takes or gives has a type of an internal package.
func TestOtherModulesNeedNoInternalPackage(t *testing.T) {
	s := surface{seen: map[reflect.Type]bool{}}
	for _, each := range []any{New, SearchAttributes, activities.NewPerceiverSteps, ScanFailedError{}, ResolveError{}, &RefusedError{}, RejectedError{}} {
		s.walk(reflect.TypeOf(each), fmt.Sprintf("%T", each))
	}
	require.Empty(t, s.internal)
	names := make([]string, 0, len(s.seen))
	for each := range s.seen {
		names = append(names, each.String())
	}
	for _, wanted := range []string{"starter.Pods", "model.PodVerdict", "workflows.HubPoolStatus", "activities.Resolution"} {
		require.True(t, slices.Contains(names, wanted), "the walk has not come to %s", wanted)
	}
}
