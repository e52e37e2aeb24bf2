package starter

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/client"
)

// Starter holds one client for each noun. All of them share one Temporal client, and all are safe for concurrent use.
type Starter struct {
	// Pods reports pods and reads the join: pods, their images, and the verdicts.
	Pods Pods
	// Images asks about images and changes them.
	Images Images
	// Scans asks for scans, follows them, and speaks to those in progress.
	Scans Scans
	// Externals gives images to scanners of others, and takes their reports.
	Externals Externals
	// Clusters lists and forgets the clusters that perceivers report.
	Clusters Clusters
	// Pool asks and steers the pool of hubs: limits, pauses and leases.
	Pool Pool
	// Inventories carries what inventories, images and clusters say to each other.
	Inventories Inventories
	// Refreshes keeps verdicts as the hubs judge now, without a scan.
	Refreshes Refreshes
	// Queues sets how fast the server gives out the steps of a hub.
	Queues Queues
	// Watch finds workflows that cannot go on by themselves, and brings back what can be rebuilt.
	Watch Watch
	// Setup makes a Temporal namespace ready for Perceptor.
	Setup Setup

	link link
}

// New uses c for everything. The caller closes c.
func New(c client.Client) *Starter {
	l := link{temporal: c}
	return &Starter{
		Pods: Pods{l}, Images: Images{l}, Scans: Scans{l}, Externals: Externals{l}, Clusters: Clusters{l}, Pool: Pool{l},
		Inventories: Inventories{l}, Refreshes: Refreshes{l}, Queues: Queues{l}, Watch: Watch{l}, Setup: Setup{l}, link: l,
	}
}

// Ready reports why Temporal cannot be reached; nil means that it can.
func (s *Starter) Ready(ctx context.Context) error {
	if _, err := s.link.temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("check the health of Temporal: %w", err)
	}
	return nil
}
