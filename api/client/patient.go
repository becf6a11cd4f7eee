package client

import (
	"context"
	"io"
	"net"

	"google.golang.org/grpc/credentials"
)

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
