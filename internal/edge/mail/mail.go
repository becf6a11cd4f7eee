// Package mail hands messages to the operator's relay, by SMTP (RFC 5321) with
// STARTTLS (RFC 3207).
package mail

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"strings"
	"time"

	"bridge.example/internal/fault"
)

// Relay is where messages go.
type Relay struct {
	// Addr is host:port.
	Addr string
	// From is the sender's address.
	From string
	// Dial makes the connection.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is for STARTTLS; its ServerName is the relay's by default.
	TLS *tls.Config
	// Plain allows a relay that has no STARTTLS. Whoever stands between then
	// reads the messages.
	Plain bool
}

// sendTime bounds one message.
const sendTime = time.Minute

// Send delivers text, as UTF-8, to the addresses. The relay has it when Send
// returns nil. Errors: Invalid for addresses that would break the protocol,
// Denied for a relay without TLS or with a wrong certificate, otherwise
// Unavailable.
func (r Relay) Send(ctx context.Context, to []string, subject, text string, at time.Time) error {
	for _, a := range append([]string{r.From}, to...) {
		if a == "" || strings.ContainsAny(a, "\r\n<> ") {
			return fault.New(fault.Invalid, "%q is no mail address", a)
		}
	}
	if err := r.send(ctx, to, message(r.From, to, subject, text, at)); err != nil {
		kind := fault.KindOf(err)
		if kind == fault.Internal {
			kind = fault.Unavailable
		}
		return fault.New(kind, "mail by %s: %w", r.Addr, err)
	}
	return nil
}

func (r Relay) send(ctx context.Context, to []string, message []byte) error {
	host, _, err := net.SplitHostPort(r.Addr)
	if err != nil {
		return fault.New(fault.Invalid, "%w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	conn, err := r.Dial(ctx, "tcp", r.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // ends what waits
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	defer c.Close()
	if ok, _ := c.Extension("STARTTLS"); ok {
		config := &tls.Config{}
		if r.TLS != nil {
			config = r.TLS.Clone()
		}
		if config.ServerName == "" {
			config.ServerName = host
		}
		if err := c.StartTLS(config); err != nil {
			return fault.New(fault.Denied, "starting TLS: %w", err)
		}
	} else if !r.Plain {
		return fault.New(fault.Denied, "the relay has no STARTTLS; notices.plain allows that")
	}
	if err := c.Mail(r.From); err != nil {
		return err
	}
	for _, a := range to {
		if err := c.Rcpt(a); err != nil {
			return fmt.Errorf("recipient %s: %w", a, err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // the relay has the message
	return nil
}

// message is in the form of RFC 5322, with a body of quoted-printable text.
func message(from string, to []string, subject, text string, at time.Time) []byte {
	id := make([]byte, 16)
	rand.Read(id) // never fails, by its documentation
	_, domain, _ := strings.Cut(from, "@")
	var b strings.Builder
	for _, h := range [][2]string{
		{"From", from}, {"To", strings.Join(to, ", ")}, {"Subject", mime.QEncoding.Encode("utf-8", subject)},
		{"Date", at.Format(time.RFC1123Z)}, {"Message-ID", "<" + hex.EncodeToString(id) + "@" + domain + ">"},
		// Nobody's holiday note is wanted (RFC 3834 §5).
		{"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // a strings.Builder takes everything
	_ = w.Close()
	return []byte(b.String())
}
