package v1

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/model"
)

// images are the endpoints for images.
type images struct{ backend api.Images }

func addImages(r *router) {
	i := images{r.server.Backend()}
	reader, operator, tags, missing := []access.Scope{access.Reader}, []access.Scope{access.Operator}, []string{"images"}, []int{http.StatusNotFound}
	register(r, huma.Operation{
		OperationID: "list-images", Method: http.MethodGet, Path: "/api/v1/images", Tags: tags,
		Summary: "List images, newest first", Description: "The list is about a second behind. Ask for a single image to see its present state. " +
			"A token of one cluster sees the images that the cluster runs; then a page may have fewer images than asked for, and next says whether there are more.",
	}, reader, i.list)
	register(r, huma.Operation{
		OperationID: "get-image", Method: http.MethodGet, Path: "/api/v1/images/{digest}", Tags: tags, Errors: missing,
		Summary: "Show everything known about an image",
	}, reader, i.get)
	register(r, huma.Operation{
		OperationID: "list-findings", Method: http.MethodGet, Path: "/api/v1/images/{digest}/findings", Tags: tags, Errors: missing,
		Summary: "List the findings behind a verdict", Description: "They are read from the hub now, and are in the order of the hub.",
	}, reader, i.listFindings)
	register(r, huma.Operation{
		OperationID: "scan-image", Method: http.MethodPost, Path: "/api/v1/images", Tags: tags, DefaultStatus: http.StatusAccepted,
		Summary: "Scan an image",
		Description: "The scanners resolve the reference, then the scan starts. Ask for the image by the digest in the answer. " +
			"The image is kept for 30 days.",
	}, operator, i.scan)
	register(r, huma.Operation{
		OperationID: "rescan-image", Method: http.MethodPost, Path: "/api/v1/images/{digest}/rescan", Tags: tags, Errors: missing, DefaultStatus: http.StatusAccepted,
		Summary: "Scan an image again although it has a verdict", Description: "The old verdict stays until there is a new one.",
	}, operator, i.rescan)
	register(r, huma.Operation{
		OperationID: "prioritize-image", Method: http.MethodPost, Path: "/api/v1/images/{digest}/prioritize", Tags: tags, Errors: missing, DefaultStatus: http.StatusAccepted,
		Summary: "Move an image to the front of the queue",
		Description: "The image gets the priority `interactive`, also while it waits: in the backlog, for a lease on a hub, " +
			"or for the next try after a failure.",
	}, operator, i.prioritize)
}

type imagesInput struct {
	Paging
	VerdictFilter
	Repository string `query:"repository" maxLength:"509" doc:"Only images of this repository, registry included."`
}

type imagesOutput struct{ Body api.ImagePage }

func (i images) list(ctx context.Context, in *imagesInput) (*imagesOutput, error) {
	page, err := i.backend.Images(ctx, api.ImageQuery{
		Cluster:    limitOf(ctx),
		Repository: in.Repository, Status: model.ScanStatus(in.Status), OverallStatus: model.OverallStatus(in.OverallStatus), After: in.Cursor, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	if page.Images == nil {
		page.Images = []api.ImageRow{}
	}
	return &imagesOutput{page}, nil
}

// DigestInput is the path of everything about one image.
type DigestInput struct {
	Digest string `path:"digest" maxLength:"100" doc:"sha256: and 64 hexadecimal digits." example:"sha256:..."`
}

// visible reads the digest of an image that the sender may see. An image that its cluster does not run is as unknown.
func (i images) visible(ctx context.Context, in DigestInput) (model.Digest, error) {
	d, err := in.parse()
	cluster := limitOf(ctx)
	if err != nil || cluster == "" {
		return d, err
	}
	runs, err := i.backend.Runs(ctx, cluster, d)
	if err != nil {
		return "", err
	}
	if !runs {
		return "", api.Refuse(http.StatusNotFound, "no such image is known in cluster %s", cluster)
	}
	return d, nil
}

func (in DigestInput) parse() (model.Digest, error) {
	d, err := model.ParseDigest(in.Digest)
	if err != nil {
		return "", api.Refuse(http.StatusBadRequest, "%s", err)
	}
	return d, nil
}

type imageOutput struct{ Body api.Image }

func (i images) get(ctx context.Context, in *DigestInput) (*imageOutput, error) {
	d, err := i.visible(ctx, *in)
	if err != nil {
		return nil, err
	}
	known, err := i.backend.Image(ctx, d)
	if err != nil {
		return nil, err
	}
	return &imageOutput{known}, nil
}

type findingsInput struct {
	DigestInput
	Hub    string `query:"hub" maxLength:"63" doc:"The hub of the verdict; default: the hub of the first verdict."`
	Offset int    `query:"offset" minimum:"0" maximum:"20000" doc:"How many findings to leave out at the beginning."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"The largest number of findings in the answer."`
}

type findingsOutput struct{ Body api.Findings }

func (i images) listFindings(ctx context.Context, in *findingsInput) (*findingsOutput, error) {
	d, err := i.visible(ctx, in.DigestInput)
	if err != nil {
		return nil, err
	}
	found, err := i.backend.Findings(ctx, d, in.Hub)
	if err != nil {
		return nil, err
	}
	from := min(in.Offset, len(found.Findings))
	found.Findings = found.Findings[from:min(from+in.Limit, len(found.Findings))]
	if found.Findings == nil {
		found.Findings = []model.Finding{}
	}
	return &findingsOutput{found}, nil
}

type scanInput struct {
	Body struct {
		Reference  string `json:"reference" minLength:"1" maxLength:"1024" doc:"What to scan, as docker pull takes it." example:"registry.example/team/app:1.2"`
		Platform   string `json:"platform,omitempty" maxLength:"100" doc:"The platform of the image in an index; default: the platform of the scanner." example:"linux/arm64"`
		Credential string `json:"credential,omitempty" maxLength:"253" doc:"The name of a credential that the scanners have, never the credential itself."`
		Domain     string `json:"domain,omitempty" maxLength:"63" doc:"The set of scanners to ask."`
		Rescan     bool   `json:"rescan,omitempty" doc:"Scan again although there is a verdict."`
	}
}

type scanOutput struct{ Body api.ScanAccepted }

func (i images) scan(ctx context.Context, in *scanInput) (*scanOutput, error) {
	platform, err := model.ParsePlatform(in.Body.Platform)
	if err != nil {
		return nil, api.Refuse(http.StatusBadRequest, "%s", err)
	}
	accepted, err := i.backend.Scan(ctx, api.ScanRequest{
		Reference: in.Body.Reference, Platform: platform, Credential: in.Body.Credential, Domain: in.Body.Domain, Rescan: in.Body.Rescan,
		Who: "api/" + grantOf(ctx).Name, Cluster: limitOf(ctx),
	})
	if err != nil {
		return nil, err
	}
	return &scanOutput{accepted}, nil
}

type rescanInput struct {
	DigestInput
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"500" doc:"Why the image is scanned again, for the people who look at it."`
	}
}

func (i images) rescan(ctx context.Context, in *rescanInput) (*struct{}, error) {
	d, err := i.visible(ctx, in.DigestInput)
	if err != nil {
		return nil, err
	}
	reason := "asked for by " + grantOf(ctx).Name
	if in.Body != nil && in.Body.Reason != "" {
		reason = in.Body.Reason
	}
	return nil, i.backend.Rescan(ctx, d, reason)
}

func (i images) prioritize(ctx context.Context, in *DigestInput) (*struct{}, error) {
	d, err := i.visible(ctx, *in)
	if err != nil {
		return nil, err
	}
	return nil, i.backend.Prioritize(ctx, d)
}
