package model

import (
	"net/url"
	"time"
)

// HubChangeKind is what happened to a project version at a hub.
type HubChangeKind string

// The kinds. After each but HubChangeRemoved the verdict has to be read again; after HubChangeRemoved there is none any more.
const (
	HubChangeVulnerability HubChangeKind = "vulnerability"
	HubChangePolicy        HubChangeKind = "policy"
	HubChangeBOM           HubChangeKind = "bom"
	HubChangeRemoved       HubChangeKind = "removed"
)

// HubChange says that something happened to a project version at a hub.
type HubChange struct {
	VersionURL string        `json:"versionURL"`
	Kind       HubChangeKind `json:"kind"`
	// At is the hub's time of the newest such event.
	At time.Time `json:"at"`
}

// VersionKey is a version's address without the hub's own name in it, which may change while the version stays.
func VersionKey(versionURL string) string {
	u, err := url.Parse(versionURL)
	if err != nil || u.Path == "" {
		return versionURL
	}
	return u.Path
}
