package temporal_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/cmd/perceptor-dev/loopback"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/temporal"
)

var attributes = map[string]enumspb.IndexedValueType{
	"PerceptorDigest": enumspb.INDEXED_VALUE_TYPE_KEYWORD, "PerceptorHub": enumspb.INDEXED_VALUE_TYPE_KEYWORD, "PerceptorPods": enumspb.INDEXED_VALUE_TYPE_INT,
}

// waitForName is a workflow that lives until a signal gives it a name.
func waitForName(ctx workflow.Context) (string, error) {
	var name string
	workflow.GetSignalChannel(ctx, "name").Receive(ctx, &name)
	return "hello " + name, nil
}

func start(t *testing.T, dir, address string) (*temporal.Server, error) {
	t.Helper()
	listener, err := loopback.Listen(t.Context(), "--temporal", address)
	require.NoError(t, err)
	return temporal.Start(t.Context(), temporal.Options{
		Database:         filepath.Join(dir, "temporal.db"),
		Version:          filepath.Join(dir, "temporal.version"),
		Log:              filepath.Join(dir, "temporal.log"),
		Listener:         listener,
		SearchAttributes: attributes,
	})
}

func connect(t *testing.T, server *temporal.Server) client.Client {
	t.Helper()
	connection, err := client.Dial(client.Options{HostPort: server.Address(), Namespace: temporal.Namespace})
	require.NoError(t, err)
	return connection
}

func TestAWorkflowOutlivesTheServer(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	first, err := start(t, dir, "127.0.0.1:0")
	require.NoError(t, err)
	address := first.Address()
	before := connect(t, first)
	run, err := before.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "waits", TaskQueue: "names"}, waitForName)
	require.NoError(t, err)
	before.Close()
	require.NoError(t, first.Stop())

	second, err := start(t, dir, address)
	require.NoError(t, err, "the same address is free again after a stop")
	defer func() { require.NoError(t, second.Stop()) }()
	after := connect(t, second)
	defer after.Close()
	names := worker.New(after, "names", worker.Options{})
	names.RegisterWorkflow(waitForName)
	require.NoError(t, names.Start())
	defer names.Stop()

	require.NoError(t, after.SignalWorkflow(ctx, "waits", run.GetRunID(), "name", "again"))
	var answer string
	require.NoError(t, after.GetWorkflow(ctx, "waits", run.GetRunID()).Get(ctx, &answer))
	require.Equal(t, "hello again", answer)
}

func TestTheNamespaceIsBornWithRetentionAndSearchAttributes(t *testing.T) {
	server, err := start(t, t.TempDir(), "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	connection := connect(t, server)
	defer connection.Close()

	namespace, err := connection.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: temporal.Namespace})
	require.NoError(t, err)
	require.Equal(t, 7*24*time.Hour, namespace.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())

	listed, err := connection.OperatorService().ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: temporal.Namespace})
	require.NoError(t, err)
	require.Equal(t, attributes, listed.GetCustomAttributes())
}

// TestOnlyColumnsInUseHaveAnIndex: an attribute of ours and what Web UI filters by have one, the spare columns have none. A
// filter on a column without an index still works.
func TestOnlyColumnsInUseHaveAnIndex(t *testing.T) {
	dir := t.TempDir()
	server, err := start(t, dir, "127.0.0.1:0")
	require.NoError(t, err)
	connection := connect(t, server)
	for _, filter := range []string{"WorkflowType = 'a'", "TaskQueue = 'a'", "HistoryLength > 3", "ExecutionStatus = 'Running'", "BuildIds IN ('a')"} {
		_, err := connection.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: filter})
		require.NoError(t, err, filter)
	}
	connection.Close()
	require.NoError(t, server.Stop())

	db, err := sql.Open("sqlite", filepath.Join(dir, "temporal.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	rows, err := db.QueryContext(t.Context(), `SELECT info.name FROM pragma_index_list('executions_visibility') AS list, pragma_index_info(list.name) AS info
		WHERE list.origin = 'c' AND info.seqno = 1 AND info.name IS NOT NULL`)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var columns []string
	for rows.Next() {
		var column string
		require.NoError(t, rows.Scan(&column))
		columns = append(columns, column)
	}
	require.NoError(t, rows.Err())
	require.Subset(t, columns, []string{"workflow_id", "workflow_type_name", "status", "execution_time"})
	require.NotContains(t, columns, "TemporalDouble02", "a spare column")
	require.NotContains(t, columns, "history_length")
	require.Len(t, columns, 8+len(attributes), "which columns the attributes of the namespace take is up to the server")
}

func TestADatabaseOfAnotherVersionIsRefused(t *testing.T) {
	for _, row := range []struct {
		name, noted, says string
		has               string
	}{
		{name: "older server", noted: "1.20.0\n", has: "1.20.0", says: "made by Temporal server 1.20.0"},
		{name: "no version is noted", has: "", says: "an unknown version"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "temporal.db"), nil, 0o600))
			if row.noted != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "temporal.version"), []byte(row.noted), 0o600))
			}
			_, err := start(t, dir, "127.0.0.1:0")
			var other *temporal.VersionError
			require.ErrorAs(t, err, &other)
			require.Equal(t, row.has, other.Has)
			require.ErrorContains(t, err, row.says)
			require.ErrorContains(t, err, "--data DIR")
		})
	}
}

func TestAHalfMadeDatabaseIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "temporal.db.new"), []byte("killed here"), 0o600))
	server, err := start(t, dir, "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, server.Stop())
}
