package adminapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"bridge.example/api/proto"
)

// connected is the context of a call from the holder of a certificate that was
// verified when the connection began.
func connected(notAfter time.Time) context.Context {
	chain := []*x509.Certificate{{Subject: pkix.Name{CommonName: "anna"}, NotAfter: notAfter}}
	return overTLS([][]*x509.Certificate{chain})
}

func overTLS(chains [][]*x509.Certificate) context.Context {
	return peer.NewContext(context.Background(), &peer.Peer{
		Addr:     &net.TCPAddr{},
		AuthInfo: credentials.TLSInfo{State: tls.ConnectionState{VerifiedChains: chains}},
	})
}

func TestGate(t *testing.T) {
	later, earlier := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	known := proto.Bridge_WhoAmI_FullMethodName
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		method string
		want   codes.Code
	}{
		{"an officer", connected(later), known, codes.OK},
		{"an RPC without a rule", connected(later), "/bridge.v1.Bridge/Novelty", codes.PermissionDenied},
		{"a certificate that expired since", connected(earlier), known, codes.PermissionDenied},
		{"no verified chain", overTLS(nil), known, codes.PermissionDenied},
		{"no connection", context.Background(), known, codes.Internal},
		{"no TLS", peer.NewContext(context.Background(), &peer.Peer{Addr: &net.TCPAddr{}}), known, codes.PermissionDenied},
	} {
		entered := false
		handler := func(context.Context, any) (any, error) { entered = true; return nil, nil }
		g := gate{slog.New(slog.DiscardHandler)}
		_, err := g.unary(tt.ctx, nil, &grpc.UnaryServerInfo{FullMethod: tt.method}, handler)
		if status.Code(err) != tt.want || entered != (tt.want == codes.OK) {
			t.Errorf("%s: got %v, entered %t; want %s", tt.name, err, entered, tt.want)
		}
	}
}
