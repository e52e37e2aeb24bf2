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
	"strings"

	"go.yaml.in/yaml/v3"
)

// ReadManifests reads every object of a file of YAML documents.
func ReadManifests(file string) ([]Object, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var all []Object
	for {
		var object Object
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, object)
	}
}

// Apply applies an object by server-side apply. Unknown and doubled fields are errors.
func (c *Client) Apply(ctx context.Context, object Object) error {
	_, err := c.apply(ctx, object, "")
	return err
}

// TryApply is Apply without any effect: everything is checked and nothing kept. It gives the API server's warnings.
func (c *Client) TryApply(ctx context.Context, object Object) ([]string, error) {
	return c.apply(ctx, object, "&dryRun=All")
}

func (c *Client) apply(ctx context.Context, object Object, query string) ([]string, error) {
	path, err := c.pathOf(ctx, object)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	address := c.url + path + "?fieldManager=kubetest&force=true&fieldValidation=Strict" + query
	request, err := http.NewRequestWithContext(ctx, http.MethodPatch, address, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", Apply)
	_, header, err := c.send(request)
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", path, err)
	}
	return header.Values("Warning"), nil
}

// pathOf asks the API server where objects of that kind are.
func (c *Client) pathOf(ctx context.Context, object Object) (string, error) {
	version, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	metadata, _ := object["metadata"].(Object)
	name, _ := metadata["name"].(string)
	namespace, _ := metadata["namespace"].(string)
	root := "/apis/" + version
	if !strings.Contains(version, "/") {
		root = "/api/" + version
	}
	var list struct {
		Resources []struct {
			Name       string `json:"name"`
			Kind       string `json:"kind"`
			Namespaced bool   `json:"namespaced"`
		} `json:"resources"`
	}
	if err := c.Get(ctx, root, &list); err != nil {
		return "", fmt.Errorf("%s %s: %w", kind, name, err)
	}
	for _, each := range list.Resources {
		if each.Kind != kind || strings.Contains(each.Name, "/") {
			continue
		}
		if each.Namespaced != (namespace != "") {
			return "", fmt.Errorf("%s %s: has namespace %q, but whether the kind has one is %t", kind, name, namespace, each.Namespaced)
		}
		if each.Namespaced {
			root += "/namespaces/" + namespace
		}
		return root + "/" + each.Name + "/" + name, nil
	}
	return "", fmt.Errorf("%s: the API server has no such kind in %s", kind, version)
}
