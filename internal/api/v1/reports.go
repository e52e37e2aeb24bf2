package v1

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/model"
)

const (
	reportPath = "/api/v1/reports"
	// aheadAtMost is how far the version of a report may be ahead of the clock of this process.
	aheadAtMost = 5 * time.Minute
)

// reportBody is a report of a perceiver: some changes, or all pods of the cluster.
type reportBody struct {
	Cluster  string              `json:"cluster,omitempty" doc:"The cluster of the token; another cluster is refused."`
	Version  *model.Version      `json:"version,omitempty" doc:"Orders the reports of a perceiver; the epoch is its start, at most five minutes ahead. Default: the arrival."`
	Snapshot bool                `json:"snapshot,omitempty" doc:"The list has all pods of the cluster: pods that are not in it are deleted."`
	Scope    model.SnapshotScope `json:"scope,omitempty" enum:"pods,images" doc:"Limits a snapshot to pods, or to images without a pod."`
	Pods     []model.Pod         `json:"pods,omitempty"`
	Gone     []model.PodKey      `json:"gone,omitempty" doc:"Pods that have ended; not in a snapshot."`
	Domain   string              `json:"domain,omitempty" doc:"The set of scanners that reaches the registries of the cluster."`
}

// reportAnswer says which items of a report were stored.
type reportAnswer struct {
	Accepted int              `json:"accepted" doc:"How many pods and ends of pods were stored."`
	Rejected []rejectedReport `json:"rejected,omitempty" doc:"The items that were not stored, the first hundred of them."`
	More     int              `json:"more,omitempty" doc:"How many more items were not stored."`
}

type rejectedReport struct {
	Index  int    `json:"index"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// reports is the endpoint for reports.
type reports struct{ backend api.Reporter }

// addReports adds the endpoint for reports. It does not use the library, because the body may be long and is read item by
// item.
func addReports(r *router) {
	perceiver := []access.Scope{access.Perceiver}
	endpoint := api.Endpoint{Scopes: perceiver, Do: reports{r.server.Backend()}.post, Batch: true, Problems: true}
	r.server.Mux().HandleFunc("POST "+reportPath, func(w http.ResponseWriter, request *http.Request) { r.server.Answer(w, request, endpoint) })
	op := &huma.Operation{
		OperationID: "report-pods", Method: http.MethodPost, Path: reportPath, Tags: []string{"pods"}, Security: api.Security(perceiver),
		Summary: "Report pods that are new, changed or gone, or all pods of the cluster",
		Description: "With 207 the answer names the wrong pods, and the others are stored. A report without any good pod is refused. " +
			"With 409 the cluster has a newer snapshot, and nothing is stored. " +
			"At most 128 MiB, and 500 containers in a pod.",
	}
	answer := reflect.TypeFor[reportAnswer]()
	r.server.Description().Describe(op, reflect.TypeFor[reportBody](), map[int]reflect.Type{
		http.StatusOK: answer, api.StatusPartial: answer, http.StatusBadRequest: api.ProblemType, http.StatusConflict: api.ProblemType,
	})
}

// report is a report while its keys are read, in any order.
type report struct {
	head  reportBody
	batch api.Batch
	gone  []model.PodKey
	// ends counts the items of gone, the wrong ones included.
	ends int
}

func (r reports) post(request *api.Request) error {
	read, err := readReport(request)
	if err != nil {
		return err
	}
	if err := read.check(request.Grant, time.Now()); err != nil {
		return api.Refuse(http.StatusBadRequest, "%s", err)
	}
	answer := reportAnswer{Accepted: read.batch.Accepted + len(read.gone), More: read.batch.More}
	if wrong := read.batch.Rejected; len(wrong) > 0 && answer.Accepted == 0 {
		return api.Refuse(http.StatusBadRequest, "nothing in the report is good; the first: %s: %s", wrong[0].Name, wrong[0].Reason)
	}
	stored := model.PodReport{
		Cluster: request.Grant.Home(), Version: request.Arrived, Snapshot: read.head.Snapshot, Scope: read.head.Scope,
		Pods: read.batch.Pods, Gone: read.gone, Domain: read.head.Domain,
	}
	if read.head.Version != nil {
		stored.Version = *read.head.Version
	}
	if err := request.Enter(); err != nil {
		return err
	}
	if err := r.backend.Report(request.Context(), stored); err != nil {
		return err
	}
	status := http.StatusOK
	for _, each := range read.batch.Rejected {
		status = api.StatusPartial
		answer.Rejected = append(answer.Rejected, rejectedReport(each))
	}
	return writeJSON(request.Writer, status, answer)
}

func readReport(request *api.Request) (*report, error) {
	r := &report{}
	_, err := request.ReadFields(api.Fields{
		"cluster":  func(d *api.BodyDecoder) error { return d.Decode(&r.head.Cluster) },
		"version":  func(d *api.BodyDecoder) error { return d.Decode(&r.head.Version) },
		"snapshot": func(d *api.BodyDecoder) error { return d.Decode(&r.head.Snapshot) },
		"scope":    func(d *api.BodyDecoder) error { return d.Decode(&r.head.Scope) },
		"domain":   func(d *api.BodyDecoder) error { return d.Decode(&r.head.Domain) },
		"pods":     func(d *api.BodyDecoder) error { return api.List(d, "pods", r.addPod) },
		"gone":     func(d *api.BodyDecoder) error { return api.List(d, "gone", r.addGone) },
	})
	return r, err
}

// check says what is wrong with a report as a whole.
func (r *report) check(grant access.Grant, now time.Time) error {
	switch {
	case r.head.Cluster != "" && r.head.Cluster != grant.Home():
		return fmt.Errorf("cluster %.80q: the token reports for %s", r.head.Cluster, grant.Home())
	case r.head.Snapshot && r.ends > 0:
		return errors.New("gone in a snapshot: pods that are not in a snapshot are deleted anyway")
	case r.head.Scope != model.ScopeAll && r.head.Scope != model.ScopePods && r.head.Scope != model.ScopeImages:
		return fmt.Errorf("scope %.40q: want pods or images, or leave it out for both", r.head.Scope)
	}
	if r.head.Version != nil {
		if err := checkVersion(*r.head.Version, now); err != nil {
			return err
		}
	}
	if r.head.Domain == "" {
		return nil
	}
	return api.CheckDomain(r.head.Domain)
}

// checkVersion says what is wrong with the version of a report. A version from the future would make Perceptor ignore all
// reports until that time.
func checkVersion(v model.Version, now time.Time) error {
	if v.Epoch <= 0 || v.Counter < 0 {
		return errors.New("version: want an epoch in nanoseconds since 1970 and a counter from 0")
	}
	if start := time.Unix(0, v.Epoch); start.After(now.Add(aheadAtMost)) {
		return fmt.Errorf("version: the epoch is %s, which is %s ahead of this server's clock; at most %s is allowed: correct the clock of the perceiver",
			start.UTC().Format(time.RFC3339), start.Sub(now).Round(time.Second), aheadAtMost)
	}
	return nil
}

func (r *report) addPod(i int, text json.RawMessage) {
	var p model.Pod
	err := api.DecodeObject(text, &p)
	if err == nil {
		err = api.CheckPod(p)
	}
	r.batch.Add(i, p.Namespace+"/"+p.Name, p, err)
}

func (r *report) addGone(i int, text json.RawMessage) {
	r.ends++
	var key model.PodKey
	err := api.DecodeObject(text, &key)
	if err == nil {
		err = api.CheckKey(key)
	}
	if err != nil {
		r.batch.Reject(i, key.Namespace+"/"+key.Name, err)
		return
	}
	r.gone = append(r.gone, key)
}

// writeJSON answers in the form of the library.
func writeJSON(w http.ResponseWriter, status int, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the client may have left
	return nil
}
