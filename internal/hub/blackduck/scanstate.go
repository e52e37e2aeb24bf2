package blackduck

import (
	"context"
	"errors"
	"time"

	"github.com/perceptor/perceptor/model"
)

// ScanState says how far a scan is that is known by its ScanID, or by its CodeLocationURL, or only by its Name, in this
// order. With a ScanID the answer is of that scan, also when the code location has a newer one. Complete means that
// the bill of materials is ready too. Absent means that the hub no longer knows the scan or its project version.
func (c *Client) ScanState(ctx context.Context, scan model.HubScan) (model.HubScan, error) {
	if scan.ScanID == "" && scan.CodeLocationURL == "" {
		return c.FindScan(ctx, scan.Name)
	}
	scan.Hub = c.name
	s, err := c.session(ctx, opState, nil)
	if err != nil {
		return scan, err
	}
	summary, answer, err := c.summaryOf(ctx, s.dialect, scan)
	switch {
	case isNotFound(err), err == nil && summary == nil:
		scan.State, scan.Detail = model.HubScanAbsent, detailScanGone
		return scan, nil
	case err != nil:
		return scan, err
	case scan.ScanID == "" && summary.CreatedAt.Before(scan.StartedAt):
		scan.State, scan.Detail = model.HubScanInProgress, detailNewComing
		return scan, nil
	}
	if scan.VersionURL == "" && summary.state() == model.HubScanComplete {
		if err := c.findVersion(ctx, s.dialect, &scan, summary); err != nil {
			if isNotFound(err) {
				scan.State, scan.Detail = model.HubScanAbsent, detailScanGone
				return scan, nil
			}
			return scan, err
		}
	}
	return c.judgeScan(ctx, opState, s.dialect, scan, summary, answer.at)
}

// summaryOf reads the scan's summary: the one with its id, or the latest of its code location. Old hubs are asked for
// the list, because not all of them serve a summary by itself.
func (c *Client) summaryOf(ctx context.Context, d dialect, scan model.HubScan) (*scanSummary, reply, error) {
	if scan.CodeLocationURL != "" && (scan.ScanID == "" || d.old) {
		at, err := c.origin.object(scan.CodeLocationURL, codeLocationPath, "code location")
		if err != nil {
			return nil, reply{}, c.wrap(opState, "", nil, trouble(symptomArgument, err))
		}
		if scan.ScanID == "" {
			return c.newest(ctx, opState, d, &codeLocation{Meta: meta{Href: at.String()}})
		}
		rows, answer, err := getAll[scanSummary](ctx, c, call{op: opState, at: below(at, suffixScans), accept: d.accept(mediaScan)})
		for i := range rows {
			if rows[i].id() == scan.ScanID {
				return &rows[i], answer, err
			}
		}
		return nil, answer, err
	}
	at, err := c.origin.resolve("/api/scan-summaries/" + scan.ScanID)
	if err != nil || lastPart(at.Path) != scan.ScanID {
		return nil, reply{}, c.wrap(opState, "", nil, trouble(symptomArgument, errors.New("the scan id is not one")))
	}
	summary, answer, err := get[scanSummary](ctx, c, call{op: opState, at: at, accept: d.accept(mediaScanSummary)})
	return &summary, answer, err
}

// findVersion reads the code location of a scan for its project version.
func (c *Client) findVersion(ctx context.Context, d dialect, scan *model.HubScan, summary *scanSummary) error {
	link := scan.CodeLocationURL
	if link == "" {
		link = summary.Meta.link(relCodeLocation)
	}
	if link == "" {
		return c.findVersionByName(ctx, d, scan)
	}
	at, err := c.origin.object(link, codeLocationPath, "code location")
	if err != nil {
		return c.wrap(opState, "", nil, trouble(symptomShape, err))
	}
	location, _, err := get[codeLocation](ctx, c, call{op: opState, at: at, accept: d.accept(mediaScan)})
	if err != nil {
		return err
	}
	return c.wrap(opState, "", nil, c.locate(scan, &location))
}

// findVersionByName is findVersion for a scan of which only the name is known besides its id.
func (c *Client) findVersionByName(ctx context.Context, d dialect, scan *model.HubScan) error {
	rows, _, err := c.search(ctx, opState, d, scan.Name)
	if err != nil {
		return err
	}
	location := exact(rows, scan.Name)
	if location == nil {
		return nil
	}
	return c.wrap(opState, "", nil, c.locate(scan, location))
}

// judgeScan adds what a summary says to a scan whose addresses are known, and asks for the bill of materials when the
// scan itself succeeded. now is the hub's clock.
func (c *Client) judgeScan(
	ctx context.Context, op string, d dialect, scan model.HubScan, summary *scanSummary, now time.Time,
) (model.HubScan, error) {
	scan.State, scan.Detail = summary.state(), summary.detail()
	scan.StartedAt, scan.UpdatedAt = summary.CreatedAt.Time, summary.UpdatedAt.Time
	if id := summary.id(); id != "" {
		scan.ScanID = id
	}
	if scan.State != model.HubScanComplete {
		return scan, nil
	}
	if scan.VersionURL == "" {
		return absentOrComing(scan, detailNoVersion, now.Sub(summary.changedAt())), nil
	}
	if summary.matchedNothing() {
		scan.Detail += ", " + detailNoMatch
		return scan, nil
	}
	return c.judgeBom(ctx, op, d, scan, summary)
}

// changedAt is the newest time of a summary.
func (s *scanSummary) changedAt() time.Time {
	if s.UpdatedAt.After(s.CreatedAt.Time) {
		return s.UpdatedAt.Time
	}
	return s.CreatedAt.Time
}

// judgeBom asks whether the bill of materials holds the scan. A scan whose id is unknown is asked for by its version.
// A hub may have forgotten the status of an old scan while the version is there: on a 404 the version is asked, the one
// case of a fourth call.
func (c *Client) judgeBom(ctx context.Context, op string, d dialect, scan model.HubScan, summary *scanSummary) (model.HubScan, error) {
	if d.bom == bomInScan {
		return scan, nil
	}
	version, err := c.origin.object(scan.VersionURL, versionPath, "project version")
	if err != nil {
		return scan, c.wrap(op, "", nil, trouble(symptomArgument, err))
	}
	k := call{op: op, at: below(version, suffixBomStatus), accept: d.accept(mediaBillOfMaterials)}
	ofScan := k
	ofScan.at = below(k.at, scan.ScanID)
	var bom bomStatus
	if d.bom == bomOfScan && scan.ScanID != "" {
		bom, _, err = get[bomStatus](ctx, c, ofScan)
	}
	if bom.Status == "" && err == nil || isNotFound(err) {
		bom, _, err = get[bomStatus](ctx, c, k)
	}
	if isNotFound(err) {
		scan.State, scan.Detail, scan.VersionURL = model.HubScanAbsent, detailNoVersion, ""
		return scan, nil
	}
	if err != nil {
		return scan, err
	}
	scan.State = bom.state(summary)
	if scan.State != model.HubScanComplete {
		scan.Detail = detailBomPrefix + saying(bom.Status, nil)
	}
	return scan, nil
}
