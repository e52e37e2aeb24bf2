//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
)

const (
	// scannersBound ends the test whatever happens.
	scannersBound = 15 * time.Minute
	// externalKills is how many times a scanner of others is killed while it has an image.
	externalKills = 5
	// externalEvery is the time between two kills.
	externalEvery = 6 * time.Second
)

// externals are scanners of others beside two workers: two of the last releases and one of the first, each with its own process of
// the API.
type externals struct {
	*system
	t        *testing.T
	settings []scanner2018
	scanners []*rig.Program
	// apis are the processes of the API, by generation.
	apis   map[string]*rig.Program
	starts map[string]func() *rig.Program
	killed int
	last   time.Time
	random *rand.Rand
}

// TestScannersOfOthers scans images by three scanners that speak the protocol of 2018 beside two workers, under the limit of one hub.
// The scanners are killed while they have images; the API and a worker are killed, too.
func TestScannersOfOthers(t *testing.T) {
	rig.Wanted(t, rig.EnvLong)
	b := startSystem(t)
	number := rig.ImagesWanted(t, 60)
	b.Hubs = []*rig.HubProcess{rig.StartHub(t, b.System, "three", 3, rig.SlowFaults(b.Seed, time.Second, 2*time.Second))}
	scanners := rig.QuickScanners(time.Second)
	scanners.Workspaces = 2
	b.Configure(t, scanners)
	b.PushImages(t, number)
	b.StartWorkers(t, 2)
	e := &externals{system: b, t: t, apis: map[string]*rig.Program{}, starts: map[string]func() *rig.Program{}, random: b.Random(7)}
	e.startAPIs()
	b.ObserveAll(t)
	e.startScanners()
	ctx, cancel := context.WithTimeout(t.Context(), scannersBound)
	defer cancel()
	b.AwaitComplete(ctx, t, number, e.disturb)
	e.judge(number)
}

// startAPIs starts one process of the API for each generation.
func (e *externals) startAPIs() {
	t, h := e.t, e.Hubs[0]
	tokens := filepath.Join(e.Root, "tokens.yaml")
	require.NoError(t, os.WriteFile(tokens, []byte(`tokens:
- {name: external-0, scope: scanner, cluster: "*", token: external-scanner-token-0}
- {name: external-1, scope: scanner, cluster: "*", token: external-scanner-token-1}
- {name: external-2, scope: scanner, cluster: "*", token: external-scanner-token-2}
`), 0o600))
	config := filepath.Join(e.Root, "api.yaml")
	require.NoError(t, os.WriteFile(config, []byte(fmt.Sprintf(
		"hubs:\n- {name: three, url: 'https://%s', limit: 3, username: sysadmin, password-file: %s/hub-password, ca-file: %s/hub-ca.pem}\n",
		h.Address, h.Directory, h.Directory)), 0o600))
	for _, generation := range []string{"current", "old"} {
		address := rig.FreeAddress(t)
		e.starts[generation] = func() *rig.Program {
			p := e.StartProgram(t, "api-"+generation, []string{"TEMPORAL_ADDRESS=" + e.Temporal}, "api", "--config", config, "--token-file", tokens,
				"--address", address, "--generation", generation, "--scanner-hubs", "three", "--scanner-silence", "10s")
			rig.Eventually(t, time.Minute, "the API to listen", func() bool {
				response, err := http.Get("http://" + address + "/healthz")
				if err == nil {
					_ = response.Body.Close()
				}
				return err == nil
			})
			return p
		}
		e.apis[generation] = e.starts[generation]()
		for number := range 3 {
			if first := number == 2; first == (generation == "old") {
				e.settings = append(e.settings, scanner2018{API: "http://" + address, First: first})
			}
		}
	}
}

func (e *externals) startScanners() {
	password, err := os.ReadFile(filepath.Join(e.Hubs[0].Directory, "hub-password"))
	require.NoError(e.t, err)
	for number := range e.settings {
		s := &e.settings[number]
		s.Token, s.Registry, s.Asks, s.Works = fmt.Sprintf("external-scanner-token-%d", number), e.Registry, time.Second, 1500*time.Millisecond
		if s.First {
			s.Hub, s.HubUser, s.HubPassword = "https://"+e.Hubs[0].Address, "sysadmin", strings.TrimSpace(string(password))
		}
		e.scanners = append(e.scanners, startScanner2018(e.t, e.system, number, *s))
	}
}

// said is what a scanner has written until now.
func (e *externals) said(number int) string {
	text, err := os.ReadFile(filepath.Join(e.Root, fmt.Sprintf("external-%d.log", number)))
	require.NoError(e.t, err)
	return string(text)
}

// disturb kills a scanner that has an image, from time to time, and the API and a worker once.
func (e *externals) disturb(int) {
	if e.killed == externalKills || time.Since(e.last) < externalEvery {
		return
	}
	for _, number := range e.random.Perm(len(e.scanners)) {
		lines := strings.Split(strings.TrimSpace(e.said(number)), "\n")
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, "handed ") {
			continue
		}
		e.scanners[number].Kill(e.t)
		e.t.Logf("scanner %d killed: it had %s", number, lines[len(lines)-1])
		e.scanners[number] = startScanner2018(e.t, e.system, number, e.settings[number])
		e.killed, e.last = e.killed+1, time.Now()
		switch e.killed {
		case 2, 4:
			for generation, api := range e.apis {
				api.Kill(e.t)
				e.apis[generation] = e.starts[generation]()
			}
		case 3:
			e.Workers[0].Kill(e.t)
			p, err := e.LaunchWorker(0)
			require.NoError(e.t, err)
			e.Workers[0] = p
		}
		return
	}
}

// judge asks the hub and the scanners.
func (e *externals) judge(number int) {
	t, byOthers := e.t, 0
	for i := range e.settings {
		said := e.said(i)
		finished := strings.Count(said, "\nfinished ")
		t.Logf("scanner %d: %d images handed out, %d finished", i, strings.Count(said, "handed "), finished)
		require.NotZero(t, finished, "this scanner scanned nothing, so this shows nothing:\n%s", said)
		byOthers += finished
	}
	require.Equal(t, externalKills, e.killed, "the scans were over too soon")
	require.Less(t, byOthers, number, "the workers scanned nothing")
	deadline := time.Now().Add(leftBound)
	for e.left(t) != 0 {
		require.True(t, time.Now().Before(deadline), "leases, waiters or workspaces are left")
		time.Sleep(time.Second)
	}
	scans, line, wrong := e.scans(t)
	result := fmt.Sprintf("scanners e2e: %d complete, %d scans, max %s", e.CountComplete(t), scans, line)
	require.Empty(t, wrong)
	require.Equal(t, fmt.Sprintf("scanners e2e: %d complete, %d scans, max 3/3", number, number), result)
	rig.AnnounceResult(t, result)
}
