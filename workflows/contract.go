package workflows

import (
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// TaskQueue carries every workflow and the light steps that only speak to Temporal.
const TaskQueue = "perceptor"

// DefaultDomain is the set of scanners that serves images nobody claimed for a domain of their own.
const DefaultDomain = "default"

// PullQueue is the backlog of one domain: the images that wait for a place on a scanner host.
func PullQueue(domain string) string { return "scan-" + domain }

// RegistryQueue carries the short questions to registries of one domain.
func RegistryQueue(domain string) string { return "registry-" + domain }

// HostQueue carries the steps that must run on the host that pulled the image.
func HostQueue(host string) string { return "host-" + host }

// HubQueue carries the calls to one hub.
func HubQueue(hub string) string { return "hub-" + hub }

// HubControlQueue carries the probes of one hub; it is never stopped.
func HubControlQueue(hub string) string { return "hub-" + hub + "-control" }

// PerceiverQueue carries what one cluster's perceiver is to do: write verdicts onto its pods.
func PerceiverQueue(cluster string) string { return "perceiver-" + cluster }

// HubPoolID is the id of the one HubPool.
const HubPoolID = "hubs"

const (
	scanImagePrefix = "scan/"
	imagePrefix     = "image/"
	inventoryPrefix = "inventory/"
	clusterPrefix   = "cluster/"
)

// BareImages is the namespace of a cluster's images that were reported by themselves.
const BareImages = model.BareImages

// InventoryID is the workflow id of the join of one namespace.
func InventoryID(cluster, namespace string) string {
	return inventoryPrefix + cluster + "/" + namespace
}

// ReferrerID is how an Image knows an Inventory that refers to it.
func ReferrerID(cluster, namespace string) string { return cluster + "/" + namespace }

// InventoryOf is the workflow id of the inventory with a ReferrerID.
func InventoryOf(referrer string) string { return inventoryPrefix + referrer }

// ClusterID is the workflow id of one cluster.
func ClusterID(cluster string) string { return clusterPrefix + cluster }

// ClusterOf is the inverse of ClusterID.
func ClusterOf(workflowID string) string { return strings.TrimPrefix(workflowID, clusterPrefix) }

// ScanImageID is the workflow id of the scan of an image: the id is what keeps a second scan from starting.
func ScanImageID(d model.Digest) string { return scanImagePrefix + string(d) }

// ImageID is the workflow id of an image.
func ImageID(d model.Digest) string { return imagePrefix + string(d) }

// DigestOf is the inverse of ScanImageID and ImageID.
func DigestOf(workflowID string) (model.Digest, error) {
	id := strings.TrimPrefix(strings.TrimPrefix(workflowID, scanImagePrefix), imagePrefix)
	return model.ParseDigest(id)
}

// The search attributes, all bounded by the helpers in attributes.go.
var (
	AttributeDigest     = temporal.NewSearchAttributeKeyKeyword("PerceptorDigest")
	AttributeRepository = temporal.NewSearchAttributeKeyKeyword("PerceptorRepository")
	AttributeHub        = temporal.NewSearchAttributeKeyKeyword("PerceptorHub")
	// AttributeHubVersion is the model.VersionKey of the verdict, AttributeAsOf its AsOf: by these a refresh finds the
	// images that a hub's change is about.
	AttributeHubVersion    = temporal.NewSearchAttributeKeyKeyword("PerceptorHubVersion")
	AttributeAsOf          = temporal.NewSearchAttributeKeyTime("PerceptorAsOf")
	AttributeScanStatus    = temporal.NewSearchAttributeKeyKeyword("PerceptorScanStatus")
	AttributeOverallStatus = temporal.NewSearchAttributeKeyKeyword("PerceptorOverallStatus")
	AttributeCluster       = temporal.NewSearchAttributeKeyKeyword("PerceptorCluster")
	AttributeNamespace     = temporal.NewSearchAttributeKeyKeyword("PerceptorNamespace")
	AttributePods          = temporal.NewSearchAttributeKeyInt64("PerceptorPods")
	AttributeUnscanned     = temporal.NewSearchAttributeKeyInt64("PerceptorUnscanned")
)

// Signals between ScanImage and HubPool. Both sides repeat themselves and take repetitions for granted:
// what arrives twice or late changes nothing.
var (
	// SignalAcquire asks the pool for a lease, or tells a pool again of a lease held.
	SignalAcquire = Signal[Acquire]{Name: "acquire", Description: "A scan asks for a lease, or announces again the one it holds."}
	// SignalConfirm says that a grant has arrived of which the pool does not know that; until then it sends it again.
	SignalConfirm = Signal[Confirm]{Name: "confirm", Description: "A scan confirms that its grant has arrived."}
	// SignalRelease gives a lease back, or leaves the queue of waiters.
	SignalRelease = Signal[Release]{Name: "release", Description: "A scan gives its lease back because the hub is done with it, or no longer wants one."}
	// SignalHubReport tells the pool how a hub behaved: failures, and the first success after one.
	SignalHubReport = Signal[HubReport]{Name: "hub-report", Description: "A scan reports a failure of a hub, or its first success after one."}
	// SignalConfigure replaces the pool's list of hubs.
	SignalConfigure = Signal[Configure]{Name: "configure", Description: "The configured hubs, sent by perceptor setup and by every worker that serves hubs."}

	// SignalGrant names the hub and the attempt of a lease.
	SignalGrant = Signal[Grant]{Name: "grant", Description: "The pool grants a lease on a hub, or names the hub that is already at this image."}
	// SignalHubOpen says that a hub can be asked again after it was closed by the circuit breaker.
	SignalHubAvailable = Signal[HubAvailable]{Name: "hub-available", Description: "The pool says that a hub answers again."}
	// SignalAnnounce asks a scan to announce its lease again: the pool has lost its state.
	SignalAnnounce = Signal[Announce]{Name: "announce", Description: "A pool that lost its state asks the scan to announce what it holds or waits for."}
)

// SignalUnwanted tells a scan that nothing refers to its image any more.
var SignalUnwanted = Signal[Unwanted]{Name: "unwanted", Description: "Nothing refers to the image any more: stop if the scan has not begun."}

// SignalRaise tells an image, and by it the scan under way, that somebody more urgent waits.
var SignalPrioritize = Signal[Prioritize]{Name: "prioritize", Description: "Somebody more urgent waits for this image: it is scanned before others, also when it waits already."}

// Signals to Image.
var (
	// SignalObserve says that somebody refers to the image.
	SignalObserve = Signal[Observe]{Name: "observe", Description: "Somebody refers to this image: names to pull it by, and a reference with its expiry."}
	// SignalForget takes a reference away.
	SignalForget = Signal[Forget]{Name: "forget", Description: "A reference to this image is gone."}
	// SignalRescan asks for a new scan although there is a verdict.
	SignalRescan = Signal[Rescan]{Name: "rescan", Description: "Scan this image again although it has a verdict."}
	// SignalJudged brings a hub's newer judgement of what was scanned before.
	SignalJudged = Signal[Judged]{Name: "judged", Description: "A hub judges the image otherwise than before, without a new scan."}
	// SignalScanReport is how a ScanImage tells its outcome.
	SignalScanReport = Signal[activities.ScanReport]{Name: "scan-report", Description: "The outcome of a scan of this image."}
)

// Signals to Inventory.
var (
	// SignalPods brings changes of pods in one namespace.
	SignalPods = Signal[PodsChanged]{Name: "pods", Description: "Pods of this namespace that are new, changed or gone."}
	// SignalSnapshot brings a part of all pods of one namespace.
	SignalSnapshot = Signal[SnapshotPart]{Name: "snapshot", Description: "A part of all pods of this namespace; with the last part, what is not named is gone."}
	// SignalSummary brings what is known of an image that the namespace runs.
	SignalSummary = Signal[model.Summary]{Name: "summary", Description: "What is known of an image that runs here, told by its workflow."}
)

// Signals to Cluster.
var (
	// SignalNamespace says that a namespace of the cluster has an Inventory, and how much is in it.
	SignalNamespace = Signal[NamespaceSeen]{Name: "namespace", Description: "A namespace of this cluster has an inventory: its counts."}
	// SignalSnapshotEnd ends a snapshot of the whole cluster: namespaces not named in it are empty.
	SignalSnapshotEnd = Signal[SnapshotEnd]{Name: "snapshot-end", Description: "A snapshot of the cluster is complete: the namespaces in it, all others are empty."}
	// SignalForgetCluster empties every namespace and ends the cluster.
	SignalForgetCluster = Signal[ForgetCluster]{Name: "forget-cluster", Description: "An operator forgets this cluster: everything in it is gone."}
)

// Queries. Every workflow answers QueryStatus with a struct of its own.
const (
	QueryStatus = "status"
	// QueryPlace asks a ScanImage on which host, in which berth it is: what the host's sweeper decides by.
	QueryWorkspace = "workspace"
	// QueryJoin asks an Inventory for rows of the join; it takes a JoinQuery and answers a JoinPage.
	QueryJoin = "join"
)

// Class says why an image is scanned, most urgent first.
type Priority string

// The classes.
const (
	PriorityInteractive Priority = "interactive"
	PriorityPod         Priority = "pod"
	PriorityImage       Priority = "image"
	PriorityBackground  Priority = "background"
)

// classes lists every class, most urgent first.
var priorities = []Priority{PriorityInteractive, PriorityPod, PriorityImage, PriorityBackground}

// Urgency is 0 for the most urgent class; an unknown class is the least urgent.
func (c Priority) Rank() int {
	for i, each := range priorities {
		if each == c {
			return i
		}
	}
	return len(priorities)
}

// Acquire asks for a lease or announces one.
type Acquire struct {
	// Holder is the workflow id to answer to.
	Holder string `json:"holder"`
	// Chain is the first run id of the holder's chain of runs: the key of its lease.
	Chain  string       `json:"chain"`
	Digest model.Digest `json:"digest"`
	// Scan is the name of the scan at the hub, which the pool asks for when the holder is gone; empty means the digest in hexadecimal.
	Scan string `json:"scan,omitempty"`
	// Hubs are the acceptable hubs; empty means any.
	Hubs     []string `json:"hubs,omitempty"`
	Priority Priority `json:"priority"`
	// Held is set by a holder that announces its lease: the grant it works under.
	Held *Grant `json:"held,omitempty"`
	// Renew asks for a newer attempt id of the lease held, for another upload to the same hub. Set Held too: then a
	// repetition of the request that arrives after its answer does not renew once more.
	Renew bool `json:"renew,omitempty"`
}

// Grant is the pool's answer to Acquire.
type Grant struct {
	// Chain repeats the key, so that a late grant for an earlier chain under the same workflow id is not taken.
	Chain string `json:"chain"`
	Hub   string `json:"hub"`
	// Attempt orders the uploads of one image over all its leases.
	Attempt model.AttemptID `json:"attempt"`
	// A scan that waits takes only an attempt newer than every one it has had: an older one is a grant it has given back,
	// sent again before the pool knew. To a grant it no longer wants it answers with the release it gave before.
	//
	// WaitFor is set instead of an attempt when Hub already works for another chain on this image:
	// look there instead of uploading. The wait in the queue goes on.
	WaitFor bool `json:"waitFor,omitempty"`
}

// Confirm says that the grant of this attempt has arrived.
type Confirm struct {
	Chain   string          `json:"chain"`
	Attempt model.AttemptID `json:"attempt"`
}

// Release gives a lease back. With nothing but Chain it gives up whatever the chain has, its place in the queue too; it
// is also what a scan that neither holds nor waits answers to SignalAnnounce.
type Release struct {
	Chain string `json:"chain"`
	// Attempt is the grant given back: without it, a release that arrives late ends a newer lease of the same chain.
	Attempt model.AttemptID `json:"attempt,omitzero"`
	// Holder, Digest, Scan and Hub repeat what the lease is about, so that a pool that lost its state can let it drain.
	Holder string       `json:"holder,omitempty"`
	Digest model.Digest `json:"digest,omitempty"`
	Scan   string       `json:"scan,omitempty"`
	Hub    string       `json:"hub,omitempty"`
	// Unfinished leaves the lease out until the pool itself has seen that the hub is done: the holder cannot know.
	Unfinished bool `json:"unfinished,omitempty"`
}

// HubReport is one experience with a hub.
type HubReport struct {
	Holder string `json:"holder"`
	Hub    string `json:"hub"`
	// Class is empty for a success.
	Class model.FailureClass `json:"class,omitempty"`
	// Reason is what the hub's failure said, without secrets.
	Reason string `json:"reason,omitempty"`
	// RetryAfter is what the hub asked for, 0 when it did not.
	RetryAfter time.Duration `json:"retryAfter,omitempty"`
	// Waiting says that the holder waits for SignalHubOpen before it asks the hub again.
	// The answer comes at once when the pool does not think the hub closed.
	Waiting bool `json:"waiting,omitempty"`
}

// HubOpen says that the hub may be asked again.
type HubAvailable struct {
	Hub string `json:"hub"`
}

// Unwanted tells a scan that its image is not wanted.
type Unwanted struct{}

// Announce asks a scan to send its Acquire again, with Held if it holds a lease; a scan that neither holds nor waits
// answers with an empty Release, or the pool waits for it in vain.
type Announce struct{}

// Configure is the whole list of hubs.
type Configure struct {
	Hubs []HubConfig `json:"hubs"`
}

// HubConfig is what the pool needs to know of one hub; it holds no address and no secret.
type HubConfig struct {
	Name string `json:"name"`
	// Limit is the number of Perceptor's scans the hub may have at a time, at least 1.
	Limit int `json:"limit"`
	// Settle is how long the hub may take to show an upload it has accepted: 0 for the built-in one.
	Settle time.Duration `json:"settle,omitempty"`
	// Disabled keeps the hub from getting new scans.
	Disabled bool `json:"disabled,omitempty"`
}
