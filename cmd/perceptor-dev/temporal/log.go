package temporal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/server/common/log"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// largestLog is the size in bytes over which a log is set aside at the next
// start, so that it never grows without end.
const largestLog = 16 << 20

var countAll = workflowservice.CountWorkflowExecutionsRequest{Namespace: Namespace}

// openLog appends warnings and errors to path and keeps one older file beside it.
func openLog(path string) (log.Logger, *logFile, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.Size() > largestLog:
		err = os.Rename(path, path+".old")
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("set old temporal log aside: %w", err)
	}
	opened, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open temporal log: %w", err)
	}
	file := &logFile{file: opened}
	format := zap.NewProductionEncoderConfig()
	format.EncodeTime = zapcore.ISO8601TimeEncoder
	core := zapcore.NewCore(zapcore.NewJSONEncoder(format), file, zapcore.WarnLevel)
	return log.NewZapLogger(zap.New(core)), file, nil
}

// logFile drops what is written after its end: some of the server's goroutines
// outlive its stop by moments, and have nothing to say that matters then.
type logFile struct {
	mu   sync.Mutex
	file *os.File
	done bool
}

// Write implements io.Writer.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		return len(line), nil
	}
	return l.file.Write(line)
}

// Sync has nothing to do: a log that the system loses with itself is no loss.
func (*logFile) Sync() error { return nil }

// Close ends the log.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = true
	return l.file.Close()
}

// quiet drops what a client says while it knocks at a server that still starts.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
