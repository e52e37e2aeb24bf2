package jobs_test

import (
	"fmt"
	"iter"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
)

// generated are records like published ones: most about one package with some affected versions, every tenth an advisory of a
// distribution about twelve packages. They are as long as OSV's are on average, about 2 KB.
func generated(count int) iter.Seq2[[]byte, error] {
	details := strings.Repeat("Details are read by people and passed over here. ", 20)
	return func(yield func([]byte, error) bool) {
		for i := range count {
			packages := [][2]string{{"npm", fmt.Sprintf("package-%d", i%(count/3+1))}}
			if i%10 == 0 {
				packages = nil
				for k := range 12 {
					packages = append(packages, [2]string{"Debian:" + strconv.Itoa(11+k%3), fmt.Sprintf("source-%d", (i+k)%5000)})
				}
			}
			text := record(fmt.Sprintf("GEN-%d", i), packages...)
			text = strings.TrimSuffix(text, "}") + fmt.Sprintf(`,"summary":"Generated record %d","details":%q,"aliases":["CVE-2026-%d"]}`, i, details, i)
			if !yield([]byte(text), nil) {
				return
			}
		}
	}
}

// BenchmarkLoad loads LOAD_RECORDS generated records (20,000 without it), and the most memory that the process ever had says
// whether that is bounded.
func BenchmarkLoad(b *testing.B) {
	count := 20_000
	if text := os.Getenv("LOAD_RECORDS"); text != "" {
		var err error
		count, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	for b.Loop() {
		bench := newBench(b)
		start := time.Now()
		report, err := bench.Updates.Load(b.Context(), generated(count), jobs.LoadOptions{Complete: true})
		require.NoError(b, err)
		require.Equal(b, count, report.Records)
		b.ReportMetric(float64(count)/time.Since(start).Seconds(), "records/s")
	}
	b.ReportMetric(peakMiB(b), "MiB-peak")
}

// peakMiB is the most memory that this process had in use; 0 where the system does not say.
func peakMiB(t testing.TB) float64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if kilobytes, found := strings.CutPrefix(line, "VmHWM:"); found {
			n, err := strconv.Atoi(strings.Fields(kilobytes)[0])
			require.NoError(t, err)
			return float64(n) / 1024
		}
	}
	return 0
}
