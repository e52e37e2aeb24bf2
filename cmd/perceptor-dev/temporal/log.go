package temporal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

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
func openLog(path string) (log.Logger, *os.File, error) {
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
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open temporal log: %w", err)
	}
	format := zap.NewProductionEncoderConfig()
	format.EncodeTime = zapcore.ISO8601TimeEncoder
	core := zapcore.NewCore(zapcore.NewJSONEncoder(format), zapcore.Lock(file), zapcore.WarnLevel)
	return log.NewZapLogger(zap.New(core)), file, nil
}

// quiet drops what a client says while it knocks at a server that still starts.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
