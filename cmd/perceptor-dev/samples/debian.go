package samples

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	debianName  = "samples/debian:12"
	debianSuite = "bookworm"
	// debianWait bounds the making of the root file system, which fetches some
	// 40 MB of packages from a Debian mirror. With debootstrap on two busy cores
	// it took three minutes, with mmdebstrap one.
	debianWait = 5 * time.Minute
)

// publishDebian pushes a minimal Debian, made once and kept in the cache. Where
// the machine cannot make one it says why and gives no reference.
func publishDebian(ctx context.Context, options Options) (string, error) {
	rootfs, err := debianRootfs(ctx, options)
	if ctx.Err() != nil {
		return "", fmt.Errorf("make debian sample: %w", ctx.Err())
	}
	if err != nil {
		options.Say(fmt.Sprintf("%s is left out: %v", debianName, err))
		return "", nil
	}
	inputs, err := fingerprint(rootfs)
	if err != nil {
		return "", err
	}
	shelf, err := newShelf(options.Registry, debianName, inputs)
	if err != nil {
		return "", err
	}
	there, err := shelf.holds(ctx)
	if err != nil || there {
		return shelf.reference(), err
	}
	layer, err := fileLayer(rootfs)
	if err != nil {
		return "", err
	}
	image, err := assemble(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}, v1.Config{Cmd: []string{"bash"}}, layer)
	if err != nil {
		return "", err
	}
	return shelf.reference(), shelf.putImage(ctx, image)
}

// debianRootfs gives the tar of the root file system, made now if it must be.
func debianRootfs(ctx context.Context, options Options) (string, error) {
	rootfs := filepath.Join(options.Cache, "debian-12.tar")
	if _, err := os.Stat(rootfs); !errors.Is(err, fs.ErrNotExist) {
		return rootfs, err
	}
	if err := canMake(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(options.Cache, 0o700); err != nil {
		return "", fmt.Errorf("make cache of samples: %w", err)
	}
	options.Say(fmt.Sprintf("making %s with %s, once; this may take up to %s", debianName, maker(), debianWait))
	ctx, cancel := context.WithTimeout(ctx, debianWait)
	defer cancel()
	if err := makeRootfs(ctx, rootfs+".new"); err != nil {
		return "", err
	}
	if err := os.Rename(rootfs+".new", rootfs); err != nil {
		return "", fmt.Errorf("keep debian root file system: %w", err)
	}
	return rootfs, nil
}

// makeRootfs makes the tar out, in a scratch directory that does not stay.
func makeRootfs(ctx context.Context, out string) error {
	// Not in the cache: mmdebstrap without root works under another user, to
	// whom our own directory is closed.
	scratch, err := os.MkdirTemp("", "perceptor-debian-")
	if err != nil {
		return fmt.Errorf("make scratch directory: %w", err)
	}
	// The mounts of a killed tool went with its mount namespace.
	defer func() { _ = os.RemoveAll(scratch) }()
	if err := os.Chmod(scratch, 0o755); err != nil { //nolint:gosec // it holds a public distribution
		return fmt.Errorf("open scratch directory: %w", err)
	}
	if err := os.Remove(out); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove half-made root file system: %w", err)
	}
	for _, step := range debianSteps(scratch, out) {
		if err := step.run(ctx, scratch); err != nil {
			return err
		}
	}
	return nil
}

// maker is the tool that makes the root file system here.
func maker() string {
	if has("mmdebstrap") {
		return "mmdebstrap"
	}
	return "debootstrap"
}

// step is one program on the way to a root file system.
type step struct {
	name    string // what people call it
	command []string
}

// canMake says why this machine can make no root file system.
func canMake() error {
	switch root := os.Geteuid() == 0; {
	case !has("mmdebstrap") && !has("debootstrap"):
		return errors.New("neither mmdebstrap nor debootstrap is installed")
	case !has("mmdebstrap") && !root:
		return errors.New("debootstrap works as root only; install mmdebstrap")
	case root && !has("unshare"):
		return errors.New("unshare, of util-linux, is not installed")
	}
	return nil
}

// debianSteps says how this machine makes a root file system as the tar out.
func debianSteps(scratch, out string) []step {
	if maker() == "mmdebstrap" {
		return []step{isolated("mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", debianSuite, out)}
	}
	root := filepath.Join(scratch, "root")
	return []step{
		isolated("debootstrap", "--variant=minbase", debianSuite, root),
		{"tar", []string{"tar", "--create", "--file", out, "--directory", root, "--sort=name", "--numeric-owner", "--one-file-system", "--mtime=" + birth.Format(time.RFC3339), "."}},
	}
}

// isolated runs a tool in mounts and processes of its own where it runs as
// root, so that killing it leaves neither a mount nor a child behind.
func isolated(tool string, args ...string) step {
	command := append([]string{tool}, args...)
	if os.Geteuid() == 0 {
		command = append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--"}, command...)
	}
	return step{tool, command}
}

func has(tool string) bool {
	_, err := exec.LookPath(tool)
	return err == nil
}

func (s step) run(ctx context.Context, scratch string) error {
	command := exec.CommandContext(ctx, s.command[0], s.command[1:]...) //nolint:gosec // fixed tools, and paths in our own cache
	command.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "TMPDIR="+scratch, "SOURCE_DATE_EPOCH="+strconv.FormatInt(birth.Unix(), 10))
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	// The tool's children go with it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = time.Second
	err := command.Run()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s took longer than %s", s.name, debianWait)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", s.name, err, lastLine(said.String()))
	}
	return nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
