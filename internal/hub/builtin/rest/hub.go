package rest

import (
	"archive/zip"
	"fmt"
	"io"
	"net/http"
	"os"
)

// The versions of the hub whose API this hub speaks. Clients choose what they send by this number.
const (
	apiVersion    = "2026.1.1"
	apiVersionOld = "4.8.3"
)

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
		"codelocations": "/api/codelocations", "current-version": "/api/current-version", "current-user": "/api/current-user", "notifications": "/api/notifications",
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
		"version": s.apiVersion(), "product": "Perceptor " + s.version, "serverId": identity.Server, "dataSequence": identity.Sequence,
		"_meta": c.metaOf("/api/current-version", allowGet),
	}}, nil
}

// apiVersion is a plain version number, as scan clients need it in the names of folders.
func (s *Server) apiVersion() string {
	if s.old {
		return apiVersionOld
	}
	return apiVersion
}

// getUser answers who is logged in: this hub has one user.
func (s hub) getUser(c *call) (reply, error) {
	return reply{status: http.StatusOK, body: map[string]any{
		"userName": User, "firstName": "System", "lastName": "Administrator", "type": "INTERNAL", "active": true,
		"_meta": c.metaOf("/api/current-user", allowGet),
	}}, nil
}

// getScanClient answers the scan client as an archive. The scanners of 2018 run the program that is where they expect Java, with the
// arguments of the signature scanner. The two archives of Java are there because they are named in these arguments.
func (s hub) getScanClient(c *call) (reply, error) {
	if s.scanClient == "" {
		return reply{}, refuse(http.StatusNotFound, "no_scan_client", "this hub has no scan client to give: start it with --scan-client")
	}
	program, err := os.Open(s.scanClient)
	if err != nil {
		return reply{}, fmt.Errorf("open the scan client: %w", err)
	}
	defer func() { _ = program.Close() }() // only read
	c.header().Set("Content-Type", "application/zip")
	c.header().Set("Content-Disposition", `attachment; filename="scan.cli.zip"`)
	if err := s.writeScanClient(c.writer, program); err != nil {
		// The status is sent already. An archive without its end is no archive, so the client notices.
		s.log.Warn("scan client was not sent to its end", "error", err)
	}
	return reply{done: true}, nil
}

func (s hub) writeScanClient(to io.Writer, program io.Reader) error {
	archive := zip.NewWriter(to)
	folder := "scan.cli-" + s.apiVersion() + "/"
	const note = "This file is empty on purpose: jre/bin/java is the scan client of Perceptor.\n"
	for _, each := range []struct {
		name    string
		mode    os.FileMode
		content string
	}{
		{"lib/scan.cli-" + s.apiVersion() + "-standalone.jar", 0o644, note},
		{"lib/cache/scan.cli.impl-standalone.jar", 0o644, note},
		{"bin/scan.cli.sh", 0o755, "#!/bin/sh\nexec \"${0%/*}/../jre/bin/java\" -jar signature \"$@\"\n"},
	} {
		file, err := createInZip(archive, folder+each.name, each.mode)
		if err == nil {
			_, err = io.WriteString(file, each.content)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", each.name, err)
		}
	}
	file, err := createInZip(archive, folder+"jre/bin/java", 0o755)
	if err == nil {
		_, err = io.Copy(file, program)
	}
	if err != nil {
		return fmt.Errorf("write the scan client: %w", err)
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("end the archive: %w", err)
	}
	return nil
}

// createInZip adds a file that is stored as it is: a program is hardly smaller when it is packed, and every scanner waits for it.
func createInZip(archive *zip.Writer, name string, mode os.FileMode) (io.Writer, error) {
	header := &zip.FileHeader{Name: name, Method: zip.Store}
	header.SetMode(mode)
	return archive.CreateHeader(header)
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
