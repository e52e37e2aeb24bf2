package registry

import (
	"context"
	"net/http"
	"strings"

	"golang.org/x/time/rate"
)

// largestPiece is the most bytes sent between two looks at the limit: small
// enough that several pulls share it evenly, large enough to cost little.
const largestPiece = 32 << 10

// brake limits the bytes of blobs that next sends, over all requests together.
func brake(next http.Handler, bytesPerSecond int64) http.Handler {
	if bytesPerSecond <= 0 {
		return next
	}
	piece := int(min(bytesPerSecond, largestPiece))
	limiter := rate.NewLimiter(rate.Limit(bytesPerSecond), piece)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/sha256:") {
			w = &slowWriter{ResponseWriter: w, ctx: r.Context(), limiter: limiter, piece: piece}
		}
		next.ServeHTTP(w, r)
	})
}

// slowWriter sends a body piece by piece, each when the limiter allows. It hides
// the shortcuts of the writer inside, by which a file would bypass the limit.
type slowWriter struct {
	http.ResponseWriter
	ctx     context.Context // a ResponseWriter lives as long as its request
	limiter *rate.Limiter
	piece   int
}

func (w *slowWriter) Write(body []byte) (int, error) {
	sent := 0
	for sent < len(body) {
		end := min(sent+w.piece, len(body))
		if err := w.limiter.WaitN(w.ctx, end-sent); err != nil {
			return sent, err
		}
		n, err := w.ResponseWriter.Write(body[sent:end])
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}
