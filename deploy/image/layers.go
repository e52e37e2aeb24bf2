package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	// user is who the programs run as, the number that distroless images call nonroot. The manifests say it too.
	user = 65532
	// home is where the programs keep data unless they are started with other folders.
	home = "/var/lib/perceptor"
)

// programs are what the image holds.
var programs = []string{"perceptor", "perceptor-scan"}

// archive is a tar that depends on its contents alone: no times, no names of people.
type archive struct {
	packed bytes.Buffer
	out    *tar.Writer
	err    error
}

func newArchive() *archive {
	a := &archive{}
	a.out = tar.NewWriter(&a.packed)
	return a
}

// folder adds a folder of a user.
func (a *archive) folder(path string, mode int64, owner int) {
	a.add(&tar.Header{Typeflag: tar.TypeDir, Name: path + "/", Mode: mode, Uid: owner, Gid: owner}, nil)
}

// file adds a file of root.
func (a *archive) file(path string, mode int64, content []byte) {
	a.add(&tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: mode, Size: int64(len(content))}, content)
}

func (a *archive) add(header *tar.Header, content []byte) {
	if a.err != nil {
		return
	}
	if a.err = a.out.WriteHeader(header); a.err != nil {
		return
	}
	_, a.err = a.out.Write(content)
}

// layer is the archive as a layer of an image.
func (a *archive) layer() (v1.Layer, error) {
	if a.err == nil {
		a.err = a.out.Close()
	}
	if a.err != nil {
		return nil, fmt.Errorf("write layer: %w", a.err)
	}
	packed := a.packed.Bytes()
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil })
}

// baseLayer is everything but the programs.
func baseLayer(licence string) (v1.Layer, error) {
	text, err := os.ReadFile(licence)
	if err != nil {
		return nil, fmt.Errorf("read licence: %w", err)
	}
	a := newArchive()
	a.folder("etc", 0o755, 0)
	a.file("etc/group", 0o644, fmt.Appendf(nil, "root:x:0:\nperceptor:x:%d:\n", user))
	a.file("etc/passwd", 0o644, fmt.Appendf(nil, "root:x:0:0:root:/root:/sbin/nologin\nperceptor:x:%d:%d:perceptor:%s:/sbin/nologin\n", user, user, home))
	a.folder("etc/ssl", 0o755, 0)
	a.folder("etc/ssl/certs", 0o755, 0)
	a.file("etc/ssl/certs/ca-certificates.crt", 0o644, certificates())
	a.folder("tmp", 0o1777, 0)
	a.folder("usr", 0o755, 0)
	a.folder("usr/bin", 0o755, 0)
	a.folder("usr/share", 0o755, 0)
	a.folder("usr/share/doc", 0o755, 0)
	a.folder("usr/share/doc/perceptor", 0o755, 0)
	a.file("usr/share/doc/perceptor/LICENSE", 0o644, text)
	a.folder("var", 0o755, 0)
	a.folder("var/lib", 0o755, 0)
	a.folder(home[1:], 0o750, user)
	return a.layer()
}

// certificates are the authorities that Mozilla trusts, as go.sum pins them: those of this machine would change the digest.
// A root that is trusted only for certificates up to a date is left out, since a file of certificates cannot say so.
func certificates() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return text.Bytes()
}

// programsLayer holds the programs of one architecture.
func programsLayer(folder string) (v1.Layer, error) {
	a := newArchive()
	for _, program := range programs {
		content, err := os.ReadFile(filepath.Join(folder, program))
		if err != nil {
			return nil, fmt.Errorf("read program: %w", err)
		}
		a.file("usr/bin/"+program, 0o755, content)
	}
	return a.layer()
}
