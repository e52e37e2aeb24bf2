package record

import (
	"encoding/hex"
	"time"

	"github.com/perceptor/perceptor/internal/backoff"
	"github.com/perceptor/perceptor/model"
)

var (
	// Retry is the delay before a failed scan is tried again.
	Retry = backoff.Delay{First: time.Minute, Most: 6 * time.Hour}
	// retryLost is the delay after a scan that closed without a report, so that a scan that cannot start does not spin.
	retryLost = backoff.Delay{First: 2 * time.Second, Most: 1024 * time.Second}
)

// Attempts are how the scans of an image ended that brought no verdict, and when the next may start.
type Attempts struct {
	// Failure is why the last scan brought no verdict; its NextTry is always zero, Image.NextTry gives it.
	Failure *model.Failure `json:"failure,omitempty"`
	// Failures counts failed scans in a row, Lost those in a row that closed without a report.
	Failures int `json:"failures,omitempty"`
	Lost     int `json:"lost,omitempty"`
	// Unsure is set while a hub may have a scan of this image that was never reported.
	Unsure bool `json:"unsure,omitempty"`
	// NotBefore is when the next scan may start; zero means at once.
	NotBefore time.Time `json:"notBefore,omitzero"`
}

// tryNow ends the delay after a failure.
func (a *Attempts) tryNow() { a.NotBefore = time.Time{} }

// noteSuccess ends the row of failures: a scan has brought a verdict.
func (a *Attempts) noteSuccess() { *a = Attempts{} }

// noteFailure notes why a scan of the image failed, and when the next try is. LeftWork says that a hub may have something of it.
func (a *Attempts) noteFailure(now time.Time, d model.Digest, f model.Failure, leftWork bool) {
	a.Failures++
	a.Unsure = a.Unsure || leftWork
	a.NotBefore = now.Add(retryDelay(d, a.Failures))
	f.Attempt, f.NextTry = a.Failures, time.Time{}
	a.Failure = &f
}

// noteCancelled notes that a scan was cancelled, in whatever step it was.
func (a *Attempts) noteCancelled(now time.Time, d model.Digest) {
	a.Unsure = true
	a.NotBefore = now.Add(retryDelay(d, 1))
}

// noteLost notes that a scan closed without a report. One that was not even started has left nothing at a hub.
func (a *Attempts) noteLost(now time.Time, started bool) {
	a.Lost++
	a.Unsure = a.Unsure || started
	a.NotBefore = now.Add(retryLost.After(a.Lost))
}

// failure is a copy of the failure with the time of the next try; nil when the last scan did not fail.
func (a *Attempts) failure(next time.Time) *model.Failure {
	if a.Failure == nil {
		return nil
	}
	f := *a.Failure
	f.NextTry = next
	return &f
}

// retryDelay adds up to a fifth, drawn from the digest, so that images that failed together do not come back together.
func retryDelay(d model.Digest, failures int) time.Duration {
	delay := Retry.After(failures)
	return delay + delay/5*time.Duration(jitter(d))/256
}

// jitter is a number from 0 to 255 that differs between images and is the same at every replay.
func jitter(d model.Digest) int {
	sum, err := hex.DecodeString(d.Hex())
	if err != nil || len(sum) == 0 {
		return 0
	}
	return int(sum[0])
}
