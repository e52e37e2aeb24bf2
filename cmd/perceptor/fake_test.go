package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/workflows"
)

// update writes the golden files again.
var update = flag.Bool("update", false, "write the files of testdata again")

func TestMain(m *testing.M) {
	// Tables show local times.
	time.Local = time.UTC
	os.Exit(m.Run())
}

// fakeTemporal answers the calls that commands make, with JSON as the workflows give it.
type fakeTemporal struct {
	client.Client
	// queries are the answers of workflows, by workflow ID. A workflow without one is unknown.
	queries map[string]string
	// steps are the answers of steps, by the first word of their ID.
	steps map[string]string
	// updates are the answers of updates, by their names.
	updates map[string]string
	// listed are the workflows in lists, by their type.
	listed map[string][]*workflowpb.WorkflowExecutionInfo
	// audited are the changes for the audit log; with noAudit none can be stored.
	audited []activities.WriteAuditInput
	noAudit bool
	// watched is what the last look of the watchdog found, as JSON; unwatched says that there was none.
	watched   string
	unwatched bool
	// calls are the signals, updates and steps that were asked for, and closed counts the closed connections.
	calls  []string
	closed int
	lock   sync.Mutex // of calls: commands signal several workflows at one time
}

func (f *fakeTemporal) note(call string) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.calls = append(f.calls, call)
}

// jsonAnswer is a value that arrives as JSON.
type jsonAnswer string

func (a jsonAnswer) HasValue() bool     { return a != "" }
func (a jsonAnswer) Get(into any) error { return json.Unmarshal([]byte(a), into) }

func (f *fakeTemporal) Close() { f.closed++ }

func (f *fakeTemporal) QueryWorkflow(_ context.Context, id, _, _ string, _ ...any) (converter.EncodedValue, error) {
	answer, known := f.queries[id]
	if !known {
		return nil, serviceerror.NewNotFound("workflow not found")
	}
	return jsonAnswer(answer), nil
}

func (f *fakeTemporal) QueryWorkflowWithOptions(ctx context.Context, r *client.QueryWorkflowWithOptionsRequest) (*client.QueryWorkflowWithOptionsResponse, error) {
	value, err := f.QueryWorkflow(ctx, r.WorkflowID, r.RunID, r.QueryType, r.Args...)
	return &client.QueryWorkflowWithOptionsResponse{QueryResult: value}, err
}

func (f *fakeTemporal) ListWorkflow(_ context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	if strings.Contains(r.GetQuery(), `WorkflowType = "`+workflows.TypeWatchdog+`"`) && !f.unwatched {
		look := &workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{WorkflowId: workflows.WatchdogID}}
		return &workflowservice.ListWorkflowExecutionsResponse{Executions: []*workflowpb.WorkflowExecutionInfo{look}}, nil
	}
	for kind, executions := range f.listed {
		if strings.Contains(r.GetQuery(), `WorkflowType = "`+kind+`"`) {
			page := executions[:min(len(executions), int(r.GetPageSize()))]
			answer := &workflowservice.ListWorkflowExecutionsResponse{Executions: page}
			if len(page) < len(executions) {
				answer.NextPageToken = []byte("more")
			}
			return answer, nil
		}
	}
	return &workflowservice.ListWorkflowExecutionsResponse{}, nil
}

// look is the run of a watchdog.
type look struct {
	client.WorkflowRun
	jsonAnswer
}

func (l look) Get(_ context.Context, into any) error { return l.jsonAnswer.Get(into) }

func (f *fakeTemporal) GetWorkflow(context.Context, string, string) client.WorkflowRun {
	return look{jsonAnswer: jsonAnswer(cmp.Or(f.watched, "{}"))}
}

// CountWorkflow counts what is UNKNOWN when it is asked for that, and nothing otherwise.
func (f *fakeTemporal) CountWorkflow(_ context.Context, r *workflowservice.CountWorkflowExecutionsRequest) (*workflowservice.CountWorkflowExecutionsResponse, error) {
	answer := &workflowservice.CountWorkflowExecutionsResponse{}
	if strings.Contains(r.GetQuery(), `PerceptorOverallStatus = "UNKNOWN"`) {
		answer.Count = int64(len(f.listed["Image"]))
	}
	return answer, nil
}

func (f *fakeTemporal) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return nil, serviceerror.NewNotFound("workflow not found")
}

func (f *fakeTemporal) SignalWorkflow(_ context.Context, id, _, name string, _ any) error {
	f.note("signal " + name + " to " + id)
	if _, known := f.queries[id]; !known {
		return serviceerror.NewNotFound("workflow not found")
	}
	return nil
}

func (f *fakeTemporal) SignalWithStartWorkflow(_ context.Context, id, name string, _ any, _ client.StartWorkflowOptions, _ any, _ ...any) (client.WorkflowRun, error) {
	f.note("signal " + name + " to " + id)
	return nil, nil
}

// updateHandle is an update that was answered.
type updateHandle struct {
	client.WorkflowUpdateHandle
	jsonAnswer
}

func (h updateHandle) Get(_ context.Context, into any) error { return h.jsonAnswer.Get(into) }

func (f *fakeTemporal) UpdateWorkflow(_ context.Context, o client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	argument, err := json.Marshal(o.Args[0])
	f.note("update " + o.UpdateName + " of " + o.WorkflowID + " " + string(argument))
	answer, known := f.updates[o.UpdateName]
	if !known {
		return nil, serviceerror.NewNotFound("workflow not found")
	}
	return updateHandle{jsonAnswer: jsonAnswer(answer)}, err
}

// stepHandle is a step that has ended.
type stepHandle struct {
	client.ActivityHandle
	jsonAnswer
}

func (h stepHandle) Get(_ context.Context, into any) error { return h.jsonAnswer.Get(into) }

func (f *fakeTemporal) ExecuteActivity(_ context.Context, o client.StartActivityOptions, _ any, in ...any) (client.ActivityHandle, error) {
	word, _, _ := strings.Cut(o.ID, "/")
	if word == "audit" {
		change, ok := in[0].(activities.WriteAuditInput)
		if !ok || f.noAudit {
			return nil, serviceerror.NewUnavailable("no audit")
		}
		f.audited = append(f.audited, change)
		return stepHandle{}, nil
	}
	f.note("step " + word + " on " + o.TaskQueue)
	answer, known := f.steps[word]
	if !known {
		return nil, serviceerror.NewUnavailable("no such step: " + word)
	}
	return stepHandle{jsonAnswer: jsonAnswer(answer)}, nil
}

// execution is a workflow in a list, with search attributes.
func execution(t *testing.T, id string, started time.Time, attributes map[string]string) *workflowpb.WorkflowExecutionInfo {
	t.Helper()
	fields := map[string]*commonpb.Payload{}
	for key, value := range attributes {
		payload, err := converter.GetDefaultDataConverter().ToPayload(value)
		require.NoError(t, err)
		payload.Metadata["type"] = []byte(enumspb.INDEXED_VALUE_TYPE_KEYWORD.String())
		fields[key] = payload
	}
	return &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: id}, StartTime: timestamppb.New(started),
		SearchAttributes: &commonpb.SearchAttributes{IndexedFields: fields},
	}
}

// said is what a command ended with.
type said struct {
	code          int
	out, problems string
}

// command runs a command line against the fake, without any configuration of the machine.
func (f *fakeTemporal) command(t *testing.T, args ...string) said {
	t.Helper()
	return runWith(t, func(client.Options) (client.Client, error) { return f, nil }, args...)
}

func runWith(t *testing.T, dial func(client.Options) (client.Client, error), args ...string) said {
	t.Helper()
	for _, variable := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"} {
		t.Setenv(variable, t.TempDir())
	}
	for _, variable := range []string{"PERCEPTOR_CONFIG", "PERCEPTOR_DEV", "TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE"} {
		t.Setenv(variable, "")
	}
	before := dialTemporal
	dialTemporal = dial
	defer func() { dialTemporal = before }()
	var out, problems bytes.Buffer
	code := run(args, &out, &problems)
	return said{code, out.String(), problems.String()}
}

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "write it with go test ./cmd/perceptor -update")
	require.Equal(t, string(want), text, "if the new text is better, write it with go test ./cmd/perceptor -update")
}
