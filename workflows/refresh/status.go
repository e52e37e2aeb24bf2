package refresh

import (
	"fmt"
	"time"
)

// details is the pass in words, for Web UI.
func (r *refreshHub) details() string {
	s := r.state
	text := fmt.Sprintf("hub %s up to %s: %d verdicts read, %d images notified, %d rescans", r.hub, s.Until.Format(time.RFC3339), s.Read, s.Notified, s.Gone)
	if s.NoList != "" {
		text += fmt.Sprintf("\n\nThe hub does not say what changes (%s): each verdict is read again after %s.", s.NoList, refreshAge)
	}
	if s.Losses > 0 {
		text += fmt.Sprintf("\n\nThe hub had lost data %d times: all its images were looked at then.", s.Losses)
	}
	if s.Trouble != nil {
		text += fmt.Sprintf("\n\n**Ended early:** %s: %s; %d changes wait for the next pass.", s.Trouble.Class, s.Trouble.Reason, len(s.Waiting))
	}
	return text
}
