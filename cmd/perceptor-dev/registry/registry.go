package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the one kind of storage in use
	"github.com/sirupsen/logrus"
)

// largestList is how many repositories or tags one answer lists.
const largestList = 1000

// New gives a registry that keeps its images under dir. It sends the content of
// blobs at most at bytesPerSecond over all its clients; 0 is no limit.
// The registry lives until ctx ends.
func New(ctx context.Context, dir string, bytesPerSecond int64) (handler http.Handler, err error) {
	// The registry speaks through its logger's shared default, and only so.
	logrus.SetOutput(io.Discard)
	// It has no other way to say that a configuration is wrong.
	defer func() {
		if fault := recover(); fault != nil {
			handler, err = nil, fmt.Errorf("open registry in %s: %v", dir, fault)
		}
	}()
	app := handlers.NewApp(ctx, &configuration.Configuration{
		Storage: configuration.Storage{
			"filesystem": {"rootdirectory": dir},
			"delete":     {"enabled": true},
		},
		// Whole addresses would name the host as the client sees it, which a
		// forwarded port makes wrong.
		HTTP: configuration.HTTP{RelativeURLs: true},
		// Zero would answer that there are no repositories.
		Catalog: configuration.Catalog{MaxEntries: largestList},
		Tags:    configuration.Tags{MaxTags: largestList},
	})
	return brake(app, bytesPerSecond), nil
}
