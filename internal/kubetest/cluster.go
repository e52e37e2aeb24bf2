package kubetest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// readyWithin is how long a server may take to be ready: seconds on an idle machine, far more on a busy one.
	readyWithin = 3 * time.Minute
	// attempts bounds new tries with other ports, when another program took one between its choice and its use.
	attempts = 3
	// issuer is who signs service accounts' tokens.
	issuer = "https://kubernetes.default.svc"
)

// Cluster is a running control plane.
type Cluster struct {
	// Client is the administrator.
	*Client
	// Kubeconfig is a file for its administrator.
	Kubeconfig string
	// Directory holds everything of the cluster's.
	Directory string

	certificate  string
	etcd, server *program
}

// URL is where the API server listens.
func (c *Cluster) URL() string { return c.url }

// Start starts a cluster that ends with the test. The programs' last words are shown when the test fails.
func Start(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{Client: &Client{token: rand.Text()}, Directory: t.TempDir()}
	t.Cleanup(func() { c.end(t) })
	if err := c.start(t.Context()); err != nil {
		t.Fatalf("start a Kubernetes API server: %v", err)
	}
	return c
}

func (c *Cluster) start(ctx context.Context) error {
	certificate, err := certify(c.Directory)
	if err != nil {
		return err
	}
	c.certificate = string(certificate)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	c.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 16,
	}}
	administrator := fmt.Sprintf("%s,administrator,administrator,system:masters\n", c.token)
	if err := os.WriteFile(filepath.Join(c.Directory, "tokens.csv"), []byte(administrator), 0o600); err != nil {
		return err
	}
	etcd, err := c.startEtcd(ctx)
	if err != nil {
		return err
	}
	if err := c.startServer(ctx, etcd); err != nil {
		return err
	}
	c.Kubeconfig, err = c.writeKubeconfig("administrator", c.token)
	return err
}

// startEtcd gives the URL etcd serves at.
func (c *Cluster) startEtcd(ctx context.Context) (string, error) {
	path, err := exec.LookPath("etcd")
	if err != nil {
		return "", fmt.Errorf("etcd is missing, which Debian has in etcd-server: %w", err)
	}
	var client string
	c.etcd, err = retried(ctx, func() (*program, func() error, error) {
		var peer string
		if client, peer, err = twoURLs(); err != nil {
			return nil, nil, err
		}
		p, err := launch(c.Directory, path, "--data-dir", filepath.Join(c.Directory, "etcd"), "--log-level", "warn",
			"--listen-client-urls", client, "--advertise-client-urls", client,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
		return p, func() error { return c.answers(ctx, client+"/health") }, err
	})
	return client, err
}

// startServer starts the API server over an etcd.
func (c *Cluster) startServer(ctx context.Context, etcd string) error {
	path, err := built("kube-apiserver-test")
	if err != nil {
		return err
	}
	c.server, err = retried(ctx, func() (*program, func() error, error) {
		address, err := freeAddress()
		if err != nil {
			return nil, nil, err
		}
		c.url = "https://" + address
		p, err := launch(c.Directory, path, c.arguments(etcd, address)...)
		return p, func() error { return c.answers(ctx, c.url+"/readyz") }, err
	})
	return err
}

func (c *Cluster) arguments(etcd, address string) []string {
	in := func(name string) string { return filepath.Join(c.Directory, name) }
	host, port, _ := strings.Cut(address, ":")
	return []string{
		"--etcd-servers", etcd, "--bind-address", host, "--secure-port", port,
		"--tls-cert-file", in(servingCertificate), "--tls-private-key-file", in(servingKey),
		"--service-account-issuer", issuer, "--service-account-key-file", in(accountKey), "--service-account-signing-key-file", in(accountKey),
		"--token-auth-file", in("tokens.csv"), "--authorization-mode", "RBAC",
		"--disable-admission-plugins", "ServiceAccount", "--service-cluster-ip-range", "10.0.0.0/24",
		// The service "kubernetes" cannot point at loopback, and nothing asks for it.
		"--endpoint-reconciler-type", "none",
	}
}

// retried starts a program and waits until it answers. A program that has ended instead, perhaps because of its port, is started again.
func retried(ctx context.Context, begin func() (*program, func() error, error)) (*program, error) {
	var last error
	for range attempts {
		p, ready, err := begin()
		if err != nil {
			return nil, err
		}
		if last = p.await(ctx, ready); last == nil {
			return p, nil
		}
		last = fmt.Errorf("%s: %w; it said:\n%s", p.name, last, p.tail())
		_ = p.kill()
	}
	return nil, last
}

var errEnded = errors.New("ended before it was ready")

func (p *program) await(ctx context.Context, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("not ready within %s: %w", readyWithin, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *Cluster) answers(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	_, _, err = c.send(request)
	return err
}

// end kills the programs; the directory is the test's.
func (c *Cluster) end(t testing.TB) {
	for _, p := range []*program{c.server, c.etcd} {
		if p == nil {
			continue
		}
		if p.over() {
			t.Errorf("%s ended by itself", p.name)
		}
		if err := p.kill(); err != nil {
			t.Errorf("kill %s: %v", p.name, err)
		}
		if t.Failed() {
			t.Logf("%s:\n%s", p.name, p.tail())
		}
	}
}

// built is the path of a program that make has built, in whatever folder of the repository the test runs.
func built(name string) (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "Makefile")); err == nil {
			path := filepath.Join(folder, "bin", name)
			if _, err := os.Stat(path); err != nil {
				return "", fmt.Errorf("run make kube-apiserver first: %w", err)
			}
			return path, nil
		}
		if folder == filepath.Dir(folder) {
			return "", errors.New("this is no folder of the repository")
		}
	}
}

// freeAddress is an address that is not in use at the moment.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func twoURLs() (one, other string, err error) {
	if one, err = freeAddress(); err != nil {
		return "", "", err
	}
	other, err = freeAddress()
	return "http://" + one, "http://" + other, err
}

// writeKubeconfig writes a file with which a client reaches the cluster. JSON is YAML too.
func (c *Cluster) writeKubeconfig(name, token string) (string, error) {
	text, err := json.MarshalIndent(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []any{map[string]any{"name": "test", "cluster": map[string]any{
			"server": c.url, "certificate-authority-data": []byte(c.certificate),
		}}},
		"users":    []any{map[string]any{"name": name, "user": map[string]any{"token": token}}},
		"contexts": []any{map[string]any{"name": "test", "context": map[string]any{"cluster": "test", "user": name, "namespace": "default"}}},
	}, "", "  ")
	if err != nil {
		return "", err
	}
	file := filepath.Join(c.Directory, strings.ReplaceAll(name, "/", "-")+".kubeconfig")
	return file, os.WriteFile(file, text, 0o600)
}
