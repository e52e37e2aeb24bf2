package activities

import (
	"context"

	"github.com/perceptor/perceptor/model"
)

// WriteVerdictsInput names pods whose verdicts are to be written onto them. It carries no verdict: the newest is read
// when the step starts, however long it has waited.
type WriteVerdictsInput struct {
	Cluster   string   `json:"cluster"`
	Namespace string   `json:"namespace"`
	UIDs      []string `json:"uids"`
}

// JoinReader reads the rows of some pods as they are known now.
type JoinReader interface {
	Rows(ctx context.Context, cluster, namespace string, uids []string) ([]model.PodVerdict, error)
}

// VerdictWriter writes rows onto the pods of one cluster, named by their UIDs. It reads the rows by a function, and again when
// they have grown old before it comes to a pod. A pod that cannot be written fails alone; an error says that none could be, or
// that another perceiver has to write.
type VerdictWriter interface {
	Write(ctx context.Context, uids []string, read func(context.Context, []string) ([]model.PodVerdict, error)) (model.WriteResult, error)
}

// PerceiverSteps are the steps that run beside a perceiver, in its cluster.
type PerceiverSteps struct {
	reader JoinReader
	writer VerdictWriter
}

// NewPerceiverSteps reads rows from r and writes them by w.
func NewPerceiverSteps(r JoinReader, w VerdictWriter) *PerceiverSteps {
	return &PerceiverSteps{reader: r, writer: w}
}

// WriteVerdicts brings what is known now onto the pods named.
func (s *PerceiverSteps) WriteVerdicts(ctx context.Context, in WriteVerdictsInput) (model.WriteResult, error) {
	beat := startHeartbeat(ctx, Progress{Phase: "write onto pods"})
	defer beat.end()
	result, err := s.writer.Write(ctx, in.UIDs, func(ctx context.Context, uids []string) ([]model.PodVerdict, error) {
		return s.reader.Rows(ctx, in.Cluster, in.Namespace, uids)
	})
	return result, asApplicationError(err)
}
