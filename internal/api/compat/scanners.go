package compat

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
)

// The endpoints for the scanners of 2018: POST /nextimage and POST /finishedscan.

// nextImage is the answer of /nextimage: no image where there is none.
type nextImage[spec any] struct{ ImageSpec *spec }

// imageSpec is an image in the form of the last releases. The scanner gets the login of the hub with it, as in 2018.
type imageSpec struct {
	Repository                  string
	Tag                         string
	Sha                         string
	Scheme                      string
	Domain                      string
	Port                        int
	User                        string
	Password                    string
	BlackDuckProjectName        string
	BlackDuckProjectVersionName string
	BlackDuckScanName           string
	Priority                    int
}

// firstImageSpec is an image in the form of the first releases. Their scanners have the login of their one hub.
type firstImageSpec struct {
	ImageName             string
	PullSpec              string
	Sha                   string
	HubProjectName        string
	HubProjectVersionName string
	HubScanName           string
}

// finishedBody is a report of both generations. Err is empty for a success. Whatever else of the image the scanner sends back is
// not read: the scan is found by the digest.
type finishedBody struct {
	ImageSpec *struct{ Sha string }
	Err       string
}

const (
	// scannersAtOnce bounds the requests for work that wait.
	scannersAtOnce = 64
	// refusalPause slows the scanners of the first releases down: they repeat a report that is refused, without a pause and for ever.
	refusalPause = 2 * time.Second
)

// scanners are the endpoints for scanners of others.
type scanners struct {
	*endpoints
	places  chan struct{}
	handed  *prometheus.CounterVec
	reports *prometheus.CounterVec
}

func newScanners(e *endpoints) *scanners {
	counter := func(name, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: api.MetricsNamespace, Subsystem: api.MetricsSubsystem, Name: name, Help: help}, []string{"outcome"})
		e.server.AddMetric(c)
		return c
	}
	return &scanners{
		endpoints: e, places: make(chan struct{}, scannersAtOnce),
		handed:  counter("external_images_total", "Requests of scanners of others for an image, by outcome: handed-out, none, returned, failed."),
		reports: counter("external_reports_total", "Reports of scanners of others, by outcome: accepted, not-waited-for, other-scanner, unknown-image, failed."),
	}
}

// postNextImage hands out an image for which a hub has granted a lease. The body is not read, as in 2018.
func (s *scanners) postNextImage(r *api.Request) error {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		return api.Refuse(http.StatusServiceUnavailable, "%d scanners ask for an image already; ask again in a few seconds", scannersAtOnce)
	}
	scan, err := s.server.Backend().NextImage(r.Context(), scannerName(r))
	switch {
	case err != nil:
		s.handed.WithLabelValues("failed").Inc()
		return err
	case scan == nil:
		s.handed.WithLabelValues("none").Inc()
		return s.answerNext(r, nil, nil)
	}
	login, err := s.login(r, scan.Hub)
	if err != nil {
		s.handed.WithLabelValues("returned").Inc()
		return errors.Join(fmt.Errorf("login of hub %s for a scanner: %w", scan.Hub, err), s.server.Backend().ReturnImage(r.Context(), scan))
	}
	s.handed.WithLabelValues("handed-out").Inc()
	s.server.Log().Info("image was handed out to a scanner of others", "scanner", scannerName(r), "digest", scan.Digest, "hub", scan.Hub)
	return s.answerNext(r, scan, login)
}

// hubLogin is where a scanner uploads, and by which login.
type hubLogin struct {
	scheme, domain string
	port           int
	user, password string
}

// login reads the login of a hub. The first releases need none.
func (s *scanners) login(r *api.Request, hub string) (*hubLogin, error) {
	if s.firstReleases {
		return nil, nil
	}
	target, err := s.server.HubLogin(r.Context(), hub)
	if err != nil {
		return nil, err
	}
	if target.Username == "" || target.Password == "" {
		return nil, errors.New("the configuration has no username and password-file for it; a scanner of 2018 cannot use a token")
	}
	address, err := url.Parse(target.URL)
	if err != nil {
		return nil, fmt.Errorf("address of the hub: %w", err)
	}
	login := &hubLogin{scheme: address.Scheme, domain: address.Hostname(), port: 443, user: target.Username, password: target.Password}
	if text := address.Port(); text != "" {
		if login.port, err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("port of the hub: %w", err)
		}
	}
	return login, nil
}

func (s *scanners) answerNext(r *api.Request, scan *api.ExternalScan, login *hubLogin) error {
	switch {
	case scan == nil:
		return s.writeJSON(r, http.StatusOK, nextImage[imageSpec]{})
	case s.firstReleases:
		return s.writeJSON(r, http.StatusOK, nextImage[firstImageSpec]{&firstImageSpec{
			ImageName: scan.Name.Repository, PullSpec: scan.Name.Repository + "@" + string(scan.Digest), Sha: scan.Digest.Hex(),
			HubProjectName: scan.HubNames.Project, HubProjectVersionName: scan.HubNames.Version, HubScanName: scan.HubNames.Scan,
		}})
	}
	return s.writeJSON(r, http.StatusOK, nextImage[imageSpec]{&imageSpec{
		Repository: scan.Name.Repository, Tag: scan.Name.Tag, Sha: scan.Digest.Hex(), Scheme: login.scheme, Domain: login.domain, Port: login.port,
		User: login.user, Password: login.password, BlackDuckProjectName: scan.HubNames.Project, BlackDuckProjectVersionName: scan.HubNames.Version,
		BlackDuckScanName: scan.HubNames.Scan, Priority: scan.Priority,
	}})
}

// postFinishedScan stores the report of a scanner. The answer 200 says that the report has been dealt with, and nothing about the
// image: the hub is asked for that. A report that came twice is answered like the first.
func (s *scanners) postFinishedScan(r *api.Request) error {
	err := s.finish(r)
	if err != nil && s.firstReleases {
		select {
		case <-time.After(refusalPause):
		case <-r.Context().Done():
		}
		if refused := api.AsRefusal(err); refused != nil && refused.Status != http.StatusForbidden {
			// These scanners repeat until the status is 200. A report that can never be taken must end.
			refused.Status = http.StatusOK
		}
	}
	return err
}

func (s *scanners) finish(r *api.Request) error {
	var body finishedBody
	if err := r.ReadJSON(&body); err != nil {
		return err
	}
	if body.ImageSpec == nil {
		return api.Refuse(http.StatusBadRequest, "ImageSpec is missing: want the one that /nextimage has answered")
	}
	digest, err := model.ParseDigest(body.ImageSpec.Sha)
	if err != nil {
		return api.Refuse(http.StatusBadRequest, "wrong Sha: %s", err)
	}
	name := scannerName(r)
	outcome, err := s.server.Backend().FinishScan(r.Context(), name, digest, body.Err != "", body.Err)
	var failure api.Failure
	switch {
	case errors.As(err, &failure) && failure.Class == model.NotFound:
		s.reports.WithLabelValues("unknown-image").Inc()
		s.server.Log().Warn("report of a scanner of others was refused: no scan of the image is known", "scanner", name, "digest", digest)
		return api.Refuse(http.StatusNotFound, "no scan of %s is known", digest)
	case err != nil:
		s.reports.WithLabelValues("failed").Inc()
		return err
	}
	s.reports.WithLabelValues(string(outcome)).Inc()
	switch outcome {
	case api.ExternalOther:
		s.server.Log().Warn("report of a scanner of others was refused: another scanner has the image", "scanner", name, "digest", digest)
		return api.Refuse(http.StatusConflict, "another scanner has %s; only that scanner may report on it", digest)
	case api.ExternalNotWaited:
		s.server.Log().Warn("report of a scanner of others changes nothing: it came before, or its time was over", "scanner", name, "digest", digest)
	default:
		s.server.Log().Info("report of a scanner of others is stored; the hub is asked", "scanner", name, "digest", digest, "failed", body.Err != "")
	}
	return nil
}

// scannerName is how the scanner of a request is known: by the name of its token, or by its address where it sends none.
func scannerName(r *api.Request) string {
	if r.Header.Get("Authorization") != "" {
		return r.Grant.Name
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return r.Grant.Name + "@" + host
}
