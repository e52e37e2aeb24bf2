package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/perceptor/perceptor/internal/config"
)

// maxHubAnswer bounds what is read of a hub's answer, in bytes. The longest is a list of exceptions.
const maxHubAnswer = 64 << 20

// hubRequest is one call of the built-in hub's own endpoints below /internal, which take the API token as login.
type hubRequest struct {
	method, path string
	// what is sent, as text for a person, and its type.
	what, contentType string
	body              io.Reader
}

// ask sends a request to a hub and reads its answer as JSON, unless into is nil.
func (r hubRequest) ask(ctx context.Context, h config.Hub, into any) error {
	client, err := hubClient(h)
	if err != nil {
		return err
	}
	if h.TokenFile == "" {
		return fmt.Errorf("hub %s: no token-file is configured, and %s are taken with the API token alone", h.Name, r.what)
	}
	token, err := os.ReadFile(h.TokenFile)
	if err != nil {
		return fmt.Errorf("token of hub %s: %w", h.Name, err)
	}
	request, err := http.NewRequestWithContext(ctx, r.method, strings.TrimSuffix(h.URL, "/")+"/internal/"+r.path, r.body)
	if err != nil {
		return fmt.Errorf("hub %s: %w", h.Name, err)
	}
	request.Header.Set("Authorization", "token "+strings.TrimSpace(string(token)))
	if r.body != nil {
		request.Header.Set("Content-Type", r.contentType)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask hub %s about %s: %w", h.Name, r.what, err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxHubAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of hub %s: %w", h.Name, err)
	}
	if response.StatusCode/100 != http.StatusOK/100 {
		return r.refusal(h.Name, response.Status, answer)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("read the answer of hub %s: %w", h.Name, err)
	}
	return nil
}

func (r hubRequest) refusal(hub, status string, answer []byte) error {
	var said struct {
		ErrorMessage string `json:"errorMessage"`
	}
	if json.Unmarshal(answer, &said) == nil && said.ErrorMessage != "" {
		return fmt.Errorf("hub %s refused the %s: %s", hub, r.what, said.ErrorMessage)
	}
	return fmt.Errorf("hub %s refused the %s: %s; only a built-in hub accepts %s", hub, r.what, status, r.what)
}

func hubClient(h config.Hub) (*http.Client, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: h.Insecure} //nolint:gosec // only where the operator said so
	if h.CAFile != "" {
		pem, err := os.ReadFile(h.CAFile)
		if err != nil {
			return nil, fmt.Errorf("certificates of hub %s: %w", h.Name, err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificates of hub %s: %s contains no certificate in PEM form", h.Name, h.CAFile)
		}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: settings}}, nil
}
