package blackduck

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// bomWay is how a hub tells that the bill of materials is ready.
type bomWay int

const (
	// bomInScan: the scan's own status includes it.
	bomInScan bomWay = iota
	// bomOfVersion: bom-status of the project version, from 2020.
	bomOfVersion
	// bomOfScan: bom-status of one scan, from 2022.10.
	bomOfScan
)

// dialect is what one hub speaks, found out at each login.
type dialect struct {
	old bool
	bom bomWay
	// readiness says that the hub tells whether it accepts scans, from 2022.2.
	readiness bool
}

// accept is the media type to ask for: old hubs know plain JSON only.
func (d dialect) accept(media string) string {
	if d.old {
		return mediaJSON
	}
	return media
}

// release is a hub's version in months, such as 2022*12+10; 0 for anything that is not "YYYY.M...".
type release int

// The releases that brought something we use.
const (
	releaseCurrent   release = 2020*12 + 1
	releaseReadiness release = 2022*12 + 2
	releaseBomOfScan release = 2022*12 + 10
)

// versionBeforeVersions stands for hubs of 2017, the last that do not tell their version.
const versionBeforeVersions = "4.0.0"

// firstYear is when hub versions became calendar dates; 4.x and earlier came before.
const firstYear = 2018

// parseRelease reads "2022.10.1". Versions before the calendar ones are "4.8.3" and give old.
func parseRelease(version string) (r release, old bool) {
	parts := strings.Split(strings.TrimSpace(version), ".")
	major, err := strconv.Atoi(parts[0])
	if err != nil || major < 0 {
		return 0, false
	}
	if major < firstYear {
		return 0, major > 0
	}
	month := 0
	if len(parts) > 1 {
		month, _ = strconv.Atoi(parts[1]) // not a number: the year alone decides
	}
	if major > firstYear*2 || month < 0 || month > 12 {
		return 0, false
	}
	return release(major*12 + month), false
}

// dialectOf chooses by the hub's version. An unreadable version counts as the newest: the hub answers a scheme we do
// not know, and only the future, or the built-in hub, can have that. A hub that took a token is not old, whatever it says.
func dialectOf(version string, configured Generation, byToken bool) dialect {
	r, old := parseRelease(version)
	known := r > 0
	newest := dialect{bom: bomOfScan, readiness: true}
	switch {
	case configured == GenerationOld:
		return dialect{old: true}
	case configured != GenerationCurrent && !byToken && (old || known && r < releaseCurrent):
		return dialect{old: true}
	case !known:
		return newest
	case r >= releaseBomOfScan:
		return newest
	default:
		return dialect{bom: bomOfVersion, readiness: r >= releaseReadiness}
	}
}

// detect asks the hub's version. The oldest hubs have no such address and are old for that reason.
func (c *connection) detect(ctx context.Context, s *session) (dialect, error) {
	configured, byToken := c.options.Generation, c.options.TokenFile != ""
	if configured == GenerationOld {
		return dialectOf("", configured, byToken), nil
	}
	k := call{op: opLogin, method: http.MethodGet, at: c.origin.join("/api/current-version"), accept: mediaStatus}
	answer, err := c.send(ctx, k, s)
	var p *problem
	if errors.As(err, &p) && p.status == http.StatusNotFound {
		return dialectOf(versionBeforeVersions, configured, byToken), nil
	}
	if err == nil {
		var v hubVersion
		if v, err = decodeReply[hubVersion](answer); err == nil {
			return dialectOf(v.Version, configured, byToken), nil
		}
	}
	return dialect{}, c.wrap(k.op, k.method, k.at, err)
}
