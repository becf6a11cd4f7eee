// Package client connects persons' programs to the administrative interface
// of a bridge.
package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"bridge.example/internal/fault"
)

const (
	maxFileBytes   = 64 << 10
	maxAnswerBytes = 16 << 20
)

// serverName is what the daemon's certificate says, wherever it listens.
const serverName = "bridged"

// Credentials are one person's, or nobody's, and the bridge they are for.
type Credentials struct {
	Server string // host:port of the daemon
	tls    *tls.Config
}

// Open reads a credential directory: certificate.pem and key.pem (the
// officer), ca.pem (the daemon's admin CA) and server (its address, host:port).
// A server given takes the place of the one in the directory. Errors: NotFound,
// Denied (permissions, or the certificate expired before now), Invalid.
func Open(dir, server string, now time.Time) (*Credentials, error) {
	var errs []error
	file := func(name string) []byte {
		b, err := readFile(filepath.Join(dir, name))
		if err != nil {
			errs = append(errs, err)
		}
		return b
	}
	cert, key, ca := file("certificate.pem"), file("key.pem"), file("ca.pem")
	if server == "" {
		server = strings.TrimSpace(string(file("server")))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	officer, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fault.New(fault.Invalid, "reading %s: %w", dir, err)
	}
	if end := officer.Leaf.NotAfter; now.After(end) {
		return nil, fault.New(fault.Denied, "the officer's certificate expired at %s", end.UTC().Format(time.RFC3339))
	}
	return trusting(filepath.Join(dir, "ca.pem"), ca, server, officer)
}

// Anonymous is for questions that anyone may ask: it shows no certificate, and
// trusts the daemon at server, host:port, for the admin CA in the file ca.
// Errors: NotFound, Denied, Invalid.
func Anonymous(ca, server string) (*Credentials, error) {
	b, err := readFile(ca)
	if err != nil {
		return nil, err
	}
	return trusting(ca, b, server)
}

func trusting(path string, ca []byte, server string, own ...tls.Certificate) (*Credentials, error) {
	if _, _, err := net.SplitHostPort(server); err != nil {
		return nil, fault.New(fault.Invalid, "the daemon's address %q is not host:port", server)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fault.New(fault.Invalid, "reading %s: no certificate in it", path)
	}
	return &Credentials{Server: server, tls: &tls.Config{
		Certificates: own, RootCAs: roots, ServerName: serverName, MinVersion: tls.VersionTLS13,
	}}, nil
}

// Dial returns a connection to the daemon; nothing is sent before the first
// call. The caller closes it.
func (c *Credentials) Dial(o ...grpc.DialOption) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///"+c.Server, append([]grpc.DialOption{
		grpc.WithTransportCredentials(patient{credentials.NewTLS(c.tls)}),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes)),
	}, o...)...)
	if err != nil {
		return nil, fault.New(fault.Invalid, "connecting to %s: %w", c.Server, err)
	}
	return conn, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(kindOf(err), "%w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	switch {
	case err != nil:
		return nil, fault.New(kindOf(err), "%w", err)
	case len(b) > maxFileBytes:
		return nil, fault.New(fault.Invalid, "%s is longer than %d bytes", path, maxFileBytes)
	}
	return b, nil
}

func kindOf(err error) fault.Kind {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.NotFound
	case errors.Is(err, fs.ErrPermission):
		return fault.Denied
	}
	return fault.Invalid // a directory, a name too long, …
}
