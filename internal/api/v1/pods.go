package v1

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/model"
)

// Paging are the parameters of every list. The library fills in only what has an exported name.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"The largest number of items in the page."`
	Cursor string `query:"cursor" maxLength:"4096" doc:"The next of the previous page."`
}

// VerdictFilter are the parameters of lists with verdicts.
type VerdictFilter struct {
	Status        string `query:"status" enum:"Unknown,InQueue,RunningScanClient,RunningHubScan,Complete,Failed" doc:"Only items in this scan status."`
	OverallStatus string `query:"overallStatus" enum:"UNKNOWN,NOT_IN_VIOLATION,IN_VIOLATION,IN_VIOLATION_OVERRIDDEN" doc:"Only items with this overall status."`
}

// pods are the endpoints for pods.
type pods struct{ backend api.Joiner }

func addPods(r *router) {
	p := pods{r.server.Backend()}
	register(r, huma.Operation{
		OperationID: "list-pods", Method: http.MethodGet, Path: "/api/v1/pods", Tags: []string{"pods"},
		Summary: "List pods with the verdicts of their images",
		Description: "The status of a pod is the worst status of its containers: UNKNOWN while an image is not scanned and no image is in violation. " +
			"The list also has images that were reported without a pod, marked `bare`.",
	}, []access.Scope{access.Reader, access.Perceiver}, p.list)
}

type podsInput struct {
	Paging
	VerdictFilter
	Cluster   string `query:"cluster" maxLength:"63" doc:"Default: the cluster of the token, or all clusters."`
	Namespace string `query:"namespace" maxLength:"253"`
	Image     string `query:"image" maxLength:"1024" doc:"Only pods that run this image: a part of the reference, or a digest."`
	Workload  string `query:"workload" maxLength:"317" doc:"Only pods of this workload: its name, or kind and name such as deployment/web."`

	Label []string `query:"label,explode" maxItems:"16" doc:"Only pods with this label, such as team=shop. Perceivers report the labels that an operator has chosen."`
}

type podsOutput struct{ Body api.PodPage }

func (p pods) list(ctx context.Context, in *podsInput) (*podsOutput, error) {
	cluster, err := clusterFor(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	labels, err := model.ParseLabels(in.Label)
	if err != nil {
		return nil, api.Refuse(http.StatusBadRequest, "%s", err)
	}
	page, err := p.backend.Pods(ctx, api.PodQuery{
		Cluster: cluster, Namespace: in.Namespace, Status: model.ScanStatus(in.Status), OverallStatus: model.OverallStatus(in.OverallStatus),
		Image: in.Image, Workload: in.Workload, Labels: labels, After: in.Cursor, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	if page.Pods == nil {
		page.Pods = []model.PodVerdict{}
	}
	return &podsOutput{page}, nil
}
