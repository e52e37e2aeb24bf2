package registry

import "fmt"

// envelope is what the distribution registry sends, since version 2.0: https://distribution.github.io/distribution/about/notifications
type envelope struct {
	Events []struct {
		ID     string `json:"id"`
		Action string `json:"action"`
		Target *struct {
			MediaType  string `json:"mediaType"`
			Digest     string `json:"digest"`
			Repository string `json:"repository"`
			Tag        string `json:"tag"`
		} `json:"target"`
	} `json:"events"`
}

// readDistribution reads notifications. Each push of an image sends events of its layers too, which have no tag.
func readDistribution(body []byte) (m message, err error) {
	var e envelope
	if err := decode(body, &e); err != nil {
		return m, err
	}
	if e.Events == nil {
		return m, fmt.Errorf("%w: events are missing", errForm)
	}
	for _, each := range e.Events {
		if len(each.ID) <= idLength {
			m.ids = append(m.ids, each.ID)
		}
		switch {
		case each.Target == nil:
			m.strange(each.Action + " without a target")
		case each.Action == "push" && each.Target.Tag != "":
			// It is sent before the tag leads to the manifest.
			m.changed(each.Action, each.Target.Repository, each.Target.Tag, each.Target.Digest)
		case each.Action == "delete":
			// A deleted manifest may have had any of the repository's tags.
			m.changed(each.Action, each.Target.Repository, each.Target.Tag, "")
		case each.Action == "push", each.Action == "pull", each.Action == "mount":
			m.ignored++
		default:
			m.strange(each.Action)
		}
	}
	return m, nil
}

// idLength is the longest ID of an event that is remembered. A UUID has 36.
const idLength = 200
