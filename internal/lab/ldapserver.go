package lab

import (
	"sync"

	"github.com/lor00x/goldap/message"
	ldapserver "github.com/vjeantet/ldapserver"
)

// silence stops the library from printing every message, passwords included.
var silence = sync.OnceFunc(func() { ldapserver.Logger = ldapserver.DiscardingLogger })

// serveLDAP answers from d until ln is shut.
func serveLDAP(ln *ldapListener, d *directory) {
	silence()
	s := ldapserver.NewServer()
	s.Handle(handler{d})
	// The library opens its listener itself; only here can it be exchanged.
	err := s.ListenAndServe("127.0.0.1:0", func(s *ldapserver.Server) {
		_ = s.Listener.Close()
		s.Listener = ln
	})
	if err != nil { // it could not open one; better no directory than a silent one
		ln.shut()
	}
}

type handler struct{ *directory }

// ServeLDAP answers one request, each in a goroutine of the library's. A panic
// costs the client its connection and nobody else anything.
func (h handler) ServeLDAP(w ldapserver.ResponseWriter, m *ldapserver.Message) {
	c, ok := m.Client.GetConn().(*ldapConn)
	if !ok {
		return
	}
	defer c.release(m.ProtocolOp())
	defer func() {
		if recover() != nil {
			c.abort()
		}
	}()
	switch req := m.ProtocolOp().(type) {
	case message.BindRequest:
		h.serveBind(w, &req, c)
	case message.SearchRequest:
		h.serveSearch(w, &req, c, m.Controls())
	case message.ExtendedRequest:
		w.Write(ldapserver.NewExtendedResponse(ldapserver.LDAPResultProtocolError))
	default:
		refuse(w, req)
	}
}

func (h handler) serveBind(w ldapserver.ResponseWriter, req *message.BindRequest, c *ldapConn) {
	code, bound := ldapserver.LDAPResultAuthMethodNotSupported, false
	if password, simple := req.Authentication().(message.OCTETSTRING); simple {
		code, bound = h.bind(string(req.Name()), string(password))
	}
	c.bound.Store(bound)
	w.Write(ldapserver.NewBindResponse(code))
}

func (h handler) serveSearch(w ldapserver.ResponseWriter, req *message.SearchRequest, c *ldapConn, controls *message.Controls) {
	done := func(code int, text string) {
		r := ldapserver.NewSearchResultDoneResponse(code)
		if text != "" {
			m := message.LDAPResult(r)
			m.SetDiagnosticMessage(text)
			r = message.SearchResultDone(m)
		}
		w.Write(r)
	}
	if controls != nil {
		for _, ctl := range *controls {
			if bool(ctl.Criticality()) && ctl.ControlType() != manageDsaIT {
				done(ldapserver.LDAPResultUnavailableCriticalExtension, "")
				return
			}
		}
	}
	found, code, text := h.search(req, c.bound.Load())
	for _, e := range found {
		r := ldapserver.NewSearchResultEntry(e.name)
		for _, a := range e.selected(req.Attributes()) {
			values := make([]message.AttributeValue, len(a.values))
			for i, v := range a.values {
				values[i] = message.AttributeValue(v)
			}
			if bool(req.TypesOnly()) {
				values = nil
			}
			r.AddAttribute(message.AttributeDescription(a.description), values...)
		}
		w.Write(r)
	}
	if code == ldapserver.LDAPResultSuccess && h.refers(req) {
		w.Write(message.SearchResultReference{message.URI(h.reference)})
	}
	done(code, text)
}

// manageDsaIT (RFC 3296) changes nothing here: there are no referral entries.
const manageDsaIT = "2.16.840.1.113730.3.4.2"

// refuse answers what would change the directory, each operation with its own
// kind of response. An abandon has none (RFC 4511 §4.11).
func refuse(w ldapserver.ResponseWriter, req message.ProtocolOp) {
	r := ldapserver.NewResponse(ldapserver.LDAPResultUnwillingToPerform)
	switch req.(type) {
	case message.CompareRequest:
		w.Write(message.CompareResponse(r))
	case message.AddRequest:
		w.Write(message.AddResponse(r))
	case message.ModifyRequest:
		w.Write(message.ModifyResponse(r))
	case message.ModifyDNRequest:
		w.Write(message.ModifyDNResponse(r))
	case message.DelRequest:
		w.Write(message.DelResponse(r))
	}
}
