package workflows

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/model"
)

// Message is what a workflow is sent. It says itself what is wrong with it: nil means that it can be used.
type Message interface {
	Check(now time.Time) error
}

// Signal is the name of a signal together with the type of its value, so that neither can be mistaken.
type Signal[T Message] struct {
	Name        string
	Description string
	// Longest is how many bytes of JSON are read at most; zero means messageLength.
	Longest int
}

// The longest messages, in bytes of JSON. The server's own limit is 2 MiB.
const (
	messageLength = 64 << 10
	// podsLength is that of a part of a report: about 200 KiB, and more when one pod is larger.
	podsLength = 1 << 20
	// snapshotLength is that of the names of all namespaces of a cluster.
	snapshotLength = 2 << 20
)

// MetricRejected counts the messages that failed their checks and were dropped, by signal.
const MetricRejected = "perceptor_messages_rejected"

// Channel is where a workflow receives the signal; it also describes the signal to Web UI.
func (s Signal[T]) Channel(ctx workflow.Context) workflow.ReceiveChannel {
	return workflow.GetSignalChannelWithOptions(ctx, s.Name, workflow.SignalChannelOptions{Description: s.Description})
}

// SendTo sends the signal to the newest run of another workflow. The future must be awaited before the sender
// closes or continues as new: the server drops a signal whose sender has closed.
func (s Signal[T]) SendTo(ctx workflow.Context, workflowID string, value T) workflow.Future {
	return workflow.SignalExternalWorkflow(ctx, workflowID, "", s.Name, value)
}

// decode reads and checks a message. A payload that cannot be read at all is an error like any other.
func (s Signal[T]) decode(now time.Time, raw converter.RawValue) (value T, err error) {
	longest := s.Longest
	if longest == 0 {
		longest = messageLength
	}
	payload := raw.Payload()
	if n := len(payload.GetData()); n > longest {
		return value, fmt.Errorf("it has %d bytes; at most %d are read", n, longest)
	}
	err = survive(func() error {
		if payload != nil {
			if err := converter.GetDefaultDataConverter().FromPayload(payload, &value); err != nil {
				return fmt.Errorf("it cannot be read: %w", err)
			}
		}
		return value.Check(now)
	})
	return value, err
}

// errFault stands for a mistake in this program that a message has brought to light.
var errFault = errors.New("handling it failed")

// survive does something with a message. Where the message leads to a run-time error of Go, such as an index out of range, it
// answers an error. Every other panic passes: the SDK reports misuse and changed histories by panics of its own, and ends
// coroutines by runtime.Goexit, which is no panic.
func survive(do func() error) (err error) {
	defer func() {
		problem := recover()
		if problem == nil {
			return
		}
		fault, ours := problem.(runtime.Error)
		if !ours {
			panic(problem)
		}
		err = fmt.Errorf("%w: %w", errFault, fault)
	}()
	return do()
}

// Inbox is every signal that a workflow takes, each with what is done with it. Receive adds one. A message that fails its check is
// dropped, counted, logged and shown.
//
// Messages are received as raw payloads. The SDK's own decoding would drop an unreadable one without a count, and a blocking
// receive would then wait for the next, with the whole workflow.
type Inbox struct {
	// Rejected counts the messages that were dropped. It is part of the state of the workflow.
	Rejected *model.Rejections

	signals []inboxSignal
}

type inboxSignal struct {
	channel func(workflow.Context) workflow.ReceiveChannel
	take    func(workflow.Context, converter.RawValue) error
	name    string
}

// Receive adds a signal to an inbox. Signals of different names are received in the order in which they were added. An error of
// handle says why the message cannot be used here; it then must have changed nothing.
func Receive[T Message](in *Inbox, s Signal[T], handle func(workflow.Context, T) error) {
	in.signals = append(in.signals, inboxSignal{
		name: s.Name, channel: s.Channel,
		take: func(ctx workflow.Context, raw converter.RawValue) error {
			value, err := s.decode(workflow.Now(ctx), raw)
			if err != nil {
				return err
			}
			return survive(func() error { return handle(ctx, value) })
		},
	})
}

// receive takes every message of one signal that has arrived, without waiting, and reports whether there was one.
func (in *Inbox) receive(ctx workflow.Context, s inboxSignal) bool {
	channel, some := s.channel(ctx), false
	for {
		var raw converter.RawValue
		if !channel.ReceiveAsync(&raw) {
			return some
		}
		some = true
		if err := s.take(ctx, raw); err != nil {
			in.Reject(ctx, s.name, err)
		}
	}
}

// Reject notes that something from outside failed its check. What names its kind.
func (in *Inbox) Reject(ctx workflow.Context, what string, why error) {
	in.Rejected.Note(workflow.Now(ctx), what, why)
	workflow.GetMetricsHandler(ctx).WithTags(map[string]string{"message": what}).Counter(MetricRejected).Inc(1)
	workflow.GetLogger(ctx).Warn("message dropped: it failed its check", "message", what, "error", in.Rejected.Last)
}

// Listen lets the selector handle what has arrived under the next signal. ReceivePending then takes all others.
func (in *Inbox) Listen(ctx workflow.Context, selector workflow.Selector) {
	for _, s := range in.signals {
		selector.AddReceive(s.channel(ctx), func(workflow.ReceiveChannel, bool) { in.receive(ctx, s) })
	}
}

// ReceivePending takes every message that has arrived and reports whether there was one.
func (in *Inbox) ReceivePending(ctx workflow.Context) bool {
	some := false
	for _, s := range in.signals {
		if in.receive(ctx, s) {
			some = true
		}
	}
	return some
}

// HasPending reports whether a message has arrived that was not taken yet.
func (in *Inbox) HasPending(ctx workflow.Context) bool {
	for _, s := range in.signals {
		if s.channel(ctx).Len() > 0 {
			return true
		}
	}
	return false
}
