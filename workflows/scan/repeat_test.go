package scan_test

import (
	"time"

	"github.com/stretchr/testify/mock"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// TestNothingIsRepeatedOnceTheLeaseIsBack: the timer of the lease is still running then.
func (s *ScanImageSuite) TestNothingIsRepeatedOnceTheLeaseIsBack() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().Once()
	s.uploads().Once()
	s.awaits().Once()
	s.judges().After(10 * time.Minute).Once()
	s.Require().NoError(s.run())
	s.completed()
	s.Len(s.acquired, 1)
	s.Len(s.released, 1)
	s.Zero(s.announced)
}

// TestNewRequestIsRepeatedSoonAfterALongLease: the timer of the lease before, which repeats seldom, must not slow it down.
func (s *ScanImageSuite) TestNewRequestIsRepeatedSoonAfterALongLease() {
	var asked []time.Time
	s.grant = func(a workflows.Acquire) *workflows.Grant {
		asked = append(asked, s.env.Now())
		if len(asked) == 2 {
			return nil
		}
		return &workflows.Grant{Chain: a.Chain, Hub: someHub, Attempt: s.next()}
	}
	s.lookUp(model.HubScanAbsent)
	s.pulls().Once()
	s.env.OnActivity(scanner.UploadScan, mock.Anything, mock.Anything).After(11*time.Minute).
		Return(activities.UploadScanResult{Trouble: &activities.HubTrouble{Class: model.Throttled, Reason: "busy"}, Refused: true}, nil).Once()
	s.uploads().Once()
	s.awaits().Once()
	s.judges().Once()
	s.Require().NoError(s.run())
	s.completed()
	s.Require().Len(asked, 3)
	s.LessOrEqual(asked[2].Sub(asked[1]), 30*time.Second)
}
