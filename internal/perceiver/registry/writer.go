package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/internal/perceiver/trouble"
	"github.com/perceptor/perceptor/model"
)

// WriteBack says where verdicts are written to.
type WriteBack struct {
	// URL is the base of the product's API; empty means the registry's host, for Artifactory with the path /artifactory.
	URL string
	// TokenFile holds the token that may write. It is read for each batch.
	TokenFile string
}

// shelf is the place of a registry for what is said about images.
type shelf interface {
	// read gives what stands there, by the names of marks; several values of one name are joined by a line feed.
	read(ctx context.Context, to target) (map[string]string, error)
	// write sets marks and removes others.
	write(ctx context.Context, to target, set map[string]string, remove []string) error
}

// target is a tag and the manifest that it led to.
type target struct {
	repository, tag string
	digest          model.Digest
}

// Writer writes verdicts to the registry, where they differ. It is safe for concurrent use.
type Writer struct {
	host    string
	shelf   func() (shelf, error)
	metrics *metrics
	// troubles keep account of writes that are refused.
	troubles *trouble.Book
	logger   *slog.Logger
}

// writesAtOnce is how many tags of a batch are written at a time.
const writesAtOnce = 4

// newWriter makes a writer for a product that has a place for verdicts.
func newWriter(o Options, c *client, m *metrics, troubles *trouble.Book) (*Writer, error) {
	at := o.WriteBack.URL
	if at == "" {
		at = c.registry.Scheme() + "://" + c.registry.RegistryStr()
		if o.Kind == Artifactory {
			at += "/artifactory"
		}
	}
	base, err := url.Parse(at)
	if err != nil || base.Host == "" || base.User != nil || base.Scheme != "https" && base.Scheme != "http" {
		return nil, fmt.Errorf("address of the registry's API %.100q: want https://HOST, without a login", at)
	}
	made := map[Kind]func(remote) shelf{
		Quay: func(r remote) shelf { return quayLabels{r} }, Artifactory: func(r remote) shelf { return artifactoryProperties{r} },
	}[o.Kind]
	if made == nil {
		return nil, fmt.Errorf("write-back to kind %q: only quay and artifactory have a place for verdicts", o.Kind)
	}
	if o.WriteBack.TokenFile == "" {
		return nil, errors.New("write-back needs a file with a token that may write")
	}
	caller := &http.Client{Transport: c.base, Timeout: answerTime, CheckRedirect: onlySameHost}
	return &Writer{host: o.Host, metrics: m, troubles: troubles, logger: o.Logger, shelf: func() (shelf, error) {
		token, err := os.ReadFile(o.WriteBack.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("read the token that may write: %w", err)
		}
		return made(remote{http: caller, base: *base, token: strings.TrimSpace(string(token))}), nil
	}}, nil
}

// Write brings what stands in the registry to what is known of the tags. What says the same already is left alone.
func (w *Writer) Write(ctx context.Context, uids []string, read func(context.Context, []string) ([]model.PodVerdict, error)) (model.WriteResult, error) {
	var result model.WriteResult
	rows, err := read(ctx, uids)
	if err != nil {
		return result, fmt.Errorf("write verdicts to the registry: %w", err)
	}
	to, err := w.shelf()
	if err != nil {
		return result, fmt.Errorf("write verdicts to the registry: %w", err)
	}
	var lock sync.Mutex
	var group errgroup.Group
	group.SetLimit(writesAtOnce)
	for _, row := range rows {
		group.Go(func() error {
			changed, err := w.writeRow(ctx, to, row)
			lock.Lock()
			defer lock.Unlock()
			switch {
			case err != nil:
				w.metrics.rewritten.WithLabelValues("failed").Inc()
				w.troubles.Fail(model.TroubleWrite, clip(err.Error()), time.Now())
				w.logger.Warn("a verdict could not be written to the registry; it is tried again", "namespace", row.Namespace, "tag", row.Name, "error", err)
				result.Failed = append(result.Failed, model.WriteFailure{
					Pod: model.PodKey{UID: row.UID, Namespace: row.Namespace, Name: row.Name}, Class: classOf(err), Reason: clip(err.Error()),
				})
			case changed:
				w.metrics.rewritten.WithLabelValues("written").Inc()
				w.troubles.Work(model.TroubleWrite, time.Now())
				result.Written++
			default:
				w.metrics.rewritten.WithLabelValues("same").Inc()
				result.Unchanged++
			}
			return nil
		})
	}
	_ = group.Wait()
	if ctx.Err() != nil {
		return result, fmt.Errorf("write verdicts to the registry: %w", ctx.Err())
	}
	return result, nil
}

// writeRow writes what a row says, and reports whether anything differed.
func (w *Writer) writeRow(ctx context.Context, s shelf, row model.PodVerdict) (changed bool, err error) {
	if len(row.Containers) == 0 {
		return false, nil
	}
	path, found := strings.CutPrefix(row.Containers[0].Reference, w.host+"/")
	repository, tag, _ := perceiver.SplitReference(path)
	if !found || !isRepository(repository) || !isImageTag(tag) || row.Containers[0].Reported == "" {
		return false, &Error{What: "write a verdict", Status: http.StatusBadRequest, Err: errors.New("the row is of no tag of this registry")}
	}
	to := target{repository, tag, row.Containers[0].Reported}
	stands, err := s.read(ctx, to)
	if err != nil {
		return false, err
	}
	if len(stands) == 0 && !hasVerdict(row) {
		return false, nil
	}
	wanted, set, remove := marksOf(row), map[string]string{}, []string(nil)
	for name, value := range wanted {
		if stands[name] != value {
			set[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(stands)) {
		if _, is := wanted[name]; !is {
			remove = append(remove, name)
		}
	}
	if len(set)+len(remove) == 0 {
		return false, nil
	}
	return true, s.write(ctx, to, set, remove)
}

// remote calls a product's API.
type remote struct {
	http  *http.Client
	base  url.URL
	token string
}

// call calls, and reads an answer into a form where one is given. Statuses are those that mean success.
func (r remote) call(ctx context.Context, what, method string, at *url.URL, body, form any, statuses ...int) error {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return &Error{What: what, Err: err}
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, at.String(), sent)
	if err != nil {
		return &Error{What: what, Err: err}
	}
	request.Header.Set("Authorization", "Bearer "+r.token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := r.http.Do(request)
	if err != nil {
		return &Error{What: what, Err: err}
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	if !slices.Contains(statuses, answer.StatusCode) {
		return &Error{What: what, Status: answer.StatusCode}
	}
	if form == nil {
		return nil
	}
	if err := json.NewDecoder(answer.Body).Decode(form); err != nil {
		return &Error{What: what, Err: fmt.Errorf("read the answer: %w", err)}
	}
	return nil
}
