package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin"
)

// hubConfiguration runs a built-in hub and writes a configuration that names it.
func hubConfiguration(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	hub, err := builtin.Open(builtin.Options{
		File: filepath.Join(dir, "hub.db"), TokenFile: filepath.Join(dir, "hub-token"), PasswordFile: filepath.Join(dir, "hub-password"), CertDir: dir,
	})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- hub.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-served)
		require.NoError(t, hub.Close())
	})
	file := filepath.Join(dir, "perceptor.yaml")
	text := fmt.Sprintf("hubs: [{name: main, url: 'https://%s', token-file: %s, ca-file: %s, limit: 1}]", listener.Addr(),
		filepath.Join(dir, "hub-token"), filepath.Join(dir, "hub-ca.pem"))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// TestExceptionsOfTheHub are loaded from a file, shown in both forms and removed.
func TestExceptionsOfTheHub(t *testing.T) {
	configuration := hubConfiguration(t)
	file := filepath.Join(t.TempDir(), "vendor.json")
	run := func(args ...string) said { return newFake(t).command(t, append(args, "--config", configuration)...) }
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }

	write(`{"@context":"https://openvex.dev/ns/v0.2.0","author":"Olga","statements":[
		{"vulnerability":{"name":"CVE-1"},"products":[{"@id":"pkg:npm/lodash"}],"status":"fixed"},
		{"vulnerability":{"name":"CVE-2"},"products":[],"status":"fixed"}]}`)
	done := run("hub", "exceptions", "load", "--until", "2999-01-01", file)
	require.Equal(t, exitOK, done.code, done.problems)
	require.Contains(t, done.out, "vendor.json: 1 exceptions loaded (OpenVEX), 1 statements were not understood and except nothing")
	require.Contains(t, done.out, `not understood: "CVE-2": it names no product`)
	require.Contains(t, done.out, "The hub has judged all images again.")

	table := run("hub", "exceptions", "list").out
	for _, word := range []string{"vendor.json", "CVE-1", "pkg:npm/lodash", "fixed", "Olga", "2999", "1 statements were not understood"} {
		require.Contains(t, table, word)
	}
	require.Contains(t, run("hub", "exceptions", "list", "-o", "json").out, `"author": "Olga"`)

	write("exceptions: [{id: CVE-1, reason: r}]")
	refused := run("hub", "exceptions", "load", file)
	require.Equal(t, exitTrouble, refused.code)
	require.Contains(t, refused.problems, "hub main refused the exceptions: exception number 1: purl is missing; nothing was changed")
	require.Contains(t, run("hub", "exceptions", "list").out, "CVE-1", "what was refused changes nothing")
	write(strings.Repeat("#", builtin.MaxExceptionDocument+1))
	require.Contains(t, run("hub", "exceptions", "load", file).problems, "larger than")
	require.Contains(t, run("hub", "exceptions", "load", "-").problems, "--name")

	require.Contains(t, run("hub", "exceptions", "remove", "vendor.json").out, "vendor.json is removed")
	require.NotContains(t, run("hub", "exceptions", "list").out, "CVE-1")
	gone := run("hub", "exceptions", "remove", "vendor.json")
	require.Equal(t, exitTrouble, gone.code)
	require.Contains(t, gone.problems, `there is no document of exceptions "vendor.json"`)
}
