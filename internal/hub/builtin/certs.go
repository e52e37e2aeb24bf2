package builtin

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	authorityFile    = "hub-ca.pem"
	authorityKeyFile = "hub-ca-key.pem"
	serverFile       = "hub-server.pem"
	serverKeyFile    = "hub-server-key.pem"

	authorityLife = 10 * 365 * 24 * time.Hour
	// serverLife stays below the 398 days that browsers accept.
	serverLife = 365 * 24 * time.Hour
	renewAt    = 30 * 24 * time.Hour
)

// localHosts are in every server certificate.
var localHosts = []string{"127.0.0.1", "::1", "localhost"}

// serverCertificate loads the hub's certificate from dir, and makes it again when it is missing, about to expire, not
// valid for one of the hosts, or not of this authority. The authority is made once and kept, so clients go on trusting it.
func serverCertificate(dir string, hosts []string, now time.Time) (*tls.Certificate, error) {
	if dir == "" {
		return nil, nil // no folder, no certificate: the hub is then only used by its Handler
	}
	hosts = append(append([]string(nil), localHosts...), hosts...)
	authority, err := loadAuthority(dir, now)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, serverFile), filepath.Join(dir, serverKeyFile))
	if err == nil && stillGood(pair.Leaf, authority.Leaf, hosts, now) {
		return &pair, nil
	}
	return makeServerPair(dir, authority, hosts, now)
}

func stillGood(leaf, authority *x509.Certificate, hosts []string, now time.Time) bool {
	if leaf == nil || now.Add(renewAt).After(leaf.NotAfter) || leaf.CheckSignatureFrom(authority) != nil {
		return false
	}
	for _, host := range hosts {
		if leaf.VerifyHostname(host) != nil {
			return false
		}
	}
	return true
}

func loadAuthority(dir string, now time.Time) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, authorityFile), filepath.Join(dir, authorityKeyFile))
	if err == nil {
		if now.Add(renewAt).Before(pair.Leaf.NotAfter) {
			return &pair, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("load the hub's certificate authority from %s (delete %s and %s to get a new one): %w",
			dir, authorityFile, authorityKeyFile, err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Perceptor built-in hub authority"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return makePair(dir, authorityFile, authorityKeyFile, template, nil)
}

func makeServerPair(dir string, authority *tls.Certificate, hosts []string, now time.Time) (*tls.Certificate, error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Perceptor built-in hub"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(serverLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return makePair(dir, serverFile, serverKeyFile, template, authority)
}

// makePair makes a key and a certificate for it, signed by the parent or, without one, by itself.
func makePair(dir, certFile, keyFile string, template *x509.Certificate, parent *tls.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key for %s: %w", certFile, err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, fmt.Errorf("generate serial number for %s: %w", certFile, err)
	}
	signer, issuer := crypto.PrivateKey(key), template
	if parent != nil {
		signer, issuer = parent.PrivateKey, parent.Leaf
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", certFile, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key of %s: %w", certFile, err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	// A kill between the two files leaves a pair that does not match; a new authority or server pair then replaces it.
	if err := os.Remove(filepath.Join(dir, certFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replace %s: %w", certFile, err)
	}
	if err := errors.Join(writePrivate(filepath.Join(dir, keyFile), keyPEM), writePrivate(filepath.Join(dir, certFile), certPEM)); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", certFile, err)
	}
	return &pair, nil
}
