package registry

import "fmt"

// artifactoryMessage is what Artifactory sends by a predefined webhook:
// https://jfrog.com/help/r/jfrog-platform-administration-documentation/domain-docker
// Fields of events of the domain docker may also stand outside of data.
type artifactoryMessage struct {
	Domain    string `json:"domain"`
	EventType string `json:"event_type"`
	artifactoryData
	Data *artifactoryData `json:"data"`
}

type artifactoryData struct {
	RepositoryKey string `json:"repo_key"`
	ImageName     string `json:"image_name"`
	Tag           string `json:"tag"`
}

// readArtifactory reads events. A repository's path is its key and the image's name, as in references by path.
func readArtifactory(body []byte) (m message, err error) {
	var a artifactoryMessage
	if err := decode(body, &a); err != nil {
		return m, err
	}
	data := a.artifactoryData
	if a.Data != nil {
		data = *a.Data
	}
	if a.EventType == "" {
		return m, fmt.Errorf("%w: event_type is missing", errForm)
	}
	what := a.Domain + " " + a.EventType
	if a.Domain != "" && a.Domain != "docker" {
		m.strange(what)
		return m, nil
	}
	switch a.EventType {
	case "pushed", "deleted", "promoted":
		if data.RepositoryKey == "" || data.ImageName == "" || data.Tag == "" {
			return m, fmt.Errorf("%w: %s without repo_key, image_name or tag", errForm, clip(what))
		}
		m.changed(what, data.RepositoryKey+"/"+data.ImageName, data.Tag, "")
	default:
		m.strange(what)
	}
	return m, nil
}
