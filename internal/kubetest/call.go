package kubetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// The media types of bodies.
const (
	JSON  = "application/json"
	Merge = "application/merge-patch+json"
	// Apply is server-side apply; JSON is YAML too.
	Apply = "application/apply-patch+yaml"
)

// StatusError is a refusal of the API server.
type StatusError struct {
	Code int
	Text string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the API server answered %d: %s", e.Code, e.Text)
}

// Gone reports whether an error says that the object does not exist.
func Gone(err error) bool {
	var refused *StatusError
	return errors.As(err, &refused) && refused.Code == http.StatusNotFound
}

// Client is a client of the API server with its own token.
type Client struct {
	url, token string
	http       *http.Client
}

// As is a client with the token of a kubeconfig that the cluster wrote.
func (c *Cluster) As(kubeconfig string) (*Client, error) {
	text, err := os.ReadFile(kubeconfig)
	if err != nil {
		return nil, err
	}
	var config struct {
		Users []struct {
			User struct {
				Token string `json:"token"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := json.Unmarshal(text, &config); err != nil || len(config.Users) != 1 {
		return nil, fmt.Errorf("%s is no kubeconfig of this cluster: %w", kubeconfig, err)
	}
	return &Client{url: c.url, token: config.Users[0].User.Token, http: c.http}, nil
}

// Call asks the API server. The body is JSON unless it is bytes; path carries the query; into may be nil.
func (c *Client) Call(ctx context.Context, method, path, mediaType string, body, into any) error {
	var content io.Reader
	switch body := body.(type) {
	case nil:
	case []byte:
		content = bytes.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, content)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", mediaType)
	answer, _, err := c.send(request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// Get reads an object or a list.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	return c.Call(ctx, http.MethodGet, path, JSON, nil, into)
}

func (c *Client) send(request *http.Request) ([]byte, http.Header, error) {
	request.Header.Set("Authorization", "Bearer "+c.token)
	response, err := c.http.Do(request) //nolint:gosec // the test's own server
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= http.StatusBadRequest {
		err = &StatusError{Code: response.StatusCode, Text: string(bytes.TrimSpace(answer))}
	}
	return answer, response.Header, err
}
