package judge

import (
	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

// Records finds vulnerability records. The hub's store implements it, over the data in use.
type Records interface {
	// Source describes the data held for one ecosystem with its release, named as in osv.Key ("Debian:12", "npm").
	// Held is false when there is not one record for it; completeness is that of the whole ecosystem.
	Source(ecosystem string) (source model.DataSource, held bool, err error)
	// Records are those filed under the key, from loaded data and from the sample.
	Records(key osv.Key) ([]osv.Record, error)
}

// Assessment is what the records say of one component. It depends on the component, the distribution and the data only, so
// it may be kept as long as these stay the same. Its JSON is for storing.
type Assessment struct {
	// Ecosystem is where it was looked up, such as "Debian:12"; empty when it belongs to none that is known.
	Ecosystem string `json:"ecosystem,omitempty"`
	// Reason says why it is not assessed; empty when it is.
	Reason model.NotAssessedReason `json:"reason,omitempty"`
	// Detail is more about Reason for a person, such as the id of the record that could not be understood.
	Detail string `json:"detail,omitempty"`
	// Data are the data it was compared with.
	Data []model.DataSource `json:"data,omitempty"`
	// Findings are worst first; a component that is not assessed can have some.
	Findings []osv.Finding `json:"findings,omitempty"`
}

// Assessed reports whether the component was compared with all there is.
func (a Assessment) Assessed() bool { return a.Reason == "" }

// Assessor assesses components, with or without a cache.
type Assessor interface {
	// Assess never fails because of the component: an error means that the data could not be read.
	Assess(c Component, on osv.Distribution) (Assessment, error)
}

// Over is an Assessor without a cache.
func Over(records Records) Assessor { return over{records} }

type over struct{ records Records }

func (o over) Assess(c Component, on osv.Distribution) (Assessment, error) {
	return Assess(c, on, o.records)
}

// Assess compares one component with the records.
func Assess(c Component, on osv.Distribution, records Records) (Assessment, error) {
	panic("not written yet")
}

// CacheKey is all that an Assessment depends on besides the data.
func CacheKey(c Component, on osv.Distribution) string {
	panic("not written yet")
}
