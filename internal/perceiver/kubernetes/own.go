package kubernetes

import (
	"encoding/json"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fieldManager owns what is written here. The API server keeps which labels and annotations it owns, so that those of a
// deleted container, or of another form, vanish by themselves with the next write.
const fieldManager = "perceptor"

// ownedFields is the part of a manager's entry that says which labels and annotations are its own.
type ownedFields struct {
	Metadata struct {
		Labels      map[string]json.RawMessage `json:"f:labels"`
		Annotations map[string]json.RawMessage `json:"f:annotations"`
	} `json:"f:metadata"`
}

// ownMarks are the labels and annotations of an object that were written here, and that no other manager has changed since.
func ownMarks(m *metav1.ObjectMeta) marks {
	for i := range m.ManagedFields {
		entry := &m.ManagedFields[i]
		if entry.Manager != fieldManager || entry.Operation != metav1.ManagedFieldsOperationApply || entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		var owned ownedFields
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned) != nil {
			return marks{} // then it is written once more
		}
		return marks{labels: chosen(m.Labels, owned.Metadata.Labels), annotations: chosen(m.Annotations, owned.Metadata.Annotations)}
	}
	return marks{}
}

func chosen(all map[string]string, owned map[string]json.RawMessage) map[string]string {
	values := map[string]string{}
	for field := range owned {
		key, isKey := strings.CutPrefix(field, "f:")
		if value, is := all[key]; isKey && is {
			values[key] = value
		}
	}
	return values
}
