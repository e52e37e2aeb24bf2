package model

import "time"

// Summary is what is known of one image, small enough to be kept for everything that runs it.
type Summary struct {
	Digest Digest `json:"digest"`
	// Version orders summaries of one image.
	Version       Version       `json:"version"`
	Status        ScanStatus    `json:"status"`
	OverallStatus OverallStatus `json:"overallStatus"`
	// PolicyViolations, Vulnerabilities (vulnerable components), Findings, FindingCounts and NotAssessed are those of the newest
	// verdict.
	PolicyViolations int    `json:"policyViolations"`
	Vulnerabilities  Counts `json:"vulnerabilities"`
	Findings         int    `json:"findings"`
	FindingCounts    Counts `json:"findingCounts,omitzero"`
	NotAssessed      int    `json:"notAssessed"`
	// Coverage says how much was assessed and until when a green status holds.
	Coverage      CoverageSummary `json:"coverage,omitzero"`
	ComponentsURL string          `json:"componentsURL,omitempty"`
	// Hubs are those with a verdict, in the order in which they first gave one.
	Hubs []string `json:"hubs,omitempty"`
	// JudgedAt is when the newest verdict was given, by its hub's clock; zero without a verdict.
	JudgedAt time.Time `json:"judgedAt,omitzero"`
	// Failure is why the last scan brought no verdict; nil when it brought one, or when there was no scan.
	Failure *Failure `json:"failure,omitempty"`
}

// Unscanned is the summary of an image that was not scanned yet.
func Unscanned(d Digest) Summary {
	return Summary{Digest: d, Status: StatusUnknown, OverallStatus: OverallUnknown}
}

// PodVerdict is one row of the join: a pod, its containers, and what is known of their images.
type PodVerdict struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	Bare      bool   `json:"bare,omitempty"`
	// Workload is what owns the pod, and Labels are those of its labels that an operator has chosen, as the perceiver reports them.
	Workload Workload          `json:"workload,omitzero"`
	Labels   map[string]string `json:"labels,omitempty"`
	// Status is Failed where a container's image has failed, else the status of the container that is least far.
	Status ScanStatus `json:"status"`
	// OverallStatus is the worst of the containers, by OverallStatus.Worst; UNKNOWN for a pod without containers.
	OverallStatus OverallStatus `json:"overallStatus"`
	// PolicyViolations, Vulnerabilities (vulnerable components), Findings and FindingCounts are sums over the containers: an image
	// that runs twice counts twice.
	PolicyViolations int                `json:"policyViolations"`
	Vulnerabilities  Counts             `json:"vulnerabilities"`
	Findings         int                `json:"findings"`
	FindingCounts    Counts             `json:"findingCounts,omitzero"`
	Containers       []ContainerVerdict `json:"containers"`
}

// ContainerVerdict is one container of a row.
type ContainerVerdict struct {
	Name      string        `json:"name"`
	Kind      ContainerKind `json:"kind,omitempty"`
	Reference string        `json:"reference"`
	// Reported is the digest the runtime gave.
	Reported Digest `json:"reported,omitempty"`
	// Image is what is known of the manifest it runs; its digest is empty until it is resolved. A container that cannot
	// be resolved has Failed there, and why.
	Image Summary `json:"image"`
}

// Join makes a row of the join: statuses and sums from the containers.
func Join(cluster string, p Pod, containers []ContainerVerdict) PodVerdict {
	row := PodVerdict{
		Cluster: cluster, Namespace: p.Namespace, Name: p.Name, UID: p.UID, Bare: p.Bare,
		Workload: p.Workload, Labels: p.Labels,
		Status: StatusComplete, OverallStatus: NotInViolation, Containers: containers,
	}
	if len(containers) == 0 {
		row.Status, row.OverallStatus = StatusUnknown, OverallUnknown
	}
	for _, c := range containers {
		row.Status = row.Status.LessFar(c.Image.Status)
		row.OverallStatus = row.OverallStatus.Worst(c.Image.OverallStatus)
		row.PolicyViolations += c.Image.PolicyViolations
		row.Vulnerabilities.AddAll(c.Image.Vulnerabilities)
		row.Findings += c.Image.Findings
		row.FindingCounts.AddAll(c.Image.FindingCounts)
	}
	return row
}

// WriteResult is the outcome of writing rows onto the pods of a cluster.
type WriteResult struct {
	Written   int `json:"written"`
	Unchanged int `json:"unchanged"`
	// Gone are pods that the cluster does not have any more.
	Gone []PodKey `json:"gone,omitempty"`
	// Failed are pods that could not be written, each with its reason; they are tried again.
	Failed []WriteFailure `json:"failed,omitempty"`
}

// WriteFailure is why one pod could not be written.
type WriteFailure struct {
	Pod    PodKey       `json:"pod"`
	Class  FailureClass `json:"class"`
	Reason string       `json:"reason"`
}
