package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"bridge.example/api/proto"
	"bridge.example/internal/fault"
)

const (
	maxCredentialBytes = 64 << 10 // of one file
	maxAnswerBytes     = 16 << 20
)

// serverName is what the daemon's certificate says, wherever it listens.
const serverName = "bridged"

// connect returns a client for the daemon, and what closes it. Nothing is sent
// before the first call; each call may take --timeout.
func (t *tool) connect() (proto.BridgeClient, func() error, error) {
	config, server, err := t.readCredentials(time.Now())
	if err != nil {
		return nil, nil, err
	}
	conn, err := grpc.NewClient("passthrough:///"+server,
		grpc.WithTransportCredentials(patient{credentials.NewTLS(config)}),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes)),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			ctx, cancel := context.WithTimeout(ctx, t.timeout)
			defer cancel()
			return fromStatus(server, invoke(ctx, method, req, reply, cc, opts...))
		}))
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "connecting to %s: %w", server, err)
	}
	return proto.NewBridgeClient(conn), conn.Close, nil
}

// ask calls f with a client that is closed afterwards.
func (t *tool) ask(f func(proto.BridgeClient) error) error {
	client, closeClient, err := t.connect()
	if err != nil {
		return err
	}
	return errors.Join(f(client), closeClient())
}

// readCredentials reads the credential directory and returns how to connect,
// and where to.
func (t *tool) readCredentials(now time.Time) (*tls.Config, string, error) {
	if t.credentials == "" {
		return nil, "", withHint(fault.New(fault.Invalid, "no credentials given"),
			"name the directory with --credentials or BRIDGECTL_CREDENTIALS")
	}
	file := func(name string) ([]byte, error) {
		return readFile(filepath.Join(t.credentials, name), maxCredentialBytes)
	}
	certPEM, certErr := file("certificate.pem")
	keyPEM, keyErr := file("key.pem")
	caPEM, caErr := file("ca.pem")
	server := t.server
	var serverErr error
	if server == "" {
		var b []byte
		b, serverErr = file("server")
		server = strings.TrimSpace(string(b))
	}
	if err := errors.Join(certErr, keyErr, caErr, serverErr); err != nil {
		return nil, "", withHint(err, "a credential directory holds certificate.pem, key.pem, ca.pem and server")
	}
	if _, _, err := net.SplitHostPort(server); err != nil {
		return nil, "", fault.New(fault.Invalid, "the daemon's address %q is not host:port", server)
	}
	officer, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, "", fault.New(fault.Invalid, "reading %s: %w", t.credentials, err)
	}
	if end := officer.Leaf.NotAfter; now.After(end) {
		return nil, "", withHint(fault.New(fault.Denied, "the officer's certificate expired at %s", end.UTC().Format(time.RFC3339)),
			"ask the operator for new credentials")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(caPEM) {
		return nil, "", fault.New(fault.Invalid, "reading %s: no certificate in it", filepath.Join(t.credentials, "ca.pem"))
	}
	return &tls.Config{
		Certificates: []tls.Certificate{officer}, RootCAs: roots,
		ServerName: serverName, MinVersion: tls.VersionTLS13,
	}, server, nil
}

// patient is TLS that waits for the server to speak before the client does. In
// TLS 1.3 a client is done before the server has judged its certificate; were
// it to write at once, the refusal could be lost in a reset connection. HTTP/2
// servers send their settings first (RFC 9113 §3.4).
type patient struct {
	credentials.TransportCredentials
}

func (p patient) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := p.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	var first [1]byte
	_, err = io.ReadFull(conn, first[:])
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return &spoken{conn, first[:]}, info, nil
}

// spoken is a connection whose first bytes have been read.
type spoken struct {
	net.Conn
	first []byte
}

func (s *spoken) Read(b []byte) (int, error) {
	if len(s.first) > 0 && len(b) > 0 {
		n := copy(b, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	return s.Conn.Read(b)
}
