package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// commandOf2018 is the command line with which a scanner of 2018 starts Java.
func commandOf2018(last ...string) []string {
	return append([]string{
		"-Xms512m", "-Xmx4096m", "-Dblackduck.scan.cli.benice=true", "-Dblackduck.scan.skipUpdate=true", "-Done-jar.silent=true",
		"-Done-jar.jar.path=/tmp/scanner/scan.cli-4.8.3/lib/cache/scan.cli.impl-standalone.jar", "-jar", "/tmp/scanner/scan.cli-4.8.3/lib/scan.cli-4.8.3-standalone.jar",
		"--host", "hub.example", "--port", "8443", "--scheme", "https", "--project", "registry.example/app", "--release", "1-0123", "--username", "sysadmin",
		"--name", "0123",
	}, last...)
}

func TestSignatureCommandLine(t *testing.T) {
	for _, insecure := range []string{"--insecure", ""} { // an empty argument where the certificate is checked
		args, is := signatureArgs(commandOf2018(insecure, "-v", "/var/images/app.tar"))
		require.True(t, is)
		s, err := parseSignature(args)
		require.NoError(t, err)
		require.Equal(t, "/var/images/app.tar", s.tar)
		require.Equal(t, "https://hub.example:8443", s.to.URL)
		require.Equal(t, insecure != "", s.to.Insecure)
		require.Equal(t, []string{"registry.example/app", "1-0123", "0123", "sysadmin"}, []string{s.to.Project, s.to.Version, s.to.ScanName, s.to.Username})
	}
	s, err := parseSignature([]string{"--host=hub.example", "--project=p", "--release=1", "--name=n", "--username=u", "a.tar"})
	require.NoError(t, err)
	require.Equal(t, "https://hub.example", s.to.URL)
	_, is := signatureArgs([]string{"sbom", "--tar", "a.tar"})
	require.False(t, is)
	_, is = signatureArgs([]string{"-jar"})
	require.False(t, is)
}

func TestWrongSignatureCommandLines(t *testing.T) {
	for says, args := range map[string][]string{
		"0 files":            commandOf2018(),
		"2 files":            commandOf2018("a.tar", "b.tar"),
		"not known":          commandOf2018("--delete-all", "a.tar"),
		"want 1 to 65535":    commandOf2018("--port", "x", "a.tar"),
		"or has no value":    commandOf2018("a.tar", "--host"),
		"--host is missing":  commandOf2018("a.tar", "--host", ""),
		"--name is missing":  commandOf2018("a.tar", "--name", ""),
		"--username is miss": commandOf2018("a.tar", "--username", ""),
	} {
		given, is := signatureArgs(args)
		require.True(t, is)
		_, err := parseSignature(given)
		require.ErrorContains(t, err, says)
	}
}
