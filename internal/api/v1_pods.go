package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/model"
)

// Paging are the parameters every list has. The library fills in only what has an exported name.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at the most."`
	Cursor string `query:"cursor" maxLength:"4096" doc:"The next of the page before."`
}

// VerdictFilter are the parameters of lists of what is scanned.
type VerdictFilter struct {
	Status        string `query:"status" enum:"Unknown,InQueue,RunningScanClient,RunningHubScan,Complete,Failed" doc:"Only those in this scan status."`
	OverallStatus string `query:"overallStatus" enum:"UNKNOWN,NOT_IN_VIOLATION,IN_VIOLATION,IN_VIOLATION_OVERRIDDEN" doc:"Only those with this judgement."`
}

type podsInput struct {
	Paging
	VerdictFilter
	Cluster   string `query:"cluster" maxLength:"63" doc:"Default: the token's cluster, or all."`
	Namespace string `query:"namespace" maxLength:"253"`
	Image     string `query:"image" maxLength:"1024" doc:"Only pods that run it: a part of the reference, or a digest."`
}

type podsOutput struct{ Body PodPage }

func (v *v1) addPods() {
	register(v, huma.Operation{
		OperationID: "list-pods", Method: http.MethodGet, Path: "/api/v1/pods", Tags: []string{"pods"},
		Summary: "Pods and what is known of their images",
		Description: "A pod's status is the worst of its containers': UNKNOWN while an image is not scanned and none is in violation. " +
			"Images that were reported without a pod are in the list too, marked `bare`.",
	}, []access.Scope{access.Reader, access.Perceiver}, v.listPods)
}

func (v *v1) listPods(ctx context.Context, in *podsInput) (*podsOutput, error) {
	cluster, err := clusterFor(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	page, err := v.options.Backend.Pods(ctx, PodQuery{
		Cluster: cluster, Namespace: in.Namespace, Status: model.ScanStatus(in.Status), OverallStatus: model.OverallStatus(in.OverallStatus),
		Image: in.Image, After: in.Cursor, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	if page.Pods == nil {
		page.Pods = []model.PodVerdict{}
	}
	return &podsOutput{page}, nil
}
