package temporal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"

	_ "modernc.org/sqlite" // the driver of the server's own store
)

// visibilityColumns are the columns of visibility, besides the attributes in use, that keep an index: those by which Web UI, the
// schedules and Perceptor itself select. Each index costs every change of a workflow a write: with the 58 of the server's
// schema such a change takes two to four times as long, and the row 17 KiB instead of 5.
var visibilityColumns = []string{
	"execution_time", "workflow_id", "workflow_type_name", "status", "parent_workflow_id", "root_workflow_id",
	"TemporalScheduledById", "TemporalNamespaceDivision",
}

// dropIndexes removes the indexes of visibility on columns that no query of ours selects by. Such a query still works: it
// reads the namespace's rows one after the other.
func dropIndexes(ctx context.Context, database string, attributes map[string]string) (err error) {
	file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: database}).EscapedPath()}
	db, err := sql.Open("sqlite", file.String())
	if err != nil {
		return fmt.Errorf("open temporal database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	unused, err := unusedIndexes(ctx, db, attributes)
	if err != nil {
		return err
	}
	for _, name := range unused {
		if _, err := db.ExecContext(ctx, `DROP INDEX "`+name+`"`); err != nil {
			return fmt.Errorf("drop index %s: %w", name, err)
		}
	}
	return nil
}

// unusedIndexes are the names of those indexes whose second column is neither kept nor an attribute in use; the first is
// always the namespace. An index that begins otherwise is left alone.
func unusedIndexes(ctx context.Context, db *sql.DB, attributes map[string]string) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT list.name, info.name
		FROM pragma_index_list('executions_visibility') AS list, pragma_index_info(list.name) AS info
		WHERE list.origin = 'c' AND info.seqno = 1 AND info.name IS NOT NULL`)
	if err != nil {
		return nil, fmt.Errorf("read indexes of visibility: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var unused []string
	for rows.Next() {
		var name, column string
		if err := rows.Scan(&name, &column); err != nil {
			return nil, fmt.Errorf("read indexes of visibility: %w", err)
		}
		if _, used := attributes[column]; !used && !slices.Contains(visibilityColumns, column) {
			unused = append(unused, name)
		}
	}
	return unused, rows.Err()
}
