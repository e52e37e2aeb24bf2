package watchdog

import (
	"strconv"
	"strings"

	"github.com/perceptor/perceptor/workflows"
)

// details is the look in words, for Web UI.
func details(found workflows.WatchdogResult) string {
	if found.StuckCount == 0 && found.RestoredCount == 0 {
		return "Every workflow goes on by itself."
	}
	var lines []string
	if found.StuckCount > 0 {
		lines = append(lines, "**Workflows that cannot go on by themselves: "+strconv.Itoa(found.StuckCount)+".** `perceptor doctor` shows what to do.", "")
		for _, each := range found.Stuck {
			lines = append(lines, "- "+each.WorkflowID+": "+each.Problem)
		}
		lines = append(lines, "")
	}
	if found.RestoredCount > 0 {
		lines = append(lines, "**Workflows that were ended by hand and are restored: "+strconv.Itoa(found.RestoredCount)+".**", "")
		for _, id := range found.Restored {
			lines = append(lines, "- "+id)
		}
	}
	return strings.Join(lines, "\n")
}
