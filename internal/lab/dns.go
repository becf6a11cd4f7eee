package lab

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/net/dns/dnsmessage"

	"bridge.example/internal/checkup"
	"bridge.example/internal/fault"
)

// DNS is a name server on loopback that knows the proofs of mail domains and
// nothing else.
type DNS struct {
	Addr string // host:port

	conn    net.PacketConn
	texts   map[string]string // by name, with a dot at the end
	running sync.WaitGroup
}

// StartDNS serves, on a UDP port or any free one for 0, the TXT records by which
// the mail domains of organisations are proved, until Close. A port that is
// taken is a Conflict.
func StartDNS(port int, of ...*Organisation) (*DNS, error) {
	conn, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fault.New(fault.Conflict, "listening for names: %w", err)
	}
	d := &DNS{Addr: conn.LocalAddr().String(), conn: conn, texts: map[string]string{}}
	for _, o := range of {
		d.texts["_bridge-challenge."+o.Spec.Domain+"."] = checkup.Challenge(o.Application(""))
	}
	d.running.Go(d.serve)
	return d, nil
}

// Close ends it.
func (d *DNS) Close() error {
	err := d.conn.Close()
	d.running.Wait()
	return err
}

func (d *DNS) serve() {
	buf := make([]byte, 1500)
	for {
		n, from, err := d.conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if answer, err := d.answer(buf[:n]); err == nil {
			_, _ = d.conn.WriteTo(answer, from)
		}
	}
}

// answer answers the first question of a message (RFC 1035 §4).
func (d *DNS) answer(message []byte) ([]byte, error) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	out := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired, RCode: dnsmessage.RCodeNameError},
		Questions: []dnsmessage.Question{q},
	}
	if text, ok := d.texts[q.Name.String()]; ok {
		out.RCode = dnsmessage.RCodeSuccess
		if q.Type == dnsmessage.TypeTXT {
			out.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60},
				Body:   &dnsmessage.TXTResource{TXT: []string{text}},
			}}
		}
	}
	return out.Pack()
}
