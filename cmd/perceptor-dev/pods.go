package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/perceptor/perceptor/cmd/internal/devdir"
	"github.com/perceptor/perceptor/internal/api/access"
)

// podsNamespace is where the sample pods are said to run.
const podsNamespace = "samples"

// runPods reports a pod for each sample, as a perceiver of a cluster would: through the endpoint that perceivers have used
// since the first releases. Nothing really runs.
func (s *stack) runPods(ctx context.Context, references []string) error {
	token, err := s.perceiverToken()
	if err != nil {
		return err
	}
	for _, reference := range references {
		if err := s.runPod(ctx, token, reference); err != nil {
			return fmt.Errorf("report a pod of %s: %w", reference, err)
		}
	}
	return nil
}

// perceiverToken is empty where a user has given the file another form.
func (s *stack) perceiverToken() (string, error) {
	text, err := os.ReadFile(s.dir.File(devdir.APITokens))
	if err != nil {
		return "", fmt.Errorf("read tokens of the API: %w", err)
	}
	var tokens map[access.Scope]string
	if err := json.Unmarshal(text, &tokens); err != nil {
		return "", nil //nolint:nilerr // then there are no sample pods
	}
	return tokens[access.Perceiver], nil
}

func (s *stack) runPod(ctx context.Context, token, reference string) error {
	if token == "" {
		return nil
	}
	tag, err := name.NewTag(reference)
	if err != nil {
		return fmt.Errorf("read reference: %w", err)
	}
	found, err := remote.Head(tag, remote.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("look up digest: %w", err)
	}
	pod := path.Base(tag.RepositoryStr()) + "-1"
	body, err := json.Marshal(map[string]any{
		"Name": pod, "UID": podsNamespace + "/" + pod, "Namespace": podsNamespace,
		"Containers": []any{map[string]any{"Name": "main", "Image": map[string]any{
			"Repository": tag.Context().Name(), "Tag": tag.TagStr(), "Sha": found.Digest.Hex, "Priority": 1,
		}}},
	})
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return post(ctx, "http://"+s.addresses().API+"/pod", token, body)
}

func post(ctx context.Context, url, token string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	said, err := io.ReadAll(io.LimitReader(answer.Body, 1000))
	_ = answer.Body.Close() // it was only read
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", answer.Status, strings.TrimSpace(string(said)))
	}
	return nil
}
