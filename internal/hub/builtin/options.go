package builtin

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/feed"
	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/rest"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
	"github.com/perceptor/perceptor/internal/hub/builtin/vex"
)

// The names that a user of the hub needs from the rooms.
type (
	// Clock gives the time and waits for it.
	Clock = jobs.Clock
	// LoadMode says what becomes of the records that are there already.
	LoadMode = jobs.LoadMode
	// LoadOptions describe a load of vulnerability data.
	LoadOptions = jobs.LoadOptions
	// LoadReport is what a load of vulnerability data did.
	LoadReport = jobs.LoadReport
	// Stats is what the hub counted since its file was made.
	Stats = rest.Stats
	// ExceptionDocument is a document of exceptions as it was loaded.
	ExceptionDocument = store.ExceptionDocument
	// Exception is one of it.
	Exception = judge.Exception
	// DataView is what the hub has of vulnerability data.
	DataView = rest.DataView
)

const (
	// User is the only user name of the password login.
	User = rest.User
	// AttemptHeader carries the attempt id of an upload.
	AttemptHeader = rest.AttemptHeader
	// Replace drops the records that are there already.
	Replace = jobs.Replace
	// MaxExceptionDocument bounds a document of exceptions, in bytes.
	MaxExceptionDocument = vex.MaxSize
	// Merge keeps the records whose id is not among the new ones.
	Merge = jobs.Merge
)

// ArchiveLine is a line between records; see jobs.ArchiveLine.
func ArchiveLine(ecosystem string) []byte { return jobs.ArchiveLine(ecosystem) }

// SystemClock is the machine's own.
type SystemClock struct{}

// Now is the time.
func (SystemClock) Now() time.Time { return time.Now() }

// After sends once d has passed.
func (SystemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// defaultMaxDocument bounds an uploaded document. An SBOM of a 2 GB image is about 10 MB, so this is far above need.
const defaultMaxDocument = 64 << 20

const (
	// OSV is the address of OSV's own records.
	OSV = feed.OSV
	// DefaultUpdateInterval is the time between two checks of one ecosystem. OSV publishes its archives about once an hour.
	DefaultUpdateInterval = 6 * time.Hour
	// leastUpdateInterval protects the source.
	leastUpdateInterval = time.Second
)

// Options says where a hub keeps its things and how fast it pretends to be.
type Options struct {
	// File is the database; it is made when missing. Two hubs cannot share one.
	File string
	// TokenFile and PasswordFile hold the API token and the password of User. A missing file is made with a random
	// value, readable by its owner alone.
	TokenFile    string
	PasswordFile string
	// CertDir holds the generated authority and server certificate; hub-ca.pem in it is what clients trust. Only Serve
	// needs it. The server certificate lasts a year and is renewed at an Open in its last month.
	CertDir string
	// Hosts are names and addresses the certificate is valid for, besides 127.0.0.1, ::1 and localhost.
	Hosts []string
	// PolicyFile holds the policy rules as YAML; empty means the default: a CRITICAL or HIGH vulnerability is a violation.
	PolicyFile string
	// ScanTime is how long a scan works after its acceptance; 0 means as fast as the hub can.
	ScanTime time.Duration
	// AcceptDelay is how long an upload waits before it is accepted.
	AcceptDelay time.Duration
	// MaxDocument is the largest accepted document in bytes; 0 means 64 MiB.
	MaxDocument int64
	// Updates is the address that vulnerability data are updated from by themselves, laid out as OSV's bucket; empty means that
	// they are not. UpdateHosts are those that its redirects may lead to, besides its own. UpdateInterval is the time between
	// two checks; 0 means 6 hours.
	Updates        string
	UpdateHosts    []string
	UpdateInterval time.Duration
	// Version is that of the program, which /api/current-version shows beside the version of the API; empty means "0.0.0".
	Version string
	// Old answers as hubs of 2018 do, for clients of that time: version 4.8.3, no level CRITICAL, and lists in one page.
	Old bool
	// ScanClient is the program to give to scanners of others, in /download/scan.cli.zip; empty for none.
	ScanClient string
	// Logger gets what an operator must know; nil means nothing is logged. It never gets a secret.
	Logger *slog.Logger
	// Clock is the time; nil means the system's.
	Clock Clock
	// Around puts a handler around the hub's own, and Rehearsal decides how scans go. Both are for rehearsals (package
	// fault) and nil in production.
	Around    func(http.Handler) http.Handler
	Rehearsal jobs.Rehearsal
}

// withDefaults fills what was left out and refuses what cannot work.
func (o Options) withDefaults() (Options, error) {
	for name, value := range map[string]string{"File": o.File, "TokenFile": o.TokenFile, "PasswordFile": o.PasswordFile} {
		if value == "" {
			return o, fmt.Errorf("built-in hub: option %s is empty: name a path", name)
		}
	}
	if o.ScanTime < 0 || o.AcceptDelay < 0 || o.MaxDocument < 0 {
		return o, errors.New("built-in hub: ScanTime, AcceptDelay and MaxDocument cannot be negative")
	}
	if o.MaxDocument == 0 {
		o.MaxDocument = defaultMaxDocument
	}
	if o.UpdateInterval == 0 {
		o.UpdateInterval = DefaultUpdateInterval
	}
	if o.UpdateInterval < leastUpdateInterval {
		return o, fmt.Errorf("built-in hub: UpdateInterval %s is less than %s", o.UpdateInterval, leastUpdateInterval)
	}
	if o.Version == "" {
		o.Version = "0.0.0"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = SystemClock{}
	}
	return o, nil
}

// sortedFiles are what a load that was killed left behind.
const sortedFiles = "sorted-*"

// openUpdates makes the folder for the files of loads and downloads, and opens the source of updates; nil without one.
func (o Options) openUpdates() (directory string, source *feed.Bucket, err error) {
	directory = o.File + ".loading"
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return "", nil, fmt.Errorf("make the folder for loading data: %w", err)
	}
	left, _ := filepath.Glob(filepath.Join(directory, sortedFiles)) // the pattern is right
	for _, each := range left {
		if err := os.Remove(each); err != nil {
			return "", nil, fmt.Errorf("delete what an earlier load left: %w", err)
		}
	}
	if o.Updates == "" {
		return directory, nil, nil
	}
	source, err = feed.Open(feed.Options{Base: o.Updates, Hosts: o.UpdateHosts, Directory: directory})
	return directory, source, err
}
