package workflows

import "go.temporal.io/sdk/workflow"

// Signal is the name of a signal together with the type of what it carries, so that neither can be mistaken.
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

// Drain takes everything that has arrived so far without waiting.
func (s Signal[T]) ReceivePending(ctx workflow.Context, take func(T)) {
	channel := s.Channel(ctx)
	for {
		var value T
		if !channel.ReceiveAsync(&value) {
			return
		}
		take(value)
	}
}
