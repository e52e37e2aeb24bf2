package rest

import "net/http"

// hub answers what the hub says of itself.
type hub struct{ *Server }

func (s hub) stopping() bool {
	select {
	case <-s.jobs.Stopping():
		return true
	default:
		return false
	}
}

func (s hub) getRoot(c *call) (reply, error) {
	body := map[string]any{"_meta": c.metaOf("/api/", allowGet)}
	for name, path := range map[string]string{
		"codelocations": "/api/codelocations", "current-version": "/api/current-version", "notifications": "/api/notifications",
		"policy-rules": "/api/policy-rules", "projects": "/api/projects",
	} {
		body[name] = c.base + path
	}
	return reply{status: http.StatusOK, body: body}, nil
}

func (s hub) getVersion(c *call) (reply, error) {
	identity, err := s.store.Identity()
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: map[string]any{
		"version": s.version, "serverId": identity.Server, "dataSequence": identity.Sequence, "_meta": c.metaOf("/api/current-version", allowGet),
	}}, nil
}

// getHealth answers while the database can be read; a stopping hub is not healthy.
func (s hub) getHealth(*call) (reply, error) {
	if s.stopping() {
		return reply{status: http.StatusServiceUnavailable, body: map[string]bool{"healthy": false}}, nil
	}
	return reply{status: http.StatusOK, body: map[string]bool{"healthy": true}}, nil
}

// getReadiness answers whether scans are accepted. This hub has one service: itself.
func (s hub) getReadiness(c *call) (reply, error) {
	readiness := "ACCEPTING"
	if s.stopping() {
		readiness = "DEGRADED"
	}
	return reply{status: http.StatusOK, body: map[string]any{
		"readiness": readiness, "items": []any{}, "_meta": c.metaOf("/api/scan-readiness", allowGet),
	}}, nil
}
