package model

// ScanStatus is how far an image is; the first five are the original's terms.
type ScanStatus string

// The scan statuses in the order an image goes through them.
const (
	StatusUnknown           ScanStatus = "Unknown"
	StatusInQueue           ScanStatus = "InQueue"
	StatusRunningScanClient ScanStatus = "RunningScanClient"
	StatusRunningHubScan    ScanStatus = "RunningHubScan"
	StatusComplete          ScanStatus = "Complete"
	StatusFailed            ScanStatus = "Failed"
)

// far orders statuses from a failure, over nothing at all, to Complete.
var far = map[ScanStatus]int{
	StatusFailed: -1, StatusUnknown: 0, StatusInQueue: 1, StatusRunningScanClient: 2, StatusRunningHubScan: 3, StatusComplete: 4,
}

// LessFar is the status of two images together: that of the one that is less far, and Failed where one has failed.
func (s ScanStatus) LessFar(t ScanStatus) ScanStatus {
	if far[t] < far[s] {
		return t
	}
	return s
}

// OverallStatus is a hub's judgement, in the hub's own words, and Unknown wherever something is not scanned.
type OverallStatus string

// The overall statuses.
const (
	OverallUnknown        OverallStatus = "UNKNOWN"
	NotInViolation        OverallStatus = "NOT_IN_VIOLATION"
	InViolation           OverallStatus = "IN_VIOLATION"
	InViolationOverridden OverallStatus = "IN_VIOLATION_OVERRIDDEN"
)

// unrecognisedStatusRank treats a word no hub has used so far like Unknown.
const unrecognisedStatusRank = 2

// rank orders statuses from best to worst. Unknown is worse than clean, so that "not scanned" is never shown as
// clean, and better than a violation, so that a known violation is never hidden by something unscanned beside it.
var rank = map[OverallStatus]int{NotInViolation: 0, InViolationOverridden: 1, OverallUnknown: 2, InViolation: 3}

// Worst is the worse of two statuses.
func (s OverallStatus) Worst(t OverallStatus) OverallStatus {
	if t.rank() > s.rank() {
		return t
	}
	return s
}

func (s OverallStatus) rank() int {
	if r, ok := rank[s]; ok {
		return r
	}
	return unrecognisedStatusRank
}

// Severity of a vulnerability, in the words of CVSS. Unrated means that no source gave one.
type Severity string

// The severities.
const (
	SeverityCritical Severity = "CRITICAL"
	SeverityHigh     Severity = "HIGH"
	SeverityMedium   Severity = "MEDIUM"
	SeverityLow      Severity = "LOW"
	SeverityUnrated  Severity = "UNRATED"
)

// Severities lists every severity, worst first.
var Severities = []Severity{SeverityCritical, SeverityHigh, SeverityMedium, SeverityLow, SeverityUnrated}

// AtLeast reports whether s is as bad as bar or worse. Unrated is below every bar but itself.
func (s Severity) AtLeast(bar Severity) bool {
	for _, each := range Severities {
		if each == s {
			return true
		}
		if each == bar {
			return false
		}
	}
	return false
}
