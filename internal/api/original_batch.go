package api

import (
	"net/http"

	"github.com/perceptor/perceptor/model"
)

// partial is the status of a batch of which some items are wrong: a success, since the others are kept, and not 200, so
// that a client that looks at nothing but the status does not take it for the whole.
const partial = http.StatusMultiStatus

// rejectedShown is how many wrong items an answer names.
const rejectedShown = 100

// taken are the items of a batch that are good, and what is wrong with the others.
type taken struct {
	key    string
	pods   []model.Pod
	at     map[string]int
	answer batchAnswer
}

// batchAnswer is the body of an answer to a batch that is not all good.
type batchAnswer struct {
	// Accepted is how many items were good.
	Accepted int
	// Rejected are the others, the first hundred of them; More is how many there are besides.
	Rejected []rejectedItem
	More     int `json:",omitempty"`
}

// rejectedItem is one item that was not taken.
type rejectedItem struct {
	// Index counts from 0, as the items were sent.
	Index  int
	Name   string
	Reason string
}

func newBatch(key string) *taken { return &taken{key: key, at: map[string]int{}} }

// add takes an item, or notes what is wrong with it. Of several with one name the last counts, as in the original.
func (t *taken) add(i int, name string, p model.Pod, wrong error) {
	switch {
	case wrong != nil && len(t.answer.Rejected) >= rejectedShown:
		t.answer.More++
	case wrong != nil:
		t.answer.Rejected = append(t.answer.Rejected, rejectedItem{Index: i, Name: shorten(name), Reason: wrong.Error()})
	default:
		t.answer.Accepted++
		same := p.UID
		if !p.Bare {
			same = p.Namespace + "/" + p.Name
		}
		if at, seen := t.at[same]; seen {
			t.pods[at] = p
			return
		}
		t.at[same] = len(t.pods)
		t.pods = append(t.pods, p)
	}
}

// longestName is how much of a name an answer repeats.
const longestName = 200

func shorten(name string) string {
	if len(name) <= longestName {
		return name
	}
	return name[:longestName] + "..."
}

// reportBatch hands the good items over and names the others. A batch without a good item is refused: a snapshot of
// nothing would empty the cluster.
func (s *Server) reportBatch(c *call, t *taken, snapshot bool) error {
	wrong := len(t.answer.Rejected) > 0
	if wrong && t.answer.Accepted == 0 {
		return s.writeJSON(c, http.StatusBadRequest, t.answer)
	}
	if snapshot || len(t.pods) > 0 {
		report := model.PodReport{Snapshot: snapshot, Pods: t.pods}
		if snapshot {
			report.Scope = model.ScopePods // images without a pod have a list of their own
		}
		if err := s.report(c, report); err != nil {
			return err
		}
	}
	if wrong {
		return s.writeJSON(c, partial, t.answer)
	}
	return nil
}
