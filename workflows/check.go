package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/lease"
	"github.com/perceptor/perceptor/model"
)

// The bounds of what the workflows keep of messages, beside those of model.
const (
	// namespacesAtMost is how many namespaces one cluster may have, partsAtMost how many parts a snapshot of one namespace, and
	// podsAtMost how many pods a part.
	namespacesAtMost = 20_000
	partsAtMost      = 10_000
	podsAtMost       = 20_000
	// retryAfterAtMost bounds what a hub asks for.
	retryAfterAtMost = 365 * 24 * time.Hour
	// uidsAtMost and rowsAtMost bound what a query of the join may ask for.
	uidsAtMost = 10_000
	rowsAtMost = 1_000_000
	// generationAtMost and fromLength bound what a list of hubs says of itself.
	generationAtMost = 1_000_000_000_000
	fromLength       = 300
	// scansAtMost bounds the number of an attempt to scan an image.
	scansAtMost = 100_000_000
)

// RejectedInput is what the input of a workflow is called where it is counted as a message that was dropped.
const RejectedInput = "input"

// Operator is the holder of a HubReport that a person has sent.
const Operator = "operator"

// Continued gives the state that a run was started with, if it is the run before that has left it. Anyone can start a workflow by
// hand with a state of their own; such a state is not used. Only the server says that a run continues another.
func Continued[S any](ctx workflow.Context, state *S) (*S, error) {
	if state != nil && workflow.GetInfo(ctx).ContinuedExecutionRunID == "" {
		return nil, errors.New("a state was given to a workflow that continues no other")
	}
	return state, nil
}

// checkHolder says what is wrong with the workflow ID of a scan.
func checkHolder(holder string, d model.Digest) error {
	if holder != ScanImageID(d) {
		return fmt.Errorf("holder %.120q is not the scan of %.80q", holder, d)
	}
	return nil
}

// checkScanHolder says what is wrong with the workflow ID of any scan.
func checkScanHolder(holder string) error {
	d, err := DigestOf(holder)
	if err != nil {
		return fmt.Errorf("holder %.120q: %w", holder, err)
	}
	return checkHolder(holder, d)
}

func checkScanName(name string) error { return model.CheckText("scan", name, model.HubNameLength) }

// Check says what is wrong with a request for a lease.
func (a Acquire) Check(now time.Time) error {
	if err := model.CheckSize("hubs", len(a.Hubs), model.HubsAtMost); err != nil {
		return err
	}
	for _, hub := range a.Hubs {
		if err := model.CheckHub(hub); err != nil {
			return err
		}
	}
	var held error
	if a.Held != nil {
		held = a.Held.Check(now)
	}
	return errors.Join(
		model.CheckChain(a.Chain), a.Digest.Check(), checkHolder(a.Holder, a.Digest), checkScanName(a.Scan), a.Priority.Check(), held)
}

// Check says what is wrong with a grant.
func (g Grant) Check(now time.Time) error {
	err := errors.Join(model.CheckChain(g.Chain), model.CheckHub(g.Hub), g.Attempt.Check(now))
	if err == nil && g.WaitFor != g.Attempt.IsZero() {
		err = errors.New("a grant has either an attempt or a hub to wait for")
	}
	return err
}

// Check says what is wrong with a confirmation.
func (c Confirm) Check(now time.Time) error {
	return errors.Join(model.CheckChain(c.Chain), c.Attempt.Check(now))
}

// Check says what is wrong with a release. An unfinished one is written down as a lease, so it must be complete.
func (r Release) Check(now time.Time) error {
	err := errors.Join(model.CheckChain(r.Chain), r.Attempt.Check(now), checkScanName(r.Scan))
	if r.Digest != "" || r.Holder != "" {
		err = errors.Join(err, r.Digest.Check(), checkHolder(r.Holder, r.Digest))
	}
	if r.Hub != "" {
		err = errors.Join(err, model.CheckHub(r.Hub))
	}
	if r.Unfinished && !r.Attempt.IsZero() && (r.Digest == "" || r.Hub == "") {
		err = errors.Join(err, errors.New("an unfinished release names neither image nor hub"))
	}
	return err
}

// Check says what is wrong with a report of a hub.
func (r HubReport) Check(time.Time) error {
	err := errors.Join(model.CheckHub(r.Hub), model.CheckText("reason", r.Reason, model.ReasonLength))
	if r.Class != "" && !r.Class.Known() {
		err = errors.Join(err, fmt.Errorf("class of failure %.40q is not known", r.Class))
	}
	if r.RetryAfter < 0 || r.RetryAfter > retryAfterAtMost {
		err = errors.Join(err, fmt.Errorf("the time to wait is %s", r.RetryAfter))
	}
	if r.Waiting || r.Holder != "" && r.Holder != Operator {
		err = errors.Join(err, checkScanHolder(r.Holder))
	}
	return err
}

// Check says what is wrong with the news of a hub.
func (h HubAvailable) Check(time.Time) error { return model.CheckHub(h.Hub) }

// Check finds nothing wrong: there is nothing in it.
func (Unwanted) Check(time.Time) error { return nil }

// Check finds nothing wrong: there is nothing in it.
func (Announce) Check(time.Time) error { return nil }

// Check says what is wrong with a list of hubs. An empty list never replaces another: it is one that was lost on the way. What else
// is wrong with the list is shown as a problem of the pool, since an operator has sent it.
func (c Configure) Check(time.Time) error {
	if len(c.Hubs) == 0 {
		return errors.New("a list without hubs replaces none")
	}
	if c.Generation < 0 || c.Generation > generationAtMost {
		return fmt.Errorf("generation %d of the list of hubs: want 0 to %d", c.Generation, generationAtMost)
	}
	return errors.Join(model.CheckText("sender of the list of hubs", c.From, fromLength), model.CheckText("list that is replaced", c.Replaces, fromLength))
}

// Check says what is wrong with a change of a limit.
func (l HubLimit) Check() error {
	if err := model.CheckHub(l.Hub); err != nil {
		return err
	}
	switch {
	case l.Limit < 1:
		return fmt.Errorf("the limit %d is too small: it must be at least 1; to keep scans away from %s, pause it", l.Limit, l.Hub)
	case l.Limit > lease.LimitAtMost:
		return fmt.Errorf("the limit %d is too large: at most %d are possible", l.Limit, lease.LimitAtMost)
	}
	return nil
}

// Check says what is wrong with a request to free leases.
func (r LeaseReset) Check() error {
	if (r.Digest == "") != r.Stuck {
		return errors.New("name one image by its digest, or ask for all stuck leases, not both")
	}
	if r.Stuck {
		return nil
	}
	return r.Digest.Check()
}

// Check says what is wrong with what was taken away.
func (f Forget) Check(now time.Time) error { return f.Reference.Check(now) }

// Check says what is wrong with a newer verdict.
func (j Judged) Check(now time.Time) error { return j.Verdict.Check(now) }

// Check says what is wrong with a priority.
func (p Prioritize) Check(time.Time) error { return model.CheckPriority(p.Priority, p.Namespace) }

// Check says what is wrong with a change of pods, its pods aside: each is checked by itself, so that a wrong one does not hide the
// others.
func (p PodsChanged) Check(now time.Time) error {
	return errors.Join(
		model.CheckCluster(p.Cluster), model.CheckNamespace(p.Namespace), p.Version.Check(now), model.CheckDomain(p.Domain),
		model.CheckSize("pods", len(p.Pods), podsAtMost), model.CheckSize("ended pods", len(p.Gone), podsAtMost),
		model.CheckSize("pods with changed marks", len(p.Remark), podsAtMost))
}

// Check says what is wrong with a part of a snapshot.
func (p SnapshotPart) Check(now time.Time) error {
	if p.Parts < 0 || p.Parts > partsAtMost {
		return fmt.Errorf("a snapshot of %d parts; want 0 to %d", p.Parts, partsAtMost)
	}
	if p.Part < 0 || p.Part > p.Parts || p.Part == 0 && p.Parts > 0 {
		return fmt.Errorf("part %d of %d", p.Part, p.Parts)
	}
	return p.PodsChanged.Check(now)
}

// Check says what is wrong with a question about the join.
func (q JoinQuery) Check() error {
	if q.Status != "" && !q.Status.Known() {
		return fmt.Errorf("status %.40q is not known", q.Status)
	}
	if q.OverallStatus != "" && !q.OverallStatus.Known() {
		return fmt.Errorf("overall status %.40q is not known", q.OverallStatus)
	}
	if q.Limit < 0 || q.Limit > rowsAtMost {
		return fmt.Errorf("limit %d; want 0 to %d", q.Limit, rowsAtMost)
	}
	return errors.Join(
		model.CheckText("workload", q.Workload, model.WorkloadKindLength+1+model.PodNameLength), model.CheckLabels(q.Labels),
		model.CheckText("image", q.Image, model.ReferenceLength+len(model.DigestPrefix)+64), model.CheckSize("uids", len(q.UIDs), uidsAtMost),
		model.CheckText("after", q.After, model.PodNameLength+model.UIDLength+1))
}

// Check says what is wrong with the end of a snapshot.
func (e SnapshotEnd) Check(now time.Time) error {
	switch e.Scope {
	case model.ScopeAll, model.ScopePods, model.ScopeImages:
	default:
		return fmt.Errorf("scope %.40q: want pods, images or nothing", e.Scope)
	}
	if err := model.CheckSize("namespaces", len(e.Namespaces), namespacesAtMost); err != nil {
		return err
	}
	for _, name := range workflow.DeterministicKeys(e.Namespaces) {
		if err := errors.Join(model.CheckNamespace(name), model.CheckCount("pods", e.Namespaces[name])); err != nil {
			return err
		}
	}
	return errors.Join(model.CheckCluster(e.Cluster), e.Version.Check(now), model.CheckDomain(e.Domain))
}

// Check finds nothing wrong: there is nothing in it.
func (ResetVersion) Check(time.Time) error { return nil }

// Check says what is wrong with the request to forget a cluster.
func (f ForgetCluster) Check(now time.Time) error { return f.Version.Check(now) }

// Check says what is wrong with a question about a cluster.
func (q ClusterQuery) Check() error { return model.CheckText("after", q.After, model.NamespaceLength) }

// Check says what is wrong with the input of a scan.
func (in ScanImageInput) Check() error {
	if len(in.Names) == 0 {
		return errors.New("at least one name is needed to pull the image by")
	}
	if err := model.CheckSize("names", len(in.Names), model.NamesAtMost); err != nil {
		return err
	}
	for _, n := range in.Names {
		if err := n.Check(); err != nil {
			return err
		}
	}
	if in.Domain == "" || in.HubNames.Scan == "" {
		return errors.New("domain or name of the scan at the hub is missing")
	}
	if in.Attempt < 0 || in.Attempt > scansAtMost {
		return fmt.Errorf("attempt %d is impossible", in.Attempt)
	}
	return errors.Join(in.Digest.Check(), in.HubNames.Check(), model.CheckDomain(in.Domain), model.CheckPriority(in.Priority, in.Namespace))
}

// Check says what is wrong with the begin of a perceiver.
func (b BeginCluster) Check(now time.Time) error {
	return errors.Join(model.CheckIdentity(b.Identity), model.Version{Epoch: b.Epoch}.Check(now))
}

// Check says what is wrong with an adoption.
func (a AdoptCluster) Check() error { return model.CheckIdentity(a.Identity) }
