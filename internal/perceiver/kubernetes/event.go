package kubernetes

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
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

// announce writes an Event about a pod that turns out to be in violation. Its name holds what it is about, so that the
// same is announced once, however often the write is repeated. A cluster that takes no Events is written to all the same.
func (w *Writer) announce(ctx context.Context, row model.PodVerdict) error {
	err := w.client.CreateEvent(ctx, violation(row, time.Now()))
	switch {
	case err == nil, apierrors.IsAlreadyExists(err):
		return nil
	case classOf(err).Temporary():
		return fmt.Errorf("event: %w", err)
	default:
		w.muteEvents.Do(func() { w.logger.Warn("the cluster takes no Events about pods", "reason", err) })
		return nil
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
