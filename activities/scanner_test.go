package activities_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/berth"
	"github.com/perceptor/perceptor/internal/image"
)

const someDigest = image.Digest("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")

// stubPuller writes a tar, or fails.
type stubPuller struct{ err error }

func (p stubPuller) Pull(_ context.Context, names []image.Name, _ image.Digest, tar string, progress func(done, total int64)) (activities.PulledImage, error) {
	progress(1, 2)
	if p.err != nil {
		return activities.PulledImage{}, errors.Join(p.err, os.WriteFile(tar+".partial", nil, 0o600))
	}
	return activities.PulledImage{Name: names[0], Bytes: 2, Size: 2}, os.WriteFile(tar, []byte("xx"), 0o600)
}

// stubClient lists three components, or fails; uploads counts what was sent.
type stubClient struct {
	listErr, uploadErr error
	uploads            int
}

func (c *stubClient) List(_ context.Context, _, document, _ string, _ image.HubNames, progress func(phase string, done, total int64)) (int, error) {
	progress("catalogue", 1, 2)
	if c.listErr != nil {
		return 0, c.listErr
	}
	return 3, os.WriteFile(document, []byte("{}"), 0o600)
}

func (c *stubClient) Upload(context.Context, string, image.UploadTarget, image.HubNames, image.AttemptID, func(phase string, done, total int64)) (string, error) {
	c.uploads++
	return "scan-1", c.uploadErr
}

// host is one scanner host with everything around it made small.
type host struct {
	yard   *berth.Yard
	hub    *stubHub
	client *stubClient
	steps  *activities.ScannerSteps
}

func newHost(t *testing.T, pull error) *host {
	t.Helper()
	yard, err := berth.Open(t.TempDir(), "host-1", 2)
	require.NoError(t, err)
	h := &host{yard: yard, hub: &stubHub{found: image.HubScan{State: image.HubScanAbsent}}, client: &stubClient{}}
	h.steps = activities.NewScannerSteps(stubPuller{err: pull}, h.client, yard, activities.HubMap{"a": h.hub})
	return h
}

func (h *host) pull(t *testing.T) (activities.Place, error) {
	t.Helper()
	value, err := environment(t, h.steps).ExecuteActivity(h.steps.PullImage, activities.PullImageInput{
		Digest: someDigest, Names: []image.Name{{Repository: "r", Tag: "1"}}, Chain: "chain", Pull: 1,
	})
	if err != nil {
		return activities.Place{}, err
	}
	var place activities.Place
	require.NoError(t, value.Get(&place))
	return place, nil
}

func (h *host) upload(t *testing.T, place activities.Place) (activities.UploadScanResult, error) {
	t.Helper()
	value, err := environment(t, h.steps).ExecuteActivity(h.steps.UploadScan, activities.UploadScanInput{Place: place, Hub: "a", Names: image.HubNames{Scan: "x"}})
	if err != nil {
		return activities.UploadScanResult{}, err
	}
	var result activities.UploadScanResult
	require.NoError(t, value.Get(&result))
	return result, nil
}

func TestBerthIsHeldFromPullToUpload(t *testing.T) {
	h := newHost(t, nil)
	place, err := h.pull(t)
	require.NoError(t, err)
	require.Equal(t, "host-1", place.Host)
	require.Len(t, h.yard.List(), 1)
	directory, found := h.yard.Find(place.Berth)
	require.True(t, found)

	_, err = environment(t, h.steps).ExecuteActivity(h.steps.RunScanClient, activities.RunScanClientInput{Place: place})
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(directory, "image.tar"), "the tar is not needed any more")
	require.Len(t, h.yard.List(), 1)

	result, err := h.upload(t, place)
	require.NoError(t, err)
	require.Nil(t, result.Trouble)
	require.Equal(t, "scan-1", result.Scan.ScanID)
	require.Empty(t, h.yard.List())
}

func TestFailedPullLeavesNothing(t *testing.T) {
	h := newHost(t, edgeError{class: image.NotFound})
	_, err := h.pull(t)
	app := applicationError(t, err)
	require.Equal(t, string(image.NotFound), app.Type())
	require.True(t, app.NonRetryable())
	require.Empty(t, h.yard.List())
}

func TestListingThatFailsForGoodFreesTheBerth(t *testing.T) {
	for class, kept := range map[image.FailureClass]int{image.Invalid: 0, image.Transient: 1} {
		h := newHost(t, nil)
		place, err := h.pull(t)
		require.NoError(t, err)
		h.client.listErr = edgeError{class: class}
		_, err = environment(t, h.steps).ExecuteActivity(h.steps.RunScanClient, activities.RunScanClientInput{Place: place})
		require.Equal(t, !class.Temporary(), applicationError(t, err).NonRetryable())
		require.Len(t, h.yard.List(), kept, "%s", class)
	}
}

func TestStepsOnABerthThatIsGoneSaySo(t *testing.T) {
	h := newHost(t, nil)
	gone := activities.Place{Host: "host-1", Berth: "gone"}
	_, err := environment(t, h.steps).ExecuteActivity(h.steps.RunScanClient, activities.RunScanClientInput{Place: gone})
	require.Equal(t, string(activities.BerthGone), applicationError(t, err).Type())
	_, err = h.upload(t, gone)
	require.Equal(t, string(activities.BerthGone), applicationError(t, err).Type())
}

func TestUploadLooksOnceMoreUnderTheLease(t *testing.T) {
	h := newHost(t, nil)
	place, err := h.pull(t)
	require.NoError(t, err)
	h.hub.found = image.HubScan{State: image.HubScanInProgress, ScanID: "theirs"}
	result, err := h.upload(t, place)
	require.NoError(t, err)
	require.True(t, result.Found)
	require.Equal(t, "theirs", result.Scan.ScanID)
	require.Zero(t, h.client.uploads)
	require.Empty(t, h.yard.List())
}

func TestUploadFailureIsAResultThatSaysWhetherTheHubTookIt(t *testing.T) {
	for _, refused := range []bool{true, false} {
		h := newHost(t, nil)
		place, err := h.pull(t)
		require.NoError(t, err)
		h.client.uploadErr = edgeError{class: image.Throttled, refused: refused}
		result, err := h.upload(t, place)
		require.NoError(t, err)
		require.Equal(t, image.Throttled, result.Trouble.Class)
		require.Equal(t, refused, result.Refused)
		require.Len(t, h.yard.List(), 1, "the listing is kept for the next try")
	}
}
