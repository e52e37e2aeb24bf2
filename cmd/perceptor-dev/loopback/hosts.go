package loopback

import (
	"net"
	"net/http"
	"net/netip"
)

// OnlyLocalNames refuses requests that came under another name than localhost
// or a loopback address. A web page whose own name was made to point at this
// machine would otherwise reach servers that ask for no credentials.
func OnlyLocalNames(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocalName(r.Host) {
			http.Error(w, "perceptor-dev answers to localhost and loopback addresses only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLocalName(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}
