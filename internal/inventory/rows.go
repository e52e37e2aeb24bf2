package inventory

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Filter narrows the rows; empty fields do not.
type Filter struct {
	Status        model.ScanStatus
	OverallStatus model.OverallStatus
	// Image is a part of a container's reference, or a digest.
	Image string
	// Workload is a workload's name, or its kind and name; Labels are labels that a pod must have with these values.
	Workload string
	Labels   map[string]string
	UIDs     []string
	// Now is the time at which the rows are seen; zero shows what is stored.
	Now time.Time
	// After is the key of the last row of the page before.
	After string
	// Limit is how many rows at the most; 0 means as many as fit.
	Limit int
}

// pageBytes bounds a page, whose size is estimated, well below the limit of an answer.
const pageBytes = 900 << 10

// Row is the row of one pod.
func (b *Book) Row(cluster, namespace, uid string) (model.PodVerdict, bool) {
	pod := b.Pods[uid]
	if pod == nil {
		return model.PodVerdict{}, false
	}
	containers := make([]model.ContainerVerdict, 0, len(pod.Containers))
	for _, c := range pod.Containers {
		use := b.Uses[c.Use]
		containers = append(containers, model.ContainerVerdict{
			Name: c.Name, Kind: c.Kind, Reference: use.Reference, Reported: use.Reported, Image: b.summaryOf(use),
		})
	}
	return model.Join(cluster, model.Pod{
		UID: uid, Namespace: namespace, Name: pod.Name, Bare: pod.Bare, Workload: pod.Workload, Labels: pod.Labels,
	}, containers), true
}

// Page is one page of rows in the order of names and UIDs, and the After of the next one, which is empty after the last.
func (b *Book) Page(cluster, namespace string, f Filter) (rows []model.PodVerdict, next string) {
	bytes := 0
	rows = []model.PodVerdict{}
	for _, key := range rowKeys(b.Pods, f) {
		row, _ := b.Row(cluster, namespace, key.uid)
		if !f.Now.IsZero() {
			row = row.At(f.Now)
		}
		if !f.matches(row) {
			continue
		}
		bytes += estimate(row)
		if len(rows) > 0 && (bytes > pageBytes || f.Limit > 0 && len(rows) == f.Limit) {
			return rows, AfterRow(rows[len(rows)-1])
		}
		rows = append(rows, row)
	}
	return rows, ""
}

// AfterRow is the After of a page that goes on behind a row.
func AfterRow(row model.PodVerdict) string { return rowKey{row.Name, row.UID}.String() }

// rowKey orders rows.
type rowKey struct{ name, uid string }

func (k rowKey) String() string { return k.name + "\n" + k.uid }

func parseRowKey(s string) rowKey {
	name, uid, _ := strings.Cut(s, "\n")
	return rowKey{name, uid}
}

func (k rowKey) compare(other rowKey) int {
	return cmp.Or(strings.Compare(k.name, other.name), strings.Compare(k.uid, other.uid))
}

// rowKeys are the pods that a filter names, after its After, in order.
func rowKeys(pods map[string]*Pod, f Filter) []rowKey {
	uids := f.UIDs
	if uids == nil {
		uids = sorted(pods)
	}
	keys := make([]rowKey, 0, len(uids))
	after := parseRowKey(f.After)
	for _, uid := range uids {
		pod := pods[uid]
		if pod == nil {
			continue
		}
		if key := (rowKey{pod.Name, uid}); f.After == "" || after.compare(key) < 0 {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, rowKey.compare)
	return slices.Compact(keys)
}

func (f Filter) matches(row model.PodVerdict) bool {
	if f.Status != "" && row.Status != f.Status || f.OverallStatus != "" && row.OverallStatus != f.OverallStatus {
		return false
	}
	if f.Workload != "" && !row.Workload.Matches(f.Workload) {
		return false
	}
	//workflowcheck:ignore all labels must match, in whatever order
	for key, value := range f.Labels {
		if has, is := row.Labels[key]; !is || has != value {
			return false
		}
	}
	return f.Image == "" || slices.ContainsFunc(row.Containers, func(c model.ContainerVerdict) bool {
		return strings.Contains(c.Reference, f.Image) || string(c.Reported) == f.Image || string(c.Image.Digest) == f.Image
	})
}

// estimate is the size of a row in an answer, rather too large.
func estimate(row model.PodVerdict) int {
	size := 400 + len(row.Cluster) + len(row.Namespace) + len(row.Name) + len(row.UID) + ownerWeight(row.Workload, row.Labels)
	for _, c := range row.Containers {
		size += 950 + len(c.Name) + len(c.Reference) + len(c.Image.ComponentsURL) + len(c.Image.Coverage.Reason)
		for _, hub := range c.Image.Hubs {
			size += len(hub)
		}
		if c.Image.Failure != nil {
			size += 250 + len(c.Image.Failure.Reason)
		}
	}
	return size
}

// Counts are the numbers of a namespace.
type Counts struct {
	Pods, Unscanned, Violations, Refused int
	// Unknown counts pods whose overall status is UNKNOWN.
	Unknown int
}

// Counts counts.
func (b *Book) Counts() Counts {
	if b.counts == nil {
		c := countPods(b)
		b.counts = &c
	}
	c := *b.counts
	c.Refused = len(b.Refused)
	return c
}

// isKnown reports whether the image has a verdict that is not UNKNOWN and has not expired.
func (i *Image) isKnown() bool {
	if i == nil || !i.Expired.IsZero() && i.Expired.Equal(i.Summary.Coverage.ValidUntil) {
		return false
	}
	switch i.Summary.OverallStatus {
	case model.NotInViolation, model.InViolation, model.InViolationOverridden:
		return true
	default:
		return false
	}
}

func countPods(b *Book) Counts {
	c := Counts{Pods: len(b.Pods)}
	//workflowcheck:ignore sums do not depend on the order
	for _, pod := range b.Pods {
		scanned, violation, unknown := len(pod.Containers) > 0, false, len(pod.Containers) == 0
		for _, each := range pod.Containers {
			known := b.Images[b.Uses[each.Use].Digest]
			scanned = scanned && known != nil && known.Summary.Status == model.StatusComplete
			violation = violation || known != nil && known.Summary.OverallStatus == model.InViolation
			unknown = unknown || !known.isKnown()
		}
		if !scanned {
			c.Unscanned++
		}
		switch {
		case violation:
			c.Violations++
		case unknown:
			c.Unknown++
		}
	}
	return c
}
