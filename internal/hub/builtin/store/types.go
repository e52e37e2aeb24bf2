package store

import (
	"time"

	"github.com/perceptor/perceptor/model"
)

// Project groups the versions of one repository.
type Project struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
}

// Version is one project version: for Perceptor, one image.
type Version struct {
	ID           string    `json:"id"`
	Project      string    `json:"project"`
	Name         string    `json:"name"`
	Phase        string    `json:"phase"`
	Distribution string    `json:"distribution"`
	CreatedAt    time.Time `json:"createdAt"`
	UpdatedAt    time.Time `json:"updatedAt"`
	LastScan     time.Time `json:"lastScan"`
	Summary      Summary   `json:"summary"`
}

// Summary is a version's verdict without its components.
type Summary struct {
	// Basis names the data and rules the verdict rests on; empty when nothing was judged yet.
	Basis string `json:"basis,omitempty"`
	// JudgedAt is when the verdict last changed or was last scanned; it only grows.
	JudgedAt time.Time           `json:"judgedAt"`
	Status   model.OverallStatus `json:"status,omitempty"`
	// Levels counts components by their worst vulnerability, under the names of the risk profile.
	Levels map[string]int `json:"levels,omitempty"`
	// Policies counts components by policy status, PolicySeverities the violating ones by their worst rule.
	Policies         map[model.OverallStatus]int `json:"policies,omitempty"`
	PolicySeverities map[string]int              `json:"policySeverities,omitempty"`
	Findings         int                         `json:"findings"`
	// FindingCounts are the findings by severity; zero for a verdict that was given before they were counted.
	FindingCounts model.Counts `json:"findingCounts,omitzero"`
	// Coverage is what the verdict rests on.
	Coverage model.Coverage `json:"coverage"`
	// Needs counts components by the ecosystem, without its release, that they are looked up in.
	Needs map[string]int `json:"needs,omitempty"`
}

// Judged reports whether the version was judged at all.
func (s Summary) Judged() bool { return s.Basis != "" }

// CodeLocation is one scan name. Scanning again under the name replaces its contents.
type CodeLocation struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Version   string    `json:"version,omitempty"`
	Size      int64     `json:"size"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	// Contents is the sequence number of the scan whose components it holds; 0 when none has finished.
	Contents uint64 `json:"contents"`
}

// ScanState is how far a scan is.
type ScanState string

// The states of a scan as latest-scan-summary names them.
const (
	ScanStarted ScanState = "STARTED"
	ScanSuccess ScanState = "SUCCESS"
	ScanFailure ScanState = "FAILURE"
)

// Scan is one accepted upload.
type Scan struct {
	ID           string          `json:"id"`
	Seq          uint64          `json:"seq"`
	Name         string          `json:"name"`
	CodeLocation string          `json:"codeLocation"`
	Version      string          `json:"version"`
	Attempt      model.AttemptID `json:"attempt"`
	State        ScanState       `json:"state"`
	Reason       string          `json:"reason,omitempty"`
	Message      string          `json:"message,omitempty"`
	AcceptedAt   time.Time       `json:"acceptedAt"`
	DueAt        time.Time       `json:"dueAt"`
	UpdatedAt    time.Time       `json:"updatedAt"`
	Size         int64           `json:"size"`
	Components   int             `json:"components"`
	// Left is the version the code location was mapped to before; it loses these components.
	Left string `json:"left,omitempty"`
	// Lost and Stuck are what a rehearsal decided when it was accepted.
	Lost  bool `json:"lost,omitempty"`
	Stuck bool `json:"stuck,omitempty"`
}
