package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/perceptor/perceptor/internal/perceiver/ownership"
)

// cleanEvery is how often pods are looked for that have marks and must have none. An opt-out that could not be read when a pod
// was written to is honoured then.
const cleanEvery = 15 * time.Second

// clean takes the marks away from pods that have opted out or are left out, until ctx ends.
func (w *Writer) clean(ctx context.Context) {
	ticker := time.NewTicker(cleanEvery)
	defer ticker.Stop()
	for {
		for _, uid := range w.watch.uids() {
			entry, is := w.watch.entry(uid)
			if !is || !entry.known || !w.watch.mustBeUnmarked(entry) || ctx.Err() != nil || !w.leading() {
				continue
			}
			ctx, cancel := context.WithTimeout(w.checked(ctx, time.Time{}), writeTimeout)
			_, err := removeMarks(ctx, w.client, w.manager, entry.Namespace, entry.Name, uid)
			cancel()
			w.note(ctx, written, err)
			if err != nil {
				w.logger.Warn("marks of a pod that is left out could not be removed; this is tried again", "namespace", entry.Namespace, "pod", entry.Name, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// removeMarks takes all marks of a perceiver away from one pod, and reports whether there were any.
func removeMarks(ctx context.Context, client Client, m ownership.Manager, namespace, name, uid string) (bool, error) {
	pod, err := client.Pod(ctx, namespace, name)
	if isGone(err) || err == nil && string(pod.UID) != uid {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the pod: %w", err)
	}
	keys := m.Removal(&pod.ObjectMeta)
	if err := removeKeys(ctx, client, m.Name(), metadataOf(&pod.ObjectMeta), keys); err != nil && !isGone(err) {
		return false, fmt.Errorf("remove marks: %w", err)
	}
	return len(keys) > 0, nil
}

// RemoveMarks takes the marks of a perceiver away from every pod of its cluster: those of each form and prefix that it ever wrote,
// also from pods that have opted out. It gives the number of pods that had marks. A perceiver that runs writes them again.
func RemoveMarks(ctx context.Context, client Client, cluster string, logger *slog.Logger) (removed int, err error) {
	m := ownership.NewManager(cluster, ownership.Both, "")
	failed := 0
	for next := ""; ; {
		page, err := client.ListPods(ctx, next)
		if err != nil {
			return removed, fmt.Errorf("read the pods: %w", err)
		}
		for i := range page.Items {
			pod := &page.Items[i].ObjectMeta
			if len(m.Removal(pod)) == 0 {
				continue
			}
			had, err := removeMarks(ctx, client, m, pod.Namespace, pod.Name, string(pod.UID))
			switch {
			case err != nil:
				failed++
				logger.Warn("marks could not be removed from a pod", "namespace", pod.Namespace, "pod", pod.Name, "error", err)
			case had:
				removed++
			}
		}
		if next = page.Continue; next == "" {
			break
		}
	}
	if failed > 0 {
		return removed, fmt.Errorf("marks of %d pods could not be removed, of %d they were", failed, removed)
	}
	return removed, nil
}
