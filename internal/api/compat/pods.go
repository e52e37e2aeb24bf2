package compat

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
)

// putPod adds or replaces one pod.
func (e *endpoints) putPod(r *api.Request) error {
	var body podBody
	if err := r.ReadJSON(&body); err != nil {
		return err
	}
	p, err := body.pod()
	if err != nil {
		return api.Refuse(http.StatusBadRequest, "pod %.80q: %s", body.Namespace+"/"+body.Name, err)
	}
	return e.report(r, model.PodReport{Pods: []model.Pod{p}})
}

// deletePod deletes the pod that the body names: namespace/name, as plain text or as a JSON string. The last releases send
// a name alone. Pods of several namespaces may have that name, and one of them may be alive, so nothing is deleted: the
// next snapshot removes the pod that is gone. The answer is 200, because clients expect it.
func (e *endpoints) deletePod(r *api.Request) error {
	text, err := r.ReadBody()
	if err != nil {
		return err
	}
	key, err := parsePodName(text)
	if err != nil {
		return api.Refuse(http.StatusBadRequest, "%s", err)
	}
	if key.Namespace == "" {
		e.ignored.Inc()
		e.server.Log().Info("pod was not deleted: the request names no namespace; the next snapshot removes the pod",
			"cluster", r.Grant.Home(), "name", key.Name)
		return nil
	}
	return e.report(r, model.PodReport{Gone: []model.PodKey{key}})
}

// deletePodByPath is deletePod in the form of the documentation of 2018.
func (e *endpoints) deletePodByPath(r *api.Request) error {
	key := model.PodKey{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
	if err := api.CheckKey(key); err != nil {
		return api.Refuse(http.StatusBadRequest, "%s", err)
	}
	return e.report(r, model.PodReport{Gone: []model.PodKey{key}})
}

// parsePodName reads namespace/name, or a name alone, as plain text or as a JSON string.
func parsePodName(body []byte) (model.PodKey, error) {
	const want = "want the pod that is gone as namespace/name, or DELETE /pod/{namespace}/{name}"
	text := strings.TrimSpace(string(body))
	if strings.HasPrefix(text, `"`) {
		var unquoted string
		if err := json.Unmarshal([]byte(text), &unquoted); err != nil {
			return model.PodKey{}, errors.New("the body begins as a JSON string and is none; " + want)
		}
		text = unquoted
	}
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		return model.PodKey{}, errors.New("the body is neither a name nor a JSON string; " + want)
	}
	key := model.PodKey{Name: text}
	check := func() error { return model.CheckName("name", text, model.PodNameLength) }
	if namespace, name, found := strings.Cut(text, "/"); found {
		key = model.PodKey{Namespace: namespace, Name: name}
		check = func() error { return api.CheckKey(key) }
	}
	if err := check(); err != nil {
		return model.PodKey{}, fmt.Errorf("%w; %s", err, want)
	}
	return key, nil
}

// putAllPods replaces all pods of the cluster: a pod that is not in the list is deleted.
func (e *endpoints) putAllPods(r *api.Request) error {
	var b api.Batch
	err := r.ReadBatch("Pods", func(i int, text json.RawMessage) {
		var body podBody
		var p model.Pod
		err := api.DecodeObject(text, &body)
		if err == nil {
			p, err = body.pod()
		}
		b.Add(i, body.Namespace+"/"+body.Name, p, err)
	})
	if err != nil {
		return err
	}
	return e.reportBatch(r, &b, true)
}

// postImage adds one image without a pod.
func (e *endpoints) postImage(r *api.Request) error {
	var body imageBody
	if err := r.ReadJSON(&body); err != nil {
		return err
	}
	p, err := body.bare()
	if err != nil {
		return api.Refuse(http.StatusBadRequest, "image %.80q: %s", body.reference(), err)
	}
	return e.report(r, model.PodReport{Pods: []model.Pod{p}})
}

// deleteImage deletes nothing, as in 2018: there the request was answered 404, and perceivers repeat it for ever until the status is 200.
// The name in the body does not say which cluster's image is meant, and another perceiver may still report it.
func (e *endpoints) deleteImage(r *api.Request) error {
	text, err := r.ReadBody()
	if err != nil {
		return err
	}
	e.kept.Inc()
	e.server.Log().Info("image was not deleted: images that are reported without a pod stay",
		"cluster", r.Grant.Home(), "body", model.Clip(strings.ToValidUTF8(string(text), "?"), bodyShown))
	return nil
}

// bodyShown is how much of a body is logged.
const bodyShown = 200

// putAllImages adds images without a pod. It removes none, as in 2018.
func (e *endpoints) putAllImages(r *api.Request) error {
	var b api.Batch
	err := r.ReadBatch("Images", func(i int, text json.RawMessage) {
		var body imageBody
		var p model.Pod
		err := api.DecodeObject(text, &body)
		if err == nil {
			p, err = body.bare()
		}
		b.Add(i, body.reference(), p, err)
	})
	if err != nil {
		return err
	}
	return e.reportBatch(r, &b, false)
}

// batchAnswer is the body of the answer to a batch with wrong items.
type batchAnswer struct {
	// Accepted is how many items were good.
	Accepted int
	// Rejected are the others, the first hundred of them; More counts the rest.
	Rejected []rejectedItem
	More     int `json:",omitempty"`
}

// rejectedItem is one item that was not accepted.
type rejectedItem struct {
	// Index counts from 0, in the order of the body.
	Index  int
	Name   string
	Reason string
}

// reportBatch stores the good items and names the others in the answer. A batch without any good item is refused: a
// snapshot of nothing would empty the cluster.
func (e *endpoints) reportBatch(r *api.Request, b *api.Batch, snapshot bool) error {
	answer := batchAnswer{Accepted: b.Accepted, More: b.More}
	for _, each := range b.Rejected {
		answer.Rejected = append(answer.Rejected, rejectedItem(each))
	}
	wrong := len(answer.Rejected) > 0
	if wrong && b.Accepted == 0 {
		return e.writeJSON(r, http.StatusBadRequest, answer)
	}
	if snapshot || len(b.Pods) > 0 {
		report := model.PodReport{Snapshot: snapshot, Pods: b.Pods}
		if snapshot {
			report.Scope = model.ScopePods // images without a pod have a list of their own
		}
		if err := e.report(r, report); err != nil {
			return err
		}
	}
	if wrong {
		return e.writeJSON(r, api.StatusPartial, answer)
	}
	return nil
}

// report stores a report before the request is answered.
func (e *endpoints) report(r *api.Request, report model.PodReport) error {
	if err := r.Enter(); err != nil {
		return err
	}
	report.Cluster, report.Version = r.Grant.Home(), r.Arrived
	for i := range report.Pods {
		report.Pods[i].Platform = e.platform
	}
	return e.server.Backend().Report(r.Context(), report)
}
