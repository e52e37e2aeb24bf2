package registry

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// quayLabels are the labels of a manifest in Quay:
// https://docs.redhat.com/en/documentation/red_hat_quay/3/html/red_hat_quay_api_reference/manifest
type quayLabels struct{ remote }

// quayPrefix begins the keys of labels, as in 2018.
const quayPrefix = "blackduck."

type quayLabel struct {
	ID        string `json:"id,omitempty"`
	MediaType string `json:"media_type"`
	Key       string `json:"key"`
	Value     string `json:"value"`
}

func (q quayLabels) at(to target) *url.URL {
	return q.base.JoinPath("api/v1/repository", to.repository, "manifest", string(to.digest), "labels")
}

func (q quayLabels) list(ctx context.Context, to target) ([]quayLabel, error) {
	var list struct {
		Labels []quayLabel `json:"labels"`
	}
	err := q.call(ctx, "read labels of "+to.repository, http.MethodGet, q.at(to), nil, &list, http.StatusOK)
	return slices.DeleteFunc(list.Labels, func(l quayLabel) bool {
		name, ours := strings.CutPrefix(l.Key, quayPrefix)
		return !ours || !slices.Contains(markNames, name)
	}), err
}

func (q quayLabels) read(ctx context.Context, to target) (map[string]string, error) {
	labels, err := q.list(ctx, to)
	stands := map[string]string{}
	for _, each := range labels {
		name := strings.TrimPrefix(each.Key, quayPrefix)
		if before, is := stands[name]; is {
			each.Value = before + "\n" + each.Value
		}
		stands[name] = each.Value
	}
	return stands, err
}

// write adds the new labels before it removes the old ones, so that the status is never missing. A manifest may have several of one key.
func (q quayLabels) write(ctx context.Context, to target, set map[string]string, remove []string) error {
	before, err := q.list(ctx, to)
	if err != nil {
		return err
	}
	for name, value := range set {
		label := quayLabel{MediaType: "text/plain", Key: quayPrefix + name, Value: value}
		if err := q.call(ctx, "add a label to "+to.repository, http.MethodPost, q.at(to), label, nil, http.StatusCreated, http.StatusOK); err != nil {
			return err
		}
	}
	for _, each := range before {
		name := strings.TrimPrefix(each.Key, quayPrefix)
		if _, replaced := set[name]; !replaced && !slices.Contains(remove, name) {
			continue
		}
		if err := q.call(ctx, "remove a label of "+to.repository, http.MethodDelete, q.at(to).JoinPath(each.ID), nil, nil,
			http.StatusNoContent, http.StatusOK, http.StatusNotFound); err != nil {
			return err
		}
	}
	return nil
}

// artifactoryProperties are the properties of a tag's folder in Artifactory: https://jfrog.com/help/r/jfrog-rest-apis/set-item-properties
type artifactoryProperties struct{ remote }

// artifactoryNames are the keys of properties, as in 2018.
var artifactoryNames = map[string]string{
	markStatus: "blackduck.overallStatus", markViolations: "blackduck.policyViolations", markSerious: "blackduck.vulnerabilities",
	markLink: "blackduck.componentsURL", markDigest: "blackduck.digest",
}

// at is the folder with a query. Artifactory wants the separators of properties as they are.
func (a artifactoryProperties) at(to target, query string) *url.URL {
	at := a.base.JoinPath("api/storage", to.repository, to.tag)
	at.RawQuery = query
	return at
}

func (a artifactoryProperties) read(ctx context.Context, to target) (map[string]string, error) {
	var list struct {
		Properties map[string][]string `json:"properties"`
	}
	err := a.call(ctx, "read properties of "+to.repository, http.MethodGet, a.at(to, "properties"), nil, &list, http.StatusOK)
	if isAbsent(err) { // a folder without properties, or no folder: writing tells them apart
		return map[string]string{}, nil
	}
	stands := map[string]string{}
	for name, key := range artifactoryNames {
		if values, is := list.Properties[key]; is {
			stands[name] = strings.Join(values, "\n")
		}
	}
	return stands, err
}

// escapeProperty puts a backslash before what separates properties and values.
var escapeProperty = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `=`, `\=`, `;`, `\;`)

func (a artifactoryProperties) write(ctx context.Context, to target, set map[string]string, remove []string) error {
	var pairs []string
	for name, value := range set {
		pairs = append(pairs, artifactoryNames[name]+"="+url.QueryEscape(escapeProperty.Replace(value)))
	}
	slices.Sort(pairs)
	if len(pairs) > 0 {
		at := a.at(to, "properties="+strings.Join(pairs, ";")+"&recursive=0")
		if err := a.call(ctx, "set properties of "+to.repository, http.MethodPut, at, nil, nil, http.StatusNoContent, http.StatusOK); err != nil {
			return err
		}
	}
	if len(remove) == 0 {
		return nil
	}
	var keys []string
	for _, name := range remove {
		keys = append(keys, artifactoryNames[name])
	}
	at := a.at(to, "properties="+strings.Join(keys, ",")+"&recursive=0")
	return a.call(ctx, "remove properties of "+to.repository, http.MethodDelete, at, nil, nil, http.StatusNoContent, http.StatusOK, http.StatusNotFound)
}
