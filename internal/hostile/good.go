package hostile

import (
	"strings"
	"time"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// What the good messages are about.
const (
	Hub       = "main"
	Cluster   = "c"
	Namespace = "n"
)

// Digest is the image that the messages are about.
var Digest = model.Digest("sha256:" + strings.Repeat("0123456789abcdef", 4))

// Now is when they are sent.
var Now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

var attempt = model.AttemptID{Millis: Now.UnixMilli(), Counter: 1}

// Messages are good messages, one of each kind. The Old ones are about an earlier time than those without.
type Messages struct {
	Acquire, Announced          workflows.Acquire
	Unfinished                  workflows.Release
	HubReport                   workflows.HubReport
	Configure                   workflows.Configure
	Observe                     workflows.Observe
	Report, OldReport           activities.ScanReport
	FailedReport                activities.ScanReport
	Pods, OldPods               workflows.PodsChanged
	Summary                     model.Summary
	Seen                        workflows.NamespaceSeen
	SnapshotEnd, OldSnapshotEnd workflows.SnapshotEnd
	Grant, ForeignGrant         workflows.Grant
}

func version(after time.Duration) model.Version {
	return model.Version{Epoch: Now.Add(after).UnixNano(), Counter: 1}
}

// Good are good messages. The verdict is no green one.
func Good() Messages {
	m := Messages{
		Configure: workflows.Configure{Hubs: []workflows.HubConfig{{Name: Hub, Limit: 4, Settle: time.Second}, {Name: "other", Limit: 1, Disabled: true}}},
		HubReport: workflows.HubReport{Holder: workflows.ScanImageID(Digest), Hub: Hub, Class: model.Transient, Reason: "r", RetryAfter: time.Second, Waiting: true},
		Observe: workflows.Observe{
			Names: []model.Name{{Repository: "registry.example/app", Tag: "1", Credential: "k"}}, Platform: model.Platform{OS: "linux", Architecture: "amd64"},
			Reference: workflows.Reference{Kind: workflows.ReferenceInventory, ID: workflows.ReferrerID(Cluster, Namespace), Version: version(0), Until: Now.Add(time.Hour)},
			Priority:  workflows.PriorityPod, Namespace: "c/n", Domain: workflows.DefaultDomain, HubNames: &model.HubNames{Project: "p", Version: "v", Scan: "s"},
		},
		Report: activities.ScanReport{
			Digest: Digest, Chain: "chain", Outcome: activities.ScanCompleted, Started: Now.Add(time.Hour),
			Verdict: &model.Verdict{
				Hub: Hub, OverallStatus: model.InViolation, JudgedAt: Now.Add(time.Hour), ScanStarted: Now, Components: 3, Findings: 2,
				Coverage: model.Coverage{Components: 3, Assessed: 3, Data: []model.DataSource{{Ecosystem: "npm", AsOf: Now}}}, SkippedHubs: []string{"other"},
			},
		},
		Pods: workflows.PodsChanged{
			Cluster: Cluster, Namespace: Namespace, Version: version(time.Hour), Domain: workflows.DefaultDomain,
			Pods: []model.Pod{{UID: "good", Namespace: Namespace, Name: "good", Containers: []model.Container{{Name: "c", Reference: "registry.example/app:1"}}}},
		},
		Summary: model.Summary{
			Digest: Digest, Version: version(0), Status: model.StatusComplete, OverallStatus: model.InViolation, Hubs: []string{Hub}, JudgedAt: Now,
			Failure: &model.Failure{Class: model.Transient, Reason: "r", Step: "pull", At: Now, Attempt: 1},
		},
		Seen:         workflows.NamespaceSeen{Cluster: Cluster, Namespace: Namespace, Pods: 2, Unscanned: 1, Version: version(0)},
		SnapshotEnd:  workflows.SnapshotEnd{Cluster: Cluster, Version: version(time.Hour), Namespaces: map[string]int{Namespace: 1, "m": 2}},
		Grant:        workflows.Grant{Chain: "default-test-run-id", Hub: Hub, Attempt: model.AttemptID{Millis: Now.UnixMilli() + 1000, Counter: 2}},
		ForeignGrant: workflows.Grant{Chain: "another", Hub: Hub, Attempt: attempt},
	}
	m.Acquire = workflows.Acquire{Holder: workflows.ScanImageID(Digest), Chain: "chain", Digest: Digest, Scan: "s", Priority: workflows.PriorityPod}
	other := model.Digest("sha256:" + strings.Repeat("f", 64))
	m.Announced = workflows.Acquire{
		Holder: workflows.ScanImageID(other), Chain: "announced", Digest: other, Priority: workflows.PriorityPod,
		Held: &workflows.Grant{Chain: "announced", Hub: Hub, Attempt: attempt},
	}
	m.Unfinished = workflows.Release{Chain: "unfinished", Holder: workflows.ScanImageID(other), Digest: other, Hub: Hub, Attempt: attempt, Unfinished: true}
	m.OldReport = m.Report
	old := *m.Report.Verdict
	old.JudgedAt = Now.Add(-time.Hour)
	m.OldReport.Started, m.OldReport.Verdict = Now.Add(-time.Hour), &old
	m.FailedReport = activities.ScanReport{
		Digest: Digest, Chain: "chain", Outcome: activities.ScanFailed, Started: Now.Add(-time.Hour),
		Failure: &model.Failure{Class: model.Transient, Reason: "r", Step: "upload", At: Now, Attempt: 1},
	}
	m.OldPods = m.Pods
	m.OldPods.Version = version(0)
	m.OldPods.Pods = []model.Pod{{
		UID: "u", Namespace: Namespace, Name: "p", Platform: model.Platform{OS: "linux"},
		Containers: []model.Container{{Name: "c", Kind: model.ContainerMain, Reference: "registry.example/app:2", Digest: Digest, HubNames: &model.HubNames{Scan: "s"}}},
	}}
	m.OldPods.Gone = []model.PodKey{{UID: "old", Namespace: Namespace, Name: "old"}}
	m.OldSnapshotEnd = m.SnapshotEnd
	m.OldSnapshotEnd.Version = version(0)
	return m
}

// ScanInput is the input of a scan.
func ScanInput() workflows.ScanImageInput {
	name := model.Name{Repository: "registry.example/app", Tag: "1"}
	return workflows.ScanImageInput{
		Digest: Digest, Names: []model.Name{name}, HubNames: model.DefaultHubNames(name, Digest), Domain: workflows.DefaultDomain,
		Priority: workflows.PriorityPod, Attempt: 1,
	}
}
