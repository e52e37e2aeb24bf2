package hostile

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"github.com/perceptor/perceptor/workflows"
)

// Kind is how a message reaches a workflow.
type Kind int

// The kinds.
const (
	Signal Kind = iota
	Update
	Query
)

// Message is one message to a workflow.
type Message struct {
	Kind    Kind
	Name    string
	Payload converter.RawValue
}

// entry is one kind of message of a workflow, with good contents to begin with.
type entry struct {
	kind Kind
	name string
	// good are contents that are mutated. Without them only unreadable and random ones are sent.
	good []any
}

// Corpus makes the messages to one type of workflow.
type Corpus struct {
	entries []entry
	fixed   *commonpb.Payload
}

// Unreadable gives the corpus that sends one payload under every name.
func (c Corpus) Unreadable(payload *commonpb.Payload) Corpus {
	if payload == nil {
		payload = &commonpb.Payload{}
	}
	return Corpus{entries: c.entries, fixed: payload}
}

// Next makes one message.
func (c Corpus) Next(random *rand.Rand) Message {
	e := c.entries[random.IntN(len(c.entries))]
	m := Message{Kind: e.kind, Name: e.name}
	if c.fixed != nil {
		m.Payload = converter.NewRawValue(c.fixed)
		return m
	}
	m.Payload = converter.NewRawValue(payload(random, e.good))
	return m
}

// Input makes a random input of a workflow from good ones.
func Input(random *rand.Rand, good ...any) converter.RawValue {
	return converter.NewRawValue(payload(random, good))
}

func payload(random *rand.Rand, good []any) *commonpb.Payload {
	encoding, data := "json/plain", []byte(nil)
	switch roll := random.IntN(20); {
	case roll == 0:
		data = []byte(strings.Repeat("{[\"", random.IntN(40)) + text(random))
	case roll == 1:
		encoding, data = encodings[random.IntN(len(encodings))], []byte(text(random))
	case roll == 2 || len(good) == 0:
		data = marshal(value(random, 3))
	default:
		data = mutated(random, good[random.IntN(len(good))])
	}
	return &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte(encoding)}, Data: data}
}

var encodings = []string{"", "json/plain", "json/protobuf", "binary/plain", "binary/null", "binary/protobuf", "no/such"}

func marshal(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		return []byte("null")
	}
	return data
}

// mutated changes one to three places of a good message.
func mutated(random *rand.Rand, good any) []byte {
	var tree any
	if err := json.Unmarshal(marshal(good), &tree); err != nil {
		return nil
	}
	for range 1 + random.IntN(3) {
		tree = mutate(random, tree)
	}
	return marshal(tree)
}

// spared are keys whose honest meaning ends a workflow: a message that is right may do that.
var spared = map[string]bool{"forget": true}

func mutate(random *rand.Rand, tree any) any {
	switch node := tree.(type) {
	case map[string]any:
		var keys []string
		for key := range node {
			if !spared[key] {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		if len(keys) == 0 || random.IntN(8) == 0 {
			return value(random, 2)
		}
		key := keys[random.IntN(len(keys))]
		if random.IntN(8) == 0 {
			delete(node, key)
			return node
		}
		node[key] = mutate(random, node[key])
		return node
	case []any:
		if len(node) == 0 || random.IntN(6) == 0 {
			return value(random, 2)
		}
		at := random.IntN(len(node))
		node[at] = mutate(random, node[at])
		if random.IntN(10) == 0 {
			for range random.IntN(300) {
				node = append(node, node[at])
			}
		}
		return node
	default:
		return value(random, 1)
	}
}

// value is any JSON.
func value(random *rand.Rand, depth int) any {
	kinds := 4
	if depth > 0 {
		kinds = 6
	}
	switch random.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return random.IntN(2) == 0
	case 2:
		return numbers[random.IntN(len(numbers))]
	case 3:
		return text(random)
	case 4:
		var list []any
		for range random.IntN(4) {
			list = append(list, value(random, depth-1))
		}
		return list
	default:
		tree := map[string]any{}
		for range random.IntN(4) {
			tree[text(random)] = value(random, depth-1)
		}
		return tree
	}
}

var numbers = []any{
	0, 1, -1, 2, 1000, 9e15, -9e15, 1e300, 0.5, 1 << 31, -(1 << 31), json.Number("9223372036854775807"), json.Number("-9223372036854775808"),
	json.Number("9223372036854775808"),
}

var texts = []string{
	"", "x", "ü", "a b", "../..", "a/b", "\x00", "\n", "sha256:", "scan/", "hubs", "completed", "failed", "IN_VIOLATION", "UNKNOWN", "Complete",
	"9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "1970-01-01T00:00:00Z",
	"interactive", "inventory", "person", "pods", "throttled",
}

func text(random *rand.Rand) string {
	switch random.IntN(60) {
	case 0:
		return strings.Repeat("n", 1200)
	case 1:
		return strings.Repeat("n", 256)
	case 2:
		if random.IntN(20) == 0 {
			return strings.Repeat("n", 300_000)
		}
		return strings.Repeat("é", 128)
	default:
		return texts[random.IntN(len(texts))]
	}
}

// Pool are messages to HubPool.
func Pool() Corpus {
	g := Good()
	return Corpus{entries: []entry{
		{Signal, workflows.SignalAcquire.Name, []any{g.Acquire, g.Announced}},
		{Signal, workflows.SignalConfirm.Name, []any{workflows.Confirm{Chain: g.Acquire.Chain, Attempt: attempt}}},
		{Signal, workflows.SignalRelease.Name, []any{g.Unfinished, workflows.Release{Chain: g.Acquire.Chain, Attempt: attempt}}},
		{Signal, workflows.SignalHubReport.Name, []any{g.HubReport, workflows.HubReport{Hub: Hub}}},
		{Signal, workflows.SignalConfigure.Name, []any{g.Configure}},
		{Query, workflows.QueryStatus, []any{nil}},
		{Update, workflows.UpdateLimit, []any{workflows.HubLimit{Hub: Hub, Limit: 3}}},
		{Update, workflows.UpdatePause, []any{Hub}},
		{Update, workflows.UpdateResume, []any{Hub}},
		{Update, workflows.UpdateReset, []any{workflows.LeaseReset{Digest: Digest}, workflows.LeaseReset{Stuck: true}}},
	}}
}

// Image are messages to Image.
func Image() Corpus {
	g := Good()
	return Corpus{entries: []entry{
		{Signal, workflows.SignalObserve.Name, []any{g.Observe}},
		{Signal, workflows.SignalForget.Name, []any{workflows.Forget{Reference: g.Observe.Reference}}},
		{Signal, workflows.SignalRescan.Name, []any{workflows.Rescan{Reason: "r", Priority: workflows.PriorityInteractive}}},
		{Signal, workflows.SignalPrioritize.Name, []any{workflows.Prioritize{Priority: workflows.PriorityInteractive, Namespace: "c/n"}}},
		{Signal, workflows.SignalJudged.Name, []any{workflows.Judged{Verdict: *g.Report.Verdict}}},
		{Signal, workflows.SignalScanReport.Name, []any{g.OldReport, g.FailedReport}},
		{Query, workflows.QueryStatus, []any{nil}},
	}}
}

// Inventory are messages to Inventory.
func Inventory() Corpus {
	g := Good()
	return Corpus{entries: []entry{
		{Signal, workflows.SignalPods.Name, []any{g.OldPods}},
		{Signal, workflows.SignalSnapshot.Name, []any{workflows.SnapshotPart{PodsChanged: g.OldPods, Part: 1, Parts: 1}}},
		{Signal, workflows.SignalSummary.Name, []any{g.Summary}},
		{Signal, workflows.SignalResetVersion.Name, []any{workflows.ResetVersion{}}},
		{Query, workflows.QueryStatus, []any{nil}},
		{Query, workflows.QueryJoin, []any{workflows.JoinQuery{Limit: 3, Image: "app", UIDs: []string{"u"}}}},
	}}
}

// ClusterMessages are messages to Cluster. A request to forget the cluster is only sent unreadable: a right one ends it.
func ClusterMessages() Corpus {
	g := Good()
	return Corpus{entries: []entry{
		{Signal, workflows.SignalNamespace.Name, []any{g.Seen}},
		{Signal, workflows.SignalSnapshotEnd.Name, []any{g.OldSnapshotEnd}},
		{Signal, workflows.SignalResetVersion.Name, []any{workflows.ResetVersion{}}},
		{Query, workflows.QueryStatus, []any{workflows.ClusterQuery{After: "a"}}},
	}}
}

// Scan are messages to ScanImage.
func Scan() Corpus {
	g := Good()
	return Corpus{entries: []entry{
		{Signal, workflows.SignalGrant.Name, []any{g.ForeignGrant}},
		{Signal, workflows.SignalHubAvailable.Name, []any{workflows.HubAvailable{Hub: Hub}}},
		{Signal, workflows.SignalAnnounce.Name, []any{workflows.Announce{}}},
		{Signal, workflows.SignalPrioritize.Name, []any{workflows.Prioritize{Priority: workflows.PriorityInteractive}}},
		{Query, workflows.QueryStatus, []any{nil}},
		{Query, workflows.QueryWorkspace, []any{nil}},
	}}
}
