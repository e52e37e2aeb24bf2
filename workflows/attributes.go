package workflows

import (
	"strings"
	"time"
	"unicode/utf8"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/model"
)

// attributeLimit keeps a keyword within the 255 characters of the SQL stores' columns; the server terminates a
// workflow that sends more than 2,048 bytes.
const attributeLimit = 255

// Keyword is the one way a value becomes a search attribute: valid UTF-8, no control characters, and short enough.
func Keyword(value string) string {
	clean := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r < ' ' {
			return -1
		}
		return r
	}, value)
	for len(clean) > attributeLimit {
		_, size := utf8.DecodeLastRuneInString(clean)
		clean = clean[:len(clean)-size]
	}
	return clean
}

// Attributes remembers what was last written, so that only changes cost an event.
type Attributes map[string]string

// KnownAttributes reads what the workflow was started with, or what the run before wrote.
func KnownAttributes(ctx workflow.Context, keys []temporal.SearchAttributeKeyKeyword) Attributes {
	known, a := workflow.GetTypedSearchAttributes(ctx), Attributes{}
	for _, key := range keys {
		if value, ok := known.GetKeyword(key); ok {
			a[key.GetName()] = value
		}
	}
	for _, key := range []temporal.SearchAttributeKeyTime{AttributeAsOf, AttributeValidUntil} {
		if at, ok := known.GetTime(key); ok {
			a[key.GetName()] = at.UTC().Format(time.RFC3339Nano)
		}
	}
	return a
}

// ImageAttributes are the attributes of Image, in the order in which it writes them.
var ImageAttributes = []temporal.SearchAttributeKeyKeyword{
	AttributeDigest, AttributeRepository, AttributeHub, AttributeHubVersion, AttributeScanStatus, AttributeOverallStatus, AttributeCoverage,
}

// ObservedAttributes are the attributes that an observer starts an Image with. They say that it is in the queue, so the workflow
// need not write that. An image whose scan does not begin writes another status at once.
func ObservedAttributes(d model.Digest, n model.Name) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(
		AttributeDigest.ValueSet(Keyword(string(d))),
		AttributeRepository.ValueSet(Keyword(n.Repository)),
		AttributeScanStatus.ValueSet(Keyword(string(model.StatusInQueue))),
		AttributeOverallStatus.ValueSet(Keyword(string(model.OverallUnknown))),
	)
}

// coverageSeparator stands between the numbers and the reason in CoverageText.
const coverageSeparator = "; "

// CoverageText is a coverage as a keyword, such as "118 of 120; 2 components: only sample data"; empty without a verdict.
func CoverageText(c model.CoverageSummary) string {
	switch {
	case c == model.CoverageSummary{}:
		return ""
	case c.Reason != "":
		return c.Short() + coverageSeparator + c.Reason
	default:
		return c.Short()
	}
}

// ParseCoverageText is the inverse of CoverageText: CoverageSummary.Short, and the reason, which may be cut.
func ParseCoverageText(s string) (assessed, reason string) {
	assessed, reason, _ = strings.Cut(s, coverageSeparator)
	return assessed, reason
}

// Upsert writes the keywords that have changed, in the order given; the time up to which a verdict reflects its hub, if there
// is one; and the time at which a green one ends, which is removed when there is none any more.
func (a Attributes) Upsert(ctx workflow.Context, keys []temporal.SearchAttributeKeyKeyword, values []string, asOf, validUntil time.Time) error {
	var changes []temporal.SearchAttributeUpdate
	changed := func(key temporal.SearchAttributeKey, value string) bool {
		was := a[key.GetName()]
		a[key.GetName()] = value
		return was != value
	}
	for i, key := range keys {
		if value := Keyword(values[i]); changed(key, value) {
			changes = append(changes, key.ValueSet(value))
		}
	}
	if !asOf.IsZero() && changed(AttributeAsOf, asOf.UTC().Format(time.RFC3339Nano)) {
		changes = append(changes, AttributeAsOf.ValueSet(asOf))
	}
	switch {
	case !validUntil.IsZero() && changed(AttributeValidUntil, validUntil.UTC().Format(time.RFC3339Nano)):
		changes = append(changes, AttributeValidUntil.ValueSet(validUntil))
	case validUntil.IsZero() && changed(AttributeValidUntil, ""):
		changes = append(changes, AttributeValidUntil.ValueUnset())
	}
	if len(changes) == 0 {
		return nil
	}
	return workflow.UpsertTypedSearchAttributes(ctx, changes...)
}

// CountAttributes are the counts of an Inventory as they were last written; -1 before the first time.
type CountAttributes struct{ pods, unscanned int64 }

// KnownCounts reads what the workflow was started with, or what the run before wrote.
func KnownCounts(ctx workflow.Context) CountAttributes {
	known := workflow.GetTypedSearchAttributes(ctx)
	read := func(key temporal.SearchAttributeKeyInt64) int64 {
		if value, ok := known.GetInt64(key); ok {
			return value
		}
		return -1
	}
	return CountAttributes{read(AttributePods), read(AttributeUnscanned)}
}

// Upsert writes the counts if they have changed.
func (c *CountAttributes) Upsert(ctx workflow.Context, pods, unscanned int64) error {
	if c.pods == pods && c.unscanned == unscanned {
		return nil
	}
	c.pods, c.unscanned = pods, unscanned
	return workflow.UpsertTypedSearchAttributes(ctx, AttributePods.ValueSet(pods), AttributeUnscanned.ValueSet(unscanned))
}
