package temporal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/headers"
	"go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// retention is how long a closed workflow stays readable.
const retention = 7 * 24 * time.Hour

// VersionError says that a database was made by another version of the server.
type VersionError struct {
	Database string // the SQLite file
	Has      string // the version that made it; empty where no version is noted
	Wants    string // the version in this program
}

// Error names both versions and the two ways out.
func (e *VersionError) Error() string {
	has := e.Has
	if has == "" {
		has = "an unknown version"
	}
	return fmt.Sprintf("%s was made by Temporal server %s, and this is %s, which cannot read it; "+
		"give another directory with --data DIR, or delete this one (its workflows and scans go with it)", e.Database, has, e.Wants)
}

// prepareDatabase makes the database where it is missing, and refuses one of
// another server version.
func prepareDatabase(ctx context.Context, options Options, configuration *config.Config) error {
	_, err := os.Stat(options.Database)
	switch {
	case err == nil:
		return checkVersion(options)
	case errors.Is(err, fs.ErrNotExist):
		return createDatabase(ctx, options, configuration.ClusterMetadata.CurrentClusterName)
	default:
		return fmt.Errorf("look at temporal database: %w", err)
	}
}

func checkVersion(options Options) error {
	noted, err := os.ReadFile(options.Version)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read version of temporal database: %w", err)
	}
	if has := strings.TrimSpace(string(noted)); has != headers.ServerVersion {
		return &VersionError{Database: options.Database, Has: has, Wants: headers.ServerVersion}
	}
	return nil
}

// createDatabase builds the tables and the namespace under another name first:
// a process killed half way leaves no database that looks whole.
func createDatabase(ctx context.Context, options Options, cluster string) error {
	scratch := options.Database + ".new"
	for _, leftover := range []string{scratch, scratch + "-journal"} {
		if err := os.Remove(leftover); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove half-made temporal database: %w", err)
		}
	}
	// SQLite would make the file readable for everybody.
	file, err := os.OpenFile(scratch, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("create temporal database: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("create temporal database: %w", err)
	}
	// The server's package keeps its connections open for good, so the file is
	// made without a write-ahead log: one of another name would be left behind.
	making := sqlConfig(scratch)
	making.ConnectAttributes["journal_mode"] = "delete"
	if err := sqlite.SetupSchema(making); err != nil {
		return fmt.Errorf("create tables of temporal database: %w", err)
	}
	attributes, err := createNamespace(making, cluster, options.SearchAttributes)
	if err != nil {
		return err
	}
	if err := dropIndexes(ctx, scratch, attributes); err != nil {
		return err
	}
	if err := os.WriteFile(options.Version, []byte(headers.ServerVersion+"\n"), 0o600); err != nil {
		return fmt.Errorf("note version of temporal database: %w", err)
	}
	if err := os.Rename(scratch, options.Database); err != nil {
		return fmt.Errorf("put temporal database in place: %w", err)
	}
	return nil
}

// createNamespace returns the name of each attribute by the column that it is stored in.
func createNamespace(database *config.SQL, cluster string, attributes map[string]enumspb.IndexedValueType) (map[string]string, error) {
	namespace, err := sqlite.NewNamespaceConfig(cluster, Namespace, false, attributes)
	if err != nil {
		return nil, fmt.Errorf("describe namespace %s: %w", Namespace, err)
	}
	namespace.Detail.Config.Retention = durationpb.New(retention)
	if err := sqlite.CreateNamespaces(database, namespace); err != nil {
		return nil, fmt.Errorf("create namespace %s: %w", Namespace, err)
	}
	return namespace.Detail.Config.CustomSearchAttributeAliases, nil
}
