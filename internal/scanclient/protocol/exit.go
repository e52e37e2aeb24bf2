package protocol

import "github.com/perceptor/perceptor/model"

// The exit codes of a scan client, after sysexits.h.
const (
	ExitOK          = 0
	ExitUsage       = 64
	ExitData        = 65
	ExitNoInput     = 66
	ExitUnavailable = 69
	// ExitParentGone is EX_SOFTWARE: the program that started the client is gone, no one reads on.
	ExitParentGone = 70
	ExitCantCreate = 73
	ExitIO         = 74
	ExitTemporary  = 75
	ExitPermission = 77
)

// maxRetryAfterSeconds is a day: a hub that asks for more is taken at a day.
const maxRetryAfterSeconds = 24 * 60 * 60

// exitCodes says with which code a client ends after a failure of each class; its keys are the classes there are.
var exitCodes = map[model.FailureClass]int{
	model.Throttled:    ExitTemporary,
	model.Transient:    ExitUnavailable,
	model.Unauthorized: ExitPermission,
	model.NotFound:     ExitNoInput,
	model.Unsupported:  ExitUsage,
	model.Invalid:      ExitData,
	model.OutOfSpace:   ExitCantCreate,
}

// classes is what an exit code means when no last line was read.
var classes = map[int]model.FailureClass{
	ExitUsage:       model.Unsupported,
	ExitData:        model.Invalid,
	ExitNoInput:     model.NotFound,
	ExitUnavailable: model.Transient,
	ExitParentGone:  model.Transient,
	ExitCantCreate:  model.OutOfSpace,
	ExitIO:          model.Transient,
	ExitTemporary:   model.Transient,
	ExitPermission:  model.Unauthorized,
}

// ExitCode is the code a client ends with after a failure of this class.
func ExitCode(class model.FailureClass) int {
	if code, ok := exitCodes[class]; ok {
		return code
	}
	return ExitData
}

// ClassOf is what an exit code means for a client that gave no reason. A code of no known meaning is Invalid: trying
// the same again would end the same.
func ClassOf(code int) model.FailureClass {
	if class, ok := classes[code]; ok {
		return class
	}
	return model.Invalid
}
