package upload

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2030, time.January, 1, 12, 0, 0, 0, time.UTC)
	cases := []struct {
		name, value string
		want        int64
	}{
		{"none", "", 0},
		{"seconds", "120", 120},
		{"less than nothing", "-5", 0},
		{"a date", "Tue, 01 Jan 2030 12:02:00 GMT", 120},
		{"a past date", "Tue, 01 Jan 2030 11:00:00 GMT", 0},
		{"words", "soon", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, retryAfter(c.value, now)) })
	}
}
