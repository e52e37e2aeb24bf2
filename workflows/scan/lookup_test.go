package scan_test

import (
	"errors"

	"github.com/stretchr/testify/mock"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// TestWorkerAsksTheHubItselfWhereItMay: what it does not learn in this way, the step on the hub's queue finds out.
func (s *ScanImageSuite) TestWorkerAsksTheHubItselfWhereItMay() {
	asked := func(state model.HubScanState) (activities.LookUpHereResult, error) {
		return activities.LookUpHereResult{Asked: true, Scan: model.HubScan{State: state, ScanID: "old"}}, nil
	}
	for name, each := range map[string]struct {
		here   func(string) (activities.LookUpHereResult, error)
		queued int
	}{
		"the hub has the image":   {here: func(string) (activities.LookUpHereResult, error) { return asked(model.HubScanComplete) }},
		"this worker may not ask": {here: func(string) (activities.LookUpHereResult, error) { return activities.LookUpHereResult{}, nil }, queued: 1},
		"the local step fails": {here: func(string) (activities.LookUpHereResult, error) {
			return activities.LookUpHereResult{}, errors.New("late")
		}, queued: 1},
		"only the other hub may be asked": {here: func(hub string) (activities.LookUpHereResult, error) {
			if hub == someHub {
				return activities.LookUpHereResult{}, nil
			}
			return asked(model.HubScanAbsent)
		}, queued: 1},
	} {
		s.Run(name, func() {
			s.SetupTest()
			s.here, s.others = each.here, []activities.HubState{{Name: "hub-b"}, {Name: "tripped", Unavailable: "tripped"}}
			queued := 0
			s.env.OnActivity(hub.LookUpScan, mock.Anything, mock.Anything).Return(
				activities.LookUpScanResult{Scan: model.HubScan{State: model.HubScanComplete}}, nil).Run(func(mock.Arguments) { queued++ }).Maybe()
			s.judges().Once()
			s.Require().NoError(s.run())
			s.completed()
			s.Equal([]string{"tripped"}, s.report.Verdict.SkippedHubs, "a hub that cannot be asked is asked in no way")
			if each.queued > 0 {
				s.GreaterOrEqual(queued, each.queued)
			} else {
				s.Zero(queued)
			}
		})
	}
}
