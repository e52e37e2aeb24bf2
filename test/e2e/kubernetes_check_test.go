//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/perceptor/perceptor/internal/kubetest"
	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// report is how the join stands, by what the API server, the hub and the API say.
type report struct {
	// joined are the pods that are in the cluster, in the join and in their own labels and annotations as the hub judges them.
	joined int
	// images are the manifests in the rows of these pods, scans the successful scans at the hub.
	images, scans int
	// stale are rows of pods that the cluster does not have, and pods whose labels or annotations say something else than the hub.
	stale int
	// faults is how much is not as it must be, and wrong says what of it comes first.
	faults int
	wrong  []string
}

func (r *report) complain(format string, args ...any) {
	const most = 40
	if r.faults++; len(r.wrong) < most {
		r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
	}
}

// inCluster is a pod as the API server has it.
type inCluster struct {
	Metadata struct {
		Namespace   string            `json:"namespace"`
		Name        string            `json:"name"`
		UID         string            `json:"uid"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
}

func (p inCluster) key() string { return p.Metadata.Namespace + "/" + p.Metadata.Name }

// podsInCluster asks the API server for every pod.
func (w *kubernetesSystem) podsInCluster(ctx context.Context) (map[string]inCluster, error) {
	var list struct {
		Items []inCluster `json:"items"`
	}
	if err := w.Kube.Get(ctx, "/api/v1/pods", &list); err != nil {
		return nil, err
	}
	all := map[string]inCluster{}
	for _, pod := range list.Items {
		all[pod.key()] = pod
	}
	return all, nil
}

// rows asks Perceptor's API for the join of the whole cluster.
func (w *kubernetesSystem) rows(ctx context.Context) ([]model.PodVerdict, error) {
	var all []model.PodVerdict
	for cursor := ""; ; {
		query := url.Values{"cluster": {rig.ClusterName}, "limit": {"100"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		var page struct {
			Pods []model.PodVerdict `json:"pods"`
			Next string             `json:"next"`
		}
		if err := w.askAPI(ctx, "/api/v1/pods?"+query.Encode(), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Pods...)
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}

// askAPI reads a JSON answer of Perceptor's API.
func (w *kubernetesSystem) askAPI(ctx context.Context, path string, into any) error {
	return askJSON(ctx, http.DefaultClient, http.MethodGet, "http://"+w.APIAddress+path, "Bearer "+w.ReaderToken, into)
}

// expected is what must be said of a pod.
type expected struct {
	containers      []expectedContainer
	overall         model.OverallStatus
	violations, bad int
}

type expectedContainer struct {
	name, repository string
	digest           model.Digest
	judgement
}

// expect adds up what the hub says of a pod's containers, the main ones first.
func expect(p rig.PlannedPod, judged map[model.Digest]judgement) expected {
	e := expected{overall: model.NotInViolation}
	for _, kind := range [][]kubetest.Kind{{kubetest.Main}, {kubetest.Init, kubetest.Sidecar}, {kubetest.Ephemeral}} {
		for _, c := range p.Containers {
			if !slices.Contains(kind, c.Kind) {
				continue
			}
			repository := c.Image[:strings.LastIndex(c.Image, ":")]
			digest := p.Runs[c.Name]
			e.containers = append(e.containers, expectedContainer{c.Name, repository, digest, judged[digest]})
			e.overall = e.overall.Worst(judged[digest].overall)
			e.violations += judged[digest].violations
			e.bad += judged[digest].bad()
		}
	}
	return e
}

// check compares the cluster, the join, the labels and annotations of every pod, and the hub.
func (w *kubernetesSystem) check(ctx context.Context) (report, error) {
	var r report
	pods, err := w.podsInCluster(ctx)
	if err != nil {
		return r, err
	}
	rows, err := w.rows(ctx)
	if err != nil {
		return r, err
	}
	alive := w.Alive()
	judged, err := w.judgements(ctx, slices.Collect(maps.Values(alive)), &r)
	if err != nil {
		return r, err
	}
	byUID := map[string]model.PodVerdict{}
	for _, row := range rows {
		byUID[row.UID] = row
	}
	if len(byUID) != len(rows) {
		r.complain("%d rows of %d pods", len(rows), len(byUID))
	}
	images := map[model.Digest]bool{}
	for key, p := range alive {
		pod, there := pods[key]
		if !there {
			r.complain("%s is not in the cluster", key)
			continue
		}
		row, there := byUID[pod.Metadata.UID]
		delete(byUID, pod.Metadata.UID)
		if !there {
			r.complain("%s is not in the join", key)
			continue
		}
		e := expect(p, judged)
		if !r.checkRow(key, row, e) {
			continue
		}
		if !r.checkMarks(pod, e) {
			r.stale++
			continue
		}
		r.joined++
		for _, c := range row.Containers {
			images[c.Image.Digest] = true
		}
	}
	for _, row := range byUID {
		if _, there := pods[row.Namespace+"/"+row.Name]; !there {
			r.stale++
			r.complain("%s/%s is in the join and not in the cluster", row.Namespace, row.Name)
		}
	}
	r.images = len(images)
	return r, nil
}

// judgements are what the hub says of every image that pods run; each must have been scanned exactly once.
func (w *kubernetesSystem) judgements(ctx context.Context, pods []rig.PlannedPod, r *report) (map[model.Digest]judgement, error) {
	counted := w.Stats(w.T)
	r.scans = counted.ScansSucceeded
	hub, err := readHub(ctx, w.Dev)
	if err != nil {
		return nil, err
	}
	judged := map[model.Digest]judgement{}
	for _, digest := range rig.DigestsOf(pods) {
		if n := counted.ScansByName[digest.Hex()]; n != 1 {
			r.complain("%s: %d successful scans", digest, n)
			continue
		}
		if judged[digest], err = hub.judge(ctx, digest); err != nil {
			return nil, err
		}
	}
	return judged, nil
}

// checkRow compares a row of the join with what must be there.
func (r *report) checkRow(key string, row model.PodVerdict, e expected) bool {
	before := r.faults
	bad := row.Vulnerabilities.Critical + row.Vulnerabilities.High
	if row.Status != model.StatusComplete || row.OverallStatus != e.overall || row.PolicyViolations != e.violations || bad != e.bad {
		r.complain("%s: the join says %s, %s, %d violations, %d vulnerabilities; want %s, %d, %d", key,
			row.Status, row.OverallStatus, row.PolicyViolations, bad, e.overall, e.violations, e.bad)
	}
	if len(row.Containers) != len(e.containers) {
		r.complain("%s: the join has %d containers; want %d", key, len(row.Containers), len(e.containers))
		return false
	}
	byName := map[string]model.ContainerVerdict{}
	for _, c := range row.Containers {
		byName[c.Name] = c
	}
	for _, c := range e.containers {
		if got := byName[c.name].Image.Digest; got != c.digest {
			r.complain("%s, container %s: the join has %s; want %s", key, c.name, got, c.digest)
		}
	}
	return r.faults == before
}

// judgement is what the hub says of one image, read by the test itself.
type judgement struct {
	overall         model.OverallStatus
	violations      int
	vulnerabilities map[string]int
	// components is where a person reads the components.
	components string
}

// bad is what Perceptor 0.x (2018) counts as vulnerabilities.
func (j judgement) bad() int { return j.vulnerabilities["CRITICAL"] + j.vulnerabilities["HIGH"] }

// hubReader asks the built-in hub as any client of its API does.
type hubReader struct {
	*rig.Dev
	bearer string
}

func readHub(ctx context.Context, d *rig.Dev) (*hubReader, error) {
	var answer struct {
		BearerToken string `json:"bearerToken"`
	}
	r := &hubReader{Dev: d}
	err := r.ask(ctx, http.MethodPost, "https://"+d.Hub+"/api/tokens/authenticate", "token "+d.HubToken, &answer)
	r.bearer = "Bearer " + answer.BearerToken
	return r, err
}

// judge reads what the hub says of the scan with the digest's name.
func (r *hubReader) judge(ctx context.Context, digest model.Digest) (judgement, error) {
	var locations struct {
		Items []struct {
			Name                 string `json:"name"`
			MappedProjectVersion string `json:"mappedProjectVersion"`
		} `json:"items"`
	}
	query := url.Values{"q": {"name:" + digest.Hex()}}
	if err := r.get(ctx, "https://"+r.Hub+"/api/codelocations?"+query.Encode(), &locations); err != nil {
		return judgement{}, err
	}
	if len(locations.Items) != 1 || locations.Items[0].Name != digest.Hex() {
		return judgement{}, fmt.Errorf("the hub has %d code locations of %s", len(locations.Items), digest)
	}
	version := locations.Items[0].MappedProjectVersion
	var policy struct {
		OverallStatus                model.OverallStatus `json:"overallStatus"`
		ComponentVersionStatusCounts []struct {
			Name  string `json:"name"`
			Value int    `json:"value"`
		} `json:"componentVersionStatusCounts"`
	}
	var risk struct {
		Categories map[string]map[string]int `json:"categories"`
	}
	if err := r.get(ctx, version+"/policy-status", &policy); err != nil {
		return judgement{}, err
	}
	if err := r.get(ctx, version+"/risk-profile", &risk); err != nil {
		return judgement{}, err
	}
	j := judgement{overall: policy.OverallStatus, vulnerabilities: risk.Categories["VULNERABILITY"], components: version + "/components"}
	for _, each := range policy.ComponentVersionStatusCounts {
		if each.Name == "IN_VIOLATION" {
			j.violations = each.Value
		}
	}
	return j, nil
}

func (r *hubReader) get(ctx context.Context, at string, into any) error {
	return r.ask(ctx, http.MethodGet, at, r.bearer, into)
}

func (r *hubReader) ask(ctx context.Context, method, at, authorization string, into any) error {
	return askJSON(ctx, r.HubClient, method, at, authorization, into)
}

// askJSON reads the JSON answer to a request.
func askJSON(ctx context.Context, client *http.Client, method, at, authorization string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, at, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", authorization)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s answered %d: %s", method, at, response.StatusCode, text)
	}
	return json.Unmarshal(text, into)
}

// marks is what a pod's labels say of the pod.
type marks struct {
	overall         model.OverallStatus
	violations, bad int
}

// marked reads what a pod's labels say; a count that is not there is -1.
func marked(pod inCluster) marks {
	number := func(key string) int {
		n, err := strconv.Atoi(pod.Metadata.Labels[key])
		if err != nil {
			return -1
		}
		return n
	}
	return marks{model.OverallStatus(pod.Metadata.Labels["pod.overall-status"]), number("pod.policy-violations"), number("pod.vulnerabilities")}
}

// qualities are the endings of annotations that hold JSON, with what is counted in it.
var qualities = map[string]struct{ description, label string }{
	"vulnerability.blackduck": {"Vulnerability Info", "high"},
	"policy.blackduck":        {"Policy Info", "important"},
}

// quality is such an annotation.
type quality struct {
	Name        string
	Description string
	Timestamp   string
	Compliant   bool
	Summary     []struct {
		Label, Data   string
		SeverityIndex int
	}
}

// checkMarks compares a pod's labels and annotations, those of Perceptor 0.x (2018) and those of OpsSight, with what must be there; the test's own
// label aside, nothing else may be.
func (r *report) checkMarks(pod inCluster, e expected) bool {
	before := r.faults
	labels, annotations, counts := e.marks()
	labels["app"] = pod.Metadata.Name
	r.same(pod.key()+", labels", labels, pod.Metadata.Labels)
	plain := maps.Clone(pod.Metadata.Annotations)
	maps.DeleteFunc(plain, func(key, value string) bool { return strings.HasPrefix(key, "perceptor/marks-") && value == "both" })
	if len(plain) != len(pod.Metadata.Annotations)-1 {
		r.complain("%s: there are %d records of the perceiver; want one", pod.key(), len(pod.Metadata.Annotations)-len(plain))
	}
	for key, count := range counts {
		r.checkQuality(pod.key()+", "+key, plain[key], qualities[key[strings.LastIndex(key, "/")+1:]], count)
		delete(plain, key)
	}
	r.same(pod.key()+", annotations", annotations, plain)
	return r.faults == before
}

// same complains of every key that is missing, differs or is too many.
func (r *report) same(what string, want, got map[string]string) {
	for key, value := range want {
		if other, there := got[key]; !there || other != value {
			r.complain("%s: %s is %q, there: %t; want %q", what, key, other, there, value)
		}
	}
	for key, value := range got {
		if _, wanted := want[key]; !wanted {
			r.complain("%s: %s is %q; want none", what, key, value)
		}
	}
}

func (r *report) checkQuality(what, text string, words struct{ description, label string }, count int) {
	var q quality
	if err := json.Unmarshal([]byte(text), &q); err != nil || len(q.Summary) != 1 {
		r.complain("%s: %q %v", what, text, err)
		return
	}
	s := q.Summary[0]
	if q.Description != words.description || q.Timestamp == "" || q.Compliant != (count == 0) || s.Label != words.label || s.Data != strconv.Itoa(count) || s.SeverityIndex != 1 {
		r.complain("%s: %s; want %s, %s, %d", what, text, words.description, words.label, count)
	}
}

// marks are the labels and annotations a pod must have, and the counts in those annotations that hold JSON.
func (e expected) marks() (labels, annotations map[string]string, counts map[string]int) {
	labels, annotations, counts = map[string]string{}, map[string]string{}, map[string]int{}
	compat := func(prefix string, overall model.OverallStatus, violations, bad int) {
		for _, both := range []map[string]string{labels, annotations} {
			both[prefix+"overall-status"] = string(overall)
			both[prefix+"policy-violations"], both[prefix+"vulnerabilities"] = strconv.Itoa(violations), strconv.Itoa(bad)
		}
		annotations[prefix+"scanner-version"], annotations[prefix+"server-version"] = "", ""
	}
	opsSight := func(prefix, quality string, overall model.OverallStatus, violations, bad int) {
		labels[prefix+"overall-status"] = string(overall)
		labels[prefix+"policy-violations"], labels[prefix+"has-policy-violations"] = strconv.Itoa(violations), strconv.FormatBool(violations > 0)
		labels[prefix+"vulnerabilities"], labels[prefix+"has-vulnerabilities"] = strconv.Itoa(bad), strconv.FormatBool(bad > 0)
		counts[quality+"vulnerability.blackduck"], counts[quality+"policy.blackduck"] = bad, violations
	}
	compat("pod.", e.overall, e.violations, e.bad)
	opsSight("com.blackducksoftware.pod.", "quality.pod.openshift.io/", e.overall, e.violations, e.bad)
	for i, c := range e.containers {
		number := fmt.Sprintf("image%d", i)
		_, path, _ := strings.Cut(c.repository, "/")
		short, dotted := strings.ReplaceAll(path, "/", "."), strings.ReplaceAll(c.repository, "/", ".")
		compat(number+".", c.overall, c.violations, c.bad())
		labels[number], annotations[number], annotations[number+".project-endpoint"] = short, dotted, c.components
		opsSight("com.blackducksoftware."+number+".", number+".quality.image.openshift.io/", c.overall, c.violations, c.bad())
		labels["com.blackducksoftware."+number] = short
		annotations[number+".blackducksoftware.com"], annotations[number+".quality.image.openshift.io"] = dotted, dotted
		annotations[number+".blackducksoftware.com/project-endpoint"] = c.components
		annotations[number+".blackducksoftware.com/hub-scanner-version"] = ""
		annotations[number+".blackducksoftware.com/attestation-server-version"] = ""
	}
	return labels, annotations, counts
}
