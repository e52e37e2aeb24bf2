package trouble

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

func TestTroubleIsLoggedAtItsBeginningAndItsEnd(t *testing.T) {
	var log bytes.Buffer
	b := New(slog.New(slog.NewTextHandler(&log, nil)))
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range 5 {
		b.Fail(model.TroubleWrite, "no role", start.Add(time.Duration(i)*time.Second))
	}
	b.Work(model.TroubleReadNodes, start)
	list, refused := b.List(start.Add(5 * time.Second))
	require.Equal(t, []model.Trouble{{Kind: model.TroubleWrite, Since: start, Count: 5, Reason: "no role"}}, list)
	require.EqualValues(t, 5, refused)
	b.Work(model.TroubleWrite, start.Add(10*time.Second))
	list, _ = b.List(start.Add(11 * time.Second))
	require.Len(t, list, 1, "one success among refusals is no recovery")
	list, refused = b.List(start.Add(time.Minute))
	require.Empty(t, list)
	require.EqualValues(t, 5, refused, "the count goes on")
	require.Equal(t, 2, strings.Count(log.String(), "level=WARN"), log.String())
}
