package cluster

import (
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/model"
)

// forgetVersions forgets how new the reports were that the cluster knows, so that the next one counts. With a limit it forgets only what
// is after that time, in nanoseconds since 1970. It reports whether anything was forgotten.
func (c *clusterRun) forgetVersions(after int64) bool {
	forgotten := false
	forget := func(v *model.Version) {
		if v.Epoch > after || after == 0 && *v != (model.Version{}) {
			*v, forgotten = model.Version{}, true
		}
	}
	forget(&c.state.Pods)
	forget(&c.state.Images)
	forget(&c.state.Settings.Version)
	if c.state.Epoch > after {
		c.state.Epoch, forgotten = 0, true
	}
	for _, name := range workflow.DeterministicKeys(c.state.Namespaces) {
		forget(&c.state.Namespaces[name].Seen.Snapshot)
	}
	return forgotten
}

// heal forgets versions of a time that is still to come: the clock of the server was ahead when it took them. Otherwise no snapshot would
// count until then.
func (c *clusterRun) heal(ctx workflow.Context) {
	latest := workflow.Now(ctx).Add(model.ClockAhead).UnixNano()
	newest := max(c.state.Pods.Epoch, c.state.Images.Epoch, c.state.Settings.Version.Epoch, c.state.Epoch)
	if newest > latest && c.forgetVersions(latest) {
		c.logger.Warn("versions of a time that is still to come are forgotten", "cluster", c.cluster)
	}
}
