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
	// 40 MB of packages from a Debian mirror.
	debianWait = 4 * time.Minute
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
	steps, err := debianSteps(options.Cache, rootfs+".new")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(options.Cache, 0o700); err != nil {
		return "", fmt.Errorf("make cache of samples: %w", err)
	}
	options.Say(fmt.Sprintf("making %s with %s, once; this may take up to %s", debianName, maker(), debianWait))
	ctx, cancel := context.WithTimeout(ctx, debianWait)
	defer cancel()
	for _, step := range steps {
		if err := step.run(ctx); err != nil {
			return "", err
		}
	}
	if err := os.Rename(rootfs+".new", rootfs); err != nil {
		return "", fmt.Errorf("keep debian root file system: %w", err)
	}
	return rootfs, nil
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

// debianSteps says how this machine can make a root file system as a tar.
func debianSteps(cache, out string) ([]step, error) {
	if maker() == "mmdebstrap" {
		return []step{isolated("mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", debianSuite, out)}, nil
	}
	if !has("debootstrap") {
		return nil, errors.New("neither mmdebstrap nor debootstrap is installed")
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("debootstrap works as root only; install mmdebstrap")
	}
	root := filepath.Join(cache, "debian-root")
	return []step{
		{"rm", []string{"rm", "-rf", "--one-file-system", root}},
		isolated("debootstrap", "--variant=minbase", debianSuite, root),
		{"tar", []string{"tar", "--create", "--file", out, "--directory", root, "--sort=name", "--numeric-owner", "--one-file-system", "--mtime=" + birth.Format(time.RFC3339), "."}},
		{"rm", []string{"rm", "-rf", "--one-file-system", root}},
	}, nil
}

// isolated runs a tool in mounts and processes of its own where we may make
// such, so that killing it leaves neither a mount nor a child behind.
func isolated(tool string, args ...string) step {
	command := append([]string{tool}, args...)
	if os.Geteuid() == 0 && has("unshare") {
		command = append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--"}, command...)
	}
	return step{tool, command}
}

func has(tool string) bool {
	_, err := exec.LookPath(tool)
	return err == nil
}

func (s step) run(ctx context.Context) error {
	command := exec.CommandContext(ctx, s.command[0], s.command[1:]...) //nolint:gosec // fixed tools, and paths in our own cache
	command.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "SOURCE_DATE_EPOCH="+strconv.FormatInt(birth.Unix(), 10))
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
