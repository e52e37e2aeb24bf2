package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"runtime"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/perceptor/perceptor/cmd/internal/apibackend"
	"github.com/perceptor/perceptor/cmd/internal/devdir"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/datadir"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/loopback"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/temporal"
	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/internal/api/server"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
)

// apiServer is the REST API in this process.
type apiServer struct {
	client client.Client
	server *loopback.Server
	log    *os.File
}

// startAPI serves the REST API, which this directory's tokens open.
func startAPI(ctx context.Context, dir *datadir.Dir, listener net.Listener, addresses devdir.Addresses) (*apiServer, error) {
	if err := makeTokens(dir); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(dir.File("api.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of the API: %w", err)
	}
	logger := slog.New(slog.NewJSONHandler(file, &slog.HandlerOptions{Level: slog.LevelWarn}))
	tokens, err := access.OpenTokens(dir.File(devdir.APITokens), logger)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	connection, err := client.DialContext(ctx, client.Options{
		HostPort: addresses.Temporal, Namespace: temporal.Namespace, Logger: log.NewStructuredLogger(logger),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect the API to temporal: %w", err), file.Close())
	}
	served := server.New(server.Options{
		Options: api.Options{Backend: apibackend.New(starter.New(connection)), Tokens: tokens, Version: "dev", Log: logger},
		// The pods of the samples are reported as in 2018, and are those of this machine.
		CompatPlatform: model.Platform{OS: "linux", Architecture: runtime.GOARCH},
	})
	return &apiServer{client: connection, server: loopback.Serve(listener, served), log: file}, nil
}

// stop lets requests that are being answered finish.
func (a *apiServer) stop(ctx context.Context) error {
	err := a.server.Stop(ctx)
	a.client.Close()
	if err = errors.Join(err, a.log.Close()); err != nil {
		return fmt.Errorf("stop API: %w", err)
	}
	return nil
}

// makeTokens writes a token for each scope at the first start. Later starts leave the file as it is, so that it can be
// edited.
func makeTokens(dir *datadir.Dir) error {
	if _, err := os.Stat(dir.File(devdir.APITokens)); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	tokens := map[access.Scope]string{}
	for _, scope := range access.Scopes {
		tokens[scope] = rand.Text()
	}
	text, err := json.MarshalIndent(tokens, "", "  ")
	if err != nil {
		return fmt.Errorf("encode tokens: %w", err)
	}
	return dir.Write(devdir.APITokens, append(text, '\n'))
}
