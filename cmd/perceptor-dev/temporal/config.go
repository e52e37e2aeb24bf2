package temporal

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"

	"github.com/perceptor/perceptor/cmd/perceptor-dev/loopback"
)

const (
	clusterName = "active"
	store       = "sqlite"
)

// layout is a server's configuration and the address of each of its services.
type layout struct {
	config *config.Config
	hosts  map[primitives.ServiceName]string
}

func newLayout(ctx context.Context, frontend, database string) (layout, error) {
	ports, err := loopback.FreePorts(ctx, 3)
	if err != nil {
		return layout{}, err
	}
	hosts := map[primitives.ServiceName]string{primitives.FrontendService: frontend}
	for i, service := range []primitives.ServiceName{primitives.HistoryService, primitives.MatchingService, primitives.WorkerService} {
		hosts[service] = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[i]))
	}
	services := map[string]config.Service{}
	for service, host := range hosts {
		if services[string(service)], err = serviceAt(host); err != nil {
			return layout{}, err
		}
	}
	return layout{hosts: hosts, config: &config.Config{
		Services:     services,
		PublicClient: config.PublicClient{HostPort: frontend},
		Persistence: config.Persistence{
			DefaultStore:     store,
			VisibilityStore:  store,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{store: {SQL: sqlConfig(database)}},
		},
		ClusterMetadata: &cluster.Config{
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			FailoverVersionIncrement: 10,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: config.ArchivalDisabled},
			Visibility: config.VisibilityArchival{State: config.ArchivalDisabled},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: config.ArchivalDisabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: config.ArchivalDisabled},
		}},
	}}, nil
}

func serviceAt(address string) (config.Service, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return config.Service{}, fmt.Errorf("split service address: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return config.Service{}, fmt.Errorf("read service port: %w", err)
	}
	return config.Service{RPC: config.RPC{GRPCPort: number, BindOnIP: host}}, nil
}

// sqlConfig trades nothing a dev machine misses for speed: a write-ahead log
// synced at checkpoints survives kill -9 of the process, and may lose its last
// moments only when the machine loses power. One connection beats several, for
// SQLite has one writer.
func sqlConfig(database string) *config.SQL {
	return &config.SQL{
		PluginName:   sqlite.PluginName,
		DatabaseName: database,
		MaxConns:     1,
		MaxIdleConns: 1,
		ConnectAttributes: map[string]string{
			"mode":         "rwc",
			"journal_mode": "wal",
			"synchronous":  "normal",
			"cache_size":   "-65536", // in KiB; its default of 2 MiB is read from the file again and again
		},
	}
}
