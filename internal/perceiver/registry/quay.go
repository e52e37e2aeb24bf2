package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// quayMessage is what Quay sends after a push: https://docs.projectquay.io/use_quay.html#repository-events
// Messages of other events have other fields, and none says what it is about. A deleted tag sends none.
type quayMessage struct {
	Repository string `json:"repository"`
	// UpdatedTags is a list of tags; in older versions the tags are the keys of an object.
	UpdatedTags json.RawMessage `json:"updated_tags"`
	// One of these is in the messages of every other event.
	BuildID       string          `json:"build_id"`
	Vulnerability json.RawMessage `json:"vulnerability"`
	Message       string          `json:"message"`
}

func readQuay(body []byte) (m message, err error) {
	var q quayMessage
	if err := decode(body, &q); err != nil {
		return m, err
	}
	if q.Repository == "" {
		return m, fmt.Errorf("%w: repository is missing", errForm)
	}
	if len(q.UpdatedTags) == 0 || string(q.UpdatedTags) == "null" {
		if q.BuildID != "" || len(q.Vulnerability) > 0 {
			m.ignored++
			return m, nil
		}
		m.strange("an event of " + q.Repository + " without updated_tags")
		return m, nil
	}
	var tags []string
	if json.Unmarshal(q.UpdatedTags, &tags) != nil {
		var older map[string]json.RawMessage
		if err := decode(q.UpdatedTags, &older); err != nil {
			return m, err
		}
		tags = slices.Sorted(maps.Keys(older))
	}
	for _, tag := range tags {
		if tag == "" {
			m.strange("a push of an empty tag")
			continue
		}
		m.changed("push", q.Repository, tag, "")
	}
	return m, nil
}
