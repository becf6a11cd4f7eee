package adminapi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"bridge.example/membership"
)

// Bounds of what one client may cost. The largest message is a document.
const (
	maxRequestBytes  = membership.MaxDocumentBytes + 1<<10
	maxResponseBytes = membership.MaxDocumentBytes + 1<<10
	maxHeaderBytes   = 16 << 10
	maxStreams       = 8 // calls in flight on one connection
	handshakeTime    = 10 * time.Second
)

func serverOptions(t *tls.Config, g gate) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(newLobby(credentials.NewTLS(t))),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.MaxRecvMsgSize(maxRequestBytes),
		grpc.MaxSendMsgSize(maxResponseBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: 5 * time.Minute,
			// Chains are verified at the start of a connection: none lasts.
			MaxConnectionAge:      time.Hour,
			MaxConnectionAgeGrace: time.Minute,
			Time:                  time.Minute, // then a ping, so that dead peers are noticed
			Timeout:               20 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 30 * time.Second}),
		grpc.UnaryInterceptor(g.unary),
		grpc.StreamInterceptor(g.stream),
	}
}

// tlsConfig lets in whoever holds a certificate from the CA persons that is
// meant for clients, and whoever shows none; what those may is the gate's to say.
func tlsConfig(server tls.Certificate, persons *x509.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(persons)
	return &tls.Config{
		Certificates: []tls.Certificate{server},
		ClientCAs:    pool,
		ClientAuth:   tls.VerifyClientCertIfGiven,
		MinVersion:   tls.VersionTLS13,
		// A resumed session would skip the check below.
		SessionTicketsDisabled: true,
		VerifyPeerCertificate:  requireClientAuth,
	}
}

// requireClientAuth refuses certificates that name no purpose: crypto/x509
// takes those as fit for all (RFC 5280 §4.2.1.12).
func requireClientAuth(raw [][]byte, chains [][]*x509.Certificate) error {
	if len(raw) == 0 {
		return nil
	}
	if len(chains) == 0 || !slices.Contains(chains[0][0].ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return errors.New("the certificate is not for client authentication")
	}
	return nil
}
