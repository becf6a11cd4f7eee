package main

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	"bridge.example/api/client"
	"bridge.example/api/proto"
	"bridge.example/internal/fault"
)

// ask calls f with a client for the daemon, which is closed afterwards. Each
// call may take --timeout.
func (t *tool) ask(f func(proto.BridgeClient) error) error {
	if t.credentials == "" {
		return withHint(fault.New(fault.Invalid, "no credentials given"),
			"name the directory with --credentials or BRIDGECTL_CREDENTIALS")
	}
	c, err := client.Open(t.credentials, t.server, time.Now())
	if err != nil {
		return withHint(err, "--credentials names your directory with certificate.pem, key.pem, ca.pem and server")
	}
	return t.call(c, f)
}

// askUnknown is ask without credentials, for what anyone may ask. The daemon
// proves itself by the admin CA in the file ca.
func (t *tool) askUnknown(ca string, f func(proto.BridgeClient) error) error {
	if t.server == "" {
		return withHint(fault.New(fault.Invalid, "no daemon named"), "give its address with --server or BRIDGECTL_SERVER")
	}
	c, err := client.Anonymous(ca, t.server)
	if err != nil {
		return withHint(err, "--server-ca names the file with the bridge's admin CA, which its operator publishes")
	}
	return t.call(c, f)
}

func (t *tool) call(c *client.Credentials, f func(proto.BridgeClient) error) error {
	conn, err := c.Dial(grpc.WithUnaryInterceptor(
		func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			ctx, cancel := context.WithTimeout(ctx, t.timeout)
			defer cancel()
			return fromStatus(c.Server, invoke(ctx, method, req, reply, cc, opts...))
		}))
	if err != nil {
		return err
	}
	return errors.Join(f(proto.NewBridgeClient(conn)), conn.Close())
}
