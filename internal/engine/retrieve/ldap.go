package retrieve

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/url"
	"strings"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
)

// attributes are those of RFC 4523 that hold certificates of CAs, or CRLs.
var attributes = []string{
	"cACertificate;binary", "crossCertificatePair;binary",
	"certificateRevocationList;binary", "authorityRevocationList;binary", "deltaRevocationList;binary",
}

// parseSearch reads the parts of an ldap URL behind the host (RFC 4516 §2):
// dn?attributes?scope?filter?extensions.
func parseSearch(u *url.URL) (q ldap.SearchRequest, err error) {
	// Without its slash an empty DN is the server itself, which is no CA.
	q.Base = strings.TrimPrefix(u.Path, "/")
	parts := strings.Split(u.RawQuery, "?")
	for i := range parts {
		if parts[i], err = url.PathUnescape(parts[i]); err != nil {
			return q, fault.New(fault.Invalid, "the URL has a malformed percent sign")
		}
	}
	parts = append(parts, make([]string, 4)...)
	names, scope, filter, extensions := parts[0], parts[1], parts[2], parts[3]
	q.Attributes = attributes
	if names != "" {
		q.Attributes = strings.Split(names, ",")
	}
	for _, a := range q.Attributes {
		if kindOfAttribute(a) == other {
			return q, fault.New(fault.Invalid, "the URL asks for attribute %q", a)
		}
	}
	if scope != "" && !strings.EqualFold(scope, "base") {
		return q, fault.New(fault.Invalid, "the URL asks for scope %q, not base", scope)
	}
	if strings.Contains(extensions, "!") {
		return q, fault.New(fault.Invalid, "the URL has a critical extension")
	}
	switch {
	case filter == "":
		filter = "(objectClass=*)"
	case filter[0] != '(': // so Microsoft's certificate services write it
		filter = "(" + filter + ")"
	}
	if q.Filter, err = ldap.ParseFilter(filter); err != nil {
		return q, err
	}
	q.Scope, q.SizeLimit = ldap.BaseObject, 1
	return q, nil
}

type kind uint8

const (
	other kind = iota
	certificate
	pair
	list
)

// kindOfAttribute goes by the name without options (RFC 4512 §2.5).
func kindOfAttribute(description string) kind {
	name, _, _ := strings.Cut(strings.ToLower(description), ";")
	switch name {
	case "cacertificate":
		return certificate
	case "crosscertificatepair":
		return pair
	case "certificaterevocationlist", "authorityrevocationlist", "deltarevocationlist":
		return list
	}
	return other
}

// ldap asks for one entry. Nobody binds: that is to be anonymous (RFC 4511 §4.2).
func (r *Run) ldap(ctx context.Context, u *url.URL) (found Found, err error) {
	q, err := parseSearch(u)
	if err != nil {
		return found, err
	}
	deadline, _ := ctx.Deadline()
	q.TimeLimit = int32(r.left.Reply.Seconds())
	port := u.Port()
	if port == "" {
		port = "389"
	}
	conn, err := r.dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return found, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := conn.SetDeadline(deadline); err != nil {
		return found, err
	}
	request, err := ldap.Message{ID: 1, Op: q}.AppendTo(nil)
	if err != nil {
		return found, err
	}
	if _, err := conn.Write(request); err != nil {
		return found, err
	}
	return r.answer(conn)
}

// maxMessages bounds how many answers a search for one entry may have.
const maxMessages = 8

func (r *Run) answer(conn io.Reader) (found Found, err error) {
	room := r.room()
	in := &io.LimitedReader{R: conn, N: room}
	defer func() { r.spend(room - in.N) }()
	buffered := bufio.NewReader(in)
	for range maxMessages {
		m, err := ldap.ReadMessage(buffered, ldap.Limits{MaxPDUBytes: int(room)})
		switch {
		case err != nil && in.N == 0:
			return found, fault.New(fault.Invalid, "the answer is longer than %d bytes", room)
		case err != nil:
			return found, err
		case m.ID != 1:
			return found, fault.New(fault.Unavailable, "the server ends the connection")
		}
		switch op := m.Op.(type) {
		case ldap.SearchResultEntry:
			if err := found.addEntry(op); err != nil {
				return found, err
			}
		case ldap.SearchResultReference: // not followed
		case ldap.SearchResultDone:
			if op.Code != ldap.Success {
				return found, fault.New(fault.Unavailable, "the directory answers %s", op.Code)
			}
			return found, nil
		default:
			return found, fault.New(fault.Invalid, "the directory answers with a %T", op)
		}
	}
	return found, fault.New(fault.Invalid, "the directory does not come to an end")
}

func (f *Found) addEntry(e ldap.SearchResultEntry) error {
	for _, a := range e.Attributes {
		for _, value := range a.Values {
			var err error
			switch kindOfAttribute(a.Type) {
			case certificate:
				f.Certificates = append(f.Certificates, value)
			case list:
				f.CRLs = append(f.CRLs, value)
			case pair:
				err = f.addPair(value)
			}
			if err == nil {
				err = f.bounded()
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
