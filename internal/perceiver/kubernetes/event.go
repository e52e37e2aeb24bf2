package kubernetes

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/perceptor/perceptor/model"
)

const (
	// violationReason is the reason of the Event about a pod that has turned out to be in violation of policy.
	violationReason = "PolicyViolation"
	eventSource     = "perceptor"
	// eventName and eventMessage are how long they may be.
	eventName    = 253
	eventMessage = 1024
	// imagesNamed is how many images in violation an Event names.
	imagesNamed = 3
)

// announcer writes Events beside the labels: an Event that is throttled or refused delays no label.
type announcer struct {
	client Client
	logger *slog.Logger
	// leading is asked before each Event.
	leading func() bool
	waiting chan *corev1.Event
	dropped atomic.Int64
}

const (
	// eventsWaiting is how many Events wait at most; more are dropped, and the log says so.
	eventsWaiting = 1000
	// eventTries is how often an Event is tried, and eventPause how long it waits before it is tried again.
	eventTries = 5
	eventPause = 2 * time.Second
)

func newAnnouncer(client Client, leading func() bool, logger *slog.Logger) *announcer {
	return &announcer{client: client, logger: logger, leading: leading, waiting: make(chan *corev1.Event, eventsWaiting)}
}

// announce has an Event written about a pod that turns out to be in violation. Its name holds what it is about, so that the
// same is announced once, however often the write is repeated.
func (a *announcer) announce(row model.PodVerdict) {
	select {
	case a.waiting <- violation(row, time.Now()):
	default:
		if a.dropped.Add(1) == 1 {
			a.logger.Warn("Events about pods in violation were dropped; their labels are written", "waiting", eventsWaiting)
		}
	}
}

// run writes Events until ctx ends.
func (a *announcer) run(ctx context.Context) {
	refused := false
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-a.waiting:
			err := a.write(ctx, event)
			switch {
			case err != nil && ctx.Err() == nil && !refused:
				a.logger.Warn("an Event about a pod could not be written; its labels are written", "pod", event.InvolvedObject.Name, "error", err)
			case err == nil && refused:
				a.logger.Info("Events about pods are written again")
			}
			refused = err != nil
		}
	}
}

// write tries one Event a few times, unless waiting cannot help.
func (a *announcer) write(ctx context.Context, event *corev1.Event) error {
	for try := 1; ; try++ {
		if !a.leading() {
			return nil // the next leader writes labels and Events
		}
		err := a.client.CreateEvent(ctx, event)
		if err == nil || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
			return nil
		}
		if !classOf(err).Temporary() || try == eventTries {
			return fmt.Errorf("write an Event: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(eventPause):
		}
	}
}

func violation(row model.PodVerdict, now time.Time) *corev1.Event {
	var images []string
	var at time.Time
	for _, c := range row.Containers {
		if c.Image.OverallStatus == model.InViolation {
			at = latest(at, c.Image.JudgedAt)
			images = append(images, fmt.Sprintf("%s (%d violations, %d critical or high vulnerabilities)",
				clip(c.Reference, eventMessage/2/imagesNamed), c.Image.PolicyViolations, serious(c.Image.Vulnerabilities)))
		}
	}
	message := "In violation of policy: " + strings.Join(images[:min(len(images), imagesNamed)], ", ")
	if more := len(images) - imagesNamed; more > 0 {
		message += fmt.Sprintf(" and %d more", more)
	}
	sum := fnv.New64a()
	_, _ = fmt.Fprintf(sum, "%s %s %d", row.UID, row.OverallStatus, at.UnixNano())
	suffix := fmt.Sprintf(".%016x", sum.Sum64())
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: row.Namespace, Name: clip(row.Name, eventName-len(suffix)) + suffix},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Pod", Namespace: row.Namespace, Name: row.Name, UID: types.UID(row.UID),
		},
		Reason: violationReason, Message: clip(message, eventMessage), Type: corev1.EventTypeWarning,
		Source: corev1.EventSource{Component: eventSource}, ReportingController: eventSource,
		FirstTimestamp: metav1.NewTime(now), LastTimestamp: metav1.NewTime(now), Count: 1,
	}
}
