package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/model"
)

type imagesInput struct {
	Paging
	VerdictFilter
	Repository string `query:"repository" maxLength:"509" doc:"Only images of this repository, registry included."`
}

type imagesOutput struct{ Body ImagePage }

// DigestInput is the path of everything about one image.
type DigestInput struct {
	Digest string `path:"digest" maxLength:"100" doc:"sha256: and 64 hexadecimal digits." example:"sha256:..."`
}

func (in DigestInput) parse() (model.Digest, error) {
	d, err := model.ParseDigest(in.Digest)
	if err != nil {
		return "", refuse(http.StatusBadRequest, "%s", err)
	}
	return d, nil
}

type imageOutput struct{ Body Image }

type findingsInput struct {
	DigestInput
	Hub    string `query:"hub" maxLength:"63" doc:"Whose verdict; default: the first."`
	Offset int    `query:"offset" minimum:"0" maximum:"20000"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type findingsOutput struct{ Body Findings }

type scanInput struct {
	Body struct {
		Reference  string `json:"reference" minLength:"1" maxLength:"1024" doc:"What to scan, as docker pull takes it." example:"registry.example/team/app:1.2"`
		Platform   string `json:"platform,omitempty" maxLength:"100" doc:"Which image of an index; default: the scanner's own." example:"linux/arm64"`
		Credential string `json:"credential,omitempty" maxLength:"253" doc:"The name of a credential configured on the scanners, never the credential."`
		Domain     string `json:"domain,omitempty" maxLength:"63" doc:"The set of scanners to ask."`
		Rescan     bool   `json:"rescan,omitempty" doc:"Scan again although there is a verdict."`
	}
}

type scanOutput struct{ Body ScanAccepted }

type rescanInput struct {
	DigestInput
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"500" doc:"Why, for whoever looks at the image."`
	}
}

func (v *v1) addImages() {
	reader, operator, tags := []access.Scope{access.Reader}, []access.Scope{access.Operator}, []string{"images"}
	missing := []int{http.StatusNotFound}
	register(v, huma.Operation{
		OperationID: "list-images", Method: http.MethodGet, Path: "/api/v1/images", Tags: tags,
		Summary: "Images that are known, newest first", Description: "The list lags a second or so behind; ask an image itself for what is true now.",
	}, reader, v.listImages)
	register(v, huma.Operation{
		OperationID: "get-image", Method: http.MethodGet, Path: "/api/v1/images/{digest}", Tags: tags, Errors: missing, Summary: "All that is known of an image",
	}, reader, v.getImage)
	register(v, huma.Operation{
		OperationID: "list-findings", Method: http.MethodGet, Path: "/api/v1/images/{digest}/findings", Tags: tags, Errors: missing,
		Summary: "The findings behind a verdict", Description: "Read from the hub at this moment, in the hub's order.",
	}, reader, v.listFindings)
	register(v, huma.Operation{
		OperationID: "scan-image", Method: http.MethodPost, Path: "/api/v1/images", Tags: tags, DefaultStatus: http.StatusAccepted,
		Summary:     "Have an image scanned",
		Description: "The reference is resolved by the scanners, then the scan is under way: ask for the image by the digest in the answer. It is kept for 30 days.",
	}, operator, v.scanImage)
	register(v, huma.Operation{
		OperationID: "rescan-image", Method: http.MethodPost, Path: "/api/v1/images/{digest}/rescan", Tags: tags, Errors: missing, DefaultStatus: http.StatusAccepted,
		Summary: "Scan an image again although it has a verdict", Description: "The old verdict stays until the new one is there.",
	}, operator, v.rescanImage)
}

func (v *v1) listImages(ctx context.Context, in *imagesInput) (*imagesOutput, error) {
	page, err := v.options.Backend.Images(ctx, ImageQuery{
		Repository: in.Repository, Status: model.ScanStatus(in.Status), OverallStatus: model.OverallStatus(in.OverallStatus), After: in.Cursor, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	if page.Images == nil {
		page.Images = []ImageRow{}
	}
	return &imagesOutput{page}, nil
}

func (v *v1) getImage(ctx context.Context, in *DigestInput) (*imageOutput, error) {
	d, err := in.parse()
	if err != nil {
		return nil, err
	}
	known, err := v.options.Backend.Image(ctx, d)
	if err != nil {
		return nil, err
	}
	return &imageOutput{known}, nil
}

func (v *v1) listFindings(ctx context.Context, in *findingsInput) (*findingsOutput, error) {
	d, err := in.parse()
	if err != nil {
		return nil, err
	}
	found, err := v.options.Backend.Findings(ctx, d, in.Hub)
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

func (v *v1) scanImage(ctx context.Context, in *scanInput) (*scanOutput, error) {
	platform, err := parsePlatform(in.Body.Platform)
	if err != nil {
		return nil, err
	}
	accepted, err := v.options.Backend.Scan(ctx, ScanRequest{
		Reference: in.Body.Reference, Platform: platform, Credential: in.Body.Credential, Domain: in.Body.Domain, Rescan: in.Body.Rescan,
		Who: "api/" + grantOf(ctx).Name,
	})
	if err != nil {
		return nil, err
	}
	return &scanOutput{accepted}, nil
}

func (v *v1) rescanImage(ctx context.Context, in *rescanInput) (*struct{}, error) {
	d, err := in.parse()
	if err != nil {
		return nil, err
	}
	reason := "asked for by " + grantOf(ctx).Name
	if in.Body != nil && in.Body.Reason != "" {
		reason = in.Body.Reason
	}
	return nil, v.options.Backend.Rescan(ctx, d, reason)
}

// parsePlatform reads "os/architecture[/variant]".
func parsePlatform(text string) (model.Platform, error) {
	if text == "" {
		return model.Platform{}, nil
	}
	parts := append(strings.Split(text, "/"), "")
	if len(parts) < 3 || len(parts) > 4 || parts[0] == "" || parts[1] == "" {
		return model.Platform{}, refuse(http.StatusBadRequest, "platform %.100q: want OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/arm64", text)
	}
	return model.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}, nil
}
