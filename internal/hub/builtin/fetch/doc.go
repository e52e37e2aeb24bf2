// Package fetch gets files from web servers that are not trusted: only over TLS (or from this machine), with a bound on every
// size, without waiting for ever, and without following redirects to where they must not lead. A download that broke off goes on
// where it was. It knows nothing of what the files hold.
package fetch
