package model

import (
	"fmt"
	"log/slog"
)

// UploadTarget says where a scan client uploads and who it is there. It lives in one process's memory for one upload:
// it is never an input or a result of an activity, and printing or logging it leaves the secrets out.
type UploadTarget struct {
	// Hub is the configured name of the hub.
	Hub string
	// URL is the hub's root, such as "https://hub.example:8443".
	URL string
	// CAFile holds the PEM certificates to trust; empty means the system's.
	CAFile string
	// Insecure turns certificate verification off, for a hub whose operator said so.
	Insecure bool
	// Token is an API token; when empty, Username and Password are the login.
	Token    string
	Username string
	Password string
}

// String names the target without its secrets.
func (t UploadTarget) String() string { return fmt.Sprintf("hub %s at %s", t.Hub, t.URL) }

// GoString is String, so that %#v leaks nothing either.
func (t UploadTarget) GoString() string { return t.String() }

// LogValue is String, for structured logs.
func (t UploadTarget) LogValue() slog.Value { return slog.StringValue(t.String()) }
