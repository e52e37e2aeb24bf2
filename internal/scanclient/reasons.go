package scanclient

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

// ending is a class and a reason: the one table of what can go wrong with a client, and whether trying again can help.
// Only what comes from outside the image and the client is Transient.
type ending struct {
	class  model.FailureClass
	reason string
	err    error
	// wait and refused come from the client's own failure; see Error.
	wait    time.Duration
	refused bool
}

func (e ending) Error() string { return e.reason }
func (e ending) Unwrap() error { return e.err }

func endedTimeout(limit time.Duration) ending {
	return ending{class: model.Invalid, reason: fmt.Sprintf("ran longer than its time limit of %s and was stopped; "+
		"raise the limit if the image is only large", limit)}
}

// endedUploadTimeout is Transient, other than an SBOM's: it is the hub or the network that is slow, not the image.
func endedUploadTimeout(limit time.Duration) ending {
	return ending{class: model.Transient, reason: fmt.Sprintf("ran longer than its time limit of %s and was stopped; "+
		"the hub or the way to it is slow", limit)}
}

func endedCancelled(cause error) ending {
	return ending{class: model.Transient, reason: "was stopped because the work was cancelled", err: cause}
}

func endedMemory(used, limit int64) ending {
	return ending{class: model.Invalid, reason: fmt.Sprintf("needed more than its %s of memory (%s in use) and was stopped; "+
		"raise the memory limit to scan this image", size(limit), size(used))}
}

func endedScratch(quota int64) ending {
	return ending{class: model.Invalid, reason: fmt.Sprintf("the image unpacks to more than the scratch quota of %s; "+
		"raise the quota if the image is only large", size(quota))}
}

func endedFlood(lines int) ending {
	return ending{class: model.Invalid, reason: fmt.Sprintf("flooded its output with more than %d lines and was stopped; "+
		"it is not a scan client of this protocol", lines)}
}

func endedGarbage(err error) ending {
	return ending{class: model.Invalid, reason: fmt.Sprintf("printed something that is not the scan client protocol: %s", err)}
}

func endedAfterLast() ending {
	return ending{class: model.Invalid, reason: "went on talking after its last line; it is not a scan client of this protocol"}
}

// crashes are the signals a program brings upon itself, which it would do again with the same image.
var crashes = map[syscall.Signal]bool{
	syscall.SIGSEGV: true, syscall.SIGBUS: true, syscall.SIGILL: true, syscall.SIGFPE: true, syscall.SIGABRT: true, syscall.SIGSYS: true,
}

func endedSignal(signal syscall.Signal) ending {
	if crashes[signal] {
		return ending{class: model.Invalid, reason: fmt.Sprintf("crashed with signal %d (%s)", int(signal), signal)}
	}
	hint := "a person or the system stopped it"
	if signal == syscall.SIGKILL {
		hint = "a person stopped it, or the system ran out of memory"
	}
	return ending{class: model.Transient, reason: fmt.Sprintf("was killed by signal %d (%s): %s", int(signal), signal, hint)}
}

func endedSilent() ending {
	return ending{class: model.Invalid, reason: "ended with exit code 0 but said neither a result nor an error; " +
		"it is not a scan client of this protocol"}
}

func endedContradiction(code int) ending {
	return ending{class: model.Invalid, reason: fmt.Sprintf("said that it succeeded but ended with exit code %d", code)}
}

func endedWithCode(code int, lastWords string) ending {
	reason := fmt.Sprintf("ended with exit code %d and gave no reason", code)
	if lastWords != "" {
		reason += "; its last words: " + lastWords
	}
	return ending{class: protocol.ClassOf(code), reason: reason}
}

// endedByItself is the client's own reason, in its own words.
func endedByItself(f protocol.Failure) ending {
	return ending{class: f.Class, reason: printable(f.Message), wait: f.RetryAfter(), refused: f.Refused}
}

func endedNotStarted(err error) ending {
	return ending{class: model.Transient, reason: fmt.Sprintf("could not be started: %s", err), err: err}
}

func endedNoSBOM(sbom string) ending {
	return ending{class: model.Invalid, reason: fmt.Sprintf("said that it succeeded but wrote no SBOM to %s", sbom)}
}

func endedBadSBOM(err error) ending {
	return ending{class: model.Invalid, reason: fmt.Sprintf("wrote an SBOM that is not CycloneDX: %s", err)}
}

func endedLargeSBOM(limit int64) ending {
	return ending{class: model.Invalid, reason: fmt.Sprintf("wrote an SBOM of more than %s", size(limit))}
}

// endedWithoutDate is Transient: the scanner's data may be in the middle of an update, or a person repairs the setting.
func endedWithoutDate(err error) ending {
	return ending{class: model.Transient, reason: fmt.Sprintf("the date of the scanner's data could not be read: %s", printable(err.Error())), err: err}
}

func endedBadRequest(reason string) ending { return ending{class: model.Invalid, reason: reason} }

func endedScratchDir(err error) ending {
	return ending{class: classOfDisk(err), reason: fmt.Sprintf("the scratch directory could not be prepared: %s", err), err: err}
}

// units are the binary prefixes, in steps of 1024.
const units = "KMGTPE"

// size writes bytes as a person reads them, such as "1.5 GiB".
func size(bytes int64) string {
	const step = 1024
	if bytes < step {
		return fmt.Sprintf("%d bytes", bytes)
	}
	scaled, unit := float64(bytes)/step, 0
	for scaled >= step && unit < len(units)-1 {
		scaled /= step
		unit++
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", scaled), ".0") + " " + units[unit:unit+1] + "iB"
}
