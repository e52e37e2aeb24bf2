package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// The types of the workflows: the names by which they are registered and started.
const (
	TypeScanImage  = "ScanImage"
	TypeImage      = "Image"
	TypeHubPool    = "HubPool"
	TypeInventory  = "Inventory"
	TypeCluster    = "Cluster"
	TypeRefreshHub = "RefreshHub"
)

// TaskQueue carries every workflow and the light steps that only speak to Temporal.
const TaskQueue = "perceptor"

// DefaultDomain is the set of scanners that serves images that name no domain.
const DefaultDomain = "default"

// EngineDomain is the set of scanners that take images out of one Docker Engine, by the engine's ID: those on its host.
func EngineDomain(engine string) string { return "engine-" + engine }

// PullQueue is the backlog of one domain: the images that wait for a workspace on a scanner host.
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

// NamespaceOf is the inverse of InventoryID. It says what is wrong with an ID that no inventory has.
func NamespaceOf(workflowID string) (cluster, namespace string, err error) {
	id := strings.TrimPrefix(workflowID, inventoryPrefix)
	if err := model.CheckReferrer(id); err != nil {
		return "", "", fmt.Errorf("workflow %.120q: %w", workflowID, err)
	}
	cluster, namespace, _ = strings.Cut(id, "/")
	return cluster, namespace, nil
}

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
	// AttributeCoverage is CoverageText of the verdicts, and AttributeValidUntil the end of a green one.
	AttributeCoverage   = temporal.NewSearchAttributeKeyKeyword("PerceptorCoverage")
	AttributeValidUntil = temporal.NewSearchAttributeKeyTime("PerceptorValidUntil")
	AttributeCluster    = temporal.NewSearchAttributeKeyKeyword("PerceptorCluster")
	AttributeNamespace  = temporal.NewSearchAttributeKeyKeyword("PerceptorNamespace")
	AttributePods       = temporal.NewSearchAttributeKeyInt64("PerceptorPods")
	AttributeUnscanned  = temporal.NewSearchAttributeKeyInt64("PerceptorUnscanned")
)

// Signals between ScanImage and HubPool. Both sides repeat themselves and take repetitions for granted:
// what arrives twice or late changes nothing.
var (
	// SignalAcquire asks the pool for a lease, or announces a lease that the scan holds.
	SignalAcquire = Signal[Acquire]{Name: "acquire", Description: "A scan asks for a lease, or announces again the one it holds."}
	// SignalConfirm says that a grant has arrived. Until the pool knows that, it sends the grant again.
	SignalConfirm = Signal[Confirm]{Name: "confirm", Description: "A scan confirms that its grant has arrived."}
	// SignalRelease gives a lease back, or leaves the queue of waiters.
	SignalRelease = Signal[Release]{Name: "release", Description: "A scan gives its lease back because the hub is done with the scan, or because it does not want a lease any longer."}
	// SignalHubReport reports how a hub behaved: failures, and the first success after one.
	SignalHubReport = Signal[HubReport]{Name: "hub-report", Description: "A scan reports a failure of a hub, or its first success after one."}
	// SignalConfigure replaces the pool's list of hubs.
	SignalConfigure = Signal[Configure]{Name: "configure", Description: "The configured hubs, sent by perceptor setup and by every worker that serves hubs."}

	// SignalGrant names the hub and the attempt of a lease.
	SignalGrant = Signal[Grant]{Name: "grant", Description: "The pool grants a lease on a hub, or names the hub that scans this image already."}
	// SignalHubAvailable says that a tripped hub is available again.
	SignalHubAvailable = Signal[HubAvailable]{Name: "hub-available", Description: "The pool says that a hub answers again."}
	// SignalAnnounce asks a scan to announce its lease again: the pool has lost its state.
	SignalAnnounce = Signal[Announce]{Name: "announce", Description: "A pool that lost its state asks the scan to announce what it holds or waits for."}
)

// SignalUnwanted says to a scan that nothing refers to its image any more.
var SignalUnwanted = Signal[Unwanted]{Name: "unwanted", Description: "Nothing refers to the image any more: stop if the scan has not begun."}

// SignalPrioritize gives an image, and by it the scan under way, a higher priority.
var SignalPrioritize = Signal[Prioritize]{Name: "prioritize", Description: "This image has a higher priority now: it is scanned before others, also when it waits already."}

// Signals to Image.
var (
	// SignalObserve brings a reference to the image.
	SignalObserve = Signal[Observe]{Name: "observe", Description: "A reference to this image with its expiry, and names to pull the image by."}
	// SignalForget takes a reference away.
	SignalForget = Signal[Forget]{Name: "forget", Description: "A reference to this image is gone."}
	// SignalRescan asks for a new scan although there is a verdict.
	SignalRescan = Signal[Rescan]{Name: "rescan", Description: "Scan this image again although it has a verdict."}
	// SignalJudged brings a hub's newer judgement of what was scanned before.
	SignalJudged = Signal[Judged]{Name: "judged", Description: "A newer verdict of a hub on this image, without a new scan."}
	// SignalScanReport brings the outcome of a ScanImage.
	SignalScanReport = Signal[activities.ScanReport]{Name: "scan-report", Description: "The outcome of a scan of this image."}
)

// Signals to Inventory.
var (
	// SignalPods brings changes of pods in one namespace.
	SignalPods = Signal[PodsChanged]{Name: "pods", Description: "Pods of this namespace that are new, changed or gone.", Longest: podsLength}
	// SignalSnapshot brings a part of all pods of one namespace.
	SignalSnapshot = Signal[SnapshotPart]{
		Name: "snapshot", Description: "A part of all pods of this namespace. With the last part, pods that no part named are gone.",
		Longest: podsLength,
	}
	// SignalResetVersion lets the next report of the cluster count, whatever its version. A Cluster takes it too.
	SignalResetVersion = Signal[ResetVersion]{Name: "reset-version", Description: "An operator lets the next report count, whatever its version."}
	// SignalSummary brings what is known of an image that the namespace runs.
	SignalSummary = Signal[model.Summary]{Name: "summary", Description: "What is known of an image that runs here, sent by the workflow of the image."}
)

// Signals to Cluster.
var (
	// SignalNamespace says that a namespace of the cluster has an Inventory, and how much is in it.
	SignalNamespace = Signal[NamespaceSeen]{Name: "namespace", Description: "A namespace of this cluster has an inventory: its counts."}
	// SignalSnapshotEnd ends a snapshot of the whole cluster: namespaces not named in it are empty.
	SignalSnapshotEnd = Signal[SnapshotEnd]{
		Name:        "snapshot-end",
		Description: "A snapshot of the cluster is complete. It names the namespaces that have pods; all others are empty.", Longest: snapshotLength,
	}
	// SignalHealth brings what the perceiver of the cluster cannot do.
	SignalHealth = Signal[model.PerceiverHealth]{Name: "health", Description: "What the perceiver of this cluster cannot do at the moment."}
	// SignalForgetCluster empties every namespace and ends the cluster.
	SignalForgetCluster = Signal[ForgetCluster]{Name: "forget-cluster", Description: "An operator forgets this cluster: everything in it is gone."}
)

// Queries. Every workflow answers QueryStatus with a struct of its own.
const (
	QueryStatus = "status"
	// QueryWorkspace asks a ScanImage on which host, in which workspace it is: what the host's sweeper decides by.
	QueryWorkspace = "workspace"
	// QueryJoin asks an Inventory for rows of the join; it takes a JoinQuery and answers a JoinPage.
	QueryJoin = "join"
)

// Priority says why an image is scanned, and with that how urgent its scan is.
type Priority = model.Priority

// The priorities, most urgent first.
const (
	PriorityInteractive = model.PriorityInteractive
	PriorityPod         = model.PriorityPod
	PriorityImage       = model.PriorityImage
	PriorityBackground  = model.PriorityBackground
)
