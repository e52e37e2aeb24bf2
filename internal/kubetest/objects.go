package kubetest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Object is any object of Kubernetes, or a part of one.
type Object = map[string]any

// Node is a machine that pods run on.
type Node struct {
	Name string
	// Architecture as Go names it. The operating system is linux.
	Architecture string
	// Runtime is what the kubelet says it runs, such as "containerd://2.1.4".
	Runtime string
}

// AddNode makes a node and reports its status.
func (c *Cluster) AddNode(ctx context.Context, n Node) error {
	object := Object{
		"apiVersion": "v1", "kind": "Node",
		"metadata": Object{"name": n.Name, "labels": Object{"kubernetes.io/arch": n.Architecture, "kubernetes.io/os": "linux"}},
	}
	if err := c.Call(ctx, http.MethodPost, "/api/v1/nodes", JSON, object, nil); err != nil {
		return err
	}
	status := Object{"status": Object{
		"nodeInfo":   Object{"operatingSystem": "linux", "architecture": n.Architecture, "containerRuntimeVersion": n.Runtime},
		"conditions": []any{Object{"type": "Ready", "status": "True"}},
	}}
	return c.Call(ctx, http.MethodPatch, "/api/v1/nodes/"+n.Name+"/status", Merge, status, nil)
}

// AddNamespace makes a namespace; labels may be nil.
func (c *Cluster) AddNamespace(ctx context.Context, name string, labels map[string]string) error {
	object := Object{"apiVersion": "v1", "kind": "Namespace", "metadata": Object{"name": name, "labels": labels}}
	return c.Call(ctx, http.MethodPost, "/api/v1/namespaces", JSON, object, nil)
}

// DeleteNamespace deletes a namespace with its pods and events, as the namespace controller would.
func (c *Cluster) DeleteNamespace(ctx context.Context, name string) error {
	path := "/api/v1/namespaces/" + name
	if err := c.Call(ctx, http.MethodDelete, path, JSON, nil, nil); err != nil {
		return err
	}
	for _, kind := range []string{"pods", "events"} {
		if err := c.Call(ctx, http.MethodDelete, path+"/"+kind+"?gracePeriodSeconds=0", JSON, nil, nil); err != nil {
			return err
		}
	}
	final := Object{"apiVersion": "v1", "kind": "Namespace", "metadata": Object{"name": name}, "spec": Object{"finalizers": []any{}}}
	return c.Call(ctx, http.MethodPut, path+"/finalize", JSON, final, nil)
}

// AddServiceAccount makes a service account.
func (c *Cluster) AddServiceAccount(ctx context.Context, namespace, name string, pullSecrets ...string) error {
	return c.Call(ctx, http.MethodPost, "/api/v1/namespaces/"+namespace+"/serviceaccounts", JSON, Object{
		"apiVersion": "v1", "kind": "ServiceAccount", "metadata": Object{"name": name}, "imagePullSecrets": named(pullSecrets),
	}, nil)
}

// KubeconfigOf writes a kubeconfig with a token of a service account, which may do only what its roles say.
func (c *Cluster) KubeconfigOf(ctx context.Context, namespace, serviceAccount string) (string, error) {
	var answer struct {
		Status struct {
			Token string `json:"token"`
		} `json:"status"`
	}
	request := Object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": Object{"expirationSeconds": int(12 * time.Hour / time.Second)}}
	path := fmt.Sprintf("/api/v1/namespaces/%s/serviceaccounts/%s/token", namespace, serviceAccount)
	if err := c.Call(ctx, http.MethodPost, path, JSON, request, &answer); err != nil {
		return "", err
	}
	return c.writeKubeconfig(namespace+"/"+serviceAccount, answer.Status.Token)
}

func named(names []string) []any {
	all := []any{}
	for _, name := range names {
		all = append(all, Object{"name": name})
	}
	return all
}

// trimmed takes what an object need not say out of it.
func trimmed(o Object) Object {
	for key, value := range o {
		if text, isText := value.(string); isText && strings.TrimSpace(text) == "" {
			delete(o, key)
		}
	}
	return o
}
