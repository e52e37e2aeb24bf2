package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

// fakeShelf is the part of a product's API where verdicts are written to.
type fakeShelf struct {
	lock    sync.Mutex
	status  int
	asked   []string
	labels  map[string]quayLabel
	number  int
	folders map[string]map[string][]string
}

func (f *fakeShelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.asked = append(f.asked, r.Method)
	switch {
	case r.Header.Get("Authorization") != "Bearer write-token":
		w.WriteHeader(http.StatusUnauthorized)
	case f.status != 0:
		w.WriteHeader(f.status)
	case strings.HasPrefix(r.URL.Path, "/api/v1/repository/team/app/manifest/"+sumOf("1")+"/labels"):
		f.quay(w, r)
	case r.URL.Path == "/artifactory/api/storage/team/app/v1":
		f.artifactory(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (f *fakeShelf) quay(w http.ResponseWriter, r *http.Request) {
	_, id, _ := strings.Cut(r.URL.Path, "/labels/")
	switch r.Method {
	case http.MethodGet:
		list := []quayLabel{}
		for _, each := range f.labels {
			list = append(list, each)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"labels": list})
	case http.MethodPost:
		var label quayLabel
		_ = json.NewDecoder(r.Body).Decode(&label)
		f.number++
		label.ID = fmt.Sprint("l", f.number)
		f.labels[label.ID] = label
		w.WriteHeader(http.StatusCreated)
	case http.MethodDelete:
		delete(f.labels, id)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (f *fakeShelf) artifactory(w http.ResponseWriter, r *http.Request) {
	text, _, _ := strings.Cut(strings.TrimPrefix(r.URL.RawQuery, "properties="), "&recursive=0")
	folder := f.folders["v1"]
	switch r.Method {
	case http.MethodGet:
		if len(folder) == 0 {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"properties": folder})
	case http.MethodPut:
		for pair := range strings.SplitSeq(text, ";") {
			key, value, _ := strings.Cut(pair, "=")
			value, _ = url.QueryUnescape(value)
			folder[key] = []string{strings.ReplaceAll(value, `\`, "")}
		}
		w.WriteHeader(http.StatusNoContent)
	case http.MethodDelete:
		for key := range strings.SplitSeq(text, ",") {
			delete(folder, key)
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// stands is what can be read there.
func (f *fakeShelf) stands(kind Kind) map[string]string {
	f.lock.Lock()
	defer f.lock.Unlock()
	all := map[string]string{}
	if kind == Quay {
		for _, each := range f.labels {
			all[each.Key] += each.Value
		}
		return all
	}
	for key, values := range f.folders["v1"] {
		all[strings.ToLower(key)] = strings.Join(values, "")
	}
	return all
}

func startShelf(t *testing.T, kind Kind) (*fakeShelf, *Writer, *safeLog) {
	t.Helper()
	f := &fakeShelf{labels: map[string]quayLabel{}, folders: map[string]map[string][]string{"v1": {}}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("write-token\n"), 0o600))
	log := &safeLog{}
	o := Options{
		Cluster: "c", Host: strings.TrimPrefix(server.URL, "http://"), Kind: kind, WriteBack: WriteBack{TokenFile: token},
		Serve: func(context.Context, *Writer) {}, Logger: slog.New(slog.NewTextHandler(log, nil)),
	}
	p, err := New(o)
	require.NoError(t, err)
	return f, p.writer, log
}

// judgedRow is a row of a tag with a verdict.
func judgedRow(w *Writer) model.PodVerdict {
	return model.PodVerdict{UID: "u", Namespace: "team:app", Name: "v1", Containers: []model.ContainerVerdict{{
		Reference: w.host + "/team/app:v1", Reported: model.Digest(sumOf("1")), Image: model.Summary{
			Status: model.StatusComplete, OverallStatus: model.InViolation, PolicyViolations: 2, Vulnerabilities: model.Counts{Critical: 1, High: 3, Low: 9},
			Coverage: model.CoverageSummary{Satisfied: true}, ComponentsURL: "https://hub.example/a;b=c,d|e?x=1&y=2",
		},
	}}}
}

func writeOne(t *testing.T, w *Writer, row model.PodVerdict) model.WriteResult {
	t.Helper()
	result, err := w.Write(t.Context(), []string{"u"}, func(context.Context, []string) ([]model.PodVerdict, error) { return []model.PodVerdict{row}, nil })
	require.NoError(t, err)
	return result
}

func TestVerdictsAreWrittenWhereTheyDiffer(t *testing.T) {
	for _, kind := range []Kind{Quay, Artifactory} {
		t.Run(string(kind), func(t *testing.T) {
			f, w, _ := startShelf(t, kind)
			row := judgedRow(w)
			waiting := row
			waiting.Containers = []model.ContainerVerdict{row.Containers[0]}
			waiting.Containers[0].Image = model.Unscanned("")
			require.Equal(t, 1, writeOne(t, w, waiting).Unchanged, "nothing is known, and nothing stands there")

			var others map[string]string
			if kind == Quay {
				f.labels["x"] = quayLabel{ID: "x", Key: "maintainer", Value: "one"}
				f.labels["y"] = quayLabel{ID: "y", Key: "blackduck.of-another", Value: "two"}
				f.labels["z"] = quayLabel{ID: "z", Key: "blackduck.overallstatus", Value: "OLD"}
				f.labels["zz"] = quayLabel{ID: "zz", Key: "blackduck.overallstatus", Value: "OLDER"}
				others = map[string]string{"maintainer": "one", "blackduck.of-another": "two"}
			} else {
				f.folders["v1"]["build.name"] = []string{"one"}
				others = map[string]string{"build.name": "one"}
			}
			want := map[string]string{
				"blackduck.overallstatus": "IN_VIOLATION", "blackduck.policyviolations": "2", "blackduck.vulnerabilities": "4",
				"blackduck.componentsurl": "https://hub.example/a;b=c,d|e?x=1&y=2", "blackduck.digest": sumOf("1"),
			}
			maps.Copy(want, others)
			require.Equal(t, model.WriteResult{Written: 1}, writeOne(t, w, row))
			require.Equal(t, want, f.stands(kind))

			f.asked = nil
			require.Equal(t, model.WriteResult{Unchanged: 1}, writeOne(t, w, row))
			require.Equal(t, []string{http.MethodGet}, f.asked, "what says the same is left alone")

			// What is no longer known is taken back.
			require.Equal(t, model.WriteResult{Written: 1}, writeOne(t, w, waiting))
			want = map[string]string{"blackduck.overallstatus": "UNKNOWN", "blackduck.digest": sumOf("1")}
			maps.Copy(want, others)
			require.Equal(t, want, f.stands(kind))
		})
	}
}

func TestAZeroThatNoCoverageCarriesIsNotWritten(t *testing.T) {
	f, w, _ := startShelf(t, Quay)
	row := judgedRow(w)
	row.Containers[0].Image.Coverage.Satisfied = false
	row.Containers[0].Image.PolicyViolations = 0
	require.Equal(t, 1, writeOne(t, w, row).Written)
	require.NotContains(t, f.stands(Quay), "blackduck.policyviolations")
	require.Equal(t, "4", f.stands(Quay)["blackduck.vulnerabilities"])
}

func TestAWriteThatFailsSaysWhy(t *testing.T) {
	for status, class := range map[int]model.FailureClass{
		http.StatusForbidden: model.Unauthorized, http.StatusTooManyRequests: model.Throttled, http.StatusBadGateway: model.Transient, http.StatusBadRequest: model.Invalid,
	} {
		for _, kind := range []Kind{Quay, Artifactory} {
			f, w, log := startShelf(t, kind)
			f.status = status
			result := writeOne(t, w, judgedRow(w))
			require.Len(t, result.Failed, 1)
			require.Equal(t, class, result.Failed[0].Class)
			require.Equal(t, "v1", result.Failed[0].Pod.Name)
			require.Contains(t, log.String(), fmt.Sprint("the registry answered ", status))
			require.NotContains(t, log.String(), "write-token")
			f.status = 0
			require.Equal(t, 1, writeOne(t, w, judgedRow(w)).Written)
		}
	}
	_, w, _ := startShelf(t, Artifactory)
	row := judgedRow(w)
	row.Containers[0].Reference = w.host + "/team/none:v1"
	result := writeOne(t, w, row)
	require.Len(t, result.Failed, 1, "a folder that is not there is not gone: the address may be wrong")
	for _, reference := range []string{"elsewhere.example/team/app:v1", w.host + "/team/app", w.host + "/../app:v1", ""} {
		row.Containers[0].Reference = reference
		require.Len(t, writeOne(t, w, row).Failed, 1, reference)
	}
}

func TestWriteBackThatCannotWork(t *testing.T) {
	for what, change := range map[string]func(*Options){
		"Harbor": func(o *Options) { o.Kind = Harbor }, "no kind": func(o *Options) { o.Kind = "" }, "no token": func(o *Options) { o.WriteBack.TokenFile = "" },
		"no address":              func(o *Options) { o.WriteBack.URL = "quay" },
		"an address with a login": func(o *Options) { o.WriteBack.URL = "https://a:b@quay.example" },
	} {
		o := Options{Cluster: "c", Host: "quay.example", Kind: Quay, WriteBack: WriteBack{TokenFile: "x"}, Serve: func(context.Context, *Writer) {}}
		change(&o)
		_, err := New(o)
		require.Error(t, err, what)
	}
}
