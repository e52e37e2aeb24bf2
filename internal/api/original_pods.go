package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/perceptor/perceptor/model"
)

// putPod takes one pod, new or changed.
func (s *Server) putPod(c *call) error {
	var body originalPod
	if err := c.readJSON(&body); err != nil {
		return err
	}
	p, err := body.pod()
	if err != nil {
		return refuse(http.StatusBadRequest, "pod %.80q: %s", body.Namespace+"/"+body.Name, err)
	}
	return s.report(c, model.PodReport{Pods: []model.Pod{p}})
}

// deletePod takes the name of a pod that is gone as the body: namespace/name or name alone, bare or as a JSON string.
func (s *Server) deletePod(c *call) error {
	text, err := c.readBody()
	if err != nil {
		return err
	}
	key, err := parsePodName(text)
	if err != nil {
		return refuse(http.StatusBadRequest, "%s", err)
	}
	if key.Namespace == "" {
		return s.deleteByName(c, key.Name)
	}
	return s.report(c, model.PodReport{Gone: []model.PodKey{key}})
}

// deleteNamedPod is deletePod in the form of the original's documentation.
func (s *Server) deleteNamedPod(c *call) error {
	key := model.PodKey{Namespace: c.PathValue("namespace"), Name: c.PathValue("name")}
	if err := checkKey(key); err != nil {
		return refuse(http.StatusBadRequest, "%s", err)
	}
	return s.report(c, model.PodReport{Gone: []model.PodKey{key}})
}

// parsePodName reads namespace/name, or name alone, as plain text or as a JSON string.
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
		check = func() error { return checkKey(key) }
	}
	if err := check(); err != nil {
		return model.PodKey{}, fmt.Errorf("%w; %s", err, want)
	}
	return key, nil
}

// putAllPods takes everything that runs: what it does not name is gone.
func (s *Server) putAllPods(c *call) error {
	b := newBatch("Pods")
	err := c.readBatch(b.key, func(i int, text json.RawMessage) {
		var body originalPod
		err := decodeObject(text, &body)
		var p model.Pod
		if err == nil {
			p, err = body.pod()
		}
		b.add(i, body.Namespace+"/"+body.Name, p, err)
	})
	if err != nil {
		return err
	}
	return s.reportBatch(c, b, true)
}

// postImage takes one image without a pod.
func (s *Server) postImage(c *call) error {
	var body originalImage
	if err := c.readJSON(&body); err != nil {
		return err
	}
	p, err := body.bare()
	if err != nil {
		return refuse(http.StatusBadRequest, "image %.80q: %s", body.reference(), err)
	}
	return s.report(c, model.PodReport{Pods: []model.Pod{p}})
}

// putAllImages takes many images without a pod. It adds and never removes, as in the original.
func (s *Server) putAllImages(c *call) error {
	b := newBatch("Images")
	err := c.readBatch(b.key, func(i int, text json.RawMessage) {
		var body originalImage
		err := decodeObject(text, &body)
		var p model.Pod
		if err == nil {
			p, err = body.bare()
		}
		b.add(i, body.reference(), p, err)
	})
	if err != nil {
		return err
	}
	return s.reportBatch(c, b, false)
}

// report hands a report over. The answer waits for it: what is answered with 200 survives this process.
func (s *Server) report(c *call, r model.PodReport) error {
	r.Cluster, r.Version = c.grant.Home(), c.arrived
	return s.options.Backend.Report(c.Context(), r)
}
