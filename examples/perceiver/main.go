// Command perceiver is a small perceiver, to be copied. It reports a pod for every image that is named on the command line,
// or by a line of standard input, and reads the join until the hubs have judged all of them:
//
//	go run ./perceiver --cluster example registry.example/team/app:1
//
// Temporal is found as by the temporal command: TEMPORAL_ADDRESS and the other TEMPORAL_* variables, or temporal.toml.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log" //nolint:depguard // an example: it writes only errors, for a person
	"os"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
)

func main() {
	cluster := flag.String("cluster", "example", "name of the cluster that is reported")
	wait := flag.Duration("wait", 5*time.Minute, "how long to wait for the verdicts")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), *wait)
	err := perceive(ctx, *cluster, flag.Args())
	cancel()
	if err != nil {
		log.Fatal(err)
	}
}

// perceive connects, reports one pod for each image, and prints the rows of the join.
func perceive(ctx context.Context, cluster string, images []string) error {
	if len(images) == 0 {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			images = append(images, lines.Text())
		}
	}
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return fmt.Errorf("read the connection to Temporal: %w", err)
	}
	temporal, err := client.DialContext(ctx, options)
	if err != nil {
		return fmt.Errorf("connect to Temporal: %w", err)
	}
	defer temporal.Close()
	st := starter.New(temporal)
	pods := st.Pods

	// The identity tells two clusters of one name apart. Here it is the name; a platform has an ID of its own.
	epoch, err := st.Clusters.Begin(ctx, cluster, "example:"+cluster, 0)
	if err != nil {
		return fmt.Errorf("begin to watch cluster %s: %w", cluster, err)
	}
	// A snapshot names all pods of the cluster: those of an earlier run that are not named have ended.
	report := model.PodReport{Cluster: cluster, Version: model.Version{Epoch: epoch}, Snapshot: true}
	for n, image := range images {
		report.Pods = append(report.Pods, model.Pod{
			Namespace: "default", Name: fmt.Sprintf("pod-%d", n+1),
			Containers: []model.Container{{Name: "main", Reference: image}}, // and Digest, where the platform reports it
		})
	}
	err = pods.Report(ctx, report)
	if refused, ok := errors.AsType[*starter.RefusedError](err); ok {
		log.Print(refused) // all others were taken; sending these again does not help
	} else if err != nil {
		return err // or send the same report again
	}
	rows, err := judged(ctx, pods, cluster, len(images))
	for _, pod := range rows {
		fmt.Println(pod.Namespace, pod.Name, pod.Status, pod.OverallStatus, pod.Vulnerabilities.Total())
		for _, c := range pod.Containers {
			if c.Image.Failure != nil {
				fmt.Println("  ", c.Reference, c.Image.Failure.Class, c.Image.Failure.Reason)
			}
		}
	}
	return err
}

// judged reads the join until no pod waits for a verdict. A larger cluster is read page by page: After is the Next of the page
// before.
func judged(ctx context.Context, pods starter.Pods, cluster string, count int) ([]model.PodVerdict, error) {
	for {
		page, err := pods.Join(ctx, starter.JoinFilter{Cluster: cluster})
		if err != nil && !errors.Is(err, starter.ErrUnknownCluster) {
			return nil, err
		}
		done := 0
		for _, pod := range page.Rows {
			if pod.Status == model.StatusComplete || pod.Status == model.StatusFailed {
				done++
			}
		}
		if done >= count {
			return page.Rows, nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return page.Rows, fmt.Errorf("%d of %d pods wait for a verdict: %w", count-done, count, ctx.Err())
		}
	}
}
