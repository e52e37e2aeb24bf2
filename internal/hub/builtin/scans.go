package builtin

import (
	"net/http"
	"slices"

	"go.etcd.io/bbolt"
)

// runningSteps are the states that scan-summaries goes through before COMPLETE, in the order of their work.
var runningSteps = []string{
	"UNSTARTED", "SCANNING", "SAVING_SCAN_DATA", "SCAN_DATA_SAVE_COMPLETE", "REQUESTED_MATCH_JOB", "MATCHING", "BOM_VERSION_CHECK", "BUILDING_BOM",
}

// keepScans is how many finished scans of one code location stay readable.
const keepScans = 20

func scanURL(id string) string { return "/api/scan-summaries/" + id }

// oldStatus is the scan's state in the words of scan-summaries. A running scan has no steps of its own here: its
// time is divided among them.
func (h *Hub) oldStatus(s scan) string {
	switch s.State {
	case scanSuccess:
		return "COMPLETE"
	case scanFailure:
		return s.Reason
	case scanStarted:
	}
	whole, passed := s.DueAt.Sub(s.AcceptedAt), h.now().Sub(s.AcceptedAt)
	if whole <= 0 || passed >= whole {
		return runningSteps[len(runningSteps)-1]
	}
	return runningSteps[max(0, int(float64(passed)/float64(whole)*float64(len(runningSteps))))]
}

type oldScanView struct {
	Status        string `json:"status"`
	StatusMessage string `json:"statusMessage,omitempty"`
	ScanType      string `json:"scanType"`
	CreatedAt     stamp  `json:"createdAt"`
	UpdatedAt     stamp  `json:"updatedAt"`
	Meta          meta   `json:"_meta"`
}

func (h *Hub) viewOldScan(c *call, s scan) oldScanView {
	return oldScanView{
		Status: h.oldStatus(s), StatusMessage: s.Message, ScanType: "SBOM", CreatedAt: stamp(s.AcceptedAt), UpdatedAt: stamp(s.UpdatedAt),
		Meta: c.metaOf(scanURL(s.ID), allowGet, "codelocation", locationURL(s.CodeLocation)),
	}
}

type scanView struct {
	ScanState         scanState `json:"scanState"`
	TransitionReason  string    `json:"transitionReason,omitempty"`
	ScanType          string    `json:"scanType"`
	StatusMessage     string    `json:"statusMessage,omitempty"`
	ErrorCode         string    `json:"errorCode,omitempty"`
	BaseDirectory     string    `json:"baseDirectory"`
	HostName          string    `json:"hostName"`
	CreatedByUserName string    `json:"createdByUserName"`
	ServerVersion     string    `json:"serverVersion"`
	CreatedAt         stamp     `json:"createdAt"`
	UpdatedAt         stamp     `json:"updatedAt"`
	DirectoryCount    int       `json:"directoryCount"`
	FileCount         int       `json:"fileCount"`
	MatchCount        int       `json:"matchCount"`
	ScanSize          int64     `json:"scanSize"`
	RetainUnmatched   bool      `json:"retainUnmatchedFiles"`
	Meta              meta      `json:"_meta"`
}

func (h *Hub) viewScan(c *call, s scan) scanView {
	view := scanView{
		ScanState: s.State, TransitionReason: s.Reason, ScanType: "SBOM", StatusMessage: s.Message, CreatedByUserName: User,
		ServerVersion: h.options.Version, CreatedAt: stamp(s.AcceptedAt), UpdatedAt: stamp(s.UpdatedAt), ScanSize: s.Size,
		Meta: c.metaOf(scanURL(s.ID), allowGet, "codelocation", locationURL(s.CodeLocation)),
	}
	switch s.State {
	case scanSuccess:
		view.MatchCount = s.Components
	case scanFailure:
		view.ErrorCode = "{perceptor.builtin." + s.Reason + "}"
	case scanStarted:
	}
	return view
}

// scansOf reads the scans of a code location, newest first.
func scansOf(tx *bbolt.Tx, locationID string) ([]scan, error) {
	var scans []scan
	err := eachUnder(tx, scanIndexBucket, locationID, func(_, id string) error {
		s, _, err := read[scan](tx, scanBucket, id)
		scans = append(scans, s)
		return err
	})
	slices.Reverse(scans)
	return scans, err
}

// listScans answers the old form.
func (h *Hub) listScans(c *call) (reply, error) {
	p, err := parsePaging(c.URL.Query(), "status")
	if err != nil {
		return reply{}, err
	}
	list := page{Items: []any{}, AppliedFilters: []any{}}
	err = h.db.View(func(tx *bbolt.Tx) error {
		l, err := findLocation(tx, c.PathValue("location"))
		if err != nil {
			return err
		}
		list.Meta = c.metaOf(locationURL(l.ID)+"/scan-summaries", allowGet, "codelocation", locationURL(l.ID))
		scans, err := scansOf(tx, l.ID)
		scans = slices.DeleteFunc(scans, func(s scan) bool { return !p.matches(h.oldStatus(s)) })
		list.TotalCount = len(scans)
		for _, s := range cut(p, scans) {
			list.Items = append(list.Items, h.viewOldScan(c, s))
		}
		return err
	})
	return reply{status: http.StatusOK, body: list}, err
}

func (h *Hub) getLatestScan(c *call) (reply, error) {
	var newest scan
	err := h.db.View(func(tx *bbolt.Tx) error {
		l, err := findLocation(tx, c.PathValue("location"))
		if err != nil {
			return err
		}
		scans, err := scansOf(tx, l.ID)
		if err != nil {
			return err
		}
		if len(scans) == 0 {
			return notFound("scan of code location", l.ID)
		}
		newest = scans[0]
		return nil
	})
	return reply{status: http.StatusOK, body: h.viewScan(c, newest)}, err
}

func findScan(tx *bbolt.Tx, id string) (scan, error) {
	s, ok, err := read[scan](tx, scanBucket, id)
	if err == nil && !ok {
		err = notFound("scan", id)
	}
	return s, err
}

func (h *Hub) getScan(c *call) (reply, error) {
	var s scan
	err := h.db.View(func(tx *bbolt.Tx) (err error) {
		s, err = findScan(tx, c.PathValue("scan"))
		return err
	})
	return reply{status: http.StatusOK, body: h.viewScan(c, s)}, err
}

// endScan writes the end of a running scan with its counters, and frees its stored components.
func (h *Hub) endScan(tx *bbolt.Tx, s scan, state scanState, reason, message string) error {
	s.State, s.Reason, s.Message, s.UpdatedAt = state, reason, message, h.now()
	if err := write(tx, scanBucket, s.ID, s); err != nil {
		return err
	}
	if err := remove(tx, activeBucket, s.ID); err != nil {
		return err
	}
	if err := remove(tx, scanContentsBucket, s.ID); err != nil {
		return err
	}
	return scanEnded(tx, s)
}

// cancelScans ends the running scans of a code location, or only those for one version.
func (h *Hub) cancelScans(tx *bbolt.Tx, locationID, versionID, message string) error {
	scans, err := scansOf(tx, locationID)
	if err != nil {
		return err
	}
	for _, s := range scans {
		if s.State != scanStarted || versionID != "" && s.Version != versionID {
			continue
		}
		if err := h.endScan(tx, s, scanFailure, "CANCELLED", message); err != nil {
			return err
		}
	}
	return nil
}

// dropScans deletes the finished scans of a code location but the newest ones.
func dropScans(tx *bbolt.Tx, locationID string, keep int) error {
	scans, err := scansOf(tx, locationID)
	if err != nil {
		return err
	}
	for i, s := range scans {
		if i < keep || s.State == scanStarted {
			continue
		}
		if err := dropScan(tx, s); err != nil {
			return err
		}
	}
	return nil
}

// dropScan deletes a finished scan.
func dropScan(tx *bbolt.Tx, s scan) error {
	if err := remove(tx, scanIndexBucket, joinKey(s.CodeLocation, sequenceKey(s.Seq))); err != nil {
		return err
	}
	return remove(tx, scanBucket, s.ID)
}
