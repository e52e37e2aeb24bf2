package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/catalog"
	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/internal/scanclient/upload"
	"github.com/perceptor/perceptor/model"
)

// signaturePassword is the variable in which a scanner of 2018 gives the password. Its environment has nothing else.
const signaturePassword = "BD_HUB_PASSWORD"

// signatureArgs are the arguments of the signature scanner, which a scanner of 2018 starts as "java ... -jar FILE". The options of Java
// before them are passed over. It reports false for any other command line.
func signatureArgs(args []string) ([]string, bool) {
	at := slices.Index(args, "-jar")
	if at < 0 || at+1 >= len(args) {
		return nil, false
	}
	return args[at+2:], true
}

// signature is one command of the signature scanner.
type signature struct {
	tar string
	to  upload.Request
}

// parseSignature reads the arguments of the signature scanner. Empty ones are passed over: the scanners of 2018 send one where they
// have nothing to say.
func parseSignature(args []string) (signature, error) {
	values := map[string]string{"--scheme": "https", "--host": "", "--port": "", "--project": "", "--release": "", "--username": "", "--name": ""}
	var s signature
	var rest []string
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		_, known := values[name]
		switch {
		case args[i] == "" || args[i] == "-v" || args[i] == "--verbose":
		case args[i] == "--insecure":
			s.to.Insecure = true
		case known && joined:
			values[name] = value
		case known && i+1 < len(args):
			i++
			values[name] = args[i]
		case strings.HasPrefix(args[i], "-"):
			return s, usage(fmt.Sprintf("argument %.80q is not known, or has no value", args[i]))
		default:
			rest = append(rest, args[i])
		}
	}
	if len(rest) != 1 {
		return s, usage(fmt.Sprintf("%d files to scan; want one image tar", len(rest)))
	}
	for _, name := range []string{"--host", "--project", "--release", "--name", "--username"} {
		if values[name] == "" {
			return s, usage(name + " is missing")
		}
	}
	address := url.URL{Scheme: values["--scheme"], Host: values["--host"]}
	if values["--port"] != "" {
		if port, err := strconv.Atoi(values["--port"]); err != nil || port < 1 || port > 65535 {
			return s, usage(fmt.Sprintf("--port %.20q: want 1 to 65535", values["--port"]))
		}
		address.Host = net.JoinHostPort(values["--host"], values["--port"])
	}
	s.tar = rest[0]
	s.to.URL, s.to.Project, s.to.Version, s.to.ScanName, s.to.Username = address.String(), values["--project"], values["--release"], values["--name"], values["--username"]
	return s, nil
}

// runSignature scans an image tar and uploads the SBOM, as the signature scanner does in one command.
func runSignature(ctx context.Context, args []string, out *protocol.Writer) (err error) {
	s, err := parseSignature(args)
	if err != nil {
		return err
	}
	if s.to.Password = os.Getenv(signaturePassword); s.to.Password == "" {
		return usage(signaturePassword + " is not set")
	}
	if err := os.Unsetenv(signaturePassword); err != nil {
		return protocol.Failure{Class: model.Transient, Message: err.Error(), Refused: true}
	}
	directory, err := os.MkdirTemp("", "perceptor-scan-")
	if err != nil {
		return protocol.Failure{Class: model.OutOfSpace, Message: "no temporary directory: " + err.Error(), Refused: true}
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	s.to.SBOM = filepath.Join(directory, "sbom.json")
	_, err = catalog.Run(ctx, catalog.Request{
		Tar: s.tar, SBOM: s.to.SBOM, Scratch: filepath.Join(directory, "scratch"), Name: s.to.Project, Version: s.to.Version, Tool: version(),
	}, out)
	if err != nil {
		return err
	}
	result, err := upload.Run(ctx, s.to, out)
	if err != nil {
		return err
	}
	return out.Result(result)
}
