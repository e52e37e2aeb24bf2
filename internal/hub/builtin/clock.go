package builtin

import (
	"encoding/json"
	"fmt"
	"time"
)

// Clock tells the time and waits for it. Tests put their own in.
type Clock interface {
	Now() time.Time
	// After sends once d has passed; at once when d is not positive.
	After(d time.Duration) <-chan time.Time
}

type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// stampForm is how the hub writes times: UTC, three digits of milliseconds.
const stampForm = "2006-01-02T15:04:05.000Z"

// stamp is a time as the REST API writes it; the zero time is null.
type stamp time.Time

// MarshalJSON writes the hub's form.
func (s stamp) MarshalJSON() ([]byte, error) {
	if time.Time(s).IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(time.Time(s).UTC().Format(stampForm))
}

// parseStamp reads a time of a query: the hub's own form, RFC 3339 or a date alone.
func parseStamp(text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999Z0700", time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil && at.Year() >= 1970 {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is not a time: write it as %s", text, stampForm)
}

// now is the hub's time, cut to the milliseconds the REST API can show, so that what is stored is what is told.
func (h *Hub) now() time.Time { return h.options.Clock.Now().UTC().Truncate(time.Millisecond) }
