package activities_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

func readChanges(t *testing.T, h *stubHub, until time.Time) activities.ReadChangesResult {
	t.Helper()
	steps := activities.NewHubSteps(activities.HubMap{"a": h}, nil)
	value, err := environment(t, steps).ExecuteActivity(steps.ReadChanges, activities.ReadChangesInput{Hub: "a", Since: hubTime.Add(-time.Hour), Until: until})
	require.NoError(t, err)
	var result activities.ReadChangesResult
	require.NoError(t, value.Get(&result))
	return result
}

func at(ago time.Duration) time.Time { return hubTime.Add(-ago) }

func TestOfSeveralChangesOfAVersionTheNewestCountsOrThatItIsGone(t *testing.T) {
	h := &stubHub{changes: []model.HubChange{
		{VersionURL: "v/1", Kind: model.HubChangePolicy, At: at(3 * time.Minute)},
		{VersionURL: "v/1", Kind: model.HubChangeVulnerability, At: at(time.Minute)},
		{VersionURL: "v/2", Kind: model.HubChangeRemoved, At: at(4 * time.Minute)},
		{VersionURL: "v/2", Kind: model.HubChangeBOM, At: at(2 * time.Minute)},
	}}
	result := readChanges(t, h, hubTime.Add(time.Hour))
	require.Equal(t, []model.HubChange{
		{VersionURL: "v/2", Kind: model.HubChangeRemoved, At: at(4 * time.Minute)},
		{VersionURL: "v/1", Kind: model.HubChangeVulnerability, At: at(time.Minute)},
	}, result.Changes)
	require.Equal(t, hubTime, result.Until, "nothing is known of what comes later")
}

func TestAnAnswerThatIsTooLongIsCutAtATime(t *testing.T) {
	h := &stubHub{}
	for i := range 6000 {
		h.changes = append(h.changes, model.HubChange{VersionURL: fmt.Sprint("v/", i), Kind: model.HubChangeBOM, At: at(time.Duration(6000-i) * time.Millisecond)})
	}
	result := readChanges(t, h, hubTime)
	require.Len(t, result.Changes, 5000)
	require.Equal(t, at(1000*time.Millisecond), result.Until)
	for i := range h.changes {
		h.changes[i].At = hubTime
	}
	result = readChanges(t, h, hubTime)
	require.Empty(t, result.Changes)
	require.True(t, result.TooMany)
}

func TestAHubThatKeepsNoListOfChangesSaysWhy(t *testing.T) {
	for _, class := range []model.FailureClass{model.Unsupported, model.NotFound, model.Unauthorized} {
		result := readChanges(t, &stubHub{err: edgeError{class: class}}, hubTime)
		require.Nil(t, result.Trouble)
		require.Equal(t, "the edge said "+string(class), result.NoList)
	}
	result := readChanges(t, &stubHub{err: edgeError{class: model.Throttled, after: time.Minute}}, hubTime)
	require.Equal(t, time.Minute, result.Trouble.RetryAfter)
}

func TestNobodyIsBehindAVersionThatIsGone(t *testing.T) {
	find := func(h *stubHub) activities.FindImagesResult {
		steps := activities.NewHubSteps(activities.HubMap{"a": h}, nil)
		value, err := environment(t, steps).ExecuteActivity(steps.FindImages, activities.FindImagesInput{Hub: "a", VersionURL: "v/1"})
		require.NoError(t, err)
		var result activities.FindImagesResult
		require.NoError(t, value.Get(&result))
		return result
	}
	require.Equal(t, activities.FindImagesResult{Digests: []model.Digest{"d"}}, find(&stubHub{digests: []model.Digest{"d"}}))
	require.Equal(t, activities.FindImagesResult{}, find(&stubHub{err: edgeError{class: model.NotFound}}))
	require.Equal(t, model.Unauthorized, find(&stubHub{err: edgeError{class: model.Unauthorized}}).Trouble.Class)
}
