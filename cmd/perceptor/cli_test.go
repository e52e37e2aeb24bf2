package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// The images of these tests.
var (
	bad     = model.Digest("sha256:" + strings.Repeat("a", 64))
	clean   = model.Digest("sha256:" + strings.Repeat("b", 64))
	failed  = model.Digest("sha256:" + strings.Repeat("c", 64))
	unknown = model.Digest("sha256:" + strings.Repeat("d", 64))
)

// verdict is what a hub says of an image.
func verdict(overall model.OverallStatus, violations, findings int) string {
	return fmt.Sprintf(`{"hub":"main","overallStatus":%q,"policyViolations":%d,"vulnerabilities":{"high":%d},"findings":%d,"components":12,
		"notAssessed":0,"coverage":%s,"versionURL":"https://hub.example/v/1","componentsURL":"https://hub.example/v/1/components","judgedAt":%q,"readAt":%q,"scanStarted":%q}`,
		overall, violations, findings, findings, covered, noon.Format(time.RFC3339), noon.Format(time.RFC3339), noon.Format(time.RFC3339))
}

// covered is the coverage of an image that was assessed in full, against data that never expire here.
const covered = `{"components":12,"assessed":12,"data":[{"ecosystem":"Go","source":"https://osv.example","asOf":"2026-03-01T11:00:00Z","complete":true}],
	"validUntil":"2999-03-15T11:00:00Z","satisfied":true}`

// noon is a time for tables.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newFake knows an image of each kind, a hub of each kind, and two clusters.
func newFake(t *testing.T) *fakeTemporal {
	t.Helper()
	image := func(d model.Digest, name string, status model.ScanStatus, overall model.OverallStatus, more string) string {
		return fmt.Sprintf(`{"digest":%q,"names":[{"repository":"registry.example/%s","tag":"1"}],"status":%q,"overallStatus":%q,
			"references":[{"kind":"person","id":"olga","until":"2026-04-01T12:00:00Z"}],"referrers":3%s}`, d, name, status, overall, more)
	}
	row := func(d model.Digest, name string, status model.ScanStatus, overall model.OverallStatus, assessed string) *workflowpb.WorkflowExecutionInfo {
		return execution(t, workflows.ImageID(d), noon, map[string]string{
			workflows.AttributeDigest.GetName(): string(d), workflows.AttributeRepository.GetName(): "registry.example/" + name, workflows.AttributeHub.GetName(): "main",
			workflows.AttributeScanStatus.GetName(): string(status), workflows.AttributeOverallStatus.GetName(): string(overall),
			workflows.AttributeCoverage.GetName(): assessed,
		})
	}
	container := func(name string, d model.Digest, status model.ScanStatus, overall model.OverallStatus, more string) string {
		return fmt.Sprintf(`{"name":"main","reference":"registry.example/%s:1","image":{"digest":%q,"status":%q,"overallStatus":%q,"hubs":["main"]%s}}`, name, d, status, overall, more)
	}
	failure := `,"failure":{"class":"not found","reason":"the registry has no such image","step":"PullImage","at":"2026-03-01T12:00:00Z","attempt":2,"nextTry":"2026-03-01T12:10:00Z"}`
	return &fakeTemporal{
		queries: map[string]string{
			workflows.ImageID(bad):    image(bad, "bad", model.StatusComplete, model.InViolation, `,"verdicts":[`+verdict(model.InViolation, 1, 1)+`]`),
			workflows.ImageID(clean):  image(clean, "clean", model.StatusComplete, model.NotInViolation, `,"verdicts":[`+verdict(model.NotInViolation, 0, 0)+`]`),
			workflows.ImageID(failed): image(failed, "failed", model.StatusFailed, model.OverallUnknown, failure),
			workflows.HubPoolID: fmt.Sprintf(`{"hubs":[
				{"name":"main","limit":5,"inUse":2,"waiting":1},
				{"name":"paused","limit":1,"paused":true},
				{"name":"broken","limit":2,"stuck":1,"inUse":1,"trippedSince":"2026-03-01T12:00:00Z","class":"transient","reason":"it does not answer","nextProbe":"2026-03-01T12:01:00Z"}],
				"leases":[{"hub":"main","state":"held","digest":%q,"grantedAt":"2026-03-01T12:00:00Z"}],
				"waiters":[{"digest":%q,"priority":"interactive","since":"2026-03-01T12:00:00Z","waitsFor":"a lease on main"}]}`, bad, clean),
			workflows.ClusterID("east"): `{"cluster":"east","namespaces":[{"namespace":"shop","pods":2,"unscanned":1,"violations":1}],
				"snapshotAt":"2026-03-01T12:00:00Z","seen":"2026-03-01T12:00:30Z","writeBack":true}`,
			workflows.ClusterID("west"): `{"cluster":"west","namespaces":[]}`,
			workflows.InventoryID("east", "shop"): fmt.Sprintf(`{"rows":[
				{"cluster":"east","namespace":"shop","name":"web","uid":"1","status":"Complete","overallStatus":"IN_VIOLATION","policyViolations":1,
					"vulnerabilities":{"critical":1,"high":2},"findings":5,"findingCounts":{"critical":1,"high":4},"containers":[%s]},
				{"cluster":"east","namespace":"shop","name":"job","uid":"2","status":"Failed","overallStatus":"UNKNOWN","containers":[%s]}],"refused":4}`,
				container("bad", bad, model.StatusComplete, model.InViolation,
					`,"policyViolations":1,"vulnerabilities":{"critical":1,"high":2},"findings":5,"findingCounts":{"critical":1,"high":4},
					"coverage":{"components":12,"assessed":11,"unassessed":1,"reason":"1 of 12 not assessed: 1 version unreadable (Go)"}`),
				container("failed", failed, model.StatusFailed, model.OverallUnknown, failure)),
		},
		listed: map[string][]*workflowpb.WorkflowExecutionInfo{
			"Image": {
				row(bad, "bad", model.StatusComplete, model.InViolation, "11 of 12; 1 of 12 not assessed: 1 version unreadable (Go)"),
				row(clean, "clean", model.StatusComplete, model.NotInViolation, "12 of 12"),
				row(failed, "failed", model.StatusFailed, model.OverallUnknown, ""),
			},
			"Cluster": {execution(t, workflows.ClusterID("west"), noon, nil), execution(t, workflows.ClusterID("east"), noon, nil)},
		},
		steps: map[string]string{
			"findings": `{"total":1,"findings":[{"id":"CVE-2022-32149","severity":"HIGH","score":7.5,"package":"golang.org/x/text","version":"v0.3.5","fixed":"0.3.8"}]}`,
		},
	}
}

// resolves lets the scanners resolve every reference to an image, and the hub judge it as before.
func (f *fakeTemporal) resolves(d model.Digest, name string) {
	f.steps["verdict"] = `{"verdict":` + verdict(model.NotInViolation, 0, 0) + "}"
	if d == bad {
		f.steps["verdict"] = `{"verdict":` + verdict(model.InViolation, 1, 1) + "}"
	}
	f.steps["resolve"] = fmt.Sprintf(`{"resolutions":[{"image":{"digest":%q,"name":{"repository":"registry.example/%s","tag":"1"},
		"platform":{"os":"linux","architecture":"amd64"}}}]}`, d, name)
}

// TestTables compares what commands show with testdata.
func TestTables(t *testing.T) {
	for name, args := range map[string][]string{
		"images.txt":          {"images"},
		"images_limited.txt":  {"images", "--limit", "2"},
		"images.json":         {"images", "-o", "json"},
		"pods.txt":            {"pods"},
		"pods_wide.txt":       {"pods", "-o", "wide"},
		"pods.yaml":           {"pods", "-o", "yaml"},
		"clusters.txt":        {"cluster", "list"},
		"hubs.txt":            {"hub", "status"},
		"explain_bad.txt":     {"explain", string(bad)},
		"explain_failed.txt":  {"explain", string(failed)},
		"explain_failed.json": {"explain", string(failed), "-o", "json"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			shown := f.command(t, args...)
			require.Equal(t, exitOK, shown.code, shown.problems)
			require.Empty(t, shown.problems)
			require.Equal(t, 1, f.closed, "the connection is closed")
			golden(t, name, shown.out)
		})
	}
}

// TestScanExitCodes holds the exit codes that scripts rely on: 0 for nothing over the bar, 1 for a finding over it, 2 for an image
// without a verdict.
func TestScanExitCodes(t *testing.T) {
	for name, row := range map[string]struct {
		image model.Digest
		flags []string
		code  int
	}{
		"clean":                  {image: clean, flags: []string{"--fail-on", "low"}, code: exitOK},
		"findings without a bar": {image: bad, code: exitOK},
		"findings below the bar": {image: bad, flags: []string{"--fail-on", "critical"}, code: exitOK},
		"findings over the bar":  {image: bad, flags: []string{"--fail-on", "high"}, code: exitFindings},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.resolves(row.image, "any")
			done := f.command(t, append([]string{"scan", "registry.example/any:1"}, row.flags...)...)
			require.Equal(t, row.code, done.code, done.problems)
			require.Empty(t, done.problems, "findings are no trouble")
			require.Contains(t, done.out, "registry.example/any:1")
		})
	}
	t.Run("not resolved", func(t *testing.T) {
		f := newFake(t)
		f.steps["resolve"] = `{"resolutions":[{"failure":{"class":"not found","reason":"the registry has no such image"}}]}`
		done := f.command(t, "scan", "registry.example/any:1", "--fail-on", "low", "-o", "json")
		require.Equal(t, exitTrouble, done.code)
		require.Contains(t, done.out, `"error": "the registry has no such image"`)
		require.Contains(t, done.out, `"overallStatus": "UNKNOWN"`, "could not scan is never clean")
	})
}

// TestScanTables compares the summary and the findings with testdata.
func TestScanTables(t *testing.T) {
	f := newFake(t)
	f.resolves(bad, "bad")
	golden(t, "scan.txt", f.command(t, "scan", "registry.example/bad:1").out)
}

// TestTroubles has commands that cannot do their work: exit code 2, a reason on standard error, nothing on standard output.
func TestTroubles(t *testing.T) {
	for name, row := range map[string]struct {
		args []string
		says string
	}{
		"unknown command":             {args: []string{"frobnicate"}, says: `unknown command "frobnicate"`},
		"unknown flag":                {args: []string{"images", "--colour"}, says: "unknown flag: --colour"},
		"too few words":               {args: []string{"scan"}, says: "requires at least 1 arg(s)"},
		"too many words":              {args: []string{"images", "all"}, says: `unknown command "all"`},
		"limit of images":             {args: []string{"images", "--limit", "0"}, says: "limit is 0; want at least 1"},
		"limit of pods":               {args: []string{"pods", "--limit", "-1"}, says: "limit is -1; want at least 1"},
		"form of pods":                {args: []string{"pods", "-o", "xml"}, says: `output "xml": want one of table, wide, json, yaml`},
		"form of scan":                {args: []string{"scan", "-o", "xml", "a"}, says: `output "xml": want table or json`},
		"severity":                    {args: []string{"scan", "--fail-on", "awful", "a"}, says: `severity "awful": want critical, high, medium, low or unrated`},
		"platform":                    {args: []string{"scan", "--platform", "linux", "a"}, says: `platform "linux": want OS/ARCHITECTURE`},
		"limit of a hub":              {args: []string{"hub", "limit", "main", "many"}, says: `limit "many": want a number`},
		"digest to reset":             {args: []string{"hub", "reset", "sha256:1"}, says: "sha256:1"},
		"log level":                   {args: []string{"worker", "--log-level", "loud"}, says: `loud`},
		"roles":                       {args: []string{"worker", "--roles", "cook"}, says: `cook`},
		"unknown image":               {args: []string{"explain", string(unknown)}, says: "no such image is known"},
		"unknown to move":             {args: []string{"prioritize", string(unknown)}, says: "no such image is known"},
		"unknown cluster":             {args: []string{"cluster", "forget", "north"}, says: "no such cluster is known"},
		"no perceptor-dev, no images": {args: []string{"images", "--dev", "/nowhere"}, says: "perceptor-dev is not running with this data directory"},
		"no configuration":            {args: []string{"worker", "--config", "/nowhere.yaml"}, says: "/nowhere.yaml"},
		"no file of tokens":           {args: []string{"api"}, says: "no file of tokens; give it with --token-file"},
		"faults of the hub":           {args: []string{"hub", "serve", "--faults", "{"}, says: "--faults"},
		"nothing to load":             {args: []string{"hub", "update"}, says: "perceptor:"},
	} {
		t.Run(name, func(t *testing.T) {
			done := newFake(t).command(t, row.args...)
			require.Equal(t, exitTrouble, done.code)
			require.True(t, strings.HasPrefix(done.problems, "perceptor: "), done.problems)
			require.Contains(t, done.problems, row.says)
			require.Equal(t, 1, strings.Count(done.problems, "\n"), "one line, without the usage: %s", done.problems)
			require.Empty(t, done.out)
		})
	}
}

// TestTemporalIsMissing names the address that does not answer, and what to do.
func TestTemporalIsMissing(t *testing.T) {
	refuse := func(client.Options) (client.Client, error) { return nil, errors.New("connection refused") }
	done := runWith(t, refuse, "images")
	require.Equal(t, exitTrouble, done.code)
	require.Equal(t, "perceptor: connect to Temporal at localhost:7233: connection refused; is it running? "+
		"\"make run\" starts one, and TEMPORAL_ADDRESS names another\n", done.problems)
}

// TestTemporalIsNamedByTheEnvironment connects where the variables of the temporal command say.
func TestTemporalIsNamedByTheEnvironment(t *testing.T) {
	var asked client.Options
	runWith(t, func(o client.Options) (client.Client, error) {
		asked = o
		return newFake(t), nil
	}, "images")
	require.Equal(t, "localhost:7233", asked.HostPort)
	require.Equal(t, "default", asked.Namespace)
}

// TestChanges has commands change something, and compares what they ask for and what they say.
func TestChanges(t *testing.T) {
	hub := `{"name":"main","limit":7,"inUse":2}`
	for name, row := range map[string]struct {
		args  []string
		calls []string
		says  string
	}{
		"prioritize": {
			args: []string{"prioritize", string(bad), string(clean)},
			calls: []string{
				"signal " + workflows.SignalPrioritize.Name + " to " + workflows.ImageID(bad), "signal " + workflows.SignalPrioritize.Name + " to " + workflows.ImageID(clean),
			},
			says: string(bad) + " moves to the front of the queue\n" + string(clean) + " moves to the front of the queue\n",
		},
		"rescan": {
			args:  []string{"rescan", string(bad)},
			calls: []string{"signal " + workflows.SignalRescan.Name + " to " + workflows.ImageID(bad)},
			says:  string(bad) + " will be scanned again\n",
		},
		"rescan a reference": {
			args: []string{"rescan", "registry.example/bad:1", "--domain", "west"},
			calls: []string{
				"step resolve on " + workflows.RegistryQueue("west"), "signal " + workflows.SignalRescan.Name + " to " + workflows.ImageID(bad),
			},
			says: string(bad) + " will be scanned again\n",
		},
		"forget a cluster": {
			args:  []string{"cluster", "forget", "east"},
			calls: []string{"signal " + workflows.SignalForgetCluster.Name + " to " + workflows.ClusterID("east")},
			says:  "Cluster east is being forgotten: 1 namespaces, 2 pods\n",
		},
		"limit": {
			args:  []string{"hub", "limit", "main", "7"},
			calls: []string{"update " + workflows.UpdateLimit + " of " + workflows.HubPoolID + ` {"hub":"main","limit":7}`},
			says:  "main: limit 7, 2 in use, ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.resolves(bad, "bad")
			f.updates = map[string]string{workflows.UpdateLimit: hub}
			done := f.command(t, row.args...)
			require.Equal(t, exitOK, done.code, done.problems)
			require.Equal(t, row.calls, f.calls)
			require.True(t, strings.HasPrefix(done.out, row.says), done.out)
		})
	}
}

// TestVersion names the build.
func TestVersion(t *testing.T) {
	done := newFake(t).command(t, "version")
	require.Equal(t, exitOK, done.code)
	require.Regexp(t, `^perceptor \S.* go1\.\S+\n$`, done.out)
}

// TestHelp wants every command to explain itself and each of its flags, in lines of at most 150 bytes.
func TestHelp(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		t.Run(strings.ReplaceAll(c.CommandPath(), " ", "_"), func(t *testing.T) {
			words := append(strings.Fields(c.CommandPath())[1:], "--help")
			done := newFake(t).command(t, words...)
			require.Equal(t, exitOK, done.code)
			require.Empty(t, done.problems)
			require.Contains(t, done.out, c.CommandPath(), "the usage line")
			require.NotEmpty(t, c.Short)
			require.False(t, strings.HasSuffix(c.Short, "."), c.Short)
			if c.Runnable() && c.Name() != "version" {
				require.NotEmpty(t, c.Example, "an example")
				for line := range strings.Lines(c.Long + "\n" + c.Example) {
					require.LessOrEqual(t, len(line), 150, line)
				}
			}
			c.LocalNonPersistentFlags().VisitAll(func(flag *pflag.Flag) {
				require.NotEmpty(t, flag.Usage, flag.Name)
				require.Contains(t, done.out, "--"+flag.Name)
			})
		})
		for _, each := range c.Commands() {
			walk(each)
		}
	}
	walk(newRoot())
}
