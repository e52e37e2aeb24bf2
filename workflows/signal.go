package workflows

import "go.temporal.io/sdk/workflow"

// Signal is the name of a signal together with the type of its value, so that neither can be mistaken.
type Signal[T any] struct {
	Name        string
	Description string
}

// Channel is where a workflow receives the signal; it also describes the signal to Web UI.
func (s Signal[T]) Channel(ctx workflow.Context) workflow.ReceiveChannel {
	return workflow.GetSignalChannelWithOptions(ctx, s.Name, workflow.SignalChannelOptions{Description: s.Description})
}

// SendTo sends the signal to the newest run of another workflow. The future must be awaited before the sender
// closes or continues as new: the server drops a signal whose sender has closed.
func (s Signal[T]) SendTo(ctx workflow.Context, workflowID string, value T) workflow.Future {
	return workflow.SignalExternalWorkflow(ctx, workflowID, "", s.Name, value)
}

// ReceivePending receives every such signal that has arrived so far, without waiting.
func (s Signal[T]) ReceivePending(ctx workflow.Context, handle func(T)) {
	channel := s.Channel(ctx)
	for {
		var value T
		if !channel.ReceiveAsync(&value) {
			return
		}
		handle(value)
	}
}

// Inbox is every signal that a workflow takes, each with what is done with it. Receive adds one.
type Inbox struct{ signals []inboxSignal }

type inboxSignal struct {
	listen  func(workflow.Context, workflow.Selector)
	receive func(workflow.Context) bool
}

// Receive adds a signal to an inbox. Signals of different names are received in the order in which they were added.
func Receive[T any](in *Inbox, s Signal[T], handle func(workflow.Context, T)) {
	in.signals = append(in.signals, inboxSignal{
		listen: func(ctx workflow.Context, selector workflow.Selector) {
			selector.AddReceive(s.Channel(ctx), func(c workflow.ReceiveChannel, _ bool) {
				var value T
				c.Receive(ctx, &value)
				handle(ctx, value)
			})
		},
		receive: func(ctx workflow.Context) bool {
			some := false
			s.ReceivePending(ctx, func(value T) {
				some = true
				handle(ctx, value)
			})
			return some
		},
	})
}

// Listen lets the selector handle the next signal. ReceivePending then takes all others.
func (in *Inbox) Listen(ctx workflow.Context, selector workflow.Selector) {
	for _, s := range in.signals {
		s.listen(ctx, selector)
	}
}

// ReceivePending takes every signal that has arrived and reports whether there was one.
func (in *Inbox) ReceivePending(ctx workflow.Context) bool {
	some := false
	for _, s := range in.signals {
		if s.receive(ctx) {
			some = true
		}
	}
	return some
}
