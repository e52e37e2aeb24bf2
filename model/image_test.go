package model_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

var someHex = strings.Repeat("0123456789abcdef", 4)

func TestParseDigest(t *testing.T) {
	for _, form := range []string{someHex, "sha256:" + someHex} {
		d, err := model.ParseDigest(form)
		require.NoError(t, err)
		require.Equal(t, model.Digest("sha256:"+someHex), d)
		require.Equal(t, someHex, d.Hex())
		require.Equal(t, someHex[:20], d.Short())
	}
	for name, wrong := range map[string]string{
		"empty": "", "one short": someHex[1:], "one long": someHex + "0", "upper case": strings.ToUpper(someHex),
		"other algorithm": "sha512:" + someHex, "control character": someHex[:63] + "\x00",
	} {
		_, err := model.ParseDigest(wrong)
		require.ErrorContains(t, err, "digest", name)
	}
}

func TestParsePlatform(t *testing.T) {
	for text, want := range map[string]model.Platform{
		"": {}, "linux/amd64": {OS: "linux", Architecture: "amd64"}, "linux/arm/v7": {OS: "linux", Architecture: "arm", Variant: "v7"},
	} {
		got, err := model.ParsePlatform(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	for _, wrong := range []string{"linux", "linux/", "/amd64", "linux/arm/", "linux/arm/v7/x", "linux//v7", strings.Repeat("x", 300) + "/y", "linux/\x00"} {
		_, err := model.ParsePlatform(wrong)
		require.ErrorContains(t, err, "platform", wrong)
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add("sha256:" + someHex)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := model.ParseDigest(text)
		if err != nil {
			return
		}
		again, err := model.ParseDigest(string(d))
		require.NoError(t, err)
		require.Equal(t, d, again)
	})
}

func FuzzParseAttemptID(f *testing.F) {
	f.Add("1700000000000-3")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := model.ParseAttemptID(text)
		if err != nil {
			return
		}
		again, err := model.ParseAttemptID(a.String())
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
}

func TestAttemptsAreOrderedByTimeThenCounter(t *testing.T) {
	a := model.AttemptID{Millis: 1, Counter: 9}
	b := model.AttemptID{Millis: 2, Counter: 1}
	require.True(t, a.Less(b))
	require.False(t, b.Less(a))
	require.False(t, a.Less(a))
	require.True(t, a.Less(model.AttemptID{Millis: 1, Counter: 10}))
	require.True(t, model.AttemptID{}.IsZero())
}

func TestHubNames(t *testing.T) {
	d := model.Digest("sha256:" + someHex)
	n := model.Name{Repository: "registry.example/app", Tag: "1.2"}
	require.Equal(t, model.HubNames{Project: "registry.example/app", Version: "1.2-" + someHex[:20], Scan: someHex}, model.DefaultHubNames(n, d))
	require.Equal(t, someHex[:20], model.DefaultHubNames(model.Name{Repository: "r"}, d).Version)
	require.Equal(t, "registry.example/app:1.2", n.Reference())
	require.Equal(t, "registry.example/app@sha256:"+someHex, n.Pinned(d))
	require.Equal(t, "linux/arm64/v8", model.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}.String())
	require.Empty(t, model.Platform{}.String())
}

func TestWorstStatus(t *testing.T) {
	order := []model.OverallStatus{model.NotInViolation, model.InViolationOverridden, model.OverallUnknown, model.InViolation}
	for i, better := range order {
		for _, worse := range order[i:] {
			require.Equal(t, worse, better.Worst(worse))
			require.Equal(t, worse, worse.Worst(better))
		}
	}
	require.Equal(t, model.OverallStatus("SOMETHING_NEW"), model.NotInViolation.Worst("SOMETHING_NEW"), "an unknown word is never clean")
}

func TestSeverities(t *testing.T) {
	require.True(t, model.SeverityCritical.AtLeast(model.SeverityHigh))
	require.True(t, model.SeverityHigh.AtLeast(model.SeverityHigh))
	require.False(t, model.SeverityMedium.AtLeast(model.SeverityHigh))
	require.False(t, model.SeverityUnrated.AtLeast(model.SeverityLow))
	require.False(t, model.Severity("ODD").AtLeast(model.SeverityLow))
	var c model.Counts
	for _, s := range append(model.Severities, "ODD") {
		c.Add(s)
	}
	require.Equal(t, model.Counts{Critical: 1, High: 1, Medium: 1, Low: 1, Unrated: 2}, c)
	require.Equal(t, 6, c.Total())
}

func TestNewerVerdict(t *testing.T) {
	now := time.Now()
	old := model.Verdict{JudgedAt: now, ScanStarted: now}
	require.True(t, model.Verdict{JudgedAt: now.Add(time.Second), ScanStarted: now.Add(-time.Hour)}.Newer(old), "the hub's time decides")
	require.True(t, model.Verdict{JudgedAt: now, ScanStarted: now.Add(time.Second)}.Newer(old), "then the start of the scan")
	require.False(t, model.Verdict{JudgedAt: now.Add(-time.Second), ScanStarted: now.Add(time.Hour)}.Newer(old))
}

func TestUploadTargetNeverPrintsItsSecrets(t *testing.T) {
	target := model.UploadTarget{Hub: "a", URL: "https://hub.example", Token: "t0ken", Username: "u", Password: "passw0rd"}
	for _, text := range []string{target.String(), target.GoString(), target.LogValue().String()} {
		require.NotContains(t, text, "t0ken")
		require.NotContains(t, text, "passw0rd")
	}
}
