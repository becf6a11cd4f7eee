package ldapfront

import (
	"context"
	"crypto/tls"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
)

// handle deals with one request. Searches go on in a goroutine of their own;
// the rest is done when it returns. An error ends the connection.
func (c *conn) handle(ctx, searches context.Context, m ldap.Message) error {
	start := time.Now()
	if m.ID == 0 {
		return &notice{ldap.ProtocolError, "message ID 0 is not for requests"}
	}
	if r := checkControls(m); r.Code != ldap.Success {
		if response := ldap.ResponseTo(m.Op, r); response != nil {
			c.reply(start, m, response, r)
			return nil
		}
		// Unbind and Abandon cannot be refused: RFC 4511 §4.1.11.
	}
	switch op := m.Op.(type) {
	case ldap.SearchRequest:
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		c.search(searches, m, op)
	case ldap.BindRequest:
		c.running.Wait() // RFC 4511 §4.2.1
		r := bind(op, c.opt.LDAPv2)
		c.reply(start, m, ldap.BindResponse{Result: r}, r)
	case ldap.UnbindRequest:
		return errUnbound
	case ldap.AbandonRequest:
		c.giveUp(op.ID, abandoned)
	case ldap.ExtendedRequest:
		if op.Name == ldap.OIDStartTLS {
			return c.startTLS(ctx, m, op)
		}
		response := c.extended(op)
		c.reply(start, m, response, response.Result)
	case ldap.UpdateRequest:
		r := ldap.Result{Code: ldap.UnwillingToPerform, Diagnostic: "this directory only answers searches"}
		c.reply(start, m, ldap.ResponseTo(op, r), r)
	default:
		return &notice{ldap.ProtocolError, "not a request"}
	}
	return nil
}

func (c *conn) reply(start time.Time, m ldap.Message, response ldap.Op, r ldap.Result) {
	c.out.send(ldap.Message{ID: m.ID, Op: response})
	c.logOperation(record{start: start, op: m.Op, code: r.Code})
}

// bind admits the anonymous and nobody else (RFC 4513 §5.1). It changes
// nothing: who has not bound is anonymous too.
func bind(req ldap.BindRequest, v2 bool) ldap.Result {
	switch {
	case req.Version != 3 && !(req.Version == 2 && v2):
		return ldap.Result{Code: ldap.ProtocolError, Diagnostic: "protocol version not supported"}
	case req.Method != ldap.Simple:
		return ldap.Result{Code: ldap.AuthMethodNotSupported, Diagnostic: "bind anonymously"}
	case len(req.Credentials) > 0:
		return ldap.Result{Code: ldap.InvalidCredentials}
	case req.Name != "": // a client that forgot the password: RFC 4513 §5.1.2
		return ldap.Result{Code: ldap.UnwillingToPerform, Diagnostic: "a name needs a password; bind anonymously"}
	}
	return ldap.Result{}
}

// checkControls refuses a control that is critical and unknown or not fit for
// the request (RFC 4511 §4.1.11). ManageDsaIT asks for what is done anyway.
func checkControls(m ldap.Message) ldap.Result {
	_, search := m.Op.(ldap.SearchRequest)
	for _, control := range m.Controls {
		switch {
		case control.OID == ldap.OIDManageDsaIT:
		case control.OID == ldap.OIDPagedResults && search:
			p, err := ldap.ParsePagedResults(control.Value)
			switch {
			case err != nil:
				return ldap.Result{Code: ldap.ProtocolError, Diagnostic: "malformed paged results control"}
			case len(p.Cookie) > 0: // none was ever given out
				return ldap.Result{Code: ldap.UnwillingToPerform, Diagnostic: "unknown paged results cookie"}
			}
		case control.Critical:
			return ldap.Result{Code: ldap.UnavailableCriticalExtension, Diagnostic: "critical control not supported"}
		}
	}
	return ldap.Result{}
}

// extended answers every extended request but StartTLS.
func (c *conn) extended(req ldap.ExtendedRequest) ldap.ExtendedResponse {
	switch req.Name {
	case ldap.OIDWhoAmI:
		return ldap.ExtendedResponse{Value: []byte{}} // the empty authzId: RFC 4532 §2.2
	case ldap.OIDCancel:
		id, err := ldap.ParseCancel(req.Value)
		if err != nil {
			return ldap.ExtendedResponse{Result: ldap.Result{Code: ldap.ProtocolError, Diagnostic: "malformed cancel request"}}
		}
		if !c.giveUp(id, canceled) {
			return ldap.ExtendedResponse{Result: ldap.Result{Code: ldap.NoSuchOperation}}
		}
		return ldap.ExtendedResponse{}
	}
	return ldap.ExtendedResponse{Result: ldap.Result{Code: ldap.ProtocolError, Diagnostic: "unknown extended operation"}}
}

// startTLS is RFC 4511 §4.14. An error ends the connection.
func (c *conn) startTLS(ctx context.Context, m ldap.Message, req ldap.ExtendedRequest) error {
	start := time.Now()
	var r ldap.Result
	switch {
	case c.opt.TLS == nil, req.Value != nil:
		r = ldap.Result{Code: ldap.ProtocolError, Diagnostic: "StartTLS not supported"}
	case c.secured():
		r = ldap.Result{Code: ldap.OperationsError, Diagnostic: "TLS is already in place"}
	case len(c.slots) > 0:
		r = ldap.Result{Code: ldap.OperationsError, Diagnostic: "operations are outstanding"}
	case c.r.Buffered() > 0:
		// Plaintext behind the request may be somebody else's: answered later,
		// it would pass for the client's own.
		return fault.New(fault.Invalid, "bytes between StartTLS and its response")
	}
	c.reply(start, m, ldap.ExtendedResponse{Result: r, Name: ldap.OIDStartTLS}, r)
	if r.Code != ldap.Success {
		return nil
	}
	t := tls.Server(c.nc, c.opt.TLS)
	if err := c.out.flush(); err != nil {
		return err
	}
	if err := c.handshake(ctx, t); err != nil {
		return err
	}
	c.out.use(t)
	c.stream = t
	c.r.Reset(t)
	return nil
}

func (c *conn) secured() bool {
	_, ok := c.stream.(*tls.Conn)
	return ok
}
