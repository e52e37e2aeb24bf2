package blackduck

import (
	"context"
	"errors"
	"net/http"
	"regexp"

	"github.com/perceptor/perceptor/model"
)

// ScanNames lists the names of the scans behind a project version; one call for each 1,000 of them. A version that is
// gone is an error of class not-found.
func (c *Client) ScanNames(ctx context.Context, versionURL string) ([]string, error) {
	const op = "list scans of a version"
	version, _, err := c.version(ctx, op, versionURL)
	if err != nil {
		return nil, err
	}
	s, err := c.session(ctx, op, nil)
	if err != nil {
		return nil, err
	}
	rows, _, err := getAll[codeLocation](ctx, c, call{op: op, at: below(version, "codelocations"), accept: s.dialect.accept(mediaScan)})
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(rows))
	for i := range rows {
		names = append(names, rows[i].Name)
	}
	return names, nil
}

// DigestsOf is ScanNames reduced to the names that are digests, which is what scans of images are called by default.
func (c *Client) DigestsOf(ctx context.Context, versionURL string) ([]model.Digest, error) {
	names, err := c.ScanNames(ctx, versionURL)
	if err != nil {
		return nil, err
	}
	digests := make([]model.Digest, 0, len(names))
	for _, name := range names {
		if d, err := model.ParseDigest(name); err == nil {
			digests = append(digests, d)
		}
	}
	return digests, nil
}

// DeleteVersion removes a project version; one that is gone already is no error. Its code locations stay, unmapped:
// delete them too.
func (c *Client) DeleteVersion(ctx context.Context, versionURL string) error {
	return c.remove(ctx, "delete version", versionURL, versionPath, "project version", mediaProject)
}

// DeleteCodeLocation removes a code location with its scans; one that is gone already is no error.
func (c *Client) DeleteCodeLocation(ctx context.Context, codeLocationURL string) error {
	return c.remove(ctx, "delete code location", codeLocationURL, codeLocationPath, "code location", mediaScan)
}

// remove deletes an object whose address has the given form, so that no mistaken address deletes something larger.
func (c *Client) remove(ctx context.Context, op, link string, form *regexp.Regexp, noun, media string) error {
	at, err := c.origin.object(link, form, noun)
	if err != nil {
		return c.wrap(op, "", nil, trouble(symptomArgument, err))
	}
	s, err := c.session(ctx, op, nil)
	if err != nil {
		return err
	}
	// Hubs want a content type on this DELETE although it has no content.
	_, err = c.fetch(ctx, call{op: op, method: http.MethodDelete, at: at, accept: s.dialect.accept(media), contentType: mediaJSON})
	if isNotFound(err) {
		return nil
	}
	return err
}

// readiness is what a hub of 2022.2 or later says of its scan services.
type readiness struct {
	Readiness string `json:"readiness"`
}

func (r *readiness) check() error {
	if r.Readiness == "" {
		return errors.New("no readiness")
	}
	return nil
}

// readinessDegraded is the state in which a hub refuses new scans.
const readinessDegraded = "DEGRADED"

// Ready asks whether the hub is there, knows this login and accepts scans, in one cheap call: scan-readiness where the
// hub has it, its version otherwise.
func (c *Client) Ready(ctx context.Context) error {
	const op = "probe"
	s, err := c.session(ctx, op, nil)
	if err != nil {
		return err
	}
	if !s.dialect.readiness || c.withoutReadiness.Load() {
		return c.probeVersion(ctx, op, s.dialect)
	}
	at := c.origin.join("/api/scan-readiness")
	state, _, err := get[readiness](ctx, c, call{op: op, at: at, accept: mediaReadiness})
	if isAbsentFeature(err) {
		c.withoutReadiness.Store(true)
		return c.probeVersion(ctx, op, s.dialect)
	}
	if err != nil {
		return err
	}
	if state.Readiness == readinessDegraded {
		return c.wrap(op, http.MethodGet, at, trouble(symptomDegraded, nil))
	}
	return nil
}

// Identity tells whether the hub has the data that it had before. Black Duck has no such ID: the zero value.
func (c *Client) Identity(ctx context.Context) (model.HubIdentity, error) {
	const op = "read identity"
	s, err := c.session(ctx, op, nil)
	if err != nil {
		return model.HubIdentity{}, err
	}
	said, _, err := get[hubVersion](ctx, c, call{op: op, at: c.origin.join("/api/current-version"), accept: s.dialect.accept(mediaStatus)})
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusNotFound {
		return model.HubIdentity{}, nil
	}
	if err != nil {
		return model.HubIdentity{}, err
	}
	return model.HubIdentity{Server: said.ServerID, Sequence: said.DataSequence}, nil
}

// probeVersion takes any well-formed answer for life; the oldest hubs answer 404, and that is life as well.
func (c *Client) probeVersion(ctx context.Context, op string, d dialect) error {
	_, _, err := get[hubVersion](ctx, c, call{op: op, at: c.origin.join("/api/current-version"), accept: d.accept(mediaStatus)})
	var e *Error
	if d.old && errors.As(err, &e) && e.Status == http.StatusNotFound {
		return nil
	}
	return err
}

// isAbsentFeature reports that the hub is well but does not offer this to this login.
func isAbsentFeature(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Status == http.StatusNotFound || e.Status == http.StatusForbidden || e.Class == model.Unsupported
}
