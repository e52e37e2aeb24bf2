package archtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/archtest"
)

// history is a recorded history that begins with the start of a workflow of that name.
func history(workflow string) string {
	return `{"events":[{"eventId":"1","workflowExecutionStartedEventAttributes":{"workflowType":{"name":"` + workflow + `"}}}]}`
}

const registration = `package workers

import (
	"github.com/perceptor/perceptor/workflows"
	story "github.com/perceptor/perceptor/workflows/image"
)

func register(w registry) {
	w.RegisterWorkflowWithOptions(scan.ScanImage, workflow.RegisterOptions{Name: workflows.TypeScanImage})
	w.RegisterWorkflowWithOptions(image.Image, workflow.RegisterOptions{Name: workflows.TypeImage})
	w.RegisterActivity(activities.PullImage)
}
`

// registering is a Go file that registers something with a worker.
func registering(what string) string {
	return "package workers\n\nimport \"" + archtest.Module + "/workflows\"\n\nfunc more(w registry) { w.RegisterWorkflow(" + what + ") }\n"
}

func TestRegistered(t *testing.T) {
	names, wrong := archtest.Registered(plant(t, map[string]string{"workers/a.go": registration}))
	require.Equal(t, []string{"Image", "ScanImage"}, names)
	require.Empty(t, wrong)
}

func TestCheckHistories(t *testing.T) {
	sound := map[string]string{
		"workers/a.go": registration,
		archtest.Histories + "/scan_image_cancelled.json": history("ScanImage"),
		archtest.Histories + "/image.json":                history("Image"),
	}
	for _, row := range []struct {
		name string
		more map[string]string
		want string
	}{
		{name: "all recorded"},
		{name: "one missing", more: map[string]string{archtest.Histories + "/image.json": ""}, want: "image.json: no recorded history of Image"},
		{name: "not readable", more: map[string]string{archtest.Histories + "/image_old.json": "{"}, want: "image_old.json: not a history"},
		{name: "no events", more: map[string]string{archtest.Histories + "/image_old.json": `{"events":[]}`}, want: "starts no workflow"},
		{name: "under the wrong name", more: map[string]string{archtest.Histories + "/images.json": history("Image")}, want: "name the file image.json or"},
		{name: "of something else", more: map[string]string{archtest.Histories + "/other.json": history("Other")}, want: "a history of Other, which is not registered"},
		{name: "a registration that cannot be read", more: map[string]string{"workers/b.go": registering("all[0]")}, want: "RegisterWorkflowWithOptions(story.Name"},
		{name: "registered in a test", more: map[string]string{"workers/b_test.go": registering("workflows.Other")}},
	} {
		t.Run(row.name, func(t *testing.T) {
			expect(t, archtest.CheckHistories(plant(t, with(sound, row.more))), row.want)
		})
	}
	t.Run("nothing registered", func(t *testing.T) {
		expect(t, archtest.CheckHistories(plant(t, map[string]string{"workers/a.go": "package workers\n"})), "no workflow is registered")
	})
}
