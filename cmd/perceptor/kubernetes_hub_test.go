//go:build e2e || bench

package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/perceptor/perceptor/model"
)

// judgement is what the hub says of one image, read by the test itself.
type judgement struct {
	overall         model.OverallStatus
	violations      int
	vulnerabilities map[string]int
	// components is where a person reads the components.
	components string
}

// bad is what the original counts as vulnerabilities.
func (j judgement) bad() int { return j.vulnerabilities["CRITICAL"] + j.vulnerabilities["HIGH"] }

// hubReader asks the built-in hub as any client of its API does.
type hubReader struct {
	*dev
	bearer string
}

func (d *dev) readHub(ctx context.Context) (*hubReader, error) {
	var answer struct {
		BearerToken string `json:"bearerToken"`
	}
	r := &hubReader{dev: d}
	err := r.ask(ctx, http.MethodPost, "https://"+d.Hub+"/api/tokens/authenticate", "token "+d.token, &answer)
	r.bearer = "Bearer " + answer.BearerToken
	return r, err
}

// judge reads what the hub says of the scan with the digest's name.
func (r *hubReader) judge(ctx context.Context, digest model.Digest) (judgement, error) {
	var locations struct {
		Items []struct {
			Name                 string `json:"name"`
			MappedProjectVersion string `json:"mappedProjectVersion"`
		} `json:"items"`
	}
	query := url.Values{"q": {"name:" + digest.Hex()}}
	if err := r.get(ctx, "https://"+r.Hub+"/api/codelocations?"+query.Encode(), &locations); err != nil {
		return judgement{}, err
	}
	if len(locations.Items) != 1 || locations.Items[0].Name != digest.Hex() {
		return judgement{}, fmt.Errorf("the hub has %d code locations of %s", len(locations.Items), digest)
	}
	version := locations.Items[0].MappedProjectVersion
	var policy struct {
		OverallStatus                model.OverallStatus `json:"overallStatus"`
		ComponentVersionStatusCounts []struct {
			Name  string `json:"name"`
			Value int    `json:"value"`
		} `json:"componentVersionStatusCounts"`
	}
	var risk struct {
		Categories map[string]map[string]int `json:"categories"`
	}
	if err := r.get(ctx, version+"/policy-status", &policy); err != nil {
		return judgement{}, err
	}
	if err := r.get(ctx, version+"/risk-profile", &risk); err != nil {
		return judgement{}, err
	}
	j := judgement{overall: policy.OverallStatus, vulnerabilities: risk.Categories["VULNERABILITY"], components: version + "/components"}
	for _, each := range policy.ComponentVersionStatusCounts {
		if each.Name == "IN_VIOLATION" {
			j.violations = each.Value
		}
	}
	return j, nil
}

func (r *hubReader) get(ctx context.Context, at string, into any) error {
	return r.ask(ctx, http.MethodGet, at, r.bearer, into)
}

func (r *hubReader) ask(ctx context.Context, method, at, authorization string, into any) error {
	return askJSON(ctx, r.hub, method, at, authorization, into)
}

// askJSON reads the JSON answer to a request.
func askJSON(ctx context.Context, client *http.Client, method, at, authorization string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, at, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", authorization)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s answered %d: %s", method, at, response.StatusCode, text)
	}
	return json.Unmarshal(text, into)
}
