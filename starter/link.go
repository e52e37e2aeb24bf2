package starter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/workflows"
)

// Limits of what is asked while a person waits.
const (
	// queryTimeout is longer than a query of a long history takes, and short enough for a person.
	queryTimeout = 20 * time.Second
	// askStart is how long a step waits for a worker, askLong how long it may then run.
	askStart = 20 * time.Second
	askLong  = time.Minute
)

// pageSize is how many workflows the server lists at a time.
const pageSize = 1000

// link is what all clients share: the connection, and the calls that they all make.
type link struct {
	temporal client.Client
}

// signal sends a signal to the running workflow with this ID; isNotFound of the error says that there is none.
func (l link) signal(ctx context.Context, id, name string, value any) error {
	return l.temporal.SignalWorkflow(ctx, id, "", name, value)
}

// start is how a workflow is started by its first signal.
type start struct {
	workflowType, id, summary string
	attributes                temporal.SearchAttributes
	input                     any
}

// signalOrStart sends a signal to a workflow, and starts the workflow when it is not running.
func (l link) signalOrStart(ctx context.Context, s start, name string, value any) error {
	_, err := l.temporal.SignalWithStartWorkflow(ctx, s.id, name, value, s.options(enumspb.WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED), s.workflowType, s.input)
	return err
}

// options are how the server starts it; existing says what becomes of a request when it runs already.
func (s start) options(existing enumspb.WorkflowIdConflictPolicy) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       s.id,
		TaskQueue:                workflows.TaskQueue,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: existing,
		StaticSummary:            s.summary,
		TypedSearchAttributes:    s.attributes,
	}
}

// query asks the newest run with this ID, running or not; isNotFound of the error says that there was none.
func (l link) query(ctx context.Context, id, name string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	value, err := l.temporal.QueryWorkflow(ctx, id, "", name)
	if err != nil {
		return fmt.Errorf("query %s: %w", id, err)
	}
	if err := value.Get(answer); err != nil {
		return fmt.Errorf("read the answer of %s: %w", id, err)
	}
	return nil
}

// queryOpen asks a workflow that is running; isNotFound of the error says that none is.
func (l link) queryOpen(ctx context.Context, id, name string, answer any, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	response, err := l.temporal.QueryWorkflowWithOptions(ctx, &client.QueryWorkflowWithOptionsRequest{
		WorkflowID: id, QueryType: name, Args: args, QueryRejectCondition: enumspb.QUERY_REJECT_CONDITION_NOT_OPEN,
	})
	if err != nil {
		return fmt.Errorf("query %s: %w", id, err)
	}
	if response.QueryRejected != nil {
		return errClosed
	}
	if err := response.QueryResult.Get(answer); err != nil {
		return fmt.Errorf("read the answer of %s: %w", id, err)
	}
	return nil
}

// eachListed calls do for every workflow that the condition selects. Lists lag about a second behind.
func (l link) eachListed(ctx context.Context, condition string, do func(*workflowpb.WorkflowExecutionInfo)) error {
	var token []byte
	for {
		page, err := l.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: condition, PageSize: pageSize, NextPageToken: token,
		})
		if err != nil {
			return err
		}
		for _, each := range page.GetExecutions() {
			do(each)
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			return nil
		}
	}
}

// running selects the running workflows of one type.
func running(workflowType string) string {
	return fmt.Sprintf(`WorkflowType = %q AND ExecutionStatus = "Running"`, workflowType)
}

// ask runs one step on a queue for its answer, without a workflow around it.
func (l link) ask(ctx context.Context, what, queue string, step, in, answer any) error {
	handle, err := l.temporal.ExecuteActivity(ctx, client.StartActivityOptions{
		ID:                     what + "/" + uuid.NewString(),
		TaskQueue:              queue,
		ScheduleToStartTimeout: askStart,
		StartToCloseTimeout:    askLong,
		ScheduleToCloseTimeout: askStart + askLong,
		HeartbeatTimeout:       askLong,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, MaximumAttempts: 3},
	}, step, in)
	if err != nil {
		return fmt.Errorf("ask on queue %s: %w", queue, err)
	}
	err = handle.Get(ctx, answer)
	if _, ok := errors.AsType[*temporal.TimeoutError](err); ok {
		return fmt.Errorf("no worker on queue %q answered in time; is one running? %w", queue, err)
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return RejectedError{app.Message()}
	}
	return err
}

// askHub is ask on the queue of a hub. When the hub is known to be tripped, the error says so: then the queue is stopped,
// and that no worker answers is no fault of the workers.
func (l link) askHub(ctx context.Context, hub, what string, step, in, answer any) error {
	err := l.ask(ctx, what, workflows.HubQueue(hub), step, in, answer)
	if _, late := errors.AsType[*temporal.TimeoutError](err); !late {
		return err
	}
	status, unknown := Pool{l}.Status(ctx)
	if unknown != nil {
		return err
	}
	for _, h := range status.Hubs {
		if h.Name == hub && !h.TrippedSince.IsZero() {
			return fmt.Errorf("the hub has not answered since %s (%s) and is asked again at %s", h.TrippedSince.Local().Format(time.TimeOnly),
				h.Reason, h.NextProbe.Local().Format(time.TimeOnly))
		}
	}
	return err
}
