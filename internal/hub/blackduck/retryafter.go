package blackduck

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longestWait caps what a hub may ask for: a wrong clock or a typing error there must not stop work here for days.
const longestWait = time.Hour

// retryAfter reads the header Retry-After, in seconds or as a date. Nothing, nonsense and the past are 0.
// A date is compared with the server's own Date where there is one, so that differing clocks do no harm.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if isDigits(text) {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds > int64(longestWait/time.Second) {
			return longestWait
		}
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(until.Sub(serverTime(header, now)), 0), longestWait)
}

// serverTime is the server's clock as its reply tells it, or now.
func serverTime(header http.Header, now time.Time) time.Time {
	if at, err := http.ParseTime(header.Get("Date")); err == nil {
		return at
	}
	return now
}

func isDigits(text string) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return text != ""
}
