package osv

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// SupportEnd is the day after the last one on which a release gets fixes in public, long-term support included; zero where
// no end is known. Paid support does not count: its fixes do not reach the images. A release that is older than all that are
// known ended before the oldest of these.
func SupportEnd(ecosystem string) time.Time {
	day, known := supportEnds[ecosystem]
	if !known {
		base, release, _ := strings.Cut(ecosystem, ":")
		oldest, has := oldestKnown()[base]
		if numbers := numbersOf(release); !has || numbers == nil || slices.Compare(numbers, numbersOf(oldest)) >= 0 {
			return time.Time{}
		}
		day = supportEnds[base+":"+oldest]
	}
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return time.Time{}
	}
	return at.AddDate(0, 0, 1)
}

// oldestKnown are the oldest releases in supportEnds, by ecosystem, where all releases of it are numbers.
var oldestKnown = sync.OnceValue(func() map[string]string {
	oldest := map[string]string{}
	for ecosystem := range supportEnds {
		base, release, _ := strings.Cut(ecosystem, ":")
		known, has := oldest[base]
		if numbers := numbersOf(release); numbers != nil && (!has || slices.Compare(numbers, numbersOf(known)) < 0) {
			oldest[base] = release
		}
	}
	return oldest
})

// numbersOf are the parts of "v3.20" or "10.04"; nil for what is no such release.
func numbersOf(release string) []int {
	var numbers []int
	for part := range strings.SplitSeq(strings.TrimPrefix(release, "v"), ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// Supported reports whether a release still gets fixes at a time.
func Supported(ecosystem string, now time.Time) bool {
	// A variant lives as long as its release.
	if base, variant, found := cutLast(ecosystem, ":"); found && strings.Contains(base, ":") && variant != "" {
		ecosystem = base
	}
	end := SupportEnd(ecosystem)
	return end.IsZero() || now.Before(end)
}

func cutLast(text, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):], true
	}
	return text, "", false
}

// supportEnds are the last days with public support, as the distributions announced them by November 2026. A release that
// is missing here and newer than the oldest one counts as supported, so that a new one needs no new program. The days were
// compared with Debian's package distro-info-data and with trivy 0.74; where two sources differ, the earlier day of the two
// counts, except where the distribution itself announced a later one.
var supportEnds = map[string]string{
	// https://wiki.debian.org/LTS, and debian.csv of distro-info-data (its column eol-lts)
	"Debian:4": "2010-02-15", "Debian:5": "2012-02-06", "Debian:6": "2016-02-29", "Debian:7": "2018-05-31", "Debian:8": "2020-06-30",
	"Debian:9": "2022-06-30", "Debian:10": "2024-06-30", "Debian:11": "2026-08-31", "Debian:12": "2028-06-30", "Debian:13": "2030-06-30",
	// https://ubuntu.com/about/release-cycle, without Pro, and ubuntu.csv of distro-info-data
	"Ubuntu:10.10": "2012-04-10", "Ubuntu:11.04": "2012-10-28", "Ubuntu:11.10": "2013-05-09",
	"Ubuntu:10.04": "2015-04-30", "Ubuntu:12.10": "2014-05-16", "Ubuntu:13.04": "2014-01-27", "Ubuntu:13.10": "2014-07-17", "Ubuntu:14.10": "2015-07-23",
	"Ubuntu:15.04": "2016-02-04", "Ubuntu:15.10": "2016-07-28", "Ubuntu:16.10": "2017-07-20", "Ubuntu:17.04": "2018-01-13", "Ubuntu:17.10": "2018-07-19",
	"Ubuntu:12.04": "2017-04-28", "Ubuntu:14.04": "2019-04-25", "Ubuntu:16.04": "2021-04-30", "Ubuntu:18.04": "2023-05-31",
	"Ubuntu:20.04": "2025-05-29", "Ubuntu:22.04": "2027-05-31", "Ubuntu:24.04": "2029-05-31", "Ubuntu:26.04": "2031-05-29",
	"Ubuntu:18.10": "2019-07-18", "Ubuntu:19.04": "2020-01-23", "Ubuntu:19.10": "2020-07-17", "Ubuntu:20.10": "2021-07-22",
	"Ubuntu:21.04": "2022-01-20", "Ubuntu:21.10": "2022-07-14", "Ubuntu:22.10": "2023-07-20", "Ubuntu:23.04": "2024-01-25",
	"Ubuntu:23.10": "2024-07-11", "Ubuntu:24.10": "2025-07-10", "Ubuntu:25.04": "2026-01-15", "Ubuntu:25.10": "2026-07-09",
	// https://alpinelinux.org/releases/
	"Alpine:v2.1": "2012-11-01", "Alpine:v2.2": "2013-05-01", "Alpine:v2.3": "2013-11-01", "Alpine:v2.4": "2014-05-01", "Alpine:v2.5": "2014-11-01",
	"Alpine:v2.6": "2015-05-01", "Alpine:v2.7": "2015-11-01", "Alpine:v3.0": "2016-05-01", "Alpine:v3.1": "2016-11-01", "Alpine:v3.2": "2017-05-01", "Alpine:v3.3": "2017-11-01",
	"Alpine:v3.4": "2018-05-01", "Alpine:v3.5": "2018-11-01", "Alpine:v3.6": "2019-05-01", "Alpine:v3.7": "2019-11-01",
	"Alpine:v3.8": "2020-05-01", "Alpine:v3.9": "2020-11-01", "Alpine:v3.10": "2021-05-01", "Alpine:v3.11": "2021-11-01",
	"Alpine:v3.12": "2022-05-01", "Alpine:v3.13": "2022-11-01", "Alpine:v3.14": "2023-05-01", "Alpine:v3.15": "2023-11-01",
	"Alpine:v3.16": "2024-05-23", "Alpine:v3.17": "2024-11-22", "Alpine:v3.18": "2025-05-09", "Alpine:v3.19": "2025-11-01",
	"Alpine:v3.20": "2026-04-01", "Alpine:v3.21": "2026-11-01", "Alpine:v3.22": "2027-05-01", "Alpine:v3.23": "2027-11-01",
	// https://access.redhat.com/support/policy/updates/errata (the end of maintenance), https://wiki.almalinux.org/release-notes/, https://wiki.rockylinux.org/rocky/version/
	"Red Hat:3": "2010-10-31", "Red Hat:4": "2012-02-29", "Red Hat:5": "2017-03-31", "Red Hat:6": "2020-11-30", "Red Hat:7": "2024-06-30",
	"Red Hat:8": "2029-05-31", "Red Hat:9": "2032-05-31",
	"Red Hat:10": "2035-05-31", "AlmaLinux:8": "2029-03-01", "AlmaLinux:9": "2032-05-31", "AlmaLinux:10": "2035-05-31",
	"Rocky Linux:8": "2029-05-31", "Rocky Linux:9": "2032-05-31", "Rocky Linux:10": "2035-05-31",
	// https://en.opensuse.org/Lifetime, https://www.suse.com/lifecycle
	"openSUSE:13.1": "2016-02-03", "openSUSE:13.2": "2017-01-17", "openSUSE:Leap 42.1": "2017-05-17", "openSUSE:Leap 42.2": "2018-01-26", "openSUSE:Leap 42.3": "2019-07-01",
	"openSUSE:Leap 15.0": "2019-12-03", "openSUSE:Leap 15.1": "2021-02-02", "openSUSE:Leap 15.2": "2022-01-04", "openSUSE:Leap 15.3": "2022-12-31",
	"openSUSE:Leap 15.4": "2023-12-07", "openSUSE:Leap 15.5": "2024-12-31", "openSUSE:Leap 15.6": "2026-04-30", "openSUSE:Leap 16.0": "2027-10-31",
	"SUSE:10.4": "2013-07-31", "SUSE:11": "2010-12-31", "SUSE:11.1": "2012-08-31", "SUSE:11.2": "2014-01-31", "SUSE:11.3": "2016-01-31", "SUSE:11.4": "2019-03-31",
	"SUSE:12": "2016-06-30", "SUSE:12.1": "2017-05-31", "SUSE:12.2": "2018-03-31", "SUSE:12.3": "2019-06-30", "SUSE:12.4": "2020-06-30",
	"SUSE:12.5": "2024-10-31", "SUSE:15": "2019-12-31",
	"SUSE:15.1": "2021-01-31", "SUSE:15.2": "2021-12-31", "SUSE:15.3": "2022-12-31", "SUSE:15.4": "2023-12-31", "SUSE:15.5": "2024-12-31",
	"SUSE:15.6": "2025-12-31", "SUSE:15.7": "2031-07-31", "SUSE:16.0": "2027-11-30",
	"SUSE:Micro 5.0": "2022-03-31", "SUSE:Micro 5.1": "2025-10-31", "SUSE:Micro 5.2": "2026-04-30", "SUSE:Micro 5.3": "2026-10-30",
	"SUSE:Micro 5.4": "2027-04-30", "SUSE:Micro 5.5": "2027-10-31", "SUSE:Micro 6.0": "2028-06-30", "SUSE:Micro 6.1": "2028-11-30",
	// https://www.mageia.org/en/support/: version 9 lives until three months after version 10
	"Mageia:1": "2012-12-01", "Mageia:2": "2013-11-22", "Mageia:3": "2014-11-26", "Mageia:4": "2015-09-19", "Mageia:5": "2017-12-31", "Mageia:6": "2019-09-30",
	"Mageia:7": "2021-06-30", "Mageia:8": "2023-11-30",
}

// SupportEnded counts the releases whose support has ended at a time, so that a change can be noticed.
func SupportEnded(now time.Time) int {
	ended := 0
	for ecosystem := range supportEnds {
		if !now.Before(SupportEnd(ecosystem)) {
			ended++
		}
	}
	return ended
}

// NextSupportEnd is when the support of the next release ends; zero when no end is known.
func NextSupportEnd(now time.Time) time.Time {
	var next time.Time
	for ecosystem := range supportEnds {
		if end := SupportEnd(ecosystem); end.After(now) && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	return next
}
