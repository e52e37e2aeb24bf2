package scanclient_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perceptor/perceptor/internal/scanclient"
	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

// actAs makes this test binary play a part instead of running tests: it stands where a command's first argument stands.
const actAs = "act-as"

func init() { parts["serve"] = actServe } // it plays the other parts

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == actAs {
		parts[os.Args[2]](os.Args[3:])
		return
	}
	os.Exit(m.Run())
}

// parts are the programs this test binary can be. Each gets the verb and its flags.
var parts = map[string]func(args []string){
	"good":             actGood,
	"environment":      actEnvironment,
	"hang":             actHang,
	"linger":           func(args []string) { register(args); wait() },
	"grandchildren":    actGrandchildren,
	"orphan":           actOrphan,
	"flood-lines":      actFloodLines,
	"flood-line":       actFloodLine,
	"flood-log":        actFloodLog,
	"grow":             actGrow,
	"fill":             actFill,
	"silent":           func([]string) {},
	"no-SBOM":          func([]string) { say(`{"result":{"components":1,"sbomBytes":1}}`) },
	"garbage":          func([]string) { say("Scanning image..."); wait() },
	"talkative":        func([]string) { say(`{"result":{}}`); say(`{"phase":"write","done":1,"total":1}`); wait() },
	"contradiction":    func([]string) { say(`{"result":{}}`); os.Exit(protocol.ExitIO) },
	"dies":             func([]string) { say(`{"phase":"unpack","done":1,"total":2}`); die() },
	"dies-uploading":   func([]string) { say(`{"phase":"upload","done":0,"total":2}`); die() },
	"hangs-uploading":  func([]string) { say(`{"phase":"upload","done":0,"total":2}`); wait() },
	"half-a-line":      func([]string) { fmt.Print(`{"phase":"unp`); die() },
	"exit-code":        func([]string) { fmt.Fprintln(os.Stderr, "cannot write: \x1b[31mdisk broken"); os.Exit(protocol.ExitIO) },
	"leak":             actLeak,
	"bad-SBOM":         func(args []string) { write(flag(args, "--sbom"), "<html>"); say(`{"result":{}}`) },
	"linked-SBOM":      func(args []string) { _ = os.Symlink("/etc/passwd", flag(args, "--sbom")); say(`{"result":{}}`) },
	"throttled":        actThrottled,
	"refused-at-login": func([]string) { say(`{"phase":"login","done":0,"total":1}`); sayFailure(model.Unauthorized, false) },
	"unknown-outcome":  func([]string) { say(`{"phase":"upload","done":0,"total":1}`); sayFailure(model.Transient, false) },
	"worker":           actWorker,
	"scanner":          actScanner,
	"scanner-fails":    func(args []string) { register(args); fmt.Fprintln(os.Stderr, "FATAL no database"); os.Exit(1) },
	"scanner-SPDX":     func(args []string) { write(flag(args, "--sbom"), `{"spdxVersion":"SPDX-2.3"}`) },
	"date":             func([]string) { say(`{"db":{"built":"2026-11-27T06:00:00.5Z"}}`) },
	"date-floods":      func([]string) { say(strings.Repeat("x", 2<<20)); wait() },
}

// actServe is a client that serves: it plays the part that the name of the image says. After all parts but "good" it is at its
// end, as the built-in client is.
func actServe(args []string) {
	lines := bufio.NewReader(os.Stdin)
	for served := 1; ; served++ {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		task, err := protocol.ParseTask(bytes.TrimSpace(line))
		if err != nil {
			panic(err)
		}
		if err := os.Setenv("TMPDIR", task.Scratch); err != nil {
			panic(err)
		}
		fmt.Fprintf(os.Stderr, "image %d\n", served)
		parts[task.Name](append([]string{protocol.VerbSBOM, "--tar", task.Tar, "--sbom", task.SBOM, "--scratch", task.Scratch}, args...))
		if task.Name != "good" {
			return
		}
	}
}

func say(line string) { fmt.Println(line) }

func sayFailure(class model.FailureClass, refused bool) {
	say(fmt.Sprintf(`{"error":{"class":%q,"message":"the hub said no","refused":%t}}`, class, refused))
	os.Exit(protocol.ExitCode(class))
}

// wait waits for ever, deaf to polite signals, and to the closing of standard input too.
func wait() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	for {
		time.Sleep(time.Hour)
	}
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	wait()
}

func flag(args []string, name string) string {
	for i, arg := range args {
		if arg == name && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

func write(path, text string) {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
}

// register leaves this process's id beside the SBOM, for the test to see whether it is still there.
func register(args []string) {
	write(filepath.Join(filepath.Dir(flag(args, "--sbom")), "pid-"+strconv.Itoa(os.Getpid())), "")
}

const goodSBOM = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"a"},{"name":"b"}]}`

func actGood(args []string) {
	register(args)
	if args[0] == protocol.VerbUpload {
		say(`{"phase":"upload","done":5,"total":5}`)
		say(`{"result":{"scanID":"17","scanURL":"https://hub/api/scans/17"}}`)
		return
	}
	write(filepath.Join(os.Getenv("TMPDIR"), "layer"), "content")
	say(`{"phase":"unpack","done":1,"total":2}`)
	write(flag(args, "--sbom"), goodSBOM)
	say(fmt.Sprintf(`{"result":{"components":2,"sbomBytes":%d}}`, len(goodSBOM)))
}

func actEnvironment(args []string) {
	write(flag(args, "--sbom"), goodSBOM)
	write(flag(args, "--sbom")+".env", strings.Join(append(os.Environ(), os.Args...), "\n"))
	say(`{"phase":"upload","done":0,"total":1}`)
	say(`{"result":{}}`)
}

func actHang(args []string) {
	register(args)
	say(`{"phase":"unpack","done":0,"total":0}`)
	wait()
}

// again starts this binary once more in another part, out of reach of its process group.
func again(part string, args, env []string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append([]string{actAs, part}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	return cmd
}

// actGrandchildren starts two that leave the group: one keeps the environment, one drops it.
func actGrandchildren(args []string) {
	register(args)
	again("hang", args, os.Environ())
	again("hang", args, []string{"TMPDIR=" + os.Getenv("TMPDIR")})
	wait()
}

// actOrphan leaves a grandchild behind in a session of its own and ends well.
func actOrphan(args []string) {
	again("linger", args, os.Environ())
	for len(pids(filepath.Dir(flag(args, "--sbom")))) == 0 {
		time.Sleep(time.Millisecond)
	}
	actGood(args)
}

func actFloodLines(args []string) {
	register(args)
	line := []byte("{\"phase\":\"unpack\",\"done\":1,\"total\":2}\n")
	for {
		if _, err := os.Stdout.Write(bytes.Repeat(line, 1000)); err != nil {
			wait()
		}
	}
}

func actFloodLine(args []string) {
	register(args)
	for {
		if _, err := os.Stdout.Write(bytes.Repeat([]byte("x"), 1<<16)); err != nil {
			wait()
		}
	}
}

func actFloodLog(args []string) {
	fmt.Fprintln(os.Stderr, "the very first line")
	for range 64 {
		_, _ = os.Stderr.Write(bytes.Repeat([]byte("noise\n"), 1<<14))
	}
	fmt.Fprintln(os.Stderr, "the very last line")
	register(args)
	os.Exit(protocol.ExitData)
}

// actGrow fills the memory of a grandchild in another session, so that the sum over the family counts.
func actGrow(args []string) {
	register(args)
	if flag(args, "--name") == "grandchild" {
		hoard := make([]byte, 0, 1<<30)
		for {
			hoard = append(hoard, bytes.Repeat([]byte("x"), 1<<20)...)
			if len(hoard) == cap(hoard) {
				wait()
			}
		}
	}
	again("grow", append(args, "--name", "grandchild"), os.Environ())
	wait()
}

func actFill(args []string) {
	register(args)
	file, err := os.Create(filepath.Join(os.Getenv("TMPDIR"), "bomb"))
	if err != nil {
		panic(err)
	}
	for range 64 {
		_, _ = file.Write(bytes.Repeat([]byte("x"), 1<<20))
	}
	if err := os.Chmod(filepath.Dir(file.Name()), 0o500); err != nil {
		panic(err)
	}
	wait()
}

func actLeak([]string) {
	fmt.Fprintln(os.Stderr, "logging in with", os.Getenv(protocol.EnvToken), os.Getenv(protocol.EnvPassword))
	say(`{"error":{"class":"invalid","message":"cannot use ` + os.Getenv(protocol.EnvToken) + os.Getenv(protocol.EnvPassword) + `","refused":true}}`)
}

func actThrottled([]string) {
	say(`{"phase":"upload","done":0,"total":1}`)
	say(`{"error":{"class":"throttled","message":"hub.example answered the upload with 429","retryAfterSeconds":17,"refused":true}}`)
	os.Exit(protocol.ExitTemporary)
}

// actScanner is a scanner of someone else: it talks as it likes and writes its document.
func actScanner(args []string) {
	register(args)
	fmt.Println("scanning", flag(args, "--input"))
	fmt.Fprintln(os.Stderr, "INFO done")
	write(flag(args, "--sbom"), judgedSBOM)
}

const judgedSBOM = `{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"tools":[]},"components":[{"name":"a","components":[{"name":"b"}]}],"vulnerabilities":[]}`

// actWorker is a program that runs a scan client which hangs, and is killed by the test.
func actWorker(args []string) {
	runner, err := scanclient.New(scanclient.Options{Command: os.Args[0], Args: []string{actAs, args[0]}})
	if err != nil {
		panic(err)
	}
	_, err = runner.GenerateSBOM(context.Background(), scanclient.SBOMRequest{
		Tar: "/image.tar", SBOM: flag(args, "--sbom"), Scratch: flag(args, "--scratch"),
	}, nil)
	_, _ = io.WriteString(os.Stderr, err.Error())
}

// pids are the processes that registered in a directory.
func pids(dir string) []int {
	names, err := filepath.Glob(filepath.Join(dir, "pid-*"))
	if err != nil {
		panic(err)
	}
	found := make([]int, 0, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(name), "pid-"))
		if err != nil {
			panic(err)
		}
		found = append(found, pid)
	}
	return found
}

// alive reports whether a process runs; one that only waits to be reaped does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	rest := stat[bytes.LastIndexByte(stat, ')')+1:]
	return len(rest) > 1 && rest[1] != 'Z' && rest[1] != 'X'
}
