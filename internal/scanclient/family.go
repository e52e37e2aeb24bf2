package scanclient

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// markName is the environment variable that marks every process of one run.
const markName = "PERCEPTOR_SCAN_RUN"

// process is one line of the kernel's process table.
type process struct {
	pid, parent, group int
	// started is in clock ticks since boot; with pid it names a process for good, since pids are used again.
	started uint64
	state   byte
	// resident is in bytes.
	resident int64
}

// dead reports whether the process only waits to be reaped.
func (p process) dead() bool { return p.state == 'Z' || p.state == 'X' }

// family is every process of one run: the client and what it started, wherever that went.
type family struct {
	mu     sync.Mutex
	leader process
	mark   []byte
	// members and strangers remember what each process was found to be, by pid and start.
	members   map[int]uint64
	strangers map[int]uint64
}

func newFamily(pid int, mark string) (*family, error) {
	leader, err := readProcess(pid)
	if err != nil {
		return nil, err
	}
	return &family{
		leader: leader, mark: []byte(markName + "=" + mark),
		members: map[int]uint64{pid: leader.started}, strangers: map[int]uint64{},
	}, nil
}

// scan reads the process table and answers with the family's processes, including dead ones that were not reaped.
func (f *family) scan() ([]process, error) {
	table, err := readProcesses()
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgetGone(table)
	var found []process
	// A parent may stand behind its child in the table, so descent is followed until nothing new turns up.
	for grown := true; grown; {
		grown = false
		for _, p := range table {
			if f.members[p.pid] != p.started && f.belongs(p) {
				f.members[p.pid] = p.started
				grown = true
			}
		}
	}
	for _, p := range table {
		if f.members[p.pid] == p.started {
			found = append(found, p)
		}
	}
	return found, nil
}

// belongs decides for a process not known as a member yet. The mark is read once for each process: a forked child has
// its parent's environment from its first moment.
func (f *family) belongs(p process) bool {
	if p.pid == os.Getpid() || p.started < f.leader.started {
		return false
	}
	if p.group == f.leader.pid {
		return true
	}
	if _, ok := f.members[p.parent]; ok {
		return true
	}
	if f.strangers[p.pid] == p.started {
		return false
	}
	if f.marked(p.pid) {
		return true
	}
	f.strangers[p.pid] = p.started
	return false
}

func (f *family) marked(pid int) bool {
	// Another user's process cannot be read and is none of ours; one that is gone neither.
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for entry := range bytes.SplitSeq(environment, []byte{0}) {
		if bytes.Equal(entry, f.mark) {
			return true
		}
	}
	return false
}

// forgetGone drops what the table no longer holds, so that a pid used again is looked at again.
func (f *family) forgetGone(table map[int]process) {
	for _, known := range []map[int]uint64{f.members, f.strangers} {
		for pid, started := range known {
			if table[pid].started != started {
				delete(known, pid)
			}
		}
	}
}

// resident is the sum of the resident bytes of the whole family. Pages that two processes share count twice: a limit
// that errs is to err on the worker's side.
func (f *family) resident() (int64, error) {
	members, err := f.scan()
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, p := range members {
		sum += p.resident
	}
	return sum, nil
}

// killRound is the pause between two rounds of killing: the kernel reports an ending to the parent alone.
const killRound = 5 * time.Millisecond

// killAll looks before it kills, since a dead parent's children can no longer be recognised by descent. It kills until no process
// is left alive, for at most patience: a process may fork while it is being killed, and one that waits for a broken disk
// cannot be killed at all. The leader stays a zombie for its own waiter to reap, and so its pid and group belong to
// no other process meanwhile.
func (f *family) killAll(patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(killRound) {
		members, err := f.scan()
		if err != nil {
			return err
		}
		alive := 0
		for _, p := range members {
			// The dead are killed too: a process whose first thread has ended looks dead while its others run.
			p.kill()
			if !p.dead() || !f.reap(p) {
				alive++
			}
		}
		if alive == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes of the scan client do not die", alive)
		}
	}
}

// reap takes the exit code of an orphan that became a child of this process. Others' children are others' to reap. It is false
// where the orphan is not quite dead: only its first thread is.
func (f *family) reap(p process) bool {
	if p.pid == f.leader.pid || p.parent != os.Getpid() {
		return true
	}
	reaped, err := unix.Wait4(p.pid, nil, unix.WNOHANG, nil)
	return reaped == p.pid || err != nil
}

// kill sends SIGKILL to exactly this process: the handle is taken first, then the start time is compared, so that a pid
// used again meanwhile is never hit.
func (p process) kill() {
	handle, err := os.FindProcess(p.pid)
	if err != nil {
		return
	}
	defer func() { _ = handle.Release() }()
	if again, err := readProcess(p.pid); err == nil && again.started == p.started {
		// One that has died by itself is what was wanted.
		_ = handle.Kill()
	}
}

// readProcesses reads the whole process table.
func readProcesses() (map[int]process, error) {
	directory, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("read process table: %w", err)
	}
	defer func() { _ = directory.Close() }()
	names, err := directory.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("read process table: %w", err)
	}
	table := make(map[int]process, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		// One that has ended since the directory was read is left out.
		if p, err := readProcess(pid); err == nil {
			table[pid] = p
		}
	}
	return table, nil
}

func readProcess(pid int) (process, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	return parseStat(pid, string(stat))
}

// The fields of /proc/<pid>/stat after the command name, counted from 0 (proc_pid_stat(5) counts the state as field 3).
const (
	statState = iota
	statParent
	statGroup
	statStarted  = 22 - 3
	statResident = 24 - 3
)

var errStat = errors.New("malformed process status")

// parseStat reads one status line. The command name is in parentheses and may hold any character, even these.
func parseStat(pid int, line string) (process, error) {
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return process{}, errStat
	}
	fields := strings.Fields(line[end+1:])
	if len(fields) <= statResident || len(fields[statState]) != 1 {
		return process{}, errStat
	}
	parent, errParent := strconv.Atoi(fields[statParent])
	group, errGroup := strconv.Atoi(fields[statGroup])
	started, errStarted := strconv.ParseUint(fields[statStarted], 10, 64)
	pages, errPages := strconv.ParseInt(fields[statResident], 10, 64)
	if err := errors.Join(errParent, errGroup, errStarted, errPages); err != nil {
		return process{}, fmt.Errorf("%w: %w", errStat, err)
	}
	return process{
		pid: pid, parent: parent, group: group, started: started, state: fields[statState][0],
		resident: pages * int64(os.Getpagesize()),
	}, nil
}
