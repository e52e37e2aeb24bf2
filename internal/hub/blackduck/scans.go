package blackduck

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/perceptor/perceptor/model"
)

// codeLocation is the hub's object of one scan name.
type codeLocation struct {
	Name                 string  `json:"name"`
	MappedProjectVersion string  `json:"mappedProjectVersion"`
	CreatedAt            instant `json:"createdAt"`
	UpdatedAt            instant `json:"updatedAt"`
	Meta                 meta    `json:"_meta"`
}

func (l *codeLocation) check() error {
	switch {
	case l.Name == "":
		return errors.New("a code location without a name")
	case l.Meta.Href == "":
		return errors.New("a code location without its address")
	}
	return nil
}

// settleTime is how long a hub may take to join a code location with its scan and its version. Within it a part that
// is missing is still coming; after it the part is gone. It is the hub's own clock on both sides.
const settleTime = 60 * time.Second

const (
	opFind  = "find scan"
	opState = "read scan state"
)

// The details of states the hub has no word for.
const (
	detailNoScan     = "the code location has no scan"
	detailNoVersion  = "the scan's project version is gone"
	detailScanGone   = "the hub no longer knows the scan"
	detailNewComing  = "the hub does not show the new scan yet"
	detailNoMatch    = "no match"
	detailBomPrefix  = "bill of materials "
	detailComing     = ", but is new"
	relLatestScan    = "latest-scan"
	relScans         = "scans"
	relCodeLocation  = "codelocation"
	suffixLatestScan = "latest-scan-summary"
	suffixScans      = "scan-summaries"
	suffixBomStatus  = "bom-status"
)

// FindScan looks for a scan by its exact name, case aside, as the hub itself compares names. A name the hub does not
// know is State Absent and no error; so is a scan whose project version was deleted, since nothing can be read of it.
func (c *Client) FindScan(ctx context.Context, scanName string) (model.HubScan, error) {
	scan := model.HubScan{Hub: c.name, Name: scanName, State: model.HubScanAbsent}
	if strings.TrimSpace(scanName) == "" {
		return scan, c.wrap(opFind, "", nil, trouble(symptomArgument, errors.New("the scan name is empty")))
	}
	s, err := c.session(ctx, opFind, nil)
	if err != nil {
		return scan, err
	}
	rows, answer, err := c.search(ctx, opFind, s.dialect, scanName)
	if err != nil {
		return scan, err
	}
	location := exact(rows, scanName)
	if location == nil {
		return scan, nil
	}
	if err := c.locate(&scan, location); err != nil {
		return scan, c.wrap(opFind, "", nil, err)
	}
	latest, answerLatest, err := c.newest(ctx, opFind, s.dialect, location)
	if err != nil {
		return scan, err
	}
	if latest == nil {
		return absentOrComing(scan, detailNoScan, answer.at.Sub(location.CreatedAt.Time)), nil
	}
	return c.judgeScan(ctx, opFind, s.dialect, scan, latest, answerLatest.at)
}

// search lists the code locations whose names contain the text: the hub's q is no exact match.
func (c *Client) search(ctx context.Context, op string, d dialect, text string) ([]codeLocation, reply, error) {
	query := url.Values{"q": {"name:" + text}}
	return getAll[codeLocation](ctx, c, call{op: op, at: c.origin.join("/api/codelocations"), query: query, accept: d.accept(mediaScan)})
}

// exact is the code location of that name: the same spelling before another case, then the one changed last.
func exact(rows []codeLocation, name string) *codeLocation {
	var best *codeLocation
	for i := range rows {
		row := &rows[i]
		switch {
		case !strings.EqualFold(row.Name, name):
		case best == nil,
			row.Name == name && best.Name != name,
			(row.Name == name) == (best.Name == name) && row.UpdatedAt.After(best.UpdatedAt.Time):
			best = row
		}
	}
	return best
}

// locate fills in the addresses of a code location.
func (c *Client) locate(scan *model.HubScan, location *codeLocation) error {
	at, err := c.origin.object(location.Meta.Href, codeLocationPath, "code location")
	if err != nil {
		return trouble(symptomShape, err)
	}
	scan.CodeLocationURL = at.String()
	if location.MappedProjectVersion == "" {
		return nil
	}
	version, err := c.origin.object(location.MappedProjectVersion, versionPath, "project version")
	if err != nil {
		return trouble(symptomShape, err)
	}
	scan.VersionURL = version.String()
	return nil
}

// newest is the latest scan of a code location, nil when it has none. Hubs that have it tell it in one object.
func (c *Client) newest(ctx context.Context, op string, d dialect, location *codeLocation) (*scanSummary, reply, error) {
	at, err := c.origin.resolve(location.Meta.Href)
	if err != nil {
		return nil, reply{}, c.wrap(op, "", nil, trouble(symptomShape, err))
	}
	if d.old || location.Meta.link(relLatestScan) == "" && location.Meta.link(relScans) != "" {
		k := call{op: op, at: below(at, suffixScans), accept: d.accept(mediaScan)}
		rows, answer, err := getAll[scanSummary](ctx, c, k)
		return latestOf(rows), answer, err
	}
	summary, answer, err := get[scanSummary](ctx, c, call{op: op, at: below(at, suffixLatestScan), accept: d.accept(mediaScanSummary)})
	if isNotFound(err) {
		return nil, answer, nil
	}
	return &summary, answer, err
}

// latestOf is the summary created last; lists come in no promised order.
func latestOf(rows []scanSummary) *scanSummary {
	var latest *scanSummary
	for i := range rows {
		if latest == nil || rows[i].CreatedAt.After(latest.CreatedAt.Time) {
			latest = &rows[i]
		}
	}
	return latest
}

// absentOrComing answers for an object that misses a part: still coming while it is young, gone afterwards.
func absentOrComing(scan model.HubScan, detail string, age time.Duration) model.HubScan {
	scan.State, scan.Detail = model.HubScanAbsent, detail
	if age < settleTime {
		scan.State, scan.Detail = model.HubScanInProgress, detail+detailComing
	}
	return scan
}

// isNotFound reports that the hub itself answered 404.
func isNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Class == model.NotFound
}
