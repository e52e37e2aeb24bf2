package starter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// ImageRow is one image in a list. Lists come from visibility, which lags a little behind; they are for browsing.
type ImageRow struct {
	Digest        model.Digest        `json:"digest"`
	Repository    string              `json:"repository"`
	Hub           string              `json:"hub,omitempty"`
	Status        model.ScanStatus    `json:"status"`
	OverallStatus model.OverallStatus `json:"overallStatus"`
	Since         time.Time           `json:"since"`
}

// ImageFilter narrows a list; empty fields do not.
type ImageFilter struct {
	Repository    string
	Status        model.ScanStatus
	OverallStatus model.OverallStatus
}

// query is the filter in the server's language. Values are quoted, so that none can become a condition of its own.
func (f ImageFilter) query() string {
	conditions := []string{`WorkflowType = "Image"`, `ExecutionStatus = "Running"`}
	add := func(key temporal.SearchAttributeKeyKeyword, value string) {
		if value != "" {
			conditions = append(conditions, fmt.Sprintf("%s = %s", key.GetName(), quote(value)))
		}
	}
	add(workflows.AttributeRepository, f.Repository)
	add(workflows.AttributeScanStatus, string(f.Status))
	add(workflows.AttributeOverallStatus, string(f.OverallStatus))
	return strings.Join(conditions, " AND ")
}

func quote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(workflows.Keyword(value)) + `"`
}

// Images lists images, newest first, at most limit; more says that there are others.
func (s *Starter) Images(ctx context.Context, f ImageFilter, limit int) (rows []ImageRow, more bool, err error) {
	var next []byte
	for {
		page, token, err := s.ImagesPage(ctx, f, min(limit-len(rows), imagesPage), next)
		if err != nil {
			return nil, false, err
		}
		rows, next = append(rows, page...), token
		if len(next) == 0 || len(rows) >= limit {
			return rows, len(next) > 0, nil
		}
	}
}

// imagesPage is how many images the server lists at a time.
const imagesPage = 1000

// ImagesPage lists at most limit images, up to 1,000, newest first, from where next of the page before says; next is empty
// on the last page. A next that is none gives ErrBadCursor.
func (s *Starter) ImagesPage(ctx context.Context, f ImageFilter, limit int, after []byte) (rows []ImageRow, next []byte, err error) {
	page, err := s.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: f.query(), PageSize: int32(min(limit, imagesPage)), NextPageToken: after, //nolint:gosec // bounded by 1,000
	})
	if invalid, is := errors.AsType[*serviceerror.InvalidArgument](err); is && len(after) > 0 {
		return nil, nil, fmt.Errorf("list images: %w: %s", ErrBadCursor, invalid.Message)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list images: %w", err)
	}
	for _, each := range page.GetExecutions() {
		rows = append(rows, imageRow(each.GetSearchAttributes().GetIndexedFields(), each.GetStartTime().AsTime()))
	}
	return rows, page.GetNextPageToken(), nil
}

// CountImages counts what Images would list.
func (s *Starter) CountImages(ctx context.Context, f ImageFilter) (int64, error) {
	counted, err := s.temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: f.query()})
	if err != nil {
		return 0, fmt.Errorf("count images: %w", err)
	}
	return counted.GetCount(), nil
}

func imageRow(fields map[string]*commonpb.Payload, since time.Time) ImageRow {
	row := ImageRow{Since: since}
	readField(fields, workflows.AttributeDigest, &row.Digest)
	readField(fields, workflows.AttributeRepository, &row.Repository)
	readField(fields, workflows.AttributeHub, &row.Hub)
	readField(fields, workflows.AttributeScanStatus, &row.Status)
	readField(fields, workflows.AttributeOverallStatus, &row.OverallStatus)
	return row
}

// readField reads a search attribute; one that is not there leaves its value alone.
func readField(fields map[string]*commonpb.Payload, key temporal.SearchAttributeKey, value any) {
	if p, ok := fields[key.GetName()]; ok {
		_ = converter.GetDefaultDataConverter().FromPayload(p, value)
	}
}
