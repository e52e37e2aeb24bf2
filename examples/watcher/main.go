// Command watcher is a perceiver that goes on, to be copied. It reports what a command lists, through the SDK, and prints verdicts that
// change:
//
//	go run ./watcher --cluster laptop podman ps --format '{{or .Labels.project "default"}} {{.Names}} {{.Image}}'
//
// The command prints one line for each thing that runs: namespace, name, image. Temporal is found as by the temporal command:
// TEMPORAL_ADDRESS and the other TEMPORAL_* variables, or temporal.toml. A worker with the role workflows must run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log" //nolint:depguard // an example: it writes for a person
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
)

func main() {
	w := watcher{reported: map[string]model.Pod{}, verdicts: map[string]model.OverallStatus{}}
	flag.StringVar(&w.cluster, "cluster", "example", "name of the cluster that is reported")
	flag.DurationVar(&w.every, "every", 5*time.Second, "how often to list what runs")
	flag.DurationVar(&w.snapshots, "snapshots", 30*time.Minute, "how often to report everything again")
	flag.Parse()
	w.command = flag.Args()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := w.watch(ctx)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

type watcher struct {
	cluster          string
	every, snapshots time.Duration
	command          []string
	starter          *starter.Starter
	version          model.Version
	reported         map[string]model.Pod // what has arrived, by UID
	due              time.Time            // of the next snapshot
	verdicts         map[string]model.OverallStatus
}

func (w *watcher) watch(ctx context.Context) error {
	if len(w.command) == 0 {
		return errors.New("name a command that lists what runs")
	}
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return fmt.Errorf("read the connection to Temporal: %w", err)
	}
	temporal, err := client.NewLazyClient(options)
	if err != nil {
		return fmt.Errorf("connect to Temporal: %w", err)
	}
	defer temporal.Close()
	w.starter = starter.New(temporal)
	for ctx.Err() == nil {
		if err := w.step(ctx); err != nil && ctx.Err() == nil {
			log.Print(err) // and the same is tried again
		}
		select {
		case <-ctx.Done():
		case <-time.After(w.every):
		}
	}
	return nil
}

// step lists, reports what has changed, and reads the verdicts. What cannot be listed has not ended: then nothing is reported.
func (w *watcher) step(ctx context.Context) error {
	pods, err := w.list(ctx)
	if err != nil {
		return fmt.Errorf("list what runs: %w", err)
	}
	if w.version.Epoch == 0 {
		// The epoch is newer than that of every earlier perceiver. The identity tells two clusters of one name apart: a platform has an ID.
		if w.version.Epoch, err = w.starter.Clusters.Begin(ctx, w.cluster, "watcher:"+w.cluster, 0); err != nil {
			return err
		}
	}
	if err := w.report(ctx, pods); err != nil {
		w.due = time.Time{} // nothing is known of what has arrived: the next report is a snapshot
		return err
	}
	return w.read(ctx)
}

func (w *watcher) list(ctx context.Context) (map[string]model.Pod, error) {
	said, err := exec.CommandContext(ctx, w.command[0], w.command[1:]...).Output() //nolint:gosec // the user's own command
	if err != nil {
		return nil, err
	}
	pods := map[string]model.Pod{}
	for line := range strings.Lines(string(said)) {
		words := strings.Fields(line)
		if len(words) < 3 {
			return nil, fmt.Errorf("%q: want NAMESPACE NAME IMAGE", line)
		}
		pod := model.Pod{Namespace: words[0], Name: words[1], Containers: []model.Container{{Name: "main", Reference: words[2]}}}
		pod.UID = pod.Key().UID // a platform with IDs of its own gives them; without one it is namespace and name
		pods[pod.UID] = pod
	}
	return pods, nil
}

// report sends a snapshot when one is due, else what has changed since the last report that arrived.
func (w *watcher) report(ctx context.Context, pods map[string]model.Pod) error {
	w.version.Counter++
	r := model.PodReport{Cluster: w.cluster, Version: w.version, Snapshot: !time.Now().Before(w.due)}
	for _, uid := range slices.Sorted(maps.Keys(pods)) {
		if r.Snapshot || !reflect.DeepEqual(w.reported[uid], pods[uid]) {
			r.Pods = append(r.Pods, pods[uid])
		}
	}
	for _, uid := range slices.Sorted(maps.Keys(w.reported)) {
		if _, runs := pods[uid]; !runs && !r.Snapshot {
			r.Gone = append(r.Gone, w.reported[uid].Key())
		}
	}
	if !r.Snapshot && len(r.Pods)+len(r.Gone) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := w.starter.Pods.Report(ctx, r)
	if refused, ok := errors.AsType[*starter.RefusedError](err); ok {
		log.Print(refused) // all others were taken; sending these again does not help
	} else if err != nil {
		return err
	}
	if r.Snapshot {
		w.due = time.Now().Add(w.snapshots)
	}
	w.reported = pods
	return nil
}

// read prints the verdicts that have changed. Everything that is not judged, or not sufficiently, is UNKNOWN.
func (w *watcher) read(ctx context.Context) error {
	for after := ""; ; {
		page, err := w.starter.Pods.Join(ctx, starter.JoinFilter{Cluster: w.cluster, After: after})
		if err != nil {
			return err
		}
		for _, row := range page.Rows {
			if w.verdicts[row.UID] != row.OverallStatus {
				w.verdicts[row.UID] = row.OverallStatus
				fmt.Println(row.Namespace, row.Name, row.OverallStatus)
			}
		}
		if after = page.Next; after == "" {
			return nil
		}
	}
}
