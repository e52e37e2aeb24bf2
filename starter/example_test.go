package starter_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"go.temporal.io/sdk/client"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// A perceiver reports all there is when it starts, then what changes.
func ExamplePods_Report() {
	ctx := context.Background()
	temporal, err := client.Dial(client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer temporal.Close()
	s := starter.New(temporal)

	epoch, err := s.Clusters.Begin(ctx, "my-cluster", "the ID of my platform", 0)
	if err != nil {
		log.Fatal(err)
	}
	version := model.Version{Epoch: epoch}
	next := func() model.Version { version.Counter++; return version }

	web := model.Pod{
		UID: "7a1c", Namespace: "shop", Name: "web-1", Platform: model.Platform{OS: "linux", Architecture: "arm64"},
		Containers: []model.Container{{Name: "web", Reference: "registry.example/shop/web:7"}},
	}
	everything := model.PodReport{Cluster: "my-cluster", Version: next(), Snapshot: true, Pods: []model.Pod{web}}
	if err := s.Pods.Report(ctx, everything); err != nil {
		log.Fatal(err)
	}

	// The container has started: now its digest is known. Another pod has ended.
	web.Containers[0].Digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	changes := model.PodReport{
		Cluster: "my-cluster", Version: next(), Pods: []model.Pod{web}, Gone: []model.PodKey{{UID: "11fe", Namespace: "shop", Name: "web-0"}},
	}
	err = s.Pods.Report(ctx, changes)
	if refused, ok := errors.AsType[*starter.RefusedError](err); ok {
		log.Print("sending these again does not help: ", refused)
	} else if err != nil {
		log.Fatal(err) // or send the same report again
	}
}

// The join is read page by page.
func ExamplePods_Join() {
	ctx := context.Background()
	temporal, err := client.Dial(client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer temporal.Close()
	s := starter.New(temporal)

	filter := starter.JoinFilter{Cluster: "my-cluster", OverallStatus: model.InViolation}
	for {
		page, err := s.Pods.Join(ctx, filter)
		if err != nil {
			log.Fatal(err)
		}
		for _, pod := range page.Rows {
			fmt.Println(pod.Namespace, pod.Name, pod.OverallStatus, pod.PolicyViolations)
		}
		if filter.After = page.Next; filter.After == "" {
			return
		}
	}
}

// An image is listed, looked at, and scanned again.
func ExampleImages_Rescan() {
	ctx := context.Background()
	temporal, err := client.Dial(client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer temporal.Close()
	s := starter.New(temporal)

	rows, _, err := s.Images.List(ctx, starter.ImageFilter{Repository: "registry.example/shop/web"}, 1)
	if err != nil || len(rows) == 0 {
		log.Fatal("no such image: ", err)
	}
	view, err := s.Images.View(ctx, rows[0].Digest)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(view.Status, view.OverallStatus, view.Failure)
	if err := s.Images.Rescan(ctx, view.Digest, workflows.Rescan{Reason: "new base image", Priority: workflows.PriorityInteractive}); err != nil {
		log.Fatal(err)
	}
}

// A person asks for a scan of an image by its name and waits for the verdict.
func ExampleScans_Request() {
	ctx := context.Background()
	temporal, err := client.Dial(client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer temporal.Close()
	s := starter.New(temporal)

	requested, err := s.Scans.Request(ctx, starter.ScanRequest{References: []string{"registry.example/shop/web:7"}, Who: "olga"})
	if err != nil {
		log.Fatal(err)
	}
	view, err := s.Scans.Await(ctx, requested[0], func(now starter.CurrentStep) { log.Print(now.Step, now.WaitingFor) })
	if err != nil {
		log.Fatal("not scanned: ", err)
	}
	fmt.Println(view.OverallStatus)
}
