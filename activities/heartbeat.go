package activities

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
)

// beatEvery is well below the shortest heartbeat timeout, 10 s, and the SDK throttles what is too much.
const beatEvery = 2 * time.Second

// Progress is what a long step shows in Web UI while it runs.
type Progress struct {
	// Phase is what the step is doing, such as "pull".
	Phase string `json:"phase"`
	// Done and Total are bytes while pulling and uploading, and the scan client's own units while it catalogs packages.
	Done  int64 `json:"done,omitempty"`
	Total int64 `json:"total,omitempty"`
}

// asking is what a step shows that waits for a hub's answer.
func askingHub(hub string) Progress { return Progress{Phase: "ask " + hub} }

// pulse keeps a step's heartbeat going, with the newest of what it has to show, whether or not there is any. The first beat comes after
// a while: a step that is over sooner costs the server no write beyond its start and its end.
type heartbeat struct {
	mu     sync.Mutex
	latest any
	stop   chan struct{}
	done   chan struct{}
}

func startHeartbeat(ctx context.Context, first any) *heartbeat {
	p := &heartbeat{latest: first, stop: make(chan struct{}), done: make(chan struct{})}
	go p.run(ctx)
	return p
}

func (p *heartbeat) run(ctx context.Context) {
	defer close(p.done)
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			activity.RecordHeartbeat(ctx, p.read())
		case <-p.stop:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (p *heartbeat) read() any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latest
}

func (p *heartbeat) setProgress(progress any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest = progress
}

// end stops the heartbeat and waits until it has stopped.
func (p *heartbeat) end() {
	close(p.stop)
	<-p.done
}
