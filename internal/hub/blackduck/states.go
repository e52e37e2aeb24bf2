package blackduck

import (
	"errors"
	"strings"

	"github.com/perceptor/perceptor/model"
)

// scanSummary is one scan of a code location. Old hubs fill Status, current ones ScanState and TransitionReason.
type scanSummary struct {
	Status           string  `json:"status"`
	ScanState        string  `json:"scanState"`
	TransitionReason string  `json:"transitionReason"`
	StatusMessage    string  `json:"statusMessage"`
	ErrorCode        string  `json:"errorCode"`
	MatchCount       *int64  `json:"matchCount"`
	CreatedAt        instant `json:"createdAt"`
	UpdatedAt        instant `json:"updatedAt"`
	Meta             meta    `json:"_meta"`
}

func (s *scanSummary) check() error {
	if s.Status == "" && s.ScanState == "" {
		return errors.New("a scan with neither status nor scanState")
	}
	return nil
}

// id is the hub's id of the scan, from its address.
func (s *scanSummary) id() string {
	if !strings.Contains(s.Meta.Href, "/scan-summaries/") {
		return "" // latest-scan-summary of the code location, say
	}
	return lastPart(s.Meta.Href)
}

// doneStatuses are the old statuses of a scan that ended well. CLONED is one: the content came from another version.
var doneStatuses = map[string]bool{"COMPLETE": true, "CLONED": true}

// state is how far the scan itself is; the bill of materials may need longer. An unknown word is in progress: to
// call it failed would start a second scan beside a running one. The caller's deadline ends what never ends.
func (s *scanSummary) state() model.HubScanState {
	word := s.ScanState
	if word == "" {
		word = s.Status
	}
	switch {
	case word == "SUCCESS" || doneStatuses[word]:
		return model.HubScanComplete
	case word == "CANCELLED" || strings.HasPrefix(word, "ERROR") || word == "FAILURE":
		return model.HubScanFailed
	default:
		return model.HubScanInProgress
	}
}

// detail is the hub's own word for the state, with its reason where it gives one.
func (s *scanSummary) detail() string {
	words := []string{s.ScanState}
	if s.ScanState == "" {
		words = []string{s.Status}
	}
	if s.TransitionReason != "" && s.TransitionReason != "COMPLETE" {
		words = append(words, s.TransitionReason)
	}
	if s.state() == model.HubScanFailed {
		words = append(words, s.ErrorCode, s.StatusMessage)
	}
	return saying(strings.Join(words, " "), nil)
}

// matchedNothing says that the scan found no component, so that no bill of materials follows.
func (s *scanSummary) matchedNothing() bool { return s.MatchCount != nil && *s.MatchCount == 0 }

// unchanged says that the hub recognised the content and kept the bill of materials it had.
func (s *scanSummary) unchanged() bool {
	switch s.TransitionReason {
	case "IDENTICAL_RESCAN", "SKIPPED", "CLONED":
		return true
	default:
		return false
	}
}

// bomStatus says how far a bill of materials is: of one scan, or of a whole version.
type bomStatus struct {
	Status string `json:"status"`
}

func (b *bomStatus) check() error {
	if b.Status == "" {
		return errors.New("no status of the bill of materials")
	}
	return nil
}

// state judges the bill of materials after the scan itself succeeded. UP_TO_DATE_WITH_ERRORS is a failure: what was
// computed may lack components, and a verdict of it could be green by mistake. Ended but not included is a failure
// too, unless the hub kept what it had because the content was the same.
func (b *bomStatus) state(s *scanSummary) model.HubScanState {
	switch b.Status {
	case "SUCCESS", "UP_TO_DATE":
		return model.HubScanComplete
	case "NOT_INCLUDED":
		if s.unchanged() {
			return model.HubScanComplete
		}
		return model.HubScanFailed
	case "FAILURE", "UP_TO_DATE_WITH_ERRORS":
		return model.HubScanFailed
	default: // BUILDING, PROCESSING, PROCESSING_WITH_ERRORS, and unknown words
		return model.HubScanInProgress
	}
}
