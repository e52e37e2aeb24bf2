package reload

import (
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookAgain is how often a file is looked at, when it is used: a change takes effect within this time.
const lookAgain = time.Second

// Files is what was read from files. It is safe for concurrent use.
type Files[T any] struct {
	paths []string
	read  func() (T, error)
	log   *slog.Logger

	lock   sync.Mutex
	value  T
	files  []fs.FileInfo
	looked time.Time
}

// Watch reads the files for the first time; only that can fail.
func Watch[T any](paths []string, read func() (T, error), log *slog.Logger) (*Files[T], error) {
	w := &Files[T]{paths: paths, read: read, log: log, looked: time.Now()}
	// Looked at first: what changes while it is read is read again.
	w.files = w.look()
	var err error
	w.value, err = read()
	return w, err
}

// Get is what the files say. A change that cannot be read is logged, once, and the value before it stays.
func (w *Files[T]) Get() T {
	w.lock.Lock()
	defer w.lock.Unlock()
	if time.Since(w.looked) < lookAgain {
		return w.value
	}
	w.looked = time.Now()
	files := w.look()
	if same(w.files, files) {
		return w.value
	}
	w.files = files
	value, err := w.read()
	if err != nil {
		w.log.Error("changed file not taken", "paths", w.paths, "error", err)
		return w.value
	}
	w.log.Info("changed file taken", "paths", w.paths)
	w.value = value
	return w.value
}

// look asks for the state of each file; nil for one that is not there.
func (w *Files[T]) look() []fs.FileInfo {
	files := make([]fs.FileInfo, len(w.paths))
	for i, path := range w.paths {
		if info, err := os.Stat(path); err == nil {
			files[i] = info
		}
	}
	return files
}

func same(a, b []fs.FileInfo) bool {
	for i := range a {
		if (a[i] == nil) != (b[i] == nil) {
			return false
		}
		if a[i] != nil && (!os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() || a[i].Mode() != b[i].Mode()) {
			return false
		}
	}
	return true
}
