package registry

import "fmt"

// harborMessage is what Harbor sends, in its own form and as a CloudEvent:
// https://goharbor.io/docs/latest/working-with-projects/project-configuration/configure-webhooks
type harborMessage struct {
	Type string      `json:"type"`
	Data *harborData `json:"event_data"`

	SpecVersion string      `json:"specversion"`
	ID          string      `json:"id"`
	Source      string      `json:"source"`
	CloudData   *harborData `json:"data"`
}

type harborData struct {
	Resources []struct {
		Digest string `json:"digest"`
		Tag    string `json:"tag"`
	} `json:"resources"`
	Repository struct {
		FullName string `json:"repo_full_name"`
	} `json:"repository"`
}

// harborEvents say what an event is about, by the names of both forms.
var harborEvents = map[string]string{
	"PUSH_ARTIFACT": pushed, "harbor.artifact.pushed": pushed,
	"DELETE_ARTIFACT": deleted, "harbor.artifact.deleted": deleted,
	"PULL_ARTIFACT": harmless, "harbor.artifact.pulled": harmless,
	"REPLICATION": many, "harbor.replication.status.changed": many,
	"TAG_RETENTION": many, "harbor.tag_retention.finished": many,
	"SCANNING_COMPLETED": harmless, "SCANNING_FAILED": harmless, "SCANNING_STOPPED": harmless, "harbor.scan.completed": harmless,
	"harbor.scan.failed": harmless, "harbor.scan.stopped": harmless,
	"QUOTA_EXCEED": harmless, "QUOTA_WARNING": harmless, "harbor.quota.exceeded": harmless, "harbor.quota.warned": harmless,
}

// What events are about.
const (
	pushed, deleted = "push", "delete"
	// many tags may have changed; harmless ones change none.
	many, harmless = "many", "harmless"
)

func readHarbor(body []byte) (m message, err error) {
	var h harborMessage
	if err := decode(body, &h); err != nil {
		return m, err
	}
	if h.Type == "" {
		return m, fmt.Errorf("%w: type is missing", errForm)
	}
	data := h.Data
	if h.SpecVersion != "" {
		data = h.CloudData
		if h.ID != "" && len(h.ID) <= idLength && len(h.Source) <= idLength {
			m.ids = []string{h.Source + " " + h.ID}
		}
	}
	switch kind := harborEvents[h.Type]; {
	case kind == many:
		m.walk = true
	case kind == harmless:
		m.ignored++
	case kind == "":
		m.strange(h.Type)
	case data == nil || len(data.Resources) == 0:
		return m, fmt.Errorf("%w: %s without resources", errForm, clip(h.Type))
	case kind == deleted:
		// A deleted artifact may have had any of the repository's tags.
		m.changed(h.Type, data.Repository.FullName, "", "")
	default:
		for _, each := range data.Resources {
			if each.Tag == "" || each.Tag == each.Digest {
				m.ignored++ // pushed by its digest alone
				continue
			}
			m.changed(h.Type, data.Repository.FullName, each.Tag, each.Digest)
		}
	}
	return m, nil
}
