package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/cmd/internal/updates"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/internal/hub/builtin"
)

// hubData is what one hub says of its vulnerability data.
type hubData struct {
	Hub string `json:"hub"`
	// Problem is why the data are not known; "not known" is never an empty list.
	Problem string `json:"problem,omitempty"`
	// ManagedByHub says that the hub is no built-in one and does not tell.
	ManagedByHub bool              `json:"managedByHub,omitempty"`
	Data         *builtin.DataView `json:"data,omitempty"`
}

// hubDataWait bounds the question to one hub.
const hubDataWait = 5 * time.Second

// hubData asks every configured hub about its data; none without a configuration.
func (s *shared) hubData(cmd *cobra.Command) []hubData {
	c, err := s.load(cmd.Flags())
	if err != nil {
		return nil // the status of the pool needs no configuration
	}
	found := make([]hubData, 0, len(c.Hubs))
	for _, h := range c.Hubs {
		one := hubData{Hub: h.Name}
		view, err := readHubData(cmd.Context(), h)
		switch {
		case err != nil:
			one.Problem = err.Error()
		case view == nil:
			one.ManagedByHub = true
		default:
			one.Data = view
		}
		found = append(found, one)
	}
	return found
}

// readHubData asks one hub; nil for a hub that is not a built-in one.
func readHubData(ctx context.Context, h config.Hub) (*builtin.DataView, error) {
	if h.TokenFile == "" {
		return nil, nil //nolint:nilnil // a hub with a password is not a built-in one that can be asked
	}
	ctx, cancel := context.WithTimeout(ctx, hubDataWait)
	defer cancel()
	client, err := hubClient(h)
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(h.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("token of hub %s: %w", h.Name, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL+"/internal/vulnerability-data", nil)
	if err != nil {
		return nil, fmt.Errorf("hub %s: %w", h.Name, err)
	}
	request.Header.Set("Authorization", "token "+strings.TrimSpace(string(token)))
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask hub %s for its data: %w", h.Name, err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, nil //nolint:nilnil // another kind of hub
	default:
		return nil, fmt.Errorf("ask hub %s for its data: %s", h.Name, response.Status)
	}
	var view builtin.DataView
	if err := json.NewDecoder(io.LimitReader(response.Body, 16<<20)).Decode(&view); err != nil {
		return nil, fmt.Errorf("read the data of hub %s: %w", h.Name, err)
	}
	return &view, nil
}

func writeHubData(cmd *cobra.Command, data []hubData) error {
	p := &printer{out: cmd.OutOrStdout()}
	for _, each := range data {
		switch {
		case each.Problem != "":
			p.line("data    %s: not known: %s", each.Hub, each.Problem)
		case each.ManagedByHub:
			p.line("data    %s: managed by the hub", each.Hub)
		default:
			for _, line := range updates.Describe(*each.Data, time.Now()) {
				p.line("data    %s: %s", each.Hub, line)
			}
		}
	}
	return p.err
}
