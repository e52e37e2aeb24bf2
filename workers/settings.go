package workers

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"go.temporal.io/sdk/client"

	"github.com/perceptor/perceptor/internal/config"
)

// Role is one part a worker process can play.
type Role string

// The roles.
const (
	// RoleWorkflows runs the workflows and the light steps.
	RoleWorkflows Role = "workflows"
	// RoleHub makes the calls to the hubs.
	RoleHub Role = "hub"
	// RoleScan pulls images, generates SBOMs and uploads them.
	RoleScan Role = "scan"
)

// AllRoles are the roles of a worker by default.
var AllRoles = []Role{RoleWorkflows, RoleHub, RoleScan}

// ParseRoles reads "workflows,hub,scan".
func ParseRoles(s string) ([]Role, error) {
	var roles []Role
	for name := range strings.SplitSeq(s, ",") {
		role := Role(strings.TrimSpace(name))
		if !slices.Contains(AllRoles, role) {
			return nil, fmt.Errorf("role %q: want some of workflows, hub, scan, with commas between", name)
		}
		if !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return roles, nil
}

// Settings is all a worker process needs.
type Settings struct {
	Config config.Config
	Roles  []Role
	Client client.Client
	// Namespace is the one the client is connected to.
	Namespace string
	// Source names the configuration, such as the path of its file, where processes have different ones.
	Source string
	// Reload is what the configuration says now; a worker looks every two seconds and uses another list of hubs while it
	// runs. Nil where the configuration never changes.
	Reload func() config.Config
	Logger *slog.Logger
}

// speaksToHubs reports whether the process needs the hubs' drivers.
func (s Settings) speaksToHubs() bool { return s.plays(RoleHub) || s.plays(RoleScan) }

// ownsHubs reports whether the process sends its list of hubs: a worker that calls hubs or runs workflows.
func (s Settings) ownsHubs() bool { return s.plays(RoleHub) || s.plays(RoleWorkflows) }

func (s Settings) plays(r Role) bool { return slices.Contains(s.Roles, r) }

// check refuses what cannot work, before anything is started.
func (s Settings) check() error {
	var wrong []error
	if s.Namespace == "" {
		wrong = append(wrong, errors.New("no Temporal namespace given"))
	}
	if len(s.Roles) == 0 {
		wrong = append(wrong, errors.New("no role given"))
	}
	if s.plays(RoleScan) && s.Config.Scanner.Directory == "" {
		wrong = append(wrong, errors.New("scanner: directory is missing; it holds workspaces and layers"))
	}
	if s.speaksToHubs() && len(s.Config.Hubs) == 0 {
		wrong = append(wrong, errors.New("hubs: none configured; name at least one"))
	}
	return errors.Join(wrong...)
}

// Host names this host for its queue: the name of the machine, and a suffix for each of its scanners.
func Host(directory string) (string, error) {
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name of this host: %w", err)
	}
	suffix, err := hostSuffix(directory)
	if err != nil {
		return "", err
	}
	return name + "-" + suffix, nil
}
