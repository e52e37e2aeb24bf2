package workflows_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hostile"
	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/internal/lease"
	"github.com/perceptor/perceptor/internal/record"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// payloadLimit is the server's: what a run leaves to the next must be smaller.
const payloadLimit = 2 << 20

// noise is text that cannot be packed.
func noise(random *rand.Rand, length int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
	text := make([]byte, length)
	for i := range text {
		text[i] = letters[random.IntN(len(letters))]
	}
	return string(text)
}

// TestThirteenThousandReferrersOfOneImage: the record takes them all in a short time, and fits into one payload.
func TestThirteenThousandReferrersOfOneImage(t *testing.T) {
	i := &record.Image{Digest: hostile.Digest}
	began := time.Now()
	now := hostile.Now
	for n := range 13_000 {
		o := hostile.Good().Observe
		o.Reference.ID = workflows.ReferrerID("production-west", fmt.Sprintf("team-%d", n))
		o.Reference.Version.Epoch += int64(n) * 7_919_123
		require.NoError(t, i.Observe(o))
		i.References.Expire(now)
		i.Deadlines()
	}
	i.StartScan(now)
	i.ScanEnded(now, record.Report{Started: now, Verdict: hostile.Good().Report.Verdict})
	require.True(t, i.ShouldPublish(now, 1))
	require.Less(t, time.Since(began), 10*time.Second)
	packed, err := json.Marshal(workflows.ImageInput{Digest: hostile.Digest, State: inventory.Packed[record.Image]{Value: i}})
	require.NoError(t, err)
	require.Less(t, len(packed), payloadLimit)
	t.Logf("%d bytes, %s", len(packed), time.Since(began).Round(time.Millisecond))
}

// TestStatesFitIntoOnePayload fills the record of an image and the book of leases with what cannot be packed.
func TestStatesFitIntoOnePayload(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	i := &record.Image{Digest: hostile.Digest}
	refused := 0
	for n := range 30_000 {
		o := hostile.Good().Observe
		o.Names = []model.Name{{Repository: noise(random, 500), Tag: noise(random, 128)}}
		o.Reference.ID = fmt.Sprintf("%s/%s", noise(random, 100), noise(random, 1+n%250))
		o.Reference.Version = model.Version{Epoch: random.Int64(), Counter: random.Int64()}
		if i.Observe(o) != nil {
			refused++
		}
	}
	require.Positive(t, refused)
	for range 30 {
		v := *hostile.Good().Report.Verdict
		v.Hub, v.VersionURL, v.Coverage.Reason = noise(random, 60), noise(random, model.URLLength), noise(random, model.ReasonLength)
		i.ScanEnded(hostile.Now, record.Report{Started: hostile.Now, Verdict: &v})
	}
	i.ShouldPublish(hostile.Now, 1)
	packed, err := json.Marshal(workflows.ImageInput{State: inventory.Packed[record.Image]{Value: i}})
	require.NoError(t, err)
	require.Less(t, len(packed), payloadLimit, "image")

	book := lease.New(hostile.Now)
	refused = 0
	for n := range 30_000 {
		d := model.Digest(fmt.Sprintf("sha256:%016x%016x%016x%016x", random.Uint64(), random.Uint64(), random.Uint64(), random.Uint64()))
		r := lease.Request{Chain: noise(random, 36+n%60), Holder: workflows.ScanImageID(d), Digest: d, Scan: noise(random, n%255), Hubs: []string{noise(random, n%60)}}
		if n%4 == 0 {
			r.Held = &lease.Announced{Hub: "main", Attempt: model.AttemptID{Millis: int64(n)}}
		}
		if book.RoomFor(r.Chain, r.Held != nil) != nil {
			refused++
			continue
		}
		book.Acquire(r, hostile.Now.Add(time.Duration(random.Int64N(1e12))))
	}
	require.Positive(t, refused)
	packed, err = json.Marshal(workflows.HubPoolInput{State: inventory.Packed[workflows.HubPoolState]{Value: &workflows.HubPoolState{Book: book}}})
	require.NoError(t, err)
	require.Less(t, len(packed), payloadLimit, "pool")
}
