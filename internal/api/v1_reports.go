package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/model"
)

// reportBody is what a perceiver says: some changes, or everything there is.
type reportBody struct {
	Cluster  string              `json:"cluster,omitempty" doc:"The token's cluster; any other is refused."`
	Version  *model.Version      `json:"version,omitempty" doc:"Orders the reports of one perceiver, whose epoch is its start; without it they count in the order of their arrival."`
	Snapshot bool                `json:"snapshot,omitempty" doc:"Pods is all there is in the whole cluster: what is not named is gone."`
	Scope    model.SnapshotScope `json:"scope,omitempty" enum:"pods,images" doc:"Narrows a snapshot to pods, or to images without a pod."`
	Pods     []model.Pod         `json:"pods,omitempty"`
	Gone     []model.PodKey      `json:"gone,omitempty" doc:"Pods that have ended; not in a snapshot."`
	Domain   string              `json:"domain,omitempty" doc:"The set of scanners that reaches the cluster's registries."`
}

// reportAnswer says what became of a report.
type reportAnswer struct {
	Accepted int              `json:"accepted" doc:"How many pods and ends of pods were taken."`
	Rejected []rejectedReport `json:"rejected,omitempty" doc:"What was not taken, the first hundred."`
	More     int              `json:"more,omitempty" doc:"How many were not taken besides."`
}

type rejectedReport struct {
	Index  int    `json:"index"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

const reportPath = "/api/v1/reports"

// addReports adds the report of a perceiver. Its body may be long, so that it is read item by item, beside the library.
func (v *v1) addReports() {
	perceiver := []access.Scope{access.Perceiver}
	report := action{scopes: perceiver, do: v.postReport, batch: true}
	v.mux.HandleFunc("POST "+reportPath, func(w http.ResponseWriter, r *http.Request) {
		v.answer(r.Context(), &call{writer: w, Request: r, arrived: v.clock.next(), problems: true}, report)
	})
	op := &huma.Operation{
		OperationID: "report-pods", Method: http.MethodPost, Path: reportPath, Tags: []string{"pods"}, Security: secure(perceiver),
		Summary: "Report pods that are new, changed or gone, or all there are",
		Description: "Pods that are wrong are named in the answer and the others kept: 207. A report without anything good in it is refused. " +
			"At most 128 MiB and 500 containers in a pod.",
	}
	v.describe(op, reflect.TypeFor[reportBody](), map[int]reflect.Type{
		http.StatusOK: reflect.TypeFor[reportAnswer](), partial: reflect.TypeFor[reportAnswer](), http.StatusBadRequest: problemType,
	})
}

// reportBeingRead is a report while its keys come in, in any order.
type reportBeingRead struct {
	head  reportBody
	pods  *taken
	gone  []model.PodKey
	wrong []rejectedItem
}

func (v *v1) postReport(c *call) error {
	r := reportBeingRead{pods: newBatch("pods")}
	_, err := c.readFields(fields{
		"cluster":  func(d *bodyDecoder) error { return d.Decode(&r.head.Cluster) },
		"version":  func(d *bodyDecoder) error { return d.Decode(&r.head.Version) },
		"snapshot": func(d *bodyDecoder) error { return d.Decode(&r.head.Snapshot) },
		"covers":   func(d *bodyDecoder) error { return d.Decode(&r.head.Scope) },
		"domain":   func(d *bodyDecoder) error { return d.Decode(&r.head.Domain) },
		"pods":     func(d *bodyDecoder) error { return list(d, "pods", r.addPod) },
		"gone":     func(d *bodyDecoder) error { return list(d, "gone", r.addGone) },
	})
	if err != nil {
		return err
	}
	if err := r.check(c.grant); err != nil {
		return refuse(http.StatusBadRequest, "%s", err)
	}
	answer := r.pods.answer
	rejected, accepted := append(answer.Rejected, r.wrong...), answer.Accepted+len(r.gone)
	if len(rejected) > 0 && accepted == 0 {
		return refuse(http.StatusBadRequest, "nothing in the report is good; the first: %s: %s", rejected[0].Name, rejected[0].Reason)
	}
	report := model.PodReport{
		Cluster: c.grant.Home(), Version: c.arrived, Snapshot: r.head.Snapshot, Scope: r.head.Scope,
		Pods: r.pods.pods, Gone: r.gone, Domain: r.head.Domain,
	}
	if r.head.Version != nil {
		report.Version = *r.head.Version
	}
	if err := v.options.Backend.Report(c.Context(), report); err != nil {
		return err
	}
	out, status := reportAnswer{Accepted: accepted, More: answer.More}, http.StatusOK
	for _, each := range rejected {
		status = partial
		out.Rejected = append(out.Rejected, rejectedReport(each))
	}
	return writeModern(c.writer, status, out)
}

func (r *reportBeingRead) check(grant access.Grant) error {
	switch {
	case r.head.Cluster != "" && r.head.Cluster != grant.Home():
		return fmt.Errorf("cluster %.80q: the token reports for %s", r.head.Cluster, grant.Home())
	case r.head.Snapshot && len(r.gone)+len(r.wrong) > 0:
		return errors.New("gone in a snapshot: what a snapshot does not name is gone")
	case r.head.Version != nil && (r.head.Version.Epoch <= 0 || r.head.Version.Counter < 0):
		return errors.New("version: want an epoch in nanoseconds since 1970 and a counter from 0")
	case r.head.Scope != model.ScopeAll && r.head.Scope != model.ScopePods && r.head.Scope != model.ScopeImages:
		return fmt.Errorf("covers %.40q: want pods or images, or leave it out for both", r.head.Scope)
	case r.head.Domain == "":
		return nil
	}
	return checkDomain(r.head.Domain)
}

func (r *reportBeingRead) addPod(i int, text json.RawMessage) {
	var p model.Pod
	err := decodeObject(text, &p)
	if err == nil {
		err = checkPod(p)
	}
	r.pods.add(i, p.Namespace+"/"+p.Name, p, err)
}

func (r *reportBeingRead) addGone(i int, text json.RawMessage) {
	var key model.PodKey
	err := decodeObject(text, &key)
	if err == nil {
		err = checkKey(key)
	}
	switch {
	case err == nil:
		r.gone = append(r.gone, key)
	case len(r.wrong) < rejectedShown:
		r.wrong = append(r.wrong, rejectedItem{Index: i, Name: shorten(key.Namespace + "/" + key.Name), Reason: err.Error()})
	default:
		r.pods.answer.More++
	}
}
