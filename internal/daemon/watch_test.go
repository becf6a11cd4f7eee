package daemon_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"bridge.example/api/proto"
	"bridge.example/internal/setup/config"
)

// relay takes one message after the other, in clear.
func relay(t *testing.T) (addr string, messages <-chan string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got, done := make(chan string, 10), make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			takeMail(conn, got)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), got
}

func takeMail(conn net.Conn, got chan<- string) {
	defer conn.Close()
	in, body, data := bufio.NewScanner(conn), "", false
	_, _ = io.WriteString(conn, "220 relay\r\n")
	for in.Scan() {
		answer := "250 well\r\n"
		switch line := in.Text(); {
		case data && line == ".":
			got <- body
			data = false
		case data:
			body += line + "\n"
			continue
		case line == "DATA":
			data, answer = true, "354 go on\r\n"
		case strings.HasPrefix(line, "RCPT"):
			body += line + "\n"
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// TestRevokedIssuingCA: the root of a member revokes its issuing CA, and with no
// more than its CRL, by HTTP, the bridge ends it and tells who is to know.
func TestRevokedIssuingCA(t *testing.T) {
	alpha := organisation(t, alphaSpec())
	addr, messages := relay(t)
	b := start(t, "o=bridge", func(c *config.Config) {
		c.Watch.Status = 50 * time.Millisecond
		c.Notices = config.Notices{At: "06:00", SMTP: addr, Plain: true, From: "bridge@bridge.example", To: []string{"desk@bridge.example"}, MemberRole: "pki"}
	}, alpha)
	a := b.application(t, alpha)
	a.Contacts[0].Role, a.Contacts[0].Email = "PKI", "pki@a.example"
	b.admit(t, a)
	if err := alpha.RevokeIssuing(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var untrusted []string
	for tick := time.NewTicker(20 * time.Millisecond); len(untrusted) == 0; <-tick.C {
		r, err := b.as(t, "ada").GetMember(ctx, &proto.GetMemberRequest{Id: string(a.ID)})
		if err != nil {
			t.Fatal(err)
		}
		untrusted = r.GetMember().GetProjection().GetUntrusted()
	}
	if !strings.Contains(untrusted[0], "revoked") {
		t.Errorf("got %q", untrusted)
	}
	if err := b.Board().Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"pki@a.example", "desk@bridge.example"} {
		if got := <-messages; !strings.Contains(got, "RCPT TO:<"+to+">") || !strings.Contains(got, "(revoked)") {
			t.Errorf("got %q, want it for %s", got, to)
		}
	}
	r, err := b.as(t, "ada").GetDigest(t.Context(), &proto.GetDigestRequest{All: true})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, n := range r.GetNotices() {
		kinds[n.GetKind()]++
	}
	for _, kind := range []string{"revoked", "ca-certificate", "cross-certificate", "credential", "bridge-ca", "signer", "list", "membership"} {
		if kinds[kind] == 0 {
			t.Errorf("nothing of kind %s in %v", kind, kinds)
		}
	}
}
