package image_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/image"
)

var someHex = strings.Repeat("0123456789abcdef", 4)

func TestParseDigest(t *testing.T) {
	for _, form := range []string{someHex, "sha256:" + someHex} {
		d, err := image.ParseDigest(form)
		require.NoError(t, err)
		require.Equal(t, image.Digest("sha256:"+someHex), d)
		require.Equal(t, someHex, d.Hex())
		require.Equal(t, someHex[:20], d.Short())
	}
	for name, wrong := range map[string]string{
		"empty": "", "one short": someHex[1:], "one long": someHex + "0", "upper case": strings.ToUpper(someHex),
		"other algorithm": "sha512:" + someHex, "control character": someHex[:63] + "\x00",
	} {
		_, err := image.ParseDigest(wrong)
		require.ErrorContains(t, err, "digest", name)
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add("sha256:" + someHex)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := image.ParseDigest(text)
		if err != nil {
			return
		}
		again, err := image.ParseDigest(string(d))
		require.NoError(t, err)
		require.Equal(t, d, again)
	})
}

func FuzzParseAttemptID(f *testing.F) {
	f.Add("1700000000000-3")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := image.ParseAttemptID(text)
		if err != nil {
			return
		}
		again, err := image.ParseAttemptID(a.String())
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
}

func TestAttemptsAreOrderedByTimeThenCounter(t *testing.T) {
	a := image.AttemptID{Millis: 1, Counter: 9}
	b := image.AttemptID{Millis: 2, Counter: 1}
	require.True(t, a.Less(b))
	require.False(t, b.Less(a))
	require.False(t, a.Less(a))
	require.True(t, a.Less(image.AttemptID{Millis: 1, Counter: 10}))
	require.True(t, image.AttemptID{}.IsZero())
}

func TestHubNames(t *testing.T) {
	d := image.Digest("sha256:" + someHex)
	n := image.Name{Repository: "registry.example/app", Tag: "1.2"}
	require.Equal(t, image.HubNames{Project: "registry.example/app", Version: "1.2-" + someHex[:20], Scan: someHex}, image.DefaultHubNames(n, d))
	require.Equal(t, someHex[:20], image.DefaultHubNames(image.Name{Repository: "r"}, d).Version)
	require.Equal(t, "registry.example/app:1.2", n.Reference())
	require.Equal(t, "registry.example/app@sha256:"+someHex, n.Pinned(d))
	require.Equal(t, "linux/arm64/v8", image.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}.String())
	require.Empty(t, image.Platform{}.String())
}

func TestWorstStatus(t *testing.T) {
	order := []image.OverallStatus{image.NotInViolation, image.InViolationOverridden, image.OverallUnknown, image.InViolation}
	for i, better := range order {
		for _, worse := range order[i:] {
			require.Equal(t, worse, better.Worst(worse))
			require.Equal(t, worse, worse.Worst(better))
		}
	}
	require.Equal(t, image.OverallStatus("SOMETHING_NEW"), image.NotInViolation.Worst("SOMETHING_NEW"), "a word nobody knows is never clean")
}

func TestSeverities(t *testing.T) {
	require.True(t, image.SeverityCritical.AtLeast(image.SeverityHigh))
	require.True(t, image.SeverityHigh.AtLeast(image.SeverityHigh))
	require.False(t, image.SeverityMedium.AtLeast(image.SeverityHigh))
	require.False(t, image.SeverityUnrated.AtLeast(image.SeverityLow))
	require.False(t, image.Severity("ODD").AtLeast(image.SeverityLow))
	var c image.Counts
	for _, s := range append(image.Severities, "ODD") {
		c.Add(s)
	}
	require.Equal(t, image.Counts{Critical: 1, High: 1, Medium: 1, Low: 1, Unrated: 2}, c)
	require.Equal(t, 6, c.Total())
}

func TestNewerVerdict(t *testing.T) {
	now := time.Now()
	old := image.Verdict{JudgedAt: now, ScanStarted: now}
	require.True(t, image.Verdict{JudgedAt: now.Add(time.Second), ScanStarted: now.Add(-time.Hour)}.Newer(old), "the hub's time decides")
	require.True(t, image.Verdict{JudgedAt: now, ScanStarted: now.Add(time.Second)}.Newer(old), "then the start of the scan")
	require.False(t, image.Verdict{JudgedAt: now.Add(-time.Second), ScanStarted: now.Add(time.Hour)}.Newer(old))
}

func TestUploadTargetNeverPrintsItsSecrets(t *testing.T) {
	target := image.UploadTarget{Hub: "a", URL: "https://hub.example", Token: "t0ken", Username: "u", Password: "passw0rd"}
	for _, text := range []string{target.String(), target.GoString(), target.LogValue().String()} {
		require.NotContains(t, text, "t0ken")
		require.NotContains(t, text, "passw0rd")
	}
}
