package rest_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/rest"
)

func TestDocuments(t *testing.T) {
	const head = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[`
	for name, row := range map[string]struct {
		document string
		want     []string
	}{
		"no components":     {`{"bomFormat":"CycloneDX","specVersion":"1.4"}`, nil},
		"same place twice":  {head + `{"type":"library","name":"a","purl":"pkg:npm/a@1"},{"type":"library","name":"a","purl":"pkg:npm/a@1"}]}`, []string{"pkg:npm/a@1"}},
		"nested":            {head + `{"type":"application","name":"a","components":[{"type":"library","name":"b","version":"2"}]}]}`, []string{"a\x00", "b\x002"}},
		"files and systems": {head + `{"type":"file","name":"/bin/sh"},{"type":"operating-system","name":"debian"},{"type":"library","name":"c"}]}`, []string{"c\x00"}},
		"groups":            {head + `{"type":"library","group":"@scope","name":"a","version":"1"}]}`, []string{"@scope/a\x001"}},
		"in order":          {head + `{"type":"library","name":"z","purl":"pkg:npm/z@1"},{"type":"library","name":"a","purl":"pkg:npm/a@1"}]}`, []string{"pkg:npm/a@1", "pkg:npm/z@1"}},
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := rest.ParseDocument([]byte(row.document))
			require.NoError(t, err)
			require.Equal(t, row.want, keys)
		})
	}
}

// FuzzDocument: whatever is sent, no component comes back twice or unnamed, and every refusal says why.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "null", "[]",
		`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"a","purl":"pkg:npm/a@1.0.0"},{"type":"library","name":"b","version":"1"}]}`,
		`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{}]}`,
		`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"x","components":[{"name":"x"}]}]}`,
		`{"bomFormat":"CycloneDX","specVersion":"1.4","metadata":{"tools":[{"name":"t"}],"component":null},"components":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := rest.ParseDocument(raw)
		if err != nil {
			require.NotEmpty(t, err.Error())
			require.Nil(t, keys)
			return
		}
		sorted := slices.Sorted(slices.Values(keys))
		require.Len(t, slices.Compact(sorted), len(keys))
		require.NotContains(t, keys, "")
	})
}

// FuzzNotificationQuery: whatever is asked, the page stays within its bounds and the span is not turned round.
func FuzzNotificationQuery(f *testing.F) {
	for _, seed := range []string{
		"", "startDate=2026-01-02T03:04:05.678Z&endDate=2026-01-03T00:00:00Z&filter=notificationType:VULNERABILITY&limit=10&offset=3",
		"limit=99999999999999999999", "startDate=0001-01-01", "endDate=9999-12-31T23:59:59Z", "filter=:&filter=notificationType:", "q=type:x", "%zz",
		"startDate=2026-01-02T03:04:05%2B0100",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, err := url.ParseQuery(text)
		if err != nil {
			return // the server refuses it before
		}
		q, err := rest.ParseNotificationQuery(values)
		if err != nil {
			require.NotEmpty(t, strings.TrimSpace(err.Error()))
			return
		}
		require.True(t, q.Limit >= 0 && q.Limit <= 1000 && q.Offset >= 0)
		require.False(t, !q.From.IsZero() && !q.To.IsZero() && q.To.Before(q.From))
		require.Len(t, values["filter"], q.Types)
	})
}
