package rest

import (
	"net/http"
	"slices"

	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// scans answers /api/scans, /api/scan-summaries and the scans of a code location.
type scans struct{ *Server }

// runningSteps are the states that scan-summaries goes through before COMPLETE, in the order of their work.
var runningSteps = []string{
	"UNSTARTED", "SCANNING", "SAVING_SCAN_DATA", "SCAN_DATA_SAVE_COMPLETE", "REQUESTED_MATCH_JOB", "MATCHING", "BOM_VERSION_CHECK", "BUILDING_BOM",
}

func scanURL(id string) string { return "/api/scan-summaries/" + id }

// oldStatus is the scan's state in the words of scan-summaries. A running scan has no steps of its own here: its
// time is divided among them.
func (s scans) oldStatus(scan store.Scan) string {
	switch scan.State {
	case store.ScanSuccess:
		return "COMPLETE"
	case store.ScanFailure:
		return scan.Reason
	case store.ScanStarted:
	}
	whole, passed := scan.DueAt.Sub(scan.AcceptedAt), s.jobs.Now().Sub(scan.AcceptedAt)
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

func (s scans) viewOldScan(c *call, scan store.Scan) oldScanView {
	return oldScanView{
		Status: s.oldStatus(scan), StatusMessage: scan.Message, ScanType: "SBOM", CreatedAt: stamp(scan.AcceptedAt), UpdatedAt: stamp(scan.UpdatedAt),
		Meta: c.metaOf(scanURL(scan.ID), allowGet, "codelocation", locationURL(scan.CodeLocation)),
	}
}

type scanView struct {
	ScanState         store.ScanState `json:"scanState"`
	TransitionReason  string          `json:"transitionReason,omitempty"`
	ScanType          string          `json:"scanType"`
	StatusMessage     string          `json:"statusMessage,omitempty"`
	ErrorCode         string          `json:"errorCode,omitempty"`
	BaseDirectory     string          `json:"baseDirectory"`
	HostName          string          `json:"hostName"`
	CreatedByUserName string          `json:"createdByUserName"`
	ServerVersion     string          `json:"serverVersion"`
	CreatedAt         stamp           `json:"createdAt"`
	UpdatedAt         stamp           `json:"updatedAt"`
	DirectoryCount    int             `json:"directoryCount"`
	FileCount         int             `json:"fileCount"`
	MatchCount        int             `json:"matchCount"`
	ScanSize          int64           `json:"scanSize"`
	RetainUnmatched   bool            `json:"retainUnmatchedFiles"`
	Meta              meta            `json:"_meta"`
}

func (s scans) viewScan(c *call, scan store.Scan) scanView {
	view := scanView{
		ScanState: scan.State, TransitionReason: scan.Reason, ScanType: "SBOM", StatusMessage: scan.Message, CreatedByUserName: User,
		ServerVersion: s.version, CreatedAt: stamp(scan.AcceptedAt), UpdatedAt: stamp(scan.UpdatedAt), ScanSize: scan.Size,
		Meta: c.metaOf(scanURL(scan.ID), allowGet, "codelocation", locationURL(scan.CodeLocation)),
	}
	switch scan.State {
	case store.ScanSuccess:
		view.MatchCount = scan.Components
	case store.ScanFailure:
		view.ErrorCode = "{perceptor.builtin." + scan.Reason + "}"
	case store.ScanStarted:
	}
	return view
}

// list answers the old form.
func (s scans) list(c *call) (reply, error) {
	p, err := c.paging("status")
	if err != nil {
		return reply{}, err
	}
	list := page{Items: []any{}, AppliedFilters: []any{}}
	err = s.store.View(func(tx *store.Tx) error {
		l, err := tx.CodeLocations().Find(c.PathValue("location"))
		if err != nil {
			return err
		}
		list.Meta = c.metaOf(locationURL(l.ID)+"/scan-summaries", allowGet, "codelocation", locationURL(l.ID))
		found, err := tx.Scans().Of(l.ID)
		found = slices.DeleteFunc(found, func(scan store.Scan) bool { return !p.matches(s.oldStatus(scan)) })
		list.TotalCount = len(found)
		for _, scan := range cut(p, found) {
			list.Items = append(list.Items, s.viewOldScan(c, scan))
		}
		return err
	})
	return reply{status: http.StatusOK, body: list}, err
}

func (s scans) getLatest(c *call) (reply, error) {
	var newest store.Scan
	err := s.store.View(func(tx *store.Tx) error {
		l, err := tx.CodeLocations().Find(c.PathValue("location"))
		if err != nil {
			return err
		}
		found, err := tx.Scans().Of(l.ID)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return &store.NotFoundError{What: "scan of code location", ID: l.ID}
		}
		newest = found[0]
		return nil
	})
	return reply{status: http.StatusOK, body: s.viewScan(c, newest)}, err
}

func (s scans) get(c *call) (reply, error) {
	var scan store.Scan
	err := s.store.View(func(tx *store.Tx) (err error) {
		scan, err = tx.Scans().Find(c.PathValue("scan"))
		return err
	})
	return reply{status: http.StatusOK, body: s.viewScan(c, scan)}, err
}
