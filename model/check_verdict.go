package model

import (
	"errors"
	"fmt"
	"time"
)

// Known reports whether it is one of the four overall statuses.
func (s OverallStatus) Known() bool {
	_, known := rank[s]
	return known
}

// Known reports whether it is one of the scan statuses.
func (s ScanStatus) Known() bool {
	_, known := far[s]
	return known
}

// Check says what is wrong with numbers of things of each severity.
func (c Counts) Check(what string) error {
	for _, n := range []int{c.Critical, c.High, c.Medium, c.Low, c.Unrated} {
		if err := CheckCount(what, n); err != nil {
			return err
		}
	}
	return nil
}

// Check says what is wrong with a verdict; nil means that it can be kept and shown.
func (v Verdict) Check(now time.Time) error {
	if !v.OverallStatus.Known() {
		return fmt.Errorf("overall status %.40q is not known", v.OverallStatus)
	}
	if err := CheckSize("skipped hubs", len(v.SkippedHubs), HubsAtMost); err != nil {
		return err
	}
	for _, hub := range v.SkippedHubs {
		if err := CheckHub(hub); err != nil {
			return err
		}
	}
	return errors.Join(
		CheckCount("policyViolations", v.PolicyViolations), CheckCount("findings", v.Findings),
		CheckCount("components", v.Components), CheckCount("notAssessed", v.NotAssessed),
		CheckHub(v.Hub), v.Vulnerabilities.Check("vulnerabilities"), v.FindingCounts.Check("findings"), v.Coverage.Check(now),
		CheckText("versionURL", v.VersionURL, URLLength), CheckText("componentsURL", v.ComponentsURL, URLLength),
		CheckTime("judgedAt", v.JudgedAt, now), CheckTime("readAt", v.ReadAt, now), CheckTime("scanStarted", v.ScanStarted, now))
}

// Check says what is wrong with a coverage.
func (c Coverage) Check(now time.Time) error {
	if err := errors.Join(CheckSize("reasons", len(c.NotAssessed), len(NotAssessedReasons)), CheckSize("data sources", len(c.Data), DataAtMost)); err != nil {
		return err
	}
	for _, each := range c.NotAssessed {
		if err := errors.Join(CheckCount("components not assessed", each.Count), CheckText("reason", string(each.Reason), HubNameLength)); err != nil {
			return err
		}
	}
	for _, d := range c.Data {
		err := errors.Join(CheckText("ecosystem", d.Ecosystem, HubNameLength), CheckText("source", d.Source, URLLength), CheckTime("time of the data", d.AsOf, now))
		if err != nil {
			return err
		}
	}
	return errors.Join(
		CheckCount("components", c.Components), CheckCount("assessed components", c.Assessed), CheckCount("own software", c.OwnSoftware),
		CheckCount("permitted components", c.Permitted), CheckCount("findings to rate", c.NeedsRating),
		checkTime("end of a verdict", c.ValidUntil, farFuture), checkTime("end of an exception", c.ExceptionsEnd, farFuture), CheckText("reason", c.Reason, ReasonLength))
}

// farFuture bounds what a policy may promise: years of four digits can be written as JSON.
var farFuture = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)

// Check says what is wrong with the short form of a coverage.
func (c CoverageSummary) Check(now time.Time) error {
	return errors.Join(
		CheckCount("components", c.Components), CheckCount("assessed components", c.Assessed), CheckCount("own software", c.OwnSoftware),
		CheckCount("components not assessed", c.Unassessed), CheckText("reason", c.Reason, ReasonLength),
		CheckTime("time of the data", c.AsOf, now), checkTime("end of a verdict", c.ValidUntil, farFuture),
		checkTime("end of an exception", c.ExceptionsEnd, farFuture))
}

// failuresAtMost bounds the number of failures in a row: one a minute is half a million a year.
const failuresAtMost = 100_000_000

// Check says what is wrong with a failure.
func (f Failure) Check(now time.Time) error {
	if !f.Class.Known() {
		return fmt.Errorf("class of failure %.40q is not known", f.Class)
	}
	if f.Attempt < 0 || f.Attempt > failuresAtMost {
		return fmt.Errorf("attempt %d is impossible", f.Attempt)
	}
	return errors.Join(
		CheckText("reason", f.Reason, ReasonLength), checkText("step", f.Step, HubNameLength),
		CheckTime("time of the failure", f.At, now), checkTime("next try", f.NextTry, now.Add(longestPromise)))
}

// Check says what is wrong with the summary of an image.
func (s Summary) Check(now time.Time) error {
	switch {
	case !s.Status.Known():
		return fmt.Errorf("status %.40q is not known", s.Status)
	case !s.OverallStatus.Known():
		return fmt.Errorf("overall status %.40q is not known", s.OverallStatus)
	case s.Status != StatusComplete && s.OverallStatus != OverallUnknown:
		return fmt.Errorf("overall status %s without a verdict", s.OverallStatus)
	}
	if err := CheckSize("hubs", len(s.Hubs), HubsAtMost); err != nil {
		return err
	}
	for _, hub := range s.Hubs {
		if err := CheckHub(hub); err != nil {
			return err
		}
	}
	if s.Failure != nil {
		if err := s.Failure.Check(now); err != nil {
			return err
		}
	}
	return errors.Join(
		s.Digest.Check(), s.Version.Check(now), CheckCount("policyViolations", s.PolicyViolations), CheckCount("findings", s.Findings),
		CheckCount("notAssessed", s.NotAssessed), s.Vulnerabilities.Check("vulnerabilities"), s.FindingCounts.Check("findings"),
		s.Coverage.Check(now), CheckText("componentsURL", s.ComponentsURL, URLLength), CheckTime("judgedAt", s.JudgedAt, now))
}
